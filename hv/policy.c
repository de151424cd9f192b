/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/policy.h>

/* Fixed point of the share levels. */
#define SCALE_SHIFT 20
#define LEVEL_ALL (1UL << 62) /* every demand is met */
#define GROW_STEP 8	      /* a balloon gives back at most 1/8 of its VM's size a decision */

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

/*
 * The price of a VM's average page, in 1/1000: an idle page costs k times an
 * active one, k = 1 / (1 - tax).  "Reclaiming Idle Memory"
 */
static u64 page_price(const struct policy_in *in, const struct policy_vm *vm)
{
	u64 f = min(vm->active_permille, 1000u);
	u64 k = 100000 / (100 - min(in->tax, 99u)); /* in 1/1000 */

	return max((f * 1000 + k * (1000 - f)) / 1000, 1UL);
}

/* What it could use now: what it has, what it just took, and room to go on. */
static u64 demand(const struct policy_vm *vm)
{
	u64 room = vm->size / 32 + 2 * vm->faulted + vm->grow;

	if (vm->waiting)
		room += vm->size / GROW_STEP;
	return min(vm->resident + room, vm->max);
}

/* Frames that the VM is entitled to at share level @level. */
static u64 entitled(const struct policy_in *in, const struct policy_vm *vm, u64 level)
{
	u64 weight = ((u64)vm->shares * 1000 << SCALE_SHIFT) / page_price(in, vm);
	u64 share = (u64)((unsigned __int128)level * weight >> (2 * SCALE_SHIFT));

	/* What nobody will give back is not to be shared out. */
	if (!vm->responsive || vm->manual)
		return vm->resident;
	return min(max(share, vm->min), max(demand(vm), vm->min));
}

static u64 sum_at(const struct policy_in *in, u64 level)
{
	u64 sum = 0;

	for (u32 i = 0; i < in->nr_vms; i++)
		sum += entitled(in, &in->vm[i], level);
	return sum;
}

/*
 * Min-funding revocation in closed form: taking page after page from the VM
 * with the least adjusted shares per page ends where all that are above their
 * min have the same; that common level is found by bisection.
 */
static u64 find_level(const struct policy_in *in, u64 memory)
{
	u64 lo = 0, hi = LEVEL_ALL;

	if (sum_at(in, hi) <= memory)
		return hi;
	while (hi - lo > 1) {
		u64 mid = lo + (hi - lo) / 2;

		if (sum_at(in, mid) <= memory)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static u64 clamp_target(const struct policy_in *in, const struct policy_vm *vm, u64 target)
{
	u64 most = vm->size * in->balloon_max / 100;

	most = min(most, vm->size - min(vm->min, vm->size));
	return min(target, most);
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

/* @spare: what may be promised back to this VM without memory getting short again. */
static void decide_vm(const struct policy_in *in, const struct policy_vm *vm, bool scarce,
		      u64 spare, struct policy_vm_out *out)
{
	u64 floor = clamp_target(in, vm, vm->size - vm->max); /* max is always enforced */

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
	if (scarce) {
		decide_scarce(in, vm, floor, out);
	} else if (vm->target > floor && (spare || vm->grow)) {
		out->target = step_down(vm, vm->target, floor, min(spare, vm->size / GROW_STEP));
		out->reason = vm->grow ? REASON_GROW : REASON_GIVEN_BACK;
	}
	if (out->target < floor) {
		out->target = floor;
		out->reason = REASON_MAX;
	}
	/* One that was set by hand may be beyond what the policy would ask. */
	out->target = max(clamp_target(in, vm, out->target), floor);
}

static const struct {
	enum policy_mechanism mechanism;
	u32 hint;
} plan[] = {
	[POLICY_HIGH] = { MECHANISM_NONE, POLICY_HINT_MAX },
	[POLICY_SOFT] = { MECHANISM_BALLOON, POLICY_HINT_MAX },
	[POLICY_HARD] = { MECHANISM_COMPRESS, 8192 },
	[POLICY_LOW] = { MECHANISM_BLOCK, 512 },
};

void policy_decide(const struct policy_in *in, struct policy_out *out)
{
	struct policy_thresholds t = policy_thresholds(in->total);
	u64 memory = in->total - min(t.high, in->total), held = 0, level, spare;
	bool scarce;

	out->state = next_state(in);
	out->mechanism = plan[out->state].mechanism;
	out->hint = plan[out->state].hint;
	/* Tables and the hypervisor's own frames are nobody's to give. */
	for (u32 i = 0; i < in->nr_vms; i++)
		held += in->vm[i].resident;
	if (held + in->free < in->total)
		memory -= min(memory, in->total - held - in->free);
	level = find_level(in, memory);
	scarce = out->state != POLICY_HIGH;
	/* Giving back while somebody's demand is not met would only start the next shortage. */
	spare = level == LEVEL_ALL && in->free > t.high && in->nr_vms ?
			(in->free - t.high) / in->nr_vms :
			0;
	for (u32 i = 0; i < in->nr_vms; i++) {
		const struct policy_vm *vm = &in->vm[i];
		u64 price = page_price(in, vm) * max(vm->resident, 1UL);

		out->vm[i].entitlement = entitled(in, vm, level);
		out->vm[i].rho = ((u64)vm->shares * 1000 << SCALE_SHIFT) / price;
		decide_vm(in, vm, scarce, spare, &out->vm[i]);
	}
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
	};

	return texts[r];
}
