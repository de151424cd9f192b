/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three CPUs with translation caches of their own, two VMs, and frames that go from one to the
 * other: no CPU may ever use a translation to a frame that another VM has. The CPUs take turns at
 * random.
 */
#include <tests/fake/guest.h>

#include <hv/vm/sched.h>
#include <mm/epoch.h>

#define CPUS 3
#define PAGES 2048u /* of each VM */
#define FIRST 512u  /* the gfns that the guests use: above the kernel */
#define USED 512u

static struct vm_config cfg[2];
static struct vm *vm[2];
static u32 tlb[CPUS][2][PAGES]; /* frame, 0: nothing cached */
static u64 seed, stale_uses, hits, faults, reuses;

/* A frame is only good for the VM and page that it was cached for. */
static void check_use(u32 id, u32 gfn, u32 frame)
{
	const struct frame *f =
		&fake.table[frame_head(frame) == FRAME_NONE ? frame : frame_head(frame)];
	bool ours = f->state == FRAME_GUEST && f->owner == id && f->gfn == gfn;

	/* A frame in quarantine has no owner: the hypervisor waits for this very CPU. */
	if (!ours && f->state != FRAME_QUARANTINE)
		stale_uses++;
}

/* The contents of a written page of VM @id. */
static u64 stamp(u32 id, u32 gfn)
{
	return (u64)(id + 1) << 32 | gfn;
}

/* One access. False: it faults. */
static bool access(u32 id, u32 gfn)
{
	u32 *t = &tlb[fake.cpu][id][gfn];
	u64 *p;

	if (*t) {
		hits++;
	} else {
		struct p2m_entry e = p2m_lookup(&vm[id]->p2m, gfn);

		if (e.kind != P2M_MAPPED)
			return false;
		*t = e.frame;
	}
	check_use(id, gfn, *t);
	p = (u64 *)fake_frame(*t);
	if (*p && *p != stamp(id, gfn))
		reuses++; /* another's bytes */
	*p = stamp(id, gfn);
	return true;
}

static void run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	*e = (struct vmexit){ .kind = EXIT_PREEMPT };
	for (u32 n = fake_random(&seed) % 20; n; n--) {
		u32 gfn = FIRST + (u32)(fake_random(&seed) % USED);

		if (!access(v->vm->id, gfn)) {
			e->kind = EXIT_P2M_FAULT;
			e->fault.gpa = GPA((u64)gfn << PAGE_SHIFT);
			e->fault.write = true;
			faults++;
			return;
		}
	}
	fake.tsc = max(fake.tsc, deadline);
}

static void flush(struct vcpu *v)
{
	memset(tlb[fake.cpu][v->vm->id], 0, sizeof(tlb[0][0]));
}

static void turn(struct vcpu *v)
{
	v->state = VCPU_RUNNING;
	v->cpu = fake.cpu;
	v->vm->waiting = 0;
	v->slice_end = fake.tsc + 1000;
	vcpu_execute(v);
}

/* The balloon driver of @v's VM gives some pages away, or takes them back. */
static void balloon(struct vcpu *v)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	struct p2m *p = &v->vm->p2m;
	u64 work = 0;

	for (u32 n = 0; n < 40; n++) {
		u64 gfn = FIRST + fake_random(&seed) % USED;

		if (fake_random(&seed) % 3)
			p2m_lock(p, gfn, ORDER_4K, &b, &work);
		else
			p2m_unlock(p, gfn, ORDER_4K, &b, &work);
	}
	p2m_commit(p, &b);
}

static void frames_change_hands_safely(void **state)
{
	(void)state;
	guest_machine(MIB(6), CPUS);
	fake_cpu.on_run = run;
	fake_cpu.on_flush = flush;
	memset(tlb, 0, sizeof(tlb));
	seed = 4711;
	stale_uses = hits = faults = reuses = 0;
	for (u32 i = 0; i < 2; i++) {
		cfg[i] = guest_config(i ? "b" : "a");
		cfg[i].memory = cfg[i].max = PAGES * PAGE_SIZE;
		cfg[i].vcpus = CPUS;
		vm[i] = guest_start(&cfg[i]);
	}
	for (int i = 0; i < 30000; i++) {
		u64 r = fake_random(&seed);
		struct vm *m = vm[r & 1];
		struct vcpu *v;

		fake.cpu = (u32)(r >> 8) % CPUS;
		/* Most of the time a vCPU stays where it was; sometimes it moves. */
		v = m->vcpus[r >> 60 == 0 ? (r >> 16) % CPUS : fake.cpu];
		switch (r >> 24 & 7) {
		case 0:
			balloon(v);
			break;
		case 1:
			quarantine_drain(64);
			break;
		case 2:
			epoch_idle_enter(fake.cpu); /* and out again: it holds nothing in between */
			epoch_idle_leave(fake.cpu);
			break;
		default:
			turn(v);
		}
	}
	assert_int_equal(stale_uses, 0);
	assert_int_equal(reuses, 0);
	assert_true(hits > 10000 && faults > 10000);
	for (u32 i = 0; i < 2; i++)
		tables_check(&vm[i]->p2m);
	fake_machine_off();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_change_hands_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
