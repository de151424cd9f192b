/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/policy.h>

#define LEVEL_SHIFT 24	     /* fixed point of share levels: 2^32 pages at 100 fit */
#define LEVEL_ALL UINT64_MAX /* every demand is met */
#define RHO_SHIFT 20
#define GROW_STEP 8 /* a balloon gives back at most 1/8 of its VM's size a decision */

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

/* What balloons can do: @vm's largest target. */
static u64 balloon_most(const struct policy_in *in, const struct policy_vm *vm)
{
	u64 most = vm->size * in->balloon_max / 100;

	return min(most, vm->size - min(vm->min, vm->size));
}

/* What it could use now: what it has, what it just took, and room to go on. */
static u64 demand(const struct policy_vm *vm)
{
	u64 room = vm->size / 32 + 2 * vm->faulted + vm->grow;

	if (vm->waiting)
		room += vm->size / GROW_STEP;
	return min(vm->resident + room, vm->max);
}

/* Bounds of a VM's entitlement, in pages, and what it pays for. */
struct claim {
	u64 least, most, active;
	u64 shares;
	u64 active_cost, idle_cost; /* of a page */
};

/*
 * An idle page costs k = 1 / (1 - tax) times what an active one does
 * ("Reclaiming Idle Memory").  Active pages are a number, not a fraction of
 * whatever the VM comes to hold: so at most the part @tax of what is idle goes
 * to others, and a VM that shrinks does not look more active than it was.
 */
static struct claim claim_of(const struct policy_in *in, const struct policy_vm *vm)
{
	struct claim c = {
		.least = vm->resident,
		.most = vm->resident,
		.active = vm->resident * min(vm->active_permille, 1000u) / 1000,
		.shares = max(vm->shares, 1u),
		.active_cost = 100 - min(in->tax, 99u),
		.idle_cost = 100,
	};

	/* What nobody will give back is not to be shared out. */
	if (!vm->responsive || vm->manual)
		return c;
	if (!vm->stuck)
		c.least = in->beyond_balloon ?
				  0 :
				  min(min(vm->size - balloon_most(in, vm), vm->resident), vm->max);
	c.least = max(c.least, vm->min);
	c.most = max(c.least, demand(vm));
	return c;
}

static u64 cost(const struct claim *c, u64 pages)
{
	u64 active = min(pages, c->active);

	return active * c->active_cost + (pages - active) * c->idle_cost;
}

/* The level, in cost a share, at which @pages are had. */
static u64 level_at(const struct claim *c, u64 pages)
{
	return (cost(c, pages) << LEVEL_SHIFT) / c->shares;
}

/* What a VM may have at @level. */
static u64 pages_at(const struct claim *c, u64 level)
{
	u64 paid = (u64)((unsigned __int128)level * c->shares >> LEVEL_SHIFT);
	u64 all_active = c->active * c->active_cost, pages;

	if (level == LEVEL_ALL)
		return c->most;
	pages = paid <= all_active ? paid / c->active_cost :
				     c->active + (paid - all_active) / c->idle_cost;
	return min(max(pages, c->least), c->most);
}

static void sift_down(struct policy_corner *heap, u32 n, u32 i)
{
	struct policy_corner c = heap[i];

	for (u32 child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && heap[child + 1].level < heap[child].level)
			child++;
		if (heap[child].level >= c.level)
			break;
		heap[i] = heap[child];
	}
	heap[i] = c;
}

/*
 * The corners of what one VM may have as the level rises: nothing more than
 * its least up to the first, then its active pages, then idle ones, which cost
 * more, up to its most.  Slopes are in pages * active_cost * idle_cost.
 */
static u32 add_corners(const struct claim *c, struct policy_corner *at)
{
	s64 steep = (s64)(c->shares * c->idle_cost), flat = (s64)(c->shares * c->active_cost);
	s64 slope = c->active > c->least ? steep : flat;
	u32 n = 0;

	if (c->least == c->most)
		return 0;
	at[n++] = (struct policy_corner){ level_at(c, c->least), slope };
	if (c->active > c->least && c->active < c->most) {
		at[n++] = (struct policy_corner){ level_at(c, c->active), flat - steep };
		slope = flat;
	}
	at[n++] = (struct policy_corner){ level_at(c, c->most), -slope };
	return n;
}

/* The largest x < @end for which @slope * @x is not more than @rest. */
static u64 last_within(u64 slope, unsigned __int128 rest, u64 end)
{
	u64 x = 0;

	for (u64 bit = BIT(63); bit; bit >>= 1)
		if (x + bit < end && (unsigned __int128)slope * (x + bit) <= rest)
			x += bit;
	return x;
}

/*
 * Min-funding revocation in closed form: taking page after page from the VM
 * with the least adjusted shares per page ends where all that are above their
 * least have the same.  What all may have is a polyline over that common level;
 * from corner to corner it is followed up to @memory.
 */
static u64 find_level(const struct policy_in *in, struct policy_corner *heap, u64 memory)
{
	unsigned __int128 have = 0, room;
	u64 at = 0, slope = 0, unit = 0;
	u32 n = 0;

	for (u32 i = 0; i < in->nr_vms; i++) {
		struct claim c = claim_of(in, &in->vm[i]);

		unit = c.active_cost * c.idle_cost << LEVEL_SHIFT;
		have += (unsigned __int128)c.least * unit;
		n += add_corners(&c, heap + n);
	}
	room = (unsigned __int128)memory * unit;
	if (have > room)
		return 0;
	for (u32 i = n / 2; i-- > 0;)
		sift_down(heap, n, i);
	while (n) {
		unsigned __int128 more = (unsigned __int128)slope * (heap[0].level - at);

		if (have + more > room)
			return at + last_within(slope, room - have, heap[0].level - at);
		have += more;
		at = heap[0].level;
		slope += (u64)heap[0].slope;
		heap[0] = heap[--n];
		sift_down(heap, n, 0);
	}
	return LEVEL_ALL;
}

static u64 clamp_target(const struct policy_in *in, const struct policy_vm *vm, u64 target)
{
	return min(target, balloon_most(in, vm));
}

/* Below this, a target would let the VM have more than its max. */
static u64 target_floor(const struct policy_in *in, const struct policy_vm *vm)
{
	return clamp_target(in, vm, vm->size - vm->max);
}

/* Down by a step toward @floor; by all that was asked for, if it asked. */
static u64 step_down(const struct policy_vm *vm, u64 target, u64 floor, u64 step)
{
	step = max(step, vm->grow);
	return target > floor + step ? target - step : floor;
}

/* It shows by what it does that it could use more than it has. */
static bool needs_more(const struct policy_vm *vm)
{
	return vm->waiting || vm->faulted || vm->grow;
}

/*
 * While memory is short, targets rise for those that hold more than they are
 * entitled to, and fall only for those that need it; what a quiet VM has
 * given stays given until memory is plentiful.
 */
static void decide_scarce(const struct policy_in *in, const struct policy_vm *vm, u64 floor,
			  struct policy_vm_out *out)
{
	u64 fair = max(clamp_target(in, vm, vm->size - min(out->entitlement, vm->size)), floor);

	if (vm->resident > out->entitlement && fair > vm->target) {
		out->reason = vm->hold ? REASON_HOLD : REASON_VICTIM;
		out->target = vm->hold ? vm->target : fair;
	} else if (needs_more(vm) && vm->target > fair) {
		out->reason = vm->grow ? REASON_GROW : REASON_GIVEN_BACK;
		out->target = step_down(vm, min(vm->target, max(vm->balloon, fair)), fair,
					vm->size / GROW_STEP);
	}
}

/* What may be promised back without memory getting short again, and to whom. */
struct spare {
	u64 pages;
	u64 wanted; /* by those whose turn it is */
	bool needy; /* which are only those that need more */
};

static u64 wanted(const struct policy_in *in, const struct policy_vm *vm)
{
	u64 floor = target_floor(in, vm);

	if (vm->manual || !vm->responsive)
		return 0;
	return vm->target > floor ? vm->target - floor : 0;
}

/* Growth comes before anything else: while one needs more, quiet ones wait. */
static struct spare find_spare(const struct policy_in *in, u64 pages)
{
	struct spare s = { .pages = pages };

	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		u64 w = wanted(in, vm);
		bool needs = w && needs_more(vm);

		if (needs && !s.needy)
			s = (struct spare){ pages, 0, true };
		if (needs || !s.needy)
			s.wanted += w;
	}
	return s;
}

static void decide_plenty(const struct policy_in *in, const struct policy_vm *vm, u64 floor,
			  const struct spare *s, struct policy_vm_out *out)
{
	u64 want = wanted(in, vm), part = 0;

	if (want && (!s->needy || needs_more(vm)))
		part = min(s->pages, s->wanted) * want / s->wanted;
	if (!want || (!part && !vm->grow))
		return;
	out->target = step_down(vm, vm->target, floor, min(part, vm->size / GROW_STEP));
	out->reason = vm->grow ? REASON_GROW : REASON_GIVEN_BACK;
}

static void decide_vm(const struct policy_in *in, const struct policy_vm *vm, bool scarce,
		      const struct spare *spare, struct policy_vm_out *out)
{
	u64 floor = target_floor(in, vm); /* max is always enforced */

	out->target = vm->target;
	out->reason = REASON_NONE;
	if (vm->manual) {
		out->reason = REASON_MANUAL;
		return;
	}
	if (!vm->responsive) {
		out->reason = REASON_SILENT;
		return;
	}
	if (scarce)
		decide_scarce(in, vm, floor, out);
	else
		decide_plenty(in, vm, floor, spare, out);
	if (out->target < floor) {
		out->target = floor;
		out->reason = REASON_MAX;
	}
	/* One that was set by hand may be beyond what the policy would ask. */
	out->target = max(clamp_target(in, vm, out->target), floor);
	if (vm->stuck && out->target > vm->balloon)
		out->reason = REASON_STUCK;
}

static enum policy_rule rule_of(const struct policy_vm *vm, const struct claim *c, u64 pages)
{
	if (vm->manual || !vm->responsive)
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
static enum policy_mechanism mechanism_of(const struct policy_in *in, const struct policy_vm *vm,
					  const struct policy_vm_out *out,
					  enum policy_mechanism allowed)
{
	bool able = vm->responsive && !vm->stuck &&
		    vm->size - min(out->entitlement, vm->size) <= balloon_most(in, vm);

	if (vm->manual || vm->resident <= out->entitlement)
		return MECHANISM_NONE;
	if (able || !vm->resident)
		return allowed > MECHANISM_NONE ? MECHANISM_BALLOON : MECHANISM_NONE;
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
	u64 memory = in->total - min(high, in->total), held = in->free;

	for (u32 i = 0; i < in->nr_vms; i++)
		held += in->vm[i].resident;
	/* Tables and the hypervisor's own frames are nobody's to give. */
	if (held < in->total)
		memory -= min(memory, in->total - held);
	return memory - min(memory, in->nr_vms); /* entitlements are whole pages */
}

/*
 * While all active memory fits, taking idle memory suffices.  Once it does
 * not, balloons only move the paging into the guests: the one that is active
 * furthest beyond its entitlement is named, and what comes after the balloon
 * is for it, whatever its driver says.
 */
static void check_active(const struct policy_in *in, struct policy_out *out, u64 memory)
{
	u64 worst = 0;

	out->active = 0;
	out->culprit = POLICY_NOBODY;
	for (u32 i = 0; i < in->nr_vms; i++)
		out->active += claim_of(in, &in->vm[i]).active;
	if (out->active <= memory)
		return;
	for (u32 i = 0; i < in->nr_vms; i++) {
		u64 active = claim_of(in, &in->vm[i]).active, e = out->vm[i].entitlement;

		if (active > e && active - e > worst) {
			worst = active - e;
			out->culprit = i;
		}
	}
	if (worst && out->mechanism > out->vm[out->culprit].mechanism)
		out->vm[out->culprit].mechanism = out->mechanism;
}

void policy_decide(const struct policy_in *in, struct policy_out *out)
{
	struct policy_thresholds t = policy_thresholds(in->total);
	u64 memory = shareable(in, t.high), level = find_level(in, out->corner, memory);
	struct spare spare;
	bool scarce;

	out->state = next_state(in);
	out->mechanism = plan[out->state].mechanism;
	out->hint = plan[out->state].hint;
	scarce = out->state != POLICY_HIGH;
	/* Giving back while somebody's demand is not met would only start the next shortage. */
	spare = find_spare(in, level == LEVEL_ALL && in->free > t.high ? in->free - t.high : 0);
	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		struct claim c = claim_of(in, vm);
		struct policy_vm_out *o = &out->vm[i];

		o->entitlement = pages_at(&c, level);
		o->rule = rule_of(vm, &c, o->entitlement);
		o->rho = (c.shares * c.active_cost << RHO_SHIFT) / cost(&c, max(vm->resident, 1UL));
		decide_vm(in, vm, scarce, &spare, o);
		o->mechanism = mechanism_of(in, vm, o, out->mechanism);
	}
	check_active(in, out, memory);
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
	};

	return texts[r];
}

const char *policy_rule_text(enum policy_rule r)
{
	static const char *const texts[] = { "by shares", "its min", "all it needs", "held" };

	return texts[r];
}
