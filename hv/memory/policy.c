/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/memory/policy.h>

#define IDLE_COST 100
#define LEVEL_SHIFT 24	     /* fixed point of share levels: 2^32 pages at IDLE_COST fit */
#define LEVEL_ALL UINT64_MAX /* every demand is met */
#define RHO_SHIFT 20

/* Parts of a VM's size. */
#define ROOM 32 /* what it may touch before the next decision */
#define STEP 8	/* what it gets back in one decision, others' memory being still on its way */
#define NEAR 64 /* a balloon that lacks no more is where it was to be */
#define BAND 32 /* while nothing is short, a target is not moved for less */

struct policy_thresholds policy_thresholds(u64 total)
{
	/*
	 * 6, 4, 2 and 1 % of a machine of up to 4 GiB; above, each further GiB
	 * adds a sixth of that (ESXi slides in the same manner).
	 */
	u64 base = min(total, GIB(4) >> PAGE_SHIFT), rest = total - base;
	u64 percent = base / 100 + rest / 600;

	return (struct policy_thresholds){ 6 * percent, 4 * percent, 2 * percent, percent };
}

/*
 * Hysteresis: a worse state begins below its own threshold, a better one only
 * above the next higher threshold.
 */
static enum policy_state next_state(const struct policy_in *in)
{
	struct policy_thresholds t = policy_thresholds(in->total);
	const u64 enter[] = { UINT64_MAX, t.soft, t.hard, t.low };
	const u64 leave[] = { UINT64_MAX, t.high, t.soft, t.hard };
	u32 s = in->state;

	while (s < POLICY_LOW && in->free < enter[s + 1])
		s++;
	while (s > POLICY_HIGH && in->free >= leave[s])
		s--;
	return (enum policy_state)s;
}

/* What one decision is made with. */
struct deal {
	const struct policy_in *in;
	struct policy_scratch *of; /* each VM's */
	u64 active_cost;	   /* of a page; an idle one costs IDLE_COST */
	u64 level;
	bool scarce, contended;
};

/*
 * Its balloon is in its way: it has touched all that it may have.  How much
 * more it could use nobody knows; its shares and the tax say what it gets.
 */
static bool pressed(const struct policy_vm *vm)
{
	return vm->balloon &&
	       vm->resident + vm->size / ROOM >= vm->size - min(vm->balloon, vm->size);
}

/* What it could use now: what it has, what it just took, and room to go on. */
static u64 demand(const struct policy_vm *vm)
{
	u64 room = vm->size / ROOM + 2 * vm->faulted + vm->grow;

	if (vm->waiting)
		room += vm->size / STEP;
	return pressed(vm) ? vm->max : min(vm->resident + room, vm->max);
}

static u64 active(const struct policy_vm *vm)
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

/* Nobody will give back what it has: it is not to be shared out. */
static bool held(const struct policy_vm *vm)
{
	return vm->manual || !vm->responsive;
}

/* The largest target that may be asked of it, balloons being allowed @percent. */
static u64 cap(const struct policy_vm *vm, u32 percent)
{
	return min(vm->size * percent / 100, vm->size - min(vm->min, vm->size));
}

static void claim(const struct policy_in *in, const struct policy_vm *vm, struct policy_scratch *c)
{
	u64 least = vm->resident;

	c->cap = cap(vm, in->cap_yields ? 100 : in->balloon_max);
	c->active = active(vm);
	c->needy = vm->waiting || vm->faulted || vm->grow || pressed(vm);
	c->least = c->most = vm->resident;
	if (held(vm))
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
static u64 cost(const struct deal *d, const struct policy_scratch *c, u64 pages)
{
	u64 used = min(pages, c->active);

	return used * d->active_cost + (pages - used) * IDLE_COST;
}

/* What a VM may have at @level, which is in cost a share. */
static u64 pages_at(const struct deal *d, const struct policy_scratch *c, u32 shares, u64 level)
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
	u64 level = (cost(d, c, pages) << LEVEL_SHIFT) / max(d->in->vm[vm].shares, 1u);

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
		sum += pages_at(d, &d->of[i], max(d->in->vm[i].shares, 1u), level);
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
static u64 find_level(const struct deal *d, u64 memory)
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

/* --- targets --- */

/*
 * While nothing is short, balloons do not follow what may be an error of
 * sampling; a VM that says or shows that it needs memory now is no error.
 */
static u64 band(const struct deal *d, const struct policy_vm *vm)
{
	return d->contended && !d->scarce && !vm->waiting && !vm->grow ? vm->size / BAND : 0;
}

/* How far its target may fall.  One that is stuck stays asked: how else would it show that it is not? */
static u64 wanted(const struct deal *d, const struct policy_vm *vm, u64 goal)
{
	if (vm->target <= goal || held(vm) || (vm->stuck && d->contended))
		return 0;
	return vm->target > goal + band(d, vm) ? vm->target - goal : 0;
}

/*
 * What can be given back at once, and to how much it is to be divided.  While
 * everybody's demand is met that is all beyond the margin; else giving back
 * to quiet VMs would only start the next shortage, and growth may use half of
 * the margin until others have given theirs.
 */
struct grant {
	u64 pages, wanted;
	bool needy_only;
};

static struct grant find_grant(const struct deal *d, const struct policy_thresholds *t)
{
	u64 keep = d->contended ? t->soft : t->high, needy = 0, all = 0;
	struct grant g = { 0 };

	for (u32 i = 0; i < d->in->nr_vms; i++) {
		all += d->of[i].want;
		if (d->of[i].needy)
			needy += d->of[i].want;
	}
	g.pages = d->in->free - min(d->in->free, keep);
	g.needy_only = needy || d->contended;
	g.wanted = g.needy_only ? needy : all;
	return g;
}

/* Down toward @goal by @step, or by all that was asked for, if it asked. */
static u64 step_down(const struct policy_vm *vm, u64 target, u64 goal, u64 step)
{
	step = max(step, vm->grow);
	return target > goal + step ? target - step : goal;
}

static void give_back(const struct deal *d, const struct policy_vm *vm,
		      const struct policy_scratch *c, const struct grant *g,
		      struct policy_vm_out *out)
{
	u64 want = c->want, part, from = vm->target;

	if (!want || (g->needy_only && !c->needy))
		return;
	part = min(g->pages, g->wanted) * want / g->wanted;
	if (d->contended)
		from = min(from, max(vm->balloon, c->goal));
	if (!part && !vm->grow)
		return;
	out->target = step_down(vm, from, c->goal, part);
	out->reason = vm->grow ? REASON_GROW : REASON_GIVEN_BACK;
}

/*
 * Targets rise for those that hold more than they are entitled to; while
 * nothing is short only for the sake of others' growth.  One that holds more
 * than its shares buy, and no balloon could take it, is to have no more.
 */
static bool is_victim(const struct deal *d, const struct policy_vm *vm,
		      const struct policy_scratch *c, const struct grant *g,
		      const struct policy_vm_out *out)
{
	bool above = vm->resident > out->entitlement || (out->rule == RULE_HELD && !vm->stuck);

	if (!d->contended || !above || c->goal <= vm->target + band(d, vm))
		return false;
	return d->scarce || g->wanted > g->pages;
}

static void decide_vm(const struct deal *d, u32 i, const struct grant *g, struct policy_vm_out *out)
{
	const struct policy_vm *vm = &d->in->vm[i];
	const struct policy_scratch *c = &d->of[i];
	u64 floor = min(vm->size - vm->max, c->cap);

	out->target = vm->target;
	out->reason = vm->responsive ? REASON_NONE : REASON_SILENT;
	if (vm->manual)
		out->reason = vm->grow ? REASON_GROW : REASON_MANUAL;
	if (held(vm))
		return;
	if (is_victim(d, vm, c, g, out)) {
		out->reason = vm->hold ? REASON_HOLD : REASON_VICTIM;
		out->target = vm->hold ? vm->target : c->goal;
	} else {
		give_back(d, vm, c, g, out);
	}
	if (out->target < floor) { /* max is always enforced */
		out->target = floor;
		out->reason = REASON_MAX;
	}
	/* One that was set by hand may be beyond what the policy would ask. */
	out->target = max(min(out->target, c->cap), floor);
	if (d->in->cap_yields && out->reason == REASON_VICTIM &&
	    out->target > cap(vm, d->in->balloon_max))
		out->reason = REASON_BEYOND;
	if (vm->stuck && out->target > vm->balloon)
		out->reason = REASON_STUCK;
}

static enum policy_rule rule_of(const struct policy_vm *vm, const struct policy_scratch *c,
				u64 pages)
{
	if (held(vm))
		return RULE_HELD;
	if (pages == c->most)
		return RULE_NEED;
	if (pages > c->least)
		return RULE_SHARES;
	return pages > vm->min ? RULE_HELD : RULE_MIN;
}

/*
 * Of what the state's plan allows: the balloon where it can do it, what comes
 * after it where its cap, its driver or its guest stands in the way.
 */
static enum policy_mechanism mechanism_of(const struct policy_vm *vm,
					  const struct policy_scratch *c, u64 entitlement,
					  enum policy_mechanism allowed)
{
	bool able = vm->responsive && !vm->stuck && vm->size <= entitlement + c->cap;

	if (vm->manual || vm->resident <= entitlement || allowed == MECHANISM_NONE)
		return MECHANISM_NONE;
	if (able)
		return MECHANISM_BALLOON;
	return allowed > MECHANISM_BALLOON ? allowed : MECHANISM_NONE;
}

/* What each state adds to the one before. */
static const struct {
	enum policy_mechanism mechanism;
	u32 hint;
} plan[] = {
	[POLICY_HIGH] = { MECHANISM_NONE, POLICY_HINT_MAX },
	[POLICY_SOFT] = { MECHANISM_BALLOON, POLICY_HINT_MAX },
	[POLICY_HARD] = { MECHANISM_SWAP, 8192 },
	[POLICY_LOW] = { MECHANISM_BLOCK, 512 },
};

/* What can be shared out so that enough stays free. */
static u64 shareable(const struct policy_in *in, u64 high)
{
	u64 memory = in->total - min(high, in->total), known = in->free;

	for (u32 i = 0; i < in->nr_vms; i++)
		known += in->vm[i].resident;
	/* Tables and the hypervisor's own frames are nobody's to give. */
	if (known < in->total)
		memory -= min(memory, in->total - known);
	return memory;
}

/*
 * While all active memory fits, taking idle memory suffices.  Once it does
 * not, balloons only move the paging into the guests: the one that is active
 * furthest beyond its entitlement is named, and what comes after the balloon
 * is for it, whatever its driver says.
 */
static void check_active(const struct deal *d, struct policy_out *out, u64 memory)
{
	u64 worst = 0;

	out->active = 0;
	out->culprit = POLICY_NOBODY;
	for (u32 i = 0; i < d->in->nr_vms; i++) {
		u64 a = active(&d->in->vm[i]), e = out->vm[i].entitlement;

		out->active += a;
		if (a > e + worst) {
			worst = a - e;
			out->culprit = i;
		}
	}
	if (out->active <= memory)
		out->culprit = POLICY_NOBODY;
	if (out->culprit != POLICY_NOBODY && out->mechanism > out->vm[out->culprit].mechanism)
		out->vm[out->culprit].mechanism = out->mechanism;
}

/*
 * balloon_max leaves what is below it to compression and swap.  Where there are
 * none, somebody would wait for ever beside memory that a balloon could take:
 * so all caps yield, down to the mins, once one is in the way while somebody
 * waits or memory is low.  They are back when entitlements, or plenty, have
 * brought all targets below them: then having them changes nothing.
 */
static bool cap_yields(const struct policy_in *in, const struct policy_out *out)
{
	bool short_of = out->state == POLICY_LOW, in_the_way = false;

	if (in->beyond_balloon)
		return false;
	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		const struct policy_vm_out *o = &out->vm[i];

		short_of |= vm->waiting;
		if (held(vm))
			continue;
		if (in->cap_yields && o->target > cap(vm, in->balloon_max))
			return true;
		/* What its balloon is still to take below the cap comes first. */
		in_the_way |= o->rule == RULE_HELD && !vm->stuck &&
			      vm->balloon + vm->size / NEAR >= out->scratch[i].cap;
	}
	return short_of && in_the_way;
}

void policy_decide(const struct policy_in *in, struct policy_out *out)
{
	struct policy_thresholds t = policy_thresholds(in->total);
	u64 memory = shareable(in, t.high);
	struct deal d = { .in = in, .of = out->scratch };
	struct grant grant;

	d.active_cost = IDLE_COST - min(in->tax, 99u);
	out->state = next_state(in);
	out->mechanism = plan[out->state].mechanism;
	out->hint = plan[out->state].hint;
	for (u32 i = 0; i < in->nr_vms; i++)
		claim(in, &in->vm[i], &d.of[i]);
	d.level = find_level(&d, memory);
	d.scarce = out->state != POLICY_HIGH;
	d.contended = d.scarce || d.level != LEVEL_ALL;
	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		struct policy_scratch *c = &d.of[i];
		u64 e = pages_at(&d, c, max(vm->shares, 1u), d.level);

		out->vm[i].entitlement = e;
		out->vm[i].rule = rule_of(vm, c, e);
		out->vm[i].rho = ((u64)max(vm->shares, 1u) * d.active_cost << RHO_SHIFT) /
				 cost(&d, c, max(vm->resident, 1UL));
		out->vm[i].mechanism = mechanism_of(vm, c, e, out->mechanism);
		c->goal = vm->size - min(d.contended ? e : vm->max, vm->size);
		c->goal = min(c->goal, c->cap);
		c->want = wanted(&d, vm, c->goal);
	}
	grant = find_grant(&d, &t);
	for (u32 i = 0; i < in->nr_vms; i++)
		decide_vm(&d, i, &grant, &out->vm[i]);
	check_active(&d, out, memory);
	out->cap_yields = cap_yields(in, out);
}

const char *policy_state_name(enum policy_state s)
{
	static const char *const names[] = { "high", "soft", "hard", "low" };

	return names[s];
}

const char *policy_reason_text(enum policy_reason r)
{
	static const char *const texts[] = {
		[REASON_NONE] = "nothing asked",
		[REASON_VICTIM] = "above its entitlement",
		[REASON_GIVEN_BACK] = "memory is there again",
		[REASON_GROW] = "it asked to grow",
		[REASON_HOLD] = "spared: it has just asked to grow",
		[REASON_MAX] = "kept below its max",
		[REASON_MANUAL] = "set by hand",
		[REASON_SILENT] = "its driver does not answer",
		[REASON_STUCK] = "its balloon does not grow",
		[REASON_BEYOND] = "beyond its cap: nothing else takes memory",
	};

	return texts[r];
}

const char *policy_rule_text(enum policy_rule r)
{
	static const char *const texts[] = { "by shares", "its min", "all it needs", "held" };

	return texts[r];
}
