/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame states.  Each transition checks the state that it comes from and
 * fails with HV_ESTATE otherwise; nothing outside mm/frame.c and mm/buddy.c
 * writes a record (p2m.c counts table entries in kinds[], under its lock).
 */
#include <hv/base/platform.h>
#include <mm/frames.h>

/* Idle CPUs scrub 8 KiB at a time, so that a woken vCPU does not wait for one. */
#define SCRUB_ORDER 1

struct frames frames;

void frames_init(struct frame *table, u32 nr)
{
	frames.lock.held = 0;
	frames.stats = (struct frame_stats){ 0 };
	frames.q_first = frames.q_last = FRAME_NONE;
	frames.nr_poisoned = 0;
	frames.scrubbing = 0;
	buddy_init(&frames.buddy, table, nr);
}

void frames_add(u32 first, u32 count)
{
	for (u32 i = first; i < first + count; i++)
		frames.buddy.table[i].state = FRAME_TAIL;
	spin_lock(&frames.lock);
	frames.stats.total += count;
	atomic_store(&frames.buddy.nr, max(frames.buddy.nr, first + count));
	while (count) {
		unsigned int order = first ? (unsigned int)__builtin_ctz(first) : FRAME_MAX_ORDER;

		order = min(order, (unsigned int)FRAME_MAX_ORDER);
		order = min(order, 31u - (unsigned int)__builtin_clz(count));
		buddy_free(&frames.buddy, first, order, FRAME_FREE_DIRTY);
		first += 1u << order;
		count -= 1u << order;
	}
	spin_unlock(&frames.lock);
}

void frames_withhold(u64 count)
{
	spin_lock(&frames.lock);
	while (count) {
		unsigned int order = min(63u - (unsigned int)__builtin_clzl(count),
					 (unsigned int)FRAME_MAX_ORDER);
		unsigned int got = order;
		u32 f = buddy_take_largest(&frames.buddy, order, FRAME_FREE_DIRTY, &got);

		if (f == FRAME_NONE)
			f = buddy_take_largest(&frames.buddy, order, FRAME_FREE_CLEAN, &got);
		if (f == FRAME_NONE)
			break;
		frames.buddy.table[f].state = FRAME_ABSENT;
		count -= 1UL << got;
		frames.stats.total -= 1UL << got;
	}
	spin_unlock(&frames.lock);
}

struct frame_stats frames_stats(void)
{
	struct frame_stats s;

	spin_lock(&frames.lock);
	s = frames.stats;
	s.free_dirty = frames.buddy.count[0] + frames.scrubbing;
	s.free_clean = frames.buddy.count[1];
	spin_unlock(&frames.lock);
	return s;
}

u32 frames_nr(void)
{
	return atomic_load(&frames.buddy.nr);
}

const struct frame *frame_get(u32 frame)
{
	return frame < frames_nr() ? &frames.buddy.table[frame] : NULL;
}

/* Whoever retires it at this moment holds another lock, hence field by field. */
struct frame frame_copy(u32 frame)
{
	const struct frame *f = frame_get(frame);
	struct frame copy = { .state = FRAME_ABSENT };

	if (!f)
		return copy;
	spin_lock(&frames.lock);
	copy.state = atomic_load(&f->state);
	copy.order = f->order;
	copy.owner = atomic_load(&f->owner);
	copy.aux = atomic_load(&f->aux);
	if (copy.state == FRAME_GUEST)
		copy.gfn = atomic_load(&f->gfn);
	spin_unlock(&frames.lock);
	return copy;
}

u32 frame_head(u32 frame)
{
	if (frame >= frames_nr())
		return FRAME_NONE;
	for (unsigned int order = 0; order <= FRAME_MAX_ORDER; order++) {
		u32 head = frame >> order << order;
		const struct frame *f = &frames.buddy.table[head];

		if (f->state != FRAME_TAIL)
			return f->order >= order ? head : FRAME_NONE;
	}
	return FRAME_NONE;
}

static bool poisoned_in(u32 frame, unsigned int order)
{
	for (u32 i = 0; i < frames.nr_poisoned; i++)
		if (frames.poisoned[i] >> order == frame >> order)
			return true;
	return false;
}

/* Every way back to the free lists: poisoned frames of the block stay out. */
void frames_release_block(u32 frame, unsigned int order, enum frame_state state)
{
	if (likely(!frames.nr_poisoned || !poisoned_in(frame, order))) {
		buddy_free(&frames.buddy, frame, order, state);
	} else if (!order) {
		frames.buddy.table[frame].state = FRAME_BAD;
		frames.buddy.table[frame].order = 0;
		frames.stats.bad++;
	} else {
		order--;
		frames_release_block(frame, order, state);
		frames_release_block(frame + (1u << order), order, state);
	}
}

/* Takes a block off the free lists as HV, preferring @first. Holds frames.lock. */
static u32 take(unsigned int order, enum frame_state first, bool other_too, bool *clean)
{
	enum frame_state second = first == FRAME_FREE_CLEAN ? FRAME_FREE_DIRTY : FRAME_FREE_CLEAN;
	u32 frame = buddy_take(&frames.buddy, order, first);

	*clean = first == FRAME_FREE_CLEAN;
	if (frame == FRAME_NONE && other_too) {
		frame = buddy_take(&frames.buddy, order, second);
		*clean = second == FRAME_FREE_CLEAN;
	}
	if (frame != FRAME_NONE) {
		frames.buddy.table[frame].state = FRAME_HV;
		frames.buddy.table[frame].aux = 0;
		frames.stats.hv += 1UL << order;
	}
	return frame;
}

static void *frame_ptr(u32 frame)
{
	return plat_ptr(HPA((u64)frame << PAGE_SHIFT));
}

int frame_alloc_guest(struct frame_acct *acct, u64 gfn, unsigned int order, unsigned int flags,
		      u32 *frame)
{
	u64 n = 1UL << order, reserve, min_promised;
	struct frame *f;
	bool clean;
	int err;

	spin_lock(&frames.lock);
	reserve = acct->reserve;
	min_promised = acct->min_promised;
	err = frames_charge(acct, n, flags);
	if (!err) {
		*frame = take(order, FRAME_FREE_CLEAN, !(flags & FRAME_CLEAN_ONLY), &clean);
		if (*frame == FRAME_NONE) {
			/* Fragmented: only order 0 never comes here. Nothing is charged. */
			frames.stats.reserved +=
				reserve - acct->reserve + min_promised - acct->min_promised;
			atomic_store(&acct->reserve, reserve);
			atomic_store(&acct->min_promised, min_promised);
			err = HV_ENOMEM;
		}
	}
	if (!err && !clean) {
		spin_unlock(&frames.lock);
		plat_scrub(frame_ptr(*frame), n << PAGE_SHIFT);
		spin_lock(&frames.lock);
		frames.stats.scrubbed_demand += n;
	}
	if (!err) {
		f = &frames.buddy.table[*frame];
		f->state = FRAME_GUEST;
		f->owner = acct->owner;
		f->aux = 0;
		f->gfn = gfn;
		frames.stats.hv -= n;
		frames.stats.guest += n;
		tally_add(&acct->resident, n);
		frames_less_is_missing(acct);
	}
	spin_unlock(&frames.lock);
	return err;
}

int frame_alloc_table(struct frame_acct *acct, unsigned int flags, u32 *frame)
{
	bool clean;
	int err;

	spin_lock(&frames.lock);
	err = frames_charge_table(acct, flags);
	if (!err) {
		struct frame *f;

		*frame = take(0, FRAME_FREE_DIRTY, true, &clean);
		f = &frames.buddy.table[*frame];
		f->state = FRAME_TABLE;
		f->owner = acct->owner;
		f->gfn = 0;
		frames.stats.hv--;
		frames.stats.table++;
		tally_add(&acct->tables, 1);
	}
	spin_unlock(&frames.lock);
	return err;
}

int frame_alloc_hv(unsigned int order, u32 *frame)
{
	bool clean;
	int err;

	if (order > FRAME_MAX_ORDER)
		return HV_EINVAL;
	spin_lock(&frames.lock);
	err = frames_charge(NULL, 1UL << order, 0);
	if (!err) {
		*frame = take(order, FRAME_FREE_DIRTY, true, &clean);
		if (*frame == FRAME_NONE)
			err = HV_ENOMEM;
	}
	spin_unlock(&frames.lock);
	return err;
}

int frame_free_hv(u32 frame)
{
	int err = HV_ESTATE;

	spin_lock(&frames.lock);
	if (frame < frames.buddy.nr && frames.buddy.table[frame].state == FRAME_HV) {
		unsigned int order = frames.buddy.table[frame].order;

		frames.stats.hv -= 1UL << order;
		frames_release_block(frame, order, FRAME_FREE_DIRTY);
		err = HV_OK;
	}
	spin_unlock(&frames.lock);
	return err;
}

void *frame_alloc_pages(unsigned int order)
{
	u32 frame;
	void *p;

	if (frame_alloc_hv(order, &frame))
		return NULL;
	p = frame_ptr(frame);
	plat_scrub(p, PAGE_SIZE << order);
	return p;
}

void frame_free_pages(void *p)
{
	if (p)
		hv_assert(!frame_free_hv((u32)(plat_pa(p).v >> PAGE_SHIFT)));
}

int frame_split_guest(u32 frame)
{
	struct frame *f = &frames.buddy.table[frame];
	unsigned int order;
	struct frame head;

	if (f->state != FRAME_GUEST || f->order < 9)
		return HV_ESTATE;
	if (atomic_load(&f->aux)) /* a pin may end at any moment, without our lock */
		return HV_EBUSY;
	spin_lock(&frames.lock);
	head = *f;
	order = head.order - 9u;
	head.order = (u8)order;
	for (u32 i = 0; i < 512; i++, head.gfn += 1UL << order)
		f[(size_t)i << order] = head;
	spin_unlock(&frames.lock);
	return HV_OK;
}

int frame_merge_guest(u32 frame, unsigned int order)
{
	struct frame *f = &frames.buddy.table[frame];
	unsigned int part = order - 9;
	int err = HV_OK;

	if (order < 9 || frame & ((1u << order) - 1))
		return HV_EINVAL;
	spin_lock(&frames.lock);
	for (u32 i = 0; i < 512 && !err; i++) {
		struct frame *p = &f[(size_t)i << part];

		if (p->state != FRAME_GUEST || p->order != part || p->owner != f->owner ||
		    p->gfn != f->gfn + ((u64)i << part))
			err = HV_ESTATE;
		else if (atomic_load(&p->aux))
			err = HV_EBUSY;
	}
	if (!err) {
		f->order = (u8)order;
		for (u32 i = 1; i < 512; i++)
			f[(size_t)i << part].state = FRAME_TAIL;
	}
	spin_unlock(&frames.lock);
	return err;
}

int frame_pin(u32 frame)
{
	struct frame *f = &frames.buddy.table[frame];

	if (f->state != FRAME_GUEST || atomic_load(&f->aux) == UINT32_MAX)
		return HV_ESTATE;
	atomic_add(&f->aux, 1);
	return HV_OK;
}

int frame_unpin(u32 frame)
{
	struct frame *f = &frames.buddy.table[frame];

	if (f->state != FRAME_GUEST || !atomic_load(&f->aux))
		return HV_ESTATE;
	atomic_sub(&f->aux, 1);
	return HV_OK;
}

void frame_unpin_all(u32 frame)
{
	struct frame *f = &frames.buddy.table[frame];

	if (f->state == FRAME_GUEST)
		atomic_store(&f->aux, 0);
}

void frame_poison(u32 frame)
{
	u32 head;

	spin_lock(&frames.lock);
	head = frame_head(frame);
	if (head != FRAME_NONE && frames.nr_poisoned < FRAME_MAX_POISONED &&
	    !poisoned_in(frame, 0)) {
		struct frame *f = &frames.buddy.table[head];
		enum frame_state state = f->state;

		frames.poisoned[frames.nr_poisoned++] = frame;
		if (state == FRAME_FREE_DIRTY || state == FRAME_FREE_CLEAN) {
			unsigned int order = f->order;

			buddy_remove(&frames.buddy, head);
			frames_release_block(head, order, state);
		}
	}
	spin_unlock(&frames.lock);
}

bool frame_scrub_one(void)
{
	unsigned int order;
	u32 frame;

	if (!atomic_load(&frames.buddy.nonempty[0]))
		return false;
	spin_lock(&frames.lock);
	frame = buddy_take_largest(&frames.buddy, SCRUB_ORDER, FRAME_FREE_DIRTY, &order);
	if (frame != FRAME_NONE) {
		frames.buddy.table[frame].state = FRAME_HV;
		frames.scrubbing += 1UL << order;
	}
	spin_unlock(&frames.lock);
	if (frame == FRAME_NONE)
		return false;

	plat_scrub(frame_ptr(frame), PAGE_SIZE << order);

	spin_lock(&frames.lock);
	frames.scrubbing -= 1UL << order;
	frames.stats.scrubbed_idle += 1UL << order;
	frames_release_block(frame, order, FRAME_FREE_CLEAN);
	spin_unlock(&frames.lock);
	return true;
}

int frames_check(u32 from, u32 count)
{
	for (u32 i = from; i < frames_nr() && i - from < count; i++) {
		struct frame f = frame_copy(i);

		if (f.state >= FRAME_NR_STATES || f.order > FRAME_MAX_ORDER)
			return HV_ECORRUPT;
		if (f.state != FRAME_ABSENT && f.state != FRAME_TAIL && i & ((1u << f.order) - 1))
			return HV_ECORRUPT;
	}
	return HV_OK;
}
