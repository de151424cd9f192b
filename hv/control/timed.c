/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <hv/control/status.h>
#include <hv/control/timed.h>
#include <hv/vm/vm.h>

static struct {
	struct timed_action *action; /* in the configuration */
	u32 nr;
	u64 start;		      /* TSC */
	struct timed_action *auditor; /* whose audit is under way */
	struct audit audit;
} timed;

void timed_init(struct config *c)
{
	timed.action = c->timed;
	timed.nr = c->nr_timed;
	timed.start = plat_tsc();
	if (timed.nr)
		sched_event_at(timed.start);
}

bool timed_start_pending(void)
{
	for (u32 i = 0; i < timed.nr; i++)
		if (!timed.action[i].done && timed.action[i].kind == AT_START)
			return true;
	return false;
}

/* A bounded piece; one audit at a time. */
static int audit(struct timed_action *a)
{
	int err;

	if (timed.auditor && timed.auditor != a)
		return HV_EAGAIN;
	timed.auditor = a;
	err = audit_step(&timed.audit, nr_vms, vm_p2m_of);
	if (err == HV_EAGAIN)
		return err;
	if (!err)
		log_line("audit: %lu guest frames, all is well", timed.audit.guest_frames);
	timed.audit = (struct audit){ 0 };
	timed.auditor = NULL;
	return err;
}

/* HV_EAGAIN while @vm is on its way from one state to the next. */
static int settled(const struct vm *vm)
{
	switch (atomic_load(&vm->state)) {
	case VM_QUEUED:
	case VM_STARTING:
	case VM_BUILT:
	case VM_ENDING:
		return HV_EAGAIN;
	default:
		return HV_OK;
	}
}

static int stop(struct vm *vm, int status)
{
	return vm_stop(vm, status, "stopped by aerostat.conf");
}

static int perform(struct timed_action *a)
{
	struct vm *vm = vms[a->vm_id];

	switch (a->kind) {
	case AT_STATUS:
		status_print();
		return HV_OK;
	case AT_AUDIT:
		return audit(a);
	case AT_POWEROFF:
	case AT_REBOOT:
		manage_end_host(a->kind == AT_REBOOT, "aerostat.conf");
		return HV_OK;
	case AT_MIN:
		return manage_min(vm, a->value >> PAGE_SHIFT);
	case AT_MAX:
		return manage_max(vm, a->value >> PAGE_SHIFT);
	case AT_SHARES:
		return manage_shares(vm, (u32)a->value);
	default:
		break;
	}
	if (settled(vm))
		return HV_EAGAIN;
	switch (a->kind) {
	case AT_TARGET: /* one that starts begins without */
		if (!vm_alive(vm))
			return HV_ESTATE;
		return manage_target(vm, a->by_policy ? BALLOON_BY_POLICY : a->value >> PAGE_SHIFT);
	case AT_START:
		return vm_queue_start(vm);
	case AT_SHUTDOWN:
		return vm_press_power(vm);
	case AT_STOP:
		return stop(vm, (int)a->value);
	case AT_PAUSE:
		return vm_pause(vm);
	default:
		return vm_resume(vm);
	}
}

static void report(const struct timed_action *a, int err)
{
	log_line("at %lu.%03lu s: %s%s%s: %s", a->at_ms / 1000, a->at_ms % 1000,
		 timed_name(a->kind), a->vm[0] ? " " : "", a->vm, err ? hv_strerror(err) : "done");
}

void timed_tick(u64 now)
{
	for (u32 i = 0; i < timed.nr; i++) {
		struct timed_action *a = &timed.action[i];
		u64 due = timed.start + a->at_ms * plat_tsc_khz();
		int err;

		if (a->done)
			continue;
		if (now < due) {
			sched_event_at(due);
			continue;
		}
		err = perform(a);
		if (err == HV_EAGAIN) { /* the rest of it, or another state, soon */
			sched_event_at(now + plat_tsc_khz());
			continue;
		}
		a->done = true;
		report(a, err);
	}
}
