/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls by table: the handler, and beside it the permission, checked once. */
#include <hv/exit/calls.h>
#include <hv/exit/exit.h>
#include <hv/control/manage.h>
#include <hv/vm/vm.h>

struct call_row {
	void (*handler)(struct vcpu *v);
	bool control_only;
};

#define BALLOON_CALLS 0x80000000u
#define MANAGE_CALLS 0x80000100u

static const struct call_row balloon_calls[] = {
	[AERO_CALL_START - BALLOON_CALLS] = { call_start, false },
	[AERO_CALL_POLL - BALLOON_CALLS] = { call_poll, false },
	[AERO_CALL_LOCK - BALLOON_CALLS] = { call_lock, false },
	[AERO_CALL_UNLOCK - BALLOON_CALLS] = { call_unlock, false },
	[AERO_CALL_STATS - BALLOON_CALLS] = { call_stats, false },
	[AERO_CALL_DOORBELL - BALLOON_CALLS] = { call_doorbell, false },
	[AERO_CALL_GROW - BALLOON_CALLS] = { call_grow, false },
	[AERO_CALL_REPORT - BALLOON_CALLS] = { call_report, false },
	[AERO_CALL_END - BALLOON_CALLS] = { call_end, false },
};

static const struct call_row manage_calls[] = {
	[AERO_CALL_HOST_INFO - MANAGE_CALLS] = { manage_host_info, true },
	[AERO_CALL_VM_INFO - MANAGE_CALLS] = { manage_vm_info, true },
	[AERO_CALL_SET_TARGET - MANAGE_CALLS] = { manage_set_target, true },
	[AERO_CALL_AUDIT - MANAGE_CALLS] = { manage_audit, true },
	[AERO_CALL_PAUSE - MANAGE_CALLS] = { manage_pause, true },
	[AERO_CALL_RESUME - MANAGE_CALLS] = { manage_resume, true },
	[AERO_CALL_STOP - MANAGE_CALLS] = { manage_stop, true },
	[AERO_CALL_RESTART - MANAGE_CALLS] = { manage_restart, true },
	[AERO_CALL_SET - MANAGE_CALLS] = { manage_set, true },
	[AERO_CALL_SHUTDOWN - MANAGE_CALLS] = { manage_shutdown, true },
	[AERO_CALL_EXPLAIN - MANAGE_CALLS] = { manage_explain, true },
	[AERO_CALL_GUEST_STATS - MANAGE_CALLS] = { manage_guest_stats, true },
};

static const struct call_row *find(u64 number)
{
	if (number >= BALLOON_CALLS && number < BALLOON_CALLS + ARRAY_SIZE(balloon_calls))
		return &balloon_calls[number - BALLOON_CALLS];
	if (number >= MANAGE_CALLS && number < MANAGE_CALLS + ARRAY_SIZE(manage_calls))
		return &manage_calls[number - MANAGE_CALLS];
	return NULL;
}

void exit_hypercall(struct vcpu *v, struct vmexit *e)
{
	u64 number = (u32)v->gpr[GPR_RAX];
	const struct call_row *row = find(number);

	if (unlikely(e->cpl)) {
		vcpu_inject_ud(v);
		return;
	}
	vcpu_skip(v, e);
	if (unlikely(!row || !row->handler))
		v->gpr[GPR_RAX] = (u64)(number & BIT(31) ? AERO_ERR_NOSYS : AERO_ERR_KVM_NOSYS);
	else if (unlikely(row->control_only && !v->vm->cfg->control))
		v->gpr[GPR_RAX] = (u64)AERO_ERR_PERM;
	else
		row->handler(v);
}
