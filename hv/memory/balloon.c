/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/dev/virtio_balloon.h>
#include <hv/memory/governor.h>
#include <hv/load/acpi.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define PAGING_PART 4096  /* of a VM's pages: so many in a second are no strays */
#define PAGING_LEAST 16UL /* nor are so many */
#define PAGING_MS 10000UL /* statistics are news for so long */
#define HOLD_SECONDS 2	  /* no new inflation after a guest asked to grow */
#define ENTRY_KNOWN (AERO_ENTRY_ADDR | AERO_ENTRY_2M)

/*
 * A kernel that touches what it allocates takes a frame for each page of a
 * batch before the first is locked; when memory is short, they must fit into
 * the VM's reserve.
 */
static u64 scarce_hint(const struct vm *vm)
{
	return min((u64)atomic_load(&vm->balloon.hint), max(vm->p2m.acct.reserve / 2, 1UL));
}

static void reply(struct vcpu *v, s64 status, u64 result)
{
	struct balloon *b = &v->vm->balloon;

	v->gpr[GPR_RAX] = (u64)status;
	v->gpr[GPR_RBX] = result;
	v->gpr[GPR_RCX] = atomic_load(&b->target);
	v->gpr[GPR_RDX] = unlikely(frames_scarce()) ? scarce_hint(v->vm) : atomic_load(&b->hint);
	b->calls++;
}

void balloon_init(struct vm *vm)
{
	vm->balloon = (struct balloon){ .manual = BALLOON_BY_POLICY, .hint = POLICY_HINT_MAX };
}

bool balloon_below_target(const struct vm *vm)
{
	return vm->p2m.ballooned < atomic_load(&vm->balloon.target);
}

static void ring(struct vm *vm, u32 vector, u32 apic)
{
	if (vector == AERO_DOORBELL_ACPI) { /* an edge */
		ioapic_set_line(vm, ACPI_BALLOON_PIN, true);
		ioapic_set_line(vm, ACPI_BALLOON_PIN, false);
	} else {
		for (u32 i = 0; i < vm->nr_vcpus; i++)
			if (i == apic)
				lapic_raise(vm->vcpus[i], (u8)vector);
	}
}

static void target_moved(struct vm *vm, u64 old, u64 pages)
{
	struct balloon *b = &vm->balloon;
	u32 vector = atomic_load(&b->doorbell_vector);

	if (old == pages)
		return;
	if (vector && vm_alive(vm))
		ring(vm, vector, b->doorbell_apic);
	if (atomic_load(&b->front) == FRONT_VIRTIO)
		virtio_balloon_ring(vm);
	/* A larger target opens the reserve: whoever waited may go on. */
	if (pages > old && atomic_load(&vm->waiting))
		sched_wake_memory_waiters();
}

void balloon_set_target(struct vm *vm, u64 pages)
{
	target_moved(vm, atomic_swap(&vm->balloon.target, pages), pages);
}

void balloon_move_target(struct vm *vm, u64 from, u64 to)
{
	if (atomic_cas(&vm->balloon.target, from, to))
		target_moved(vm, from, to);
}

bool balloon_claim(struct vm *vm, enum balloon_front front)
{
	static const char *const names[] = { "", "aerostat", "virtio-balloon" };
	enum balloon_choice choice = vm->cfg->balloon;
	bool offered = choice == BALLOON_AUTO ||
		       (choice == BALLOON_AEROSTAT && front == FRONT_AEROSTAT) ||
		       (choice == BALLOON_VIRTIO && front == FRONT_VIRTIO);

	if (offered && (atomic_cas(&vm->balloon.front, (u32)FRONT_NONE, (u32)front) ||
			atomic_load(&vm->balloon.front) == front))
		return true;
	log_line("vm %s: its driver %s gets no balloon: %s", vm->cfg->name, names[front],
		 offered ? "the other driver was first" : "see balloon = in its configuration");
	return false;
}

void balloon_release(struct vm *vm)
{
	vm->balloon.started = false;
	vm->balloon.reset_gfn = 0;
	atomic_store(&vm->balloon.front, (u32)FRONT_NONE);
}

int balloon_reset(struct vm *vm)
{
	struct frame_batch batch = FRAME_BATCH_INIT;
	int err;

	spin_lock(&vm->p2m.lock);
	vm->balloon.started = false;
	err = p2m_reset_balloon(&vm->p2m, &vm->balloon.reset_gfn, &batch);
	p2m_commit(&vm->p2m, &batch);
	if (!err) {
		vm->balloon.reset_gfn = 0;
		vm->balloon.started = true;
		atomic_store(&vm->balloon.doorbell_vector, 0u);
	}
	spin_unlock(&vm->p2m.lock);
	return err;
}

/* Has the driver that calls the balloon? */
static bool started(const struct vm *vm)
{
	return vm->balloon.started && atomic_load(&vm->balloon.front) == FRONT_AEROSTAT;
}

void balloon_start(struct vcpu *v)
{
	u64 version = v->gpr[GPR_RBX], features = v->gpr[GPR_RCX];

	if (version != AERO_ABI_VERSION) {
		reply(v, AERO_ERR_INVALID, AERO_ABI_VERSION);
		return;
	}
	if (!balloon_claim(v->vm, FRONT_AEROSTAT)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (balloon_reset(v->vm) == HV_EAGAIN) {
		reply(v, AERO_AGAIN, 0);
		return;
	}
	reply(v, AERO_OK,
	      features & (AERO_FEATURE_2M | AERO_FEATURE_DOORBELL | AERO_FEATURE_STATS |
			  AERO_FEATURE_GROW | AERO_FEATURE_REPORT));
}

void balloon_poll(struct vcpu *v)
{
	reply(v, started(v->vm) ? AERO_OK : AERO_ERR_STATE, v->vm->p2m.ballooned);
}

typedef int (*entry_fn)(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b,
			u64 *work);

static u64 entry_status(int err)
{
	switch (err) {
	case HV_OK:
		return AERO_ENTRY_OK;
	case HV_ERANGE:
		return AERO_ENTRY_RANGE;
	case HV_ESTATE:
		return AERO_ENTRY_STATE;
	case HV_EBUSY:
		return AERO_ENTRY_BUSY;
	case HV_ENOMEM:
	case HV_EAGAIN:
		return AERO_ENTRY_NOMEM;
	default:
		return AERO_ENTRY_MALFORMED;
	}
}

struct batch_run {
	u64 page_gfn; /* where the batch itself is: never lockable while in use */
	struct frame_batch freed;
	u64 work;
	bool any_status;
};

/* One entry; validation is p2m_lock()'s, which changes nothing on an error. */
static inline u64 do_entry(struct vm *vm, struct batch_run *run, entry_fn op, u64 entry)
{
	unsigned int order = entry & AERO_ENTRY_2M ? ORDER_2M : ORDER_4K;
	u64 gfn = (entry & AERO_ENTRY_ADDR) >> PAGE_SHIFT;

	if (unlikely(entry & ~ENTRY_KNOWN || gfn & ((1UL << order) - 1)))
		return AERO_ENTRY_MALFORMED;
	if (unlikely(run->page_gfn - gfn < 1UL << order))
		return AERO_ENTRY_BUSY;
	return entry_status(op(&vm->p2m, gfn, order, &run->freed, &run->work));
}

/*
 * From @first to @count, or to the bound on work; returns where it stopped.  A loop for
 * each @op: an indirect call costs more than the rest of an entry.
 */
static inline __attribute__((always_inline)) u32
do_entries(struct vm *vm, struct batch_run *run, entry_fn op, u64 *entries, u32 first, u32 count)
{
	u32 i;

	for (i = first; i < count && run->work < P2M_WORK_MAX; i++) {
		u64 status = do_entry(vm, run, op, entries[i]);

		if (unlikely(status)) {
			entries[i] = (entries[i] & ~AERO_ENTRY_STATUS_MASK) |
				     status << AERO_ENTRY_STATUS_SHIFT;
			run->any_status = true;
			vm->balloon.refused++;
		}
	}
	return i;
}

/* Where a CPU keeps its copy of a request. */
static struct aero_batch *scratch[MAX_CPUS];

int balloon_cpu_init(void)
{
	scratch[plat_cpu()] = frame_alloc_pages(0);
	return scratch[plat_cpu()] ? HV_OK : HV_ENOMEM;
}

u64 *balloon_scratch(void)
{
	return scratch[plat_cpu()]->entry;
}

/* What of the VM @op changes. */
static u64 measure(const struct vm *vm, enum balloon_op op)
{
	return op == BALLOON_REPORT ? vm->p2m.acct.resident : vm->p2m.ballooned;
}

u32 balloon_entries(struct vm *vm, enum balloon_op op, u64 *entries, u32 first, u32 count,
		    u64 spare, u64 *work, bool *refused)
{
	struct batch_run run = { spare, FRAME_BATCH_INIT, *work, false };
	u64 *counters[] = { &vm->balloon.locked, &vm->balloon.unlocked, &vm->balloon.reported };
	u64 before, after;
	u32 done;

	spin_lock(&vm->p2m.lock);
	before = measure(vm, op);
	if (op == BALLOON_LOCK)
		done = do_entries(vm, &run, p2m_lock, entries, first, count);
	else if (op == BALLOON_UNLOCK)
		done = do_entries(vm, &run, p2m_unlock, entries, first, count);
	else
		done = do_entries(vm, &run, p2m_report, entries, first, count);
	after = measure(vm, op);
	p2m_commit(&vm->p2m, &run.freed);
	vm->balloon.batches++;
	*counters[op] += after > before ? after - before : before - after;
	spin_unlock(&vm->p2m.lock);
	*work = run.work;
	*refused = run.any_status;
	return done;
}

/*
 * The request is copied in once and only the copy is used; statuses go back
 * only if there are any, since a clean entry already reads as OK.  The lock is
 * dropped at each bound on work, and the call goes on if nobody else has anything
 * to do meanwhile: an exit less.
 */
static void do_batch(struct vcpu *v, enum balloon_op op)
{
	u64 *entries = balloon_scratch();
	struct vm *vm = v->vm;
	gpa_t page = GPA(v->gpr[GPR_RBX]);
	u64 count = v->gpr[GPR_RCX], first = v->gpr[GPR_RDX];
	u64 done = first;
	bool refused;

	if (page.v & PAGE_MASK || count > AERO_BATCH_MAX || first >= count) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	if (!started(vm)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (guest_read(&vm->p2m, GPA(page.v + first * sizeof(u64)), entries + first,
		       (count - first) * sizeof(u64))) {
		reply(v, AERO_ERR_FAULT, first);
		return;
	}
	do {
		u64 from = done, work = 0;

		done = balloon_entries(vm, op, entries, (u32)from, (u32)count, page.v >> PAGE_SHIFT,
				       &work, &refused);
		if (refused && guest_write(&vm->p2m, GPA(page.v + from * sizeof(u64)),
					   entries + from, (done - from) * sizeof(u64))) {
			reply(v, AERO_ERR_FAULT, done);
			return;
		}
	} while (done < count && vcpu_may_go_on(v));
	reply(v, done < count ? AERO_AGAIN : AERO_OK, done);
}

void balloon_lock(struct vcpu *v)
{
	do_batch(v, BALLOON_LOCK);
}

void balloon_unlock(struct vcpu *v)
{
	do_batch(v, BALLOON_UNLOCK);
}

void balloon_report(struct vcpu *v)
{
	do_batch(v, BALLOON_REPORT);
}

/* Pages that were gone when they were needed, ever. */
static u64 paged_in(const struct aero_stats *s)
{
	return s->swap_in + s->refaults;
}

/* Does it page in, by what it says?  Some strays a second are no sign of it. */
static void note_paging(struct vm *vm, const struct aero_stats *s, u64 now)
{
	struct balloon *b = &vm->balloon;
	u64 more = paged_in(s) - paged_in(&b->stats),
	    ms = tsc_since(b->stats_at, now) / plat_tsc_khz();
	u64 strays = max(vm->pages / PAGING_PART, PAGING_LEAST);

	/* Not from one boot to the next, nor after a pause: that is no rate. */
	if (b->stats_at && (s64)more > 0 && ms < PAGING_MS && more * 1000 > strays * max(ms, 1UL) &&
	    more >= PAGING_LEAST)
		atomic_store(&b->paging_until, now + PAGING_MS * plat_tsc_khz());
}

void balloon_note_stats(struct vm *vm, const struct aero_stats *s)
{
	u64 now = plat_tsc();

	note_paging(vm, s, now);
	vm->balloon.stats = *s;
	vm->balloon.stats_at = now;
}

s64 balloon_disagreement(const struct vm *vm)
{
	u64 used = min(vm->p2m.ballooned + vm->active, vm->pages);
	u64 says = min(vm->balloon.stats.available, vm->pages);

	return vm->balloon.stats_at ?
		       ((s64)says - (s64)(vm->pages - used)) * 1000 / (s64)vm->pages :
		       0;
}

void balloon_stats(struct vcpu *v)
{
	struct aero_stats s;

	if (v->gpr[GPR_RBX] & 7) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	if (guest_read(&v->vm->p2m, GPA(v->gpr[GPR_RBX]), &s, sizeof(s))) {
		reply(v, AERO_ERR_FAULT, 0);
		return;
	}
	balloon_note_stats(v->vm, &s);
	reply(v, AERO_OK, 0);
}

void balloon_doorbell(struct vcpu *v)
{
	u64 vector = v->gpr[GPR_RBX], apic = v->gpr[GPR_RCX];

	if (vector && vector != AERO_DOORBELL_ACPI &&
	    (vector < 32 || vector > 255 || apic >= v->vm->nr_vcpus)) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	v->vm->balloon.doorbell_apic = (u32)apic;
	atomic_store(&v->vm->balloon.doorbell_vector, (u32)vector);
	reply(v, AERO_OK, 0);
}

/* Not for ever: after a hold-off as long a time must pass before the next. */
static void hold_off(struct balloon *b)
{
	u64 now = plat_tsc(), length = HOLD_SECONDS * 1000 * plat_tsc_khz(),
	    until = atomic_load(&b->hold_until);

	if (!until || now > until + length)
		atomic_store(&b->hold_until, now + length);
}

/* What max demands; a target that was set by hand may be lower, and is never raised by a wish. */
static u64 floor_of(const struct vm *vm, u64 target)
{
	u64 floor = (vm->cfg->memory - vm->cfg->max) >> PAGE_SHIFT;

	return target < floor ? 0 : floor;
}

void balloon_shrank(struct vm *vm, u64 pages)
{
	struct balloon *b = &vm->balloon;
	u64 size = vm->p2m.ballooned, target = atomic_load(&b->target);
	u64 floor = floor_of(vm, target);

	if (size >= target || target <= floor)
		return;
	hold_off(b);
	atomic_add(&b->grow_pages, pages);
	balloon_set_target(vm, max(size, floor));
	governor_hurry();
}

/* Answered here and now: the target shrinks before the call returns. */
void balloon_grow(struct vcpu *v)
{
	struct vm *vm = v->vm;
	struct balloon *b = &vm->balloon;
	u64 want = min(v->gpr[GPR_RBX], vm->pages), target = atomic_load(&b->target);
	u64 size = vm->p2m.ballooned, floor = floor_of(vm, target);

	if (!started(vm)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (want) {
		target = min(target, size);
		target = max(target > want ? target - want : 0, floor);
		hold_off(b);
		atomic_add(&b->grow_pages, want);
		balloon_set_target(vm, target);
		governor_hurry();
	}
	reply(v, AERO_OK, size > target ? size - target : 0);
}
