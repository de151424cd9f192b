/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Only mm/. Each CPU is a vCPU of each VM, and plays hv/ for it: it enters by the epoch's rules,
 * faults pages in, gives them away and takes them back, samples, audits, scrubs, sleeps. It also
 * takes whole VMs apart and starts them again when no CPU is in them.
 */
#include <tests/threads/threads.h>

#include <mm/guestmem.h>
#include <mm/sample.h>

#define STEPS 16000
#define RAM MIB(12) /* too little for 3 VMs of 16 MiB: frames are used again at once */
#define TABLES 16

static struct vm_slot {
	struct p2m p2m;
	struct sampler sampler; /* under p2m.lock */
	u32 inside;		/* (a) CPUs that use it */
	u32 ends;		/* (a) no CPU may come in any more */
} slot[VMS];

/* The generation that this CPU flushed last, per VM and life. */
static _Thread_local u64 flushed[VMS];
static _Thread_local struct p2m_entry pinned[VMS]; /* HOLE: none */

static struct p2m *p2m_of(u16 id)
{
	return id < VMS && atomic_load(&slot[id].p2m.root.v) ? &slot[id].p2m : NULL;
}

static void quiet(void)
{
	struct p2m *maps[VMS];

	for (u32 i = 0; i < VMS; i++)
		maps[i] = &slot[i].p2m;
	oracle_check(maps, VMS, p2m_of);
}

/* --- in a VM ---------------------------------------------------------------------------- */

/* As step() of vcpu.c does. */
static void enter(u32 vm)
{
	u64 epoch = epoch_now(), gen = atomic_load_seq(&slot[vm].p2m.flush_gen);

	if (flushed[vm] != gen)
		oracle_flush(vm, plat_cpu());
	flushed[vm] = gen;
	epoch_quiescent(plat_cpu(), epoch);
}

static u32 some_gfn(bool own)
{
	u32 gfn;

	do
		gfn = oracle_some_gfn();
	while (own && owner_of(gfn, CPUS) != plat_cpu());
	return gfn;
}

/* As serve() of fault.c does. */
static void fault(u32 vm, u32 gfn)
{
	struct p2m *p = &slot[vm].p2m;
	unsigned int order = any(4) ? ORDER_4K : ORDER_2M;
	struct frame_batch b = FRAME_BATCH_INIT;
	enum p2m_kind kind;
	u64 work = 0;
	int err;

	spin_lock(&p->lock);
	err = p2m_populate(p, gfn, order, 0, &kind);
	if (kind == P2M_BALLOON) {
		err = p2m_unlock(p, gfn, ORDER_4K, &b, &work);
		p2m_commit(p, &b);
		if (!err)
			err = p2m_populate(p, gfn, ORDER_4K, FRAME_USE_RESERVE, &kind);
	}
	spin_unlock(&p->lock);
	if (err == HV_ENOMEM || err == HV_EAGAIN)
		quarantine_drain(64);
	else
		threads_assert(!err || kind == P2M_MAPPED, "VM %u gfn %x: %d, kind %d", vm, gfn,
			       err, kind);
}

static void touch(u32 vm, bool own)
{
	u32 gfn = some_gfn(own);

	if (!oracle_touch(&slot[vm].p2m, vm, plat_cpu(), gfn, own))
		fault(vm, gfn);
}

static void balloon(u32 vm)
{
	static int (*const ops[])(struct p2m *, u64, unsigned int, struct frame_batch *,
				  u64 *) = { p2m_lock, p2m_report, p2m_unlock };
	u32 which = any(ARRAY_SIZE(ops)), gfn = some_gfn(true), n = 1 + any(64);
	unsigned int order = any(8) ? ORDER_4K : ORDER_2M;
	struct p2m *p = &slot[vm].p2m;
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	gfn = ALIGN_DOWN(gfn, 1u << order);
	if (order)
		n = 1;
	spin_lock(&p->lock);
	for (; n && gfn < GFNS && owner_of(gfn, CPUS) == plat_cpu(); n--, gfn += 1u << order)
		if (!ops[which](p, gfn, order, &b, &work) && which < 2)
			for (u32 i = 0; i < 1u << order; i++)
				oracle_given(vm, gfn + i);
	p2m_commit(p, &b);
	spin_unlock(&p->lock);
}

/* The hypervisor reads and writes for the guest, without a lock. */
static void access_for(u32 vm)
{
	bool own = any(2);
	u32 gfn = some_gfn(own);
	gpa_t at = GPA(((u64)gfn << PAGE_SHIFT) + WORD_AT);
	u64 is, want;
	int err = guest_read(&slot[vm].p2m, at, &is, sizeof(is));

	threads_assert(!err || err == HV_EFAULT, "%d", err);
	if (!err && !own) {
		oracle_look(vm, gfn, is);
	} else if (!err && oracle_word(vm, gfn, &want)) {
		threads_assert(is == want, "VM %u gfn %x: %lx, not %lx", vm, gfn, is, want);
		guest_write(&slot[vm].p2m, at, &is, sizeof(is));
	}
}

static void pin(u32 vm)
{
	struct p2m *p = &slot[vm].p2m;
	struct p2m_entry e;

	if (pinned[vm].kind == P2M_MAPPED) { /* a device's interrupt has no lock */
		threads_assert(!p2m_unpin(&pinned[vm]), "VM %u frame %x", vm, pinned[vm].frame);
		pinned[vm].kind = P2M_HOLE;
		return;
	}
	spin_lock(&p->lock);
	if (!p2m_pin(p, some_gfn(true), &e))
		pinned[vm] = e;
	spin_unlock(&p->lock);
}

static void sample(u32 vm)
{
	struct p2m *p = &slot[vm].p2m;

	if (!spin_trylock(&p->lock))
		return;
	sampler_step(&slot[vm].sampler, p);
	spin_unlock(&p->lock);
}

static void stay_in(u32 vm)
{
	for (u32 i = any(16); i; i--) {
		enter(vm);
		for (u32 k = any(32); k; k--)
			touch(vm, any(3));
		if (!any(4))
			quarantine_drain(64);
		switch (any(16)) {
		case 0:
		case 1:
			balloon(vm);
			break;
		case 2:
			access_for(vm);
			break;
		case 3:
			if (!any(4))
				pin(vm);
			break;
		case 4:
			sample(vm);
			break;
		}
	}
}

static void run(u32 vm)
{
	flushed[vm] = 0; /* as enter_and_exit() does for a vCPU that comes from another CPU */
	atomic_or(&slot[vm].p2m.active, BIT(plat_cpu()));
	stay_in(vm);
	if (pinned[vm].kind == P2M_MAPPED)
		pin(vm);
	atomic_and(&slot[vm].p2m.active, ~BIT(plat_cpu()));
}

/* As a device does it. */
static void serve(u32 vm)
{
	for (u32 i = any(32); i; i--)
		access_for(vm);
}

/* While it stays there no CPU takes it apart. */
static void visit(u32 vm, void (*how)(u32 vm))
{
	atomic_add(&slot[vm].inside, 1);
	if (!atomic_load_seq(&slot[vm].ends) && p2m_of((u16)vm))
		how(vm);
	atomic_sub(&slot[vm].inside, 1);
}

/* --- VMs come and go ----------------------------------------------------------------------- */

static int begin(u32 vm)
{
	struct p2m *p = &slot[vm].p2m;
	int err = p2m_init(p, &ept_format, (u16)vm, GFNS);

	if (err)
		return err;
	oracle_life(vm);
	sampler_init(&slot[vm].sampler, any(UINT32_MAX), 16);
	spin_lock(&p->lock);
	err = p2m_set_range(p, 0, GFNS, P2M_EMPTY);
	spin_unlock(&p->lock);
	return err;
}

static void end(u32 vm)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	struct p2m *p = &slot[vm].p2m;
	u64 gfn = 0;
	int err;

	do {
		spin_lock(&p->lock);
		err = p2m_teardown(p, &gfn, &b);
		p2m_commit(p, &b);
		if (!err)
			p2m_destroy(p);
		spin_unlock(&p->lock);
	} while (err);
}

/* Unless a CPU is in it. */
static void restart(u32 vm)
{
	if (atomic_swap(&slot[vm].ends, 1u))
		return;
	if (atomic_load_seq(&slot[vm].inside)) {
		atomic_store_seq(&slot[vm].ends, 0u);
		return;
	}
	if (slot[vm].p2m.root.v)
		end(vm);
	/* No memory for tables: it stays off until a CPU tries again. */
	if (begin(vm) && slot[vm].p2m.root.v)
		end(vm);
	atomic_store_seq(&slot[vm].ends, 0u);
}

/* --- the rest ------------------------------------------------------------------------------ */

/* As governor.c and manage.c do it, without any VM's lock. */
static void promises(u32 vm)
{
	struct frame_acct *acct = &slot[vm].p2m.acct;

	switch (any(3)) {
	case 0:
		frame_reserve_fill(acct);
		break;
	case 1:
		frame_promise(acct, any(256), TABLES, any(64));
		break;
	default:
		frame_reserve_lend(&slot[any(VMS)].p2m.acct, acct);
	}
	frames_available();
}

static void host_work(void)
{
	static _Thread_local struct audit audit;
	u32 cpu = plat_cpu();
	int err;

	switch (any(8)) {
	case 0:
	case 1:
		quarantine_drain(64);
		break;
	case 2:
	case 3:
		frame_scrub_one();
		break;
	case 4:
		err = audit_step(&audit, VMS, p2m_of);
		threads_assert(!err || err == HV_EAGAIN, "the audit says %d", err);
		if (!err)
			audit = (struct audit){ 0 };
		break;
	case 5:
		if (!any(8))
			restart(any(VMS));
		break;
	case 6:
		promises(any(VMS));
		break;
	default:
		epoch_idle_enter(cpu);
		for (u32 i = any(1000); i && !threads_kicked(); i--)
			barrier();
		epoch_idle_leave(cpu);
		visit(any(VMS), serve);
		return;
	}
	epoch_quiescent(cpu, epoch_now());
}

static void life(void)
{
	while (threads_step(quiet)) {
		threads_kicked();
		if (any(4))
			visit(any(VMS), run);
		else
			host_work();
	}
}

int main(int argc, char **argv)
{
	threads_begin(argc, argv, STEPS);
	fake_machine(RAM >> PAGE_SHIFT, CPUS);
	for (u32 i = 0; i < VMS; i++) {
		threads_assert(!begin(i), "VM %u", i);
		threads_assert(!frame_promise(&slot[i].p2m.acct, 64, TABLES, 32), "VM %u", i);
	}
	threads_run(life);
	for (u32 i = 0; i < VMS; i++)
		if (slot[i].p2m.root.v)
			end(i);
	fake_settle();
	quiet();
	threads_assert(!frames_stats().guest && !frames_stats().table && !frames_stats().hv,
		       "all VMs have ended: %lu, %lu, %lu", frames_stats().guest,
		       frames_stats().table, frames_stats().hv);
	return 0;
}
