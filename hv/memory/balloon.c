/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/vm.h>

/* A guest pages if more than 1/PAGING_PART of its pages a second come back, and PAGING_LEAST. */
#define PAGING_PART 4096
#define PAGING_LEAST 16UL
#define PAGING_MS 10000UL /* statistics count as new for this long */
#define HOLD_SECONDS 2	  /* no new inflation after a guest asked to grow */
#define ENTRY_KNOWN (AERO_ENTRY_ADDR | AERO_ENTRY_2M)

void balloon_init(struct vm *vm)
{
	const struct balloon fresh = { .manual = BALLOON_BY_POLICY, .hint = POLICY_HINT_MAX };

	_Static_assert(sizeof(fresh) % sizeof(u64) == 0, "whole words");
	atomic_copy(&vm->balloon, &fresh, sizeof(fresh));
}

bool balloon_below_target(const struct vm *vm)
{
	return atomic_load(&vm->p2m.ballooned) < atomic_load(&vm->balloon.target);
}

static void target_moved(struct vm *vm, u64 old, u64 pages)
{
	const struct balloon_front *front = atomic_load(&vm->balloon.front);

	if (old == pages)
		return;
	/* A driver that has left for its guest's sleep may have asked to be called. */
	if (vm_alive(vm)) {
		if (front)
			front->ring(vm);
		else
			vm_ring_doorbell(vm);
	}
	/* A larger target opens the reserve: a vCPU that waits may go on. */
	if (pages > old && atomic_load(&vm->waiting))
		memory_wake_waiters();
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

bool balloon_claim(struct vm *vm, const struct balloon_front *front)
{
	enum balloon_choice choice = vm->cfg->balloon;
	bool offered = choice == BALLOON_AUTO || choice == front->choice;
	const struct balloon_front *none = NULL;

	if (offered && (atomic_cas(&vm->balloon.front, none, front) ||
			atomic_load(&vm->balloon.front) == front))
		return true;
	vm_log(vm, "its driver %s gets no balloon: %s", front->name,
	       offered ? "the other driver was first" : "see balloon = in its configuration");
	return false;
}

void balloon_release(struct vm *vm)
{
	atomic_store(&vm->balloon.started, false);
	vm->balloon.reset_gfn = 0;
	atomic_store(&vm->balloon.front, (const struct balloon_front *)NULL);
}

int balloon_reset(struct vm *vm)
{
	struct frame_batch batch = FRAME_BATCH_INIT;
	int err;

	spin_lock(&vm->p2m.lock);
	atomic_store(&vm->balloon.started, false);
	err = p2m_reset_balloon(&vm->p2m, &vm->balloon.reset_gfn, &batch);
	p2m_commit(&vm->p2m, &batch);
	if (!err) {
		vm->balloon.reset_gfn = 0;
		atomic_store(&vm->balloon.started, true);
		atomic_store(&vm->balloon.doorbell.vector, 0u);
	}
	spin_unlock(&vm->p2m.lock);
	return err;
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
			tally_add(&vm->balloon.refused, 1);
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
	return op == BALLOON_REPORT ? atomic_load(&vm->p2m.acct.resident) :
				      atomic_load(&vm->p2m.ballooned);
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
	tally_add(counters[op], after > before ? after - before : before - after);
	spin_unlock(&vm->p2m.lock);
	*work = run.work;
	*refused = run.any_status;
	return done;
}

/* Pages that were gone when they were needed, ever. */
static u64 paged_in(const struct aero_stats *s)
{
	return atomic_load(&s->swap_in) + atomic_load(&s->refaults);
}

/* Does it page in, by its own statistics?  PAGING_PART and PAGING_LEAST say from which rate on. */
static void note_paging(struct vm *vm, const struct aero_stats *s, u64 now)
{
	struct balloon *b = &vm->balloon;
	u64 last = atomic_load(&b->stats_at), ms = tsc_since(last, now) / plat_tsc_khz();
	u64 more = paged_in(s) - paged_in(&b->stats);
	u64 strays = max(vm->pages / PAGING_PART, PAGING_LEAST);

	/* From one boot to the next, or over a pause, the difference is no rate. */
	if (last && (s64)more > 0 && ms < PAGING_MS && more * 1000 > strays * max(ms, 1UL) &&
	    more >= PAGING_LEAST)
		atomic_store(&b->paging_until, now + PAGING_MS * plat_tsc_khz());
}

void balloon_note_stats(struct vm *vm, const struct aero_stats *s)
{
	u64 now = plat_tsc();

	note_paging(vm, s, now);
	atomic_copy(&vm->balloon.stats, s, sizeof(*s));
	atomic_store(&vm->balloon.stats_at, now);
}

s64 balloon_disagreement(const struct vm *vm)
{
	u64 used = min(atomic_load(&vm->p2m.ballooned) + atomic_load(&vm->active), vm->pages);
	u64 says = min(vm->balloon.stats.available, vm->pages);

	return vm->balloon.stats_at ?
		       ((s64)says - (s64)(vm->pages - used)) * 1000 / (s64)vm->pages :
		       0;
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
	u64 floor = (vm->cfg->memory - atomic_load(&vm->cfg->max)) >> PAGE_SHIFT;

	return target < floor ? 0 : floor;
}

void balloon_shrank(struct vm *vm, u64 pages)
{
	struct balloon *b = &vm->balloon;
	u64 size = atomic_load(&vm->p2m.ballooned), target = atomic_load(&b->target);
	u64 floor = floor_of(vm, target);

	if (size >= target || target <= floor)
		return;
	hold_off(b);
	atomic_add(&b->grow_pages, pages);
	balloon_set_target(vm, max(size, floor));
	governor_hurry();
}

u64 balloon_grow(struct vm *vm, u64 want)
{
	struct balloon *b = &vm->balloon;
	u64 size = atomic_load(&vm->p2m.ballooned), target = atomic_load(&b->target);
	u64 floor = floor_of(vm, target);

	if (want) {
		target = min(target, size);
		target = max(target > want ? target - want : 0, floor);
		hold_off(b);
		atomic_add(&b->grow_pages, want);
		balloon_set_target(vm, target);
		governor_hurry();
	}
	return size > target ? size - target : 0;
}
