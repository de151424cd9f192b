/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls by table: the handler, and beside it the permission, checked once.  Any number has a
 * row, so that a CPU that guesses has one, too.
 */
#include <hv/exit/calls.h>
#include <hv/exit/exit.h>
#include <hv/control/manage.h>
#include <hv/vm/vm.h>

struct call_row {
	void (*handler)(struct vcpu *v);
	u32 number;
	bool control_only;
};

/* The place of a number that is one; two that share a place differ in their row's number. */
#define PLACE(number) (((number) + ((number) >> 4)) & 31)
#define ROW(number, handler, control_only) [PLACE(number)] = { handler, number, control_only }

static const struct call_row rows[32] = {
	ROW(AERO_CALL_START, call_start, false),
	ROW(AERO_CALL_POLL, call_poll, false),
	ROW(AERO_CALL_LOCK, call_lock, false),
	ROW(AERO_CALL_UNLOCK, call_unlock, false),
	ROW(AERO_CALL_STATS, call_stats, false),
	ROW(AERO_CALL_DOORBELL, call_doorbell, false),
	ROW(AERO_CALL_GROW, call_grow, false),
	ROW(AERO_CALL_REPORT, call_report, false),
	ROW(AERO_CALL_END, call_end, false),
	ROW(AERO_CALL_HOST_INFO, manage_host_info, true),
	ROW(AERO_CALL_VM_INFO, manage_vm_info, true),
	ROW(AERO_CALL_SET_TARGET, manage_set_target, true),
	ROW(AERO_CALL_AUDIT, manage_audit, true),
	ROW(AERO_CALL_PAUSE, manage_pause, true),
	ROW(AERO_CALL_RESUME, manage_resume, true),
	ROW(AERO_CALL_STOP, manage_stop, true),
	ROW(AERO_CALL_RESTART, manage_restart, true),
	ROW(AERO_CALL_SET, manage_set, true),
	ROW(AERO_CALL_SHUTDOWN, manage_shutdown, true),
	ROW(AERO_CALL_EXPLAIN, manage_explain, true),
	ROW(AERO_CALL_GUEST_STATS, manage_guest_stats, true),
};

void exit_hypercall(struct vcpu *v, struct vmexit *e)
{
	u32 number = (u32)v->gpr[GPR_RAX];
	const struct call_row *row = &rows[PLACE(number)];

	if (unlikely(e->cpl)) {
		vcpu_inject_ud(v);
		return;
	}
	vcpu_skip(v, e);
	if (unlikely(row->number != number))
		v->gpr[GPR_RAX] = (u64)(number & BIT(31) ? AERO_ERR_NOSYS : AERO_ERR_KVM_NOSYS);
	else if (unlikely(row->control_only && !v->vm->cfg->control))
		v->gpr[GPR_RAX] = (u64)AERO_ERR_PERM;
	else
		row->handler(v);
}
