/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x leaves task switches to us: this file hands the exit to hv/emulate/task.c, and puts the new
 * task into the VMCS. SDM: "Treatment of Task Switches".
 */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/emulate/task.h>

#define DR7_LOCAL 0x155UL /* L0 to L3, LE: for the old task only */
#define DR6_BT BIT(15)

/* The event that came through the task gate, if there is one. */
static void read_event(struct task_switch *t, u32 info)
{
	u32 type = info & INTR_TYPE_MASK;

	if (t->source != TASK_GATE || !(info & INTR_VALID))
		return;
	t->external = type == INTR_TYPE_EXTERNAL || type == INTR_TYPE_NMI ||
		      type == INTR_TYPE_HARD_EXCEPTION;
	if (t->external)
		t->advance = 0; /* the old task goes on at the instruction */
	t->has_error = info & INTR_ERROR_CODE;
	if (t->has_error)
		t->error = (u32)vmread(VMCS_IDT_VECTORING_ERROR);
}

static void inject(struct vcpu *v, const struct task_fault *f)
{
	if (f->vector < 0)
		return;
	if (f->trap) {
		vmx_inject_debug(v, DR6_BT);
		return;
	}
	if (f->vector == VEC_PF)
		vmx_set_reg(v, GREG_CR2, f->cr2);
	vmx_inject_exception(v, (u8)f->vector, true, f->error);
}

/* Clears what blocked the old task. Only an NMI still blocks others, until its handler's IRET. */
static void put_task(struct vcpu *v, const struct guest_state *s, bool nmi)
{
	vmx_put_segments(s);
	vmwrite(VMCS_GUEST_RIP, s->rip);
	vmwrite(VMCS_GUEST_RSP, s->rsp);
	vmwrite(VMCS_GUEST_RFLAGS, s->rflags);
	vmwrite(VMCS_GUEST_CR0, vmread(VMCS_GUEST_CR0) | CR0_TS);
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_LOCAL);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, nmi ? BLOCKED_BY_NMI : 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	v->flush_gen = 0; /* another CR3 */
}

/* Deliver the event again unless the switch takes place: reinject(). */
void vmx_decode_task_switch(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	u32 info = (u32)vmread(VMCS_IDT_VECTORING_INFO);
	struct task_switch t = { .selector = (u16)qualification,
				 .source = qualification >> 30 & 3,
				 .advance = e->length };
	bool blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI;
	struct task_fault f;
	struct guest_state s;
	int err;

	read_event(&t, info);
	vmx_get_state(v, &s);
	err = task_switch(v, &t, &s, &f);
	e->kind = EXIT_NONE;
	if (err == HV_EAGAIN)
		return;
	if (!err && !vmx_load_pdptes(v))
		err = HV_EINVAL;
	if (err && err != HV_EPERM) {
		e->kind = EXIT_UNKNOWN;
		e->raw.reason = VMX_REASON_TASK_SWITCH;
		e->raw.info = qualification;
		e->raw.name =
			"task switch with a 16-bit TSS, or with tables that are not in memory";
		return;
	}
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, 0);
	if (!err)
		put_task(v, &s,
			 t.source == TASK_GATE && info & INTR_VALID ?
				 (info & INTR_TYPE_MASK) == INTR_TYPE_NMI || blocked :
				 blocked && t.source != TASK_IRET);
	inject(v, &f);
}
