/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/memory/entitlement.h>

#define LEVEL_SHIFT 24 /* fixed point of share levels: 2^32 pages at IDLE_COST fit */

/* Parts of a VM's size. */
#define ROOM 32 /* room to touch pages before the next decision */
#define STEP 8	/* given back in one decision, while others' memory is still on its way */

/*
 * Its balloon is in its way: it has touched all that it may have.  How much
 * more it could use nobody knows; its shares and the tax say what it gets.
 */
static bool pressed(const struct policy_vm *vm)
{
	return vm->balloon &&
	       vm->resident + vm->size / ROOM >= vm->size - min(vm->balloon, vm->size);
}

/* What it could use now: its memory, as much as it just took, and room to go on. */
static u64 demand(const struct policy_vm *vm)
{
	u64 room = vm->size / ROOM + 2 * vm->faulted + vm->grow;

	if (vm->waiting)
		room += vm->size / STEP;
	return pressed(vm) ? vm->max : min(vm->resident + room, vm->max);
}

u64 entitlement_active(const struct policy_vm *vm)
{
	return vm->resident * min(vm->active_permille, 1000u) / 1000;
}

/*
 * How much of what it does not have yet would be active: a guest with idle
 * pages at hand makes room there first.  So none of it while more than a tenth
 * of what it has is idle, all of it when nothing is.
 */
static u64 active_beyond(const struct policy_vm *vm, u64 pages)
{
	u32 f = min(vm->active_permille, 1000u);

	return f > 900 ? pages * (f - 900) / 100 : 0;
}

/* Nobody can take its memory now, so no share of it goes to others. */
bool entitlement_held(const struct policy_vm *vm)
{
	return vm->manual || !vm->responsive;
}

/* The largest target that may be asked of it, balloons being allowed @percent. */
u64 entitlement_cap(const struct policy_vm *vm, u32 percent)
{
	return min(vm->size * percent / 100, vm->size - min(vm->min, vm->size));
}

void entitlement_claim(const struct policy_in *in, const struct policy_vm *vm,
		       struct policy_scratch *c)
{
	u64 least = vm->resident;

	c->cap = entitlement_cap(vm, in->cap_yields ? 100 : in->balloon_max);
	c->active = entitlement_active(vm);
	c->needy = vm->waiting || vm->faulted || vm->grow || pressed(vm);
	c->least = c->most = vm->resident;
	if (entitlement_held(vm))
		return;
	if (in->beyond_balloon)
		least = 0;
	else if (!vm->stuck)
		least = min(min(vm->size - c->cap, vm->resident), vm->max);
	c->least = max(least, vm->min);
	c->most = max(c->least, demand(vm));
	c->active += active_beyond(vm, c->most - min(c->most, vm->resident));
	/*
	 * A guest that waits for its disk touches little: what it has would look idle just
	 * when it is too little.  One that only says so gets what its shares buy untaxed.
	 */
	if (vm->paging)
		c->active = c->most;
}

/*
 * An idle page costs k = 1 / (1 - tax) times what an active one does
 * ("Reclaiming Idle Memory").  Active pages are a number, not a fraction of
 * whatever the VM comes to hold: so at most the part @tax of what is idle goes
 * to others, and a VM that shrinks does not look more active than it was.
 */
u64 entitlement_cost(const struct deal *d, const struct policy_scratch *c, u64 pages)
{
	u64 used = min(pages, c->active);

	return used * d->active_cost + (pages - used) * IDLE_COST;
}

/* In pages: what a VM may have at @level (cost a share). */
u64 entitlement_at(const struct deal *d, const struct policy_scratch *c, u32 shares, u64 level)
{
	u64 paid = (u64)((unsigned __int128)level * shares >> LEVEL_SHIFT);
	u64 all_active = c->active * d->active_cost, pages;

	if (level == LEVEL_ALL)
		return c->most;
	pages = paid <= all_active ? paid / d->active_cost :
				     c->active + (paid - all_active) / IDLE_COST;
	return min(max(pages, c->least), c->most);
}

/*
 * What a VM may have rises with the level: from its least on by its active
 * pages, then, more slowly, by idle ones, up to its most.  These are the
 * corners at which that changes.
 */
enum stage { LEAST, ACTIVE, MOST };

static struct policy_corner corner(const struct deal *d, u32 vm, enum stage stage)
{
	const struct policy_scratch *c = &d->of[vm];
	u64 pages = stage == LEAST ? c->least : stage == MOST ? c->most : c->active;
	u64 level = (entitlement_cost(d, c, pages) << LEVEL_SHIFT) / max(d->in->vm[vm].shares, 1u);

	return (struct policy_corner){ level, vm, stage };
}

static void sift_down(struct policy_scratch *heap, u32 n, u32 i, struct policy_corner c)
{
	struct policy_scratch *hole = &heap[i], *kid;

	for (; (i = 2 * i + 1) < n; hole = kid) {
		kid = &heap[i];
		if (i + 1 < n && kid[1].heap.level < kid->heap.level) {
			kid++;
			i++;
		}
		if (kid->heap.level >= c.level)
			break;
		hole->heap = kid->heap;
	}
	hole->heap = c;
}

/* How the slope changes at @c. */
static s64 bend(const struct deal *d, struct policy_corner c)
{
	const struct policy_scratch *v = &d->of[c.vm];
	s64 shares = max(d->in->vm[c.vm].shares, 1u);
	s64 steep = shares * IDLE_COST, flat = shares * (s64)d->active_cost;

	if (c.stage == MOST)
		return v->active >= v->most ? -steep : -flat;
	if (c.stage == ACTIVE)
		return flat - steep;
	return v->active > v->least ? steep : flat;
}

/* The one after @c, which is not its last. */
static struct policy_corner next_corner(const struct deal *d, struct policy_corner c)
{
	const struct policy_scratch *v = &d->of[c.vm];
	bool bends = v->active > v->least && v->active < v->most;

	return corner(d, c.vm, c.stage == LEAST && bends ? ACTIVE : MOST);
}

/* Past the lowest corner; the VM's next one takes its place. */
static void pass_corner(const struct deal *d, u32 *n)
{
	struct policy_corner c = d->of[0].heap;

	c = c.stage == MOST ? d->of[--*n].heap : next_corner(d, c);
	sift_down(d->of, *n, 0, c);
}

/* The largest x for which @slope * @x is not more than @rest; it is less than @end. */
static u64 last_within(u64 slope, unsigned __int128 rest, u64 end)
{
	u64 x = 0;

	for (u64 bit = end > 1 ? BIT(63 - __builtin_clzl(end)) : 0; bit; bit >>= 1)
		if ((unsigned __int128)slope * (x + bit) <= rest)
			x += bit;
	return x;
}

/* What all may have at @level, a page a VM lost in rounding at most. */
static u64 pages_of_all(const struct deal *d, u64 level)
{
	u64 sum = 0;

	for (u32 i = 0; i < d->in->nr_vms; i++)
		sum += entitlement_at(d, &d->of[i], max(d->in->vm[i].shares, 1u), level);
	return sum;
}

/*
 * A level that is not above the one sought: what @memory divided by shares
 * costs if all is idle, or nothing.  It saves corners to walk past, one by one.
 */
static u64 level_below(const struct deal *d, u64 memory)
{
	u64 shares = 1, level;

	for (u32 i = 0; i < d->in->nr_vms; i++)
		shares += d->in->vm[i].shares;
	level = (memory * IDLE_COST << LEVEL_SHIFT) / shares;
	return pages_of_all(d, level) + d->in->nr_vms <= memory ? level : 0;
}

/*
 * Min-funding revocation in closed form: taking page after page from the VM
 * with the least adjusted shares per page ends where all that are above their
 * least have the same.  What all may have together is a polyline over that
 * common level; it is followed from corner to corner up to @memory.
 * Slopes are in pages times both costs.
 */
u64 entitlement_level(const struct deal *d, u64 memory)
{
	const u64 unit = d->active_cost * IDLE_COST << LEVEL_SHIFT;
	unsigned __int128 have = 0, room = (unsigned __int128)memory * unit;
	u64 at, slope = 0, least = 0, most = 0;
	u32 n = 0;

	for (u32 i = 0; i < d->in->nr_vms; i++) {
		least += d->of[i].least;
		most += d->of[i].most;
	}
	if (most <= memory)
		return LEVEL_ALL;
	if (least > memory)
		return 0;
	at = level_below(d, memory);
	have = (unsigned __int128)least * unit;
	/* The corners up to there, in any order; the heap has the first of each VM beyond. */
	for (u32 i = 0; i < d->in->nr_vms; i++) {
		struct policy_corner c = corner(d, i, LEAST);
		bool more = d->of[i].least < d->of[i].most;

		while (more && c.level <= at) {
			s64 b = bend(d, c);

			slope += (u64)b;
			have += (unsigned __int128)((__int128)b * (s64)(at - c.level));
			more = c.stage != MOST;
			c = next_corner(d, c);
		}
		if (more)
			d->of[n++].heap = c;
	}
	for (u32 i = n / 2; i-- > 0;)
		sift_down(d->of, n, i, d->of[i].heap);
	while (n) {
		u64 next = d->of[0].heap.level;
		unsigned __int128 more = (unsigned __int128)slope * (next - at);

		if (have + more > room)
			return at + last_within(slope, room - have, next - at);
		have += more;
		at = next;
		slope += (u64)bend(d, d->of[0].heap);
		pass_corner(d, &n);
	}
	return LEVEL_ALL;
}
