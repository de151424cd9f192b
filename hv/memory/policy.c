/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/memory/entitlement.h>

#define RHO_SHIFT 20

/* Parts of a VM's size. */
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
	if (vm->target <= goal || entitlement_held(vm) || (vm->stuck && d->contended))
		return 0;
	return vm->target > goal + band(d, vm) ? vm->target - goal : 0;
}

/*
 * How many pages can be given back at once, and how many are wanted.  While all
 * demands are met, all pages beyond the margin (t->high) can.  While they are not,
 * giving back to quiet VMs would only start the next shortage: then needy VMs
 * alone get some, and they may use a third of the margin (down to t->soft) until
 * the other VMs have given theirs.
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
 * than its shares buy, and no balloon could take it, gets no more.
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
	if (entitlement_held(vm))
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
	/* A target that was set by hand may be larger than the policy would ask for. */
	out->target = max(min(out->target, c->cap), floor);
	if (d->in->cap_yields && out->reason == REASON_VICTIM &&
	    out->target > entitlement_cap(vm, d->in->balloon_max))
		out->reason = REASON_BEYOND;
	if (vm->stuck && out->target > vm->balloon)
		out->reason = REASON_STUCK;
}

static enum policy_rule rule_of(const struct policy_vm *vm, const struct policy_scratch *c,
				u64 pages)
{
	if (entitlement_held(vm))
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
	/* No VM can give tables or the hypervisor's own frames. */
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
		u64 a = entitlement_active(&d->in->vm[i]), e = out->vm[i].entitlement;

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
		if (entitlement_held(vm))
			continue;
		if (in->cap_yields && o->target > entitlement_cap(vm, in->balloon_max))
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
		entitlement_claim(in, &in->vm[i], &d.of[i]);
	d.level = entitlement_level(&d, memory);
	d.scarce = out->state != POLICY_HIGH;
	d.contended = d.scarce || d.level != LEVEL_ALL;
	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		struct policy_scratch *c = &d.of[i];
		u64 e = entitlement_at(&d, c, max(vm->shares, 1u), d.level);

		out->vm[i].entitlement = e;
		out->vm[i].rule = rule_of(vm, c, e);
		out->vm[i].rho = ((u64)max(vm->shares, 1u) * d.active_cost << RHO_SHIFT) /
				 entitlement_cost(&d, c, max(vm->resident, 1UL));
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
		[REASON_SILENT] = "no driver of it answers",
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
