/* SPDX-License-Identifier: BSD-2-Clause */
/* After #VMEXIT: the work that decoding (decode.c) leaves. */
#include <arch/x86_64/quirks/mce.h>
#include <arch/x86_64/svm/svm.h>
#include <hv/base/log.h>
#include <hv/vm/vm.h>

/* The CPU says only "invalid": find out why. */
static void explain(struct vcpu *v, struct vmexit *e)
{
	const char *why = svm_vmcb_check(vmcb_of(v), &svm_caps);

	e->raw.name = why ? why : "VMRUN refused, for none of the reasons in the manual";
}

/*
 * An interrupt goes back to the local APIC, which delivers it anew after all events of higher
 * priority. The manual does not say whether the CPU has cleared V_IRQ by then.
 */
void svm_event_interrupted(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);
	int vector = svm_interrupt_again(b->exit_int_info);

	if (vector < 0) {
		b->event_inj = svm_event_again(b->exit_int_info);
		return;
	}
	svm_take_virq(v);
	lapic_give_back(v, (u8)vector);
}

/* An exception came while an NMI was being delivered: the exception goes first. */
static void give_back_nmi(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	u64 e = x->vmcb->event_inj;

	if (!(e & EVENT_VALID) || EVENT_TYPE(e) != EVENT_NMI)
		return;
	x->nmi_masked = false;
	x->vmcb->intercept1 &= ~(u32)INTERCEPT_IRET;
	svm_dirty(v, CLEAN_INTERCEPTS);
	atomic_or(&v->pending, PENDING_NMI);
}

/* The exceptions that IRET may raise. */
#define IRET_FAULTS ((u32)(BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF)))

/*
 * An NMI waits for the next IRET to be done. SVM has no exit at that moment, so we single-step the
 * IRET. If it faults, the guest must not see our TF in the RFLAGS that the CPU pushes.
 */
void svm_step_iret(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;

	if (x->stepping)
		return;
	x->stepping = true;
	x->guest_tf = b->rflags & RFLAGS_TF;
	x->guest_dr6 = b->dr6;
	b->rflags |= RFLAGS_TF;
	b->intercept_exceptions |= IRET_FAULTS;
	svm_dirty(v, CLEAN_INTERCEPTS);
}

/* True: the IRET has been executed, and we hide the trap behind it from the guest. */
static bool end_step(struct vcpu *v, u8 vector)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;
	bool executed = vector == VEC_DB && b->dr6 & DR6_BS;

	x->stepping = false;
	b->intercept_exceptions &= ~IRET_FAULTS;
	svm_dirty(v, CLEAN_INTERCEPTS | CLEAN_DR);
	if (!executed) {
		b->rflags &= x->guest_tf ? ~0UL : ~RFLAGS_TF;
		return false;
	}
	x->iret_pending = false;
	if (x->guest_tf)
		return false;
	b->dr6 = x->guest_dr6 | (b->dr6 & DR6_HITS);
	return !(b->dr6 & DR6_HITS);
}

/*
 * We intercept #DB and #AC because a guest that makes their delivery raise them again would
 * otherwise never leave the CPU. DR6 and DR7 in the VMCB are already as the guest's handler must
 * see them. We intercept other exceptions only while we step an IRET.
 */
static void pass_exception(struct vcpu *v, struct vmexit *e)
{
	struct vmcb *b = vmcb_of(v);
	u8 vector = (u8)(b->exit_code - VMEXIT_EXCEPTION);

	if (svm_of(v)->stepping && end_step(v, vector)) {
		e->kind = EXIT_NMI_WINDOW;
		return;
	}
	if (vector == VEC_PF) { /* the intercept leaves CR2 to us */
		b->cr2 = b->exit_info2;
		svm_dirty(v, CLEAN_CR2);
	}
	give_back_nmi(v);
	svm_inject_exception(v, vector, vector != VEC_DB, (u32)b->exit_info1);
}

/*
 * The guest is about to leave its NMI handler. SVM reports IRET before it is executed. The next NMI
 * may come only after that, which we see by a change of RIP.
 */
static void iret(struct vcpu *v, struct vmexit *e)
{
	struct svm_vcpu *x = svm_of(v);

	x->nmi_masked = false;
	x->iret_pending = true;
	x->iret_rip = x->vmcb->rip;
	x->vmcb->intercept1 &= ~(u32)INTERCEPT_IRET;
	svm_dirty(v, CLEAN_INTERCEPTS);
	if (x->nmi_window)
		e->kind = EXIT_NMI_WINDOW;
}

static void xsetbv_exit(struct vcpu *v, struct vmexit *e)
{
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	if (!e->cpl && guestregs_set_xcr0(&svm_of(v)->regs, (u32)v->gpr[GPR_RCX], value))
		v->advance = e->length;
	else
		vcpu_inject_gp(v);
}

void svm_handle_exit(struct vcpu *v, struct vmexit *e, enum svm_action action)
{
	switch (action) {
	case SVM_PASS_UP:
		break;
	case SVM_HOST_EVENT:
		svm_host_window(v);
		break;
	case SVM_EXCEPTION:
		pass_exception(v, e);
		break;
	case SVM_MACHINE_CHECK:
		mce_report(true);
		break;
	case SVM_IRET:
		iret(v, e);
		break;
	case SVM_CR:
		svm_cr_exit(v, e);
		break;
	case SVM_XSETBV:
		xsetbv_exit(v, e);
		break;
	case SVM_INVALID:
		explain(v, e);
		break;
	}
}
