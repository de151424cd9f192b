/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/memory/admission.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

#define SILENT_SECONDS 3      /* a driver that has not called for so long is inactive */
#define STANDSTILL_SECONDS 10 /* of all VMs waiting for memory before it is said */
#define STUCK_SECONDS 10      /* a balloon that should grow and did not for so long is stuck */

/* One, from governor_init() on. */
static struct governor {
	u64 next_decision, next_sample, hurry_after;
	u32 hurry; /* (a) */
	struct policy_in in;
	struct policy_out out; /* by the CPU that decides, which changes it on the way */
	/* What the others see of it. (a) */
	enum policy_state state;
	u64 active;

	struct policy_vm vm[MAX_VMS];
	struct policy_vm_out vm_out[MAX_VMS];
	struct policy_scratch scratch[MAX_VMS];
	u64 last_resident[MAX_VMS];
	u32 culprit; /* last named: a VM's id, or POLICY_NOBODY */
	struct {
		u64 since, resident; /* TSC; of all VMs, in frames */
		bool named;
	} standstill;
	struct policy_vm_out last[MAX_VMS];
	struct {
		u32 calls; /* when last looked at */
		u64 at;	   /* TSC of the last change seen */
		bool silent;
		u64 ballooned, grew; /* TSC when it last did, or did not have to */
		bool stuck;
	} driver[MAX_VMS];
} * gov;

static u64 ms_to_ticks(u64 ms)
{
	return ms * plat_tsc_khz();
}

int governor_init(void)
{
	gov = frame_alloc_pages(frame_order(sizeof(*gov)));
	if (!gov)
		return HV_ENOMEM;
	gov->out.state = gov->state = POLICY_HIGH;
	gov->out.hint = POLICY_HINT_MAX;
	gov->out.vm = gov->vm_out;
	gov->out.scratch = gov->scratch;
	gov->in.vm = gov->vm;
	gov->culprit = POLICY_NOBODY;
	gov->next_decision = plat_tsc();
	return HV_OK;
}

/* One CPU writes, others read: they see old and new fields mixed at worst. */
static void copy_out(struct policy_vm_out *to, const struct policy_vm_out *from)
{
	atomic_store(&to->target, atomic_load(&from->target));
	atomic_store(&to->entitlement, atomic_load(&from->entitlement));
	atomic_store(&to->rho, atomic_load(&from->rho));
	atomic_store(&to->reason, atomic_load(&from->reason));
	atomic_store(&to->rule, atomic_load(&from->rule));
	atomic_store(&to->mechanism, atomic_load(&from->mechanism));
}

enum policy_state governor_state(void)
{
	return gov ? atomic_load(&gov->state) : POLICY_HIGH;
}

const char *governor_why(const struct vm *vm)
{
	return policy_reason_text(atomic_load(&gov->last[vm->id].reason));
}

struct policy_vm_out governor_last(const struct vm *vm)
{
	struct policy_vm_out last = { 0 };

	if (gov)
		copy_out(&last, &gov->last[vm->id]);
	return last;
}

u64 governor_active(void)
{
	return gov ? atomic_load(&gov->active) : 0;
}

void governor_hurry(void)
{
	if (!gov)
		return;
	atomic_store_seq(&gov->hurry, 1u);
	sched_event_at(atomic_load(&gov->hurry_after));
}

/* It asked to grow a moment ago.  In state low that is no excuse any more. */
static bool held_off(const struct vm *vm, u64 now)
{
	return now < atomic_load(&vm->balloon.hold_until) && governor_state() != POLICY_LOW;
}

static bool paused(const struct vm *vm)
{
	return atomic_load(&vm->state) == VM_PAUSED;
}

/* Does a driver answer?  A VM that is paused or waits for memory cannot, and is not to blame. */
static bool responsive(struct vm *vm, u64 now)
{
	u32 calls = atomic_load(&vm->balloon.calls);
	__typeof__(gov->driver[0]) *d = &gov->driver[vm->id];
	bool silent;

	/* No driver yet, or none any more: no answer is due. */
	if (!atomic_load(&vm->balloon.started)) {
		d->silent = d->stuck = false;
		d->at = now;
		return false;
	}
	if (calls != d->calls || (!d->silent && (paused(vm) || memory_wanted_by(vm, now))))
		d->at = now;
	d->calls = calls;
	silent = tsc_since(d->at, now) >= ms_to_ticks(SILENT_SECONDS * 1000);
	if (silent != d->silent)
		vm_log(vm,
		       silent ?
			       "its balloon driver has been silent for %u s: inactive until it calls again" :
			       "its balloon driver answers again",
		       SILENT_SECONDS);
	d->silent = silent;
	return !silent && !paused(vm);
}

/*
 * The balloon that is asked for.  A GROW in a loop lowers the target, and cannot take back the
 * last decision nor what was set by hand; somebody who lowers it by hand asks for less.
 */
static u64 demand(const struct vm *vm)
{
	u64 manual = atomic_load(&vm->balloon.manual);

	return manual != BALLOON_BY_POLICY ?
		       manual :
		       max(atomic_load(&vm->balloon.target), gov->last[vm->id].target);
}

/* Must its balloon grow now?  Not if it is near the demand, or while its guest is held up. */
static bool owes(const struct vm *vm, u64 now, bool answers)
{
	bool near = atomic_load(&vm->p2m.ballooned) + vm->pages / 64 >= demand(vm);

	if (gov->driver[vm->id].stuck)
		return !near;
	return !near && answers && !memory_wanted_by(vm, now);
}

static void say_stuck(struct vm *vm, bool late, bool grew)
{
	vm_log(vm,
	       late ? "its balloon has stood at %lu of %lu MiB for %u s: stuck" :
	       grew ? "its balloon moves again, %lu of %lu MiB" :
		      "its balloon is asked for no more than it has, %lu of %lu MiB",
	       atomic_load(&vm->p2m.ballooned) >> 8, demand(vm) >> 8, STUCK_SECONDS);
}

/*
 * Its driver answers, and yet gives nothing: the guest has nothing left to
 * give, or the driver lies.  Until the balloon grows again, others serve.
 */
static bool stuck(struct vm *vm, u64 now, bool answers)
{
	u64 ballooned = atomic_load(&vm->p2m.ballooned);
	__typeof__(gov->driver[0]) *d = &gov->driver[vm->id];
	bool late, grew = ballooned > d->ballooned;

	/* A hold-off asks for nothing, and excuses nothing. */
	if (grew || !atomic_load(&vm->balloon.started) ||
	    (!held_off(vm, now) && !owes(vm, now, answers)))
		d->grew = now;
	d->ballooned = ballooned;
	d->grew = max(d->grew, 0 - vm->tsc_offset); /* what it was before this run is over */
	late = tsc_since(d->grew, now) >= ms_to_ticks(STUCK_SECONDS * 1000);
	if (late != d->stuck)
		say_stuck(vm, late, grew);
	d->stuck = late;
	return late;
}

/* A step of @vm's sample.  A period is one of the VM's time: while it stands still, so does this. */
static void sample(struct vm *vm)
{
	if (atomic_load(&vm->state) != VM_RUNNING || atomic_load(&vm->waiting))
		return;
	if (!spin_trylock(&vm->p2m.lock))
		return; /* busy inflating: next time */
	if (vm_alive(vm) && vm->p2m.root.v)
		sampler_step(&vm->sampler, &vm->p2m);
	spin_unlock(&vm->p2m.lock);
	atomic_store(&vm->active_permille, estimate_active(&vm->sampler.estimate));
	atomic_store(&vm->active, atomic_load(&vm->p2m.acct.resident) *
					  atomic_load(&vm->active_permille) / 1000);
}

/* Between two steps, in milliseconds: whole samples take cfg.sample_ms. */
static u64 sample_step_ms(void)
{
	return max(host_config->sample_ms * (u64)SAMPLE_STEP / max(host_config->sample_pages, 1u),
		   1UL);
}

/*
 * It waits although it is below its target: it has used up its reserve, and can
 * no longer give what everybody waits for.
 */
static bool exhausted(const struct vm *vm, u64 now)
{
	return memory_wanted_by(vm, now) && balloon_below_target(vm) &&
	       atomic_load(&vm->p2m.acct.reserve) <= P2M_POOL;
}

/* A target that was set by hand gives way to GROW, and comes back afterwards. */
static void restore_manual(struct vm *vm, u64 now)
{
	u64 target = atomic_load(&vm->balloon.target); /* first: a GROW after this is seen by it */
	u64 manual = atomic_load(&vm->balloon.manual);

	if (manual != BALLOON_BY_POLICY && !held_off(vm, now))
		balloon_move_target(vm, target, manual);
}

static void fill(struct vm *vm, struct policy_vm *p, u64 now)
{
	u64 resident = atomic_load(&vm->p2m.acct.resident), last = gov->last_resident[vm->id];
	bool answers = responsive(vm, now);

	*p = (struct policy_vm){
		.size = vm->pages,
		.min = atomic_load(&vm->cfg->min) >> PAGE_SHIFT,
		.max = atomic_load(&vm->cfg->max) >> PAGE_SHIFT,
		.shares = atomic_load(&vm->cfg->shares),
		.resident = resident,
		.balloon = atomic_load(&vm->p2m.ballooned),
		.target = atomic_load(&vm->balloon.target),
		.active_permille = atomic_load(&vm->active_permille),
		.faulted = resident > last ? resident - last : 0,
		.grow = atomic_swap(&vm->balloon.grow_pages, 0UL),
		/* At its max it waits for itself: others need not give anything. */
		.waiting = memory_wanted_by(vm, now) && !memory_at_max(vm),
		.responsive = answers,
		/* Its driver is not to blame, but its memory cannot be shared out: two VMs would wait for each other. */
		.stuck = stuck(vm, now, answers) || exhausted(vm, now),
		.hold = held_off(vm, now),
		.manual = atomic_load(&vm->balloon.manual) != BALLOON_BY_POLICY,
		.paging = now < atomic_load(&vm->balloon.paging_until),
	};
	gov->last_resident[vm->id] = resident;
}

static void apply(struct vm *vm, const struct policy_vm *in, const struct policy_vm_out *out)
{
	u64 moved;

	atomic_store(&vm->balloon.hint, gov->out.hint);
	atomic_store(&vm->entitlement, out->entitlement);
	copy_out(&gov->last[vm->id], out);
	explain_note(&vm->explain, plat_time_us(), gov->out.state, in, out);
	if (out->target == in->target)
		return;
	balloon_move_target(vm, in->target, out->target);
	/* The first and the last step, and large ones; not the many between. */
	moved = max(in->target, out->target) - min(in->target, out->target);
	if (moved > in->size / 16 || (moved > 256 && (!in->target || !out->target)))
		log_line(
			"why: %s: balloon %lu -> %lu MiB: %s (entitled to %lu MiB, %s, rho %lu, f %u.%u %%%s, memory %s)",
			vm->cfg->name, in->target >> 8, out->target >> 8,
			policy_reason_text(out->reason), out->entitlement >> 8,
			policy_rule_text(out->rule), out->rho, in->active_permille / 10,
			in->active_permille % 10, in->paging ? ", it pages" : "",
			policy_state_name(gov->out.state));
}

/*
 * The reserves of those that are asked for nothing lie idle: one that has none left
 * gets half of the largest.  Nobody lends more than half of his own: he may be the
 * next who is to give, and the only one who has something.
 */
static void lend_reserve(struct vm *vm, u64 now)
{
	struct vm *lender = vm, *other;

	if (!exhausted(vm, now))
		return;
	for_each_vm(other)
		if (vm_alive(other) && !balloon_below_target(other) &&
		    atomic_load(&other->p2m.acct.reserve) > other->p2m.acct.reserve_max / 2 &&
		    atomic_load(&other->p2m.acct.reserve) > lender->p2m.acct.reserve)
			lender = other;
	if (lender != vm && frame_reserve_lend(&lender->p2m.acct, &vm->p2m.acct))
		memory_wake_waiters();
}

/* More memory is in use at once than there is: no balloon helps, and the log says so. */
static void report_active(struct vm *const of[])
{
	u32 id = gov->out.culprit == POLICY_NOBODY ? POLICY_NOBODY : of[gov->out.culprit]->id;

	if (id != POLICY_NOBODY && gov->culprit == POLICY_NOBODY)
		log_line(
			"memory: %lu MiB are active, more than there is; vm %s most beyond its entitlement",
			gov->out.active >> 8, vms[id]->cfg->name);
	gov->culprit = id;
}

/* Every VM waits, so none can give memory: only the operator can end that. */
static void report_standstill(u64 now)
{
	u64 resident = 0;
	bool waiting = false, going = false;
	const struct vm *vm;

	for_each_vm(vm) {
		resident += atomic_load(&vm->p2m.acct.resident);
		if (atomic_load(&vm->state) == VM_RUNNING)
			*(memory_stands_still(vm) ? &waiting : &going) = true;
	}
	if (!waiting || going || resident != gov->standstill.resident) {
		gov->standstill.since = now;
		gov->standstill.resident = resident;
		gov->standstill.named = false;
	} else if (!gov->standstill.named && tsc_since(gov->standstill.since, now) >=
						     ms_to_ticks(STANDSTILL_SECONDS * 1000)) {
		log_line(
			"memory: all VMs have waited for it for %u s and none can give any: end one "
			"(Ctrl-a, its number, Ctrl-a k k)",
			STANDSTILL_SECONDS);
		gov->standstill.named = true;
	}
}

static void decide(u64 now)
{
	struct frame_stats s = frames_stats();
	struct vm *of[MAX_VMS], *vm;
	enum policy_state before = gov->out.state;

	gov->in.total = s.total - min(s.total, s.hv);
	/* Promised frames are not free for others. */
	gov->in.free = s.free_dirty + s.free_clean + s.quarantine;
	gov->in.free -= min(gov->in.free, s.reserved);
	gov->in.tax = host_config->tax;
	gov->in.balloon_max = host_config->balloon_max;
	gov->in.state = gov->out.state;
	gov->in.cap_yields = gov->out.cap_yields;
	gov->in.nr_vms = 0;
	for_each_vm(vm) {
		if (atomic_load(&vm->again)) /* frames that it needs to start */
			gov->in.free -= min(gov->in.free, admission_start_frames(vm));
		if (!vm_alive(vm))
			continue;
		frame_reserve_fill(&vm->p2m.acct);
		restore_manual(vm, now);
		of[gov->in.nr_vms] = vm;
		fill(vm, &gov->vm[gov->in.nr_vms++], now);
	}
	policy_decide(&gov->in, &gov->out);
	atomic_store(&gov->state, gov->out.state);
	atomic_store(&gov->active, gov->out.active);
	if (gov->out.state != before)
		log_line("memory: %s, %lu of %lu KiB free", policy_state_name(gov->out.state),
			 gov->in.free * 4, gov->in.total * 4);
	report_active(of);
	report_standstill(now);
	for (u32 i = 0; i < gov->in.nr_vms; i++)
		apply(of[i], &gov->in.vm[i], &gov->out.vm[i]);
	for (u32 i = 0; i < gov->in.nr_vms; i++)
		lend_reserve(of[i], now);
}

void governor_tick(u64 now)
{
	struct vm *vm;

	/* All waiters: one may have a promise although nothing is free for others. */
	quarantine_drain(256);
	memory_wake_waiters();
	if (now >= gov->next_sample) {
		for_each_vm(vm)
			sample(vm);
		gov->next_sample = now + ms_to_ticks(sample_step_ms());
	}
	if (now >= gov->next_decision ||
	    (now >= gov->hurry_after && atomic_swap(&gov->hurry, 0u))) {
		decide(now);
		gov->next_decision = now + ms_to_ticks(host_config->policy_ms);
		/* A guest can ask for hurry as often as it likes. */
		atomic_store(&gov->hurry_after, now + ms_to_ticks(host_config->policy_ms) / 4);
	}
	sched_event_at(min(gov->next_decision, gov->next_sample));
}
