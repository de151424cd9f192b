/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest registers in the VMCB and, for those of VMLOAD, in the CPU; events for the guest. */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>
#include <hv/base/platform.h>

#define SEG_UNUSABLE BIT(16)

static const u8 place[SEG_NR] = { VMCB_ES, VMCB_CS, VMCB_SS,   VMCB_DS,
				  VMCB_FS, VMCB_GS, VMCB_LDTR, VMCB_TR };

/* struct guest_segment has the descriptor's bits 55:52 at 15:12, the VMCB at 11:8. */
static u32 attr_from_vmcb(u16 attr)
{
	return (attr & 0xffu) | (attr & 0xf00u) << 4 | (attr & VMCB_SEG_P ? 0 : SEG_UNUSABLE);
}

static u16 attr_to_vmcb(u32 attr)
{
	return attr & SEG_UNUSABLE ? 0 : (u16)((attr & 0xff) | (attr >> 4 & 0xf00));
}

void svm_get_state(struct vcpu *v, struct guest_state *s)
{
	const struct vmcb *b = vmcb_of(v);

	svm_registers_save(v);
	s->rip = b->rip;
	s->rsp = b->rsp;
	s->rflags = b->rflags;
	s->cr0 = svm_get_cr0(v);
	s->cr3 = b->cr3;
	s->cr4 = svm_get_cr4(v);
	s->efer = b->efer & ~(u64)EFER_SVME;
	for (int i = 0; i < SEG_NR; i++) {
		const struct vmcb_seg *from = &b->seg[place[i]];

		s->seg[i] = (struct guest_segment){ from->selector, from->limit, from->base,
						    attr_from_vmcb(from->attr) };
	}
	s->gdtr_base = b->seg[VMCB_GDTR].base;
	s->gdtr_limit = b->seg[VMCB_GDTR].limit;
	s->idtr_base = b->seg[VMCB_IDTR].base;
	s->idtr_limit = b->seg[VMCB_IDTR].limit;
}

void svm_set_state(struct vcpu *v, const struct guest_state *s)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;

	svm_registers_save(v);
	b->rip = s->rip;
	b->rsp = s->rsp;
	b->rflags = s->rflags | 2;
	b->cr3 = s->cr3;
	b->cr0 = s->cr0;
	b->cr4 = s->cr4;
	b->seg[VMCB_CS].attr = 0; /* as far as CR0's checks demand */
	svm_set_efer(v, s->efer);
	hv_assert(svm_set_cr4(v, s->cr4));
	hv_assert(svm_set_cr0(v, s->cr0));
	for (int i = 0; i < SEG_NR; i++)
		b->seg[place[i]] =
			(struct vmcb_seg){ s->seg[i].selector, attr_to_vmcb(s->seg[i].attr),
					   s->seg[i].limit, s->seg[i].base };
	b->seg[VMCB_GDTR] = (struct vmcb_seg){ .base = s->gdtr_base, .limit = s->gdtr_limit };
	b->seg[VMCB_IDTR] = (struct vmcb_seg){ .base = s->idtr_base, .limit = s->idtr_limit };
	b->cpl = s->seg[SEG_SS].attr >> 5 & 3;
	x->shadow_rip = UINT64_MAX;
	x->clean = 0;
	svm_registers_load(v);
}

void svm_init_events(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;

	b->int_state = 0;
	b->event_inj = 0;
	svm_take_virq(v);
	b->intercept1 &= ~(u32)INTERCEPT_IRET;
	x->nmi_masked = x->iret_pending = false;
	x->stepping = false;
	b->intercept_exceptions = ALWAYS_INTERCEPTED;
	b->dr6 = VMCB_DR6_INIT;
	b->dr7 = VMCB_DR7_INIT;
	b->cr2 = 0;
	guestregs_init_debug();
	x->clean = 0;
}

/* Registers that need only a place in the VMCB. */
static u64 *reg_field(struct vmcb *b, enum guest_reg r)
{
	switch (r) {
	case GREG_RIP:
		return &b->rip;
	case GREG_RSP:
		return &b->rsp;
	case GREG_RFLAGS:
		return &b->rflags;
	case GREG_CR3:
		return &b->cr3;
	case GREG_CR2:
		return &b->cr2;
	case GREG_FS_BASE:
		return &b->seg[VMCB_FS].base;
	case GREG_GS_BASE:
		return &b->seg[VMCB_GS].base;
	case GREG_SYSENTER_CS:
		return &b->sysenter_cs;
	case GREG_SYSENTER_ESP:
		return &b->sysenter_esp;
	case GREG_SYSENTER_EIP:
		return &b->sysenter_eip;
	default:
		plat_panic("register %d has no place in the VMCB", r);
	}
}

static bool by_vmload(enum guest_reg r)
{
	return r >= GREG_FS_BASE && r <= GREG_SYSENTER_EIP;
}

u64 svm_get_reg(struct vcpu *v, enum guest_reg r)
{
	if (r == GREG_EFER)
		return vmcb_of(v)->efer & ~(u64)EFER_SVME;
	if (r == GREG_CR0)
		return svm_get_cr0(v);
	if (r == GREG_CR4)
		return svm_get_cr4(v);
	if (r == GREG_PAT)
		return svm_of(v)->pat;
	if (r == GREG_CS_ATTR)
		return attr_from_vmcb(vmcb_of(v)->seg[VMCB_CS].attr);
	if (r == GREG_CPL)
		return vmcb_of(v)->cpl;
	if (by_vmload(r))
		svm_registers_save(v);
	return *reg_field(vmcb_of(v), r);
}

void svm_set_reg(struct vcpu *v, enum guest_reg r, u64 value)
{
	switch (r) {
	case GREG_CR0:
		svm_set_cr0(v, value);
		break;
	case GREG_CR4:
		svm_set_cr4(v, value);
		break;
	case GREG_EFER:
		svm_set_efer(v, value);
		break;
	case GREG_PAT:
		svm_of(v)->pat = value;
		break;
	case GREG_TSC_OFFSET:
		vmcb_of(v)->tsc_offset = value;
		svm_dirty(v, CLEAN_INTERCEPTS);
		break;
	default:
		svm_registers_save(v);
		*reg_field(vmcb_of(v), r) = value;
		svm_dirty(v, CLEAN_CR | CLEAN_CR2);
		svm_registers_load(v);
	}
}

/*
 * Takes back the interrupt that we gave to the CPU; false: there is none, or the CPU has taken it.
 */
bool svm_take_virq(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	bool waits = x->virq && x->vmcb->int_ctl & V_IRQ;

	if (waits)
		svm_request_virq(v, false);
	x->virq = false;
	return waits;
}

/*
 * The guest has not run since we gave it the interrupt, because an event of the host came first. An
 * event that comes now may go before that interrupt, which must not be in service then.
 */
void svm_withdraw_virq(struct vcpu *v)
{
	u8 vector = (u8)vmcb_of(v)->int_vector;

	if (svm_take_virq(v))
		lapic_give_back(v, vector);
}

bool svm_interruptible(struct vcpu *v)
{
	const struct vmcb *b = vmcb_of(v);

	if (unlikely(svm_of(v)->virq))
		svm_withdraw_virq(v);
	return b->rflags & BIT(9) && !(b->int_state & INTERRUPT_SHADOW) &&
	       !(b->event_inj & EVENT_VALID);
}

bool svm_nmi_allowed(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	const struct vmcb *b = x->vmcb;

	if (unlikely(x->virq))
		svm_withdraw_virq(v);
	if (x->iret_pending && x->iret_rip != b->rip)
		x->iret_pending = false; /* the IRET has been executed, or has faulted */
	return !x->nmi_masked && !x->iret_pending && !(b->int_state & INTERRUPT_SHADOW) &&
	       !(b->event_inj & EVENT_VALID);
}

#define VIRQ (V_IRQ | V_IGN_TPR | V_INTR_PRIO)

/*
 * Uses V_IRQ, because QEMU sometimes delivers an interrupt of EVENTINJ twice: docs/emulators.md.
 * Ignores the TPR, which hv/apic/lapic.c has checked.
 */
void svm_inject_interrupt(struct vcpu *v, u8 vector)
{
	struct vmcb *b = vmcb_of(v);

	if (unlikely(svm_caps.ignores_virq)) {
		b->event_inj = EVENT(EVENT_INTR, vector);
		return;
	}
	b->int_ctl |= (u32)VIRQ;
	b->int_vector = vector;
	svm_of(v)->virq = true;
	svm_dirty(v, CLEAN_INT_CTL);
}

/* SVM does not keep track of NMIs in service: the IRET of the handler is intercepted. */
void svm_inject_nmi(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);

	x->vmcb->event_inj = EVENT(EVENT_NMI, (u64)VEC_NMI);
	x->vmcb->intercept1 |= (u32)INTERCEPT_IRET;
	x->nmi_masked = true;
	svm_dirty(v, CLEAN_INTERCEPTS);
}

void svm_inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	struct vmcb *b = vmcb_of(v);

	b->event_inj = EVENT(EVENT_EXCEPTION, (u64)vector);
	if (vector != VEC_DB)
		b->rflags |= RFLAGS_RF;
	if (has_error && b->cr0 & CR0_PE)
		b->event_inj |= EVENT_ERROR | (u64)error << 32;
}

u8 svm_get_cr8(struct vcpu *v)
{
	return vmcb_of(v)->int_ctl & 15;
}

void svm_set_cr8(struct vcpu *v, u8 value)
{
	struct vmcb *b = vmcb_of(v);

	b->int_ctl = (b->int_ctl & ~V_TPR) | value;
	svm_dirty(v, CLEAN_INT_CTL);
}

/* SVM has no TPR threshold: each write of CR8 exits while an interrupt waits for a lower TPR. */
void svm_tpr_exit(struct vcpu *v, u8 below)
{
	struct svm_vcpu *x = svm_of(v);

	x->tpr_exit = below;
	x->vmcb->intercept_cr &= ~(u32)INTERCEPT_CR_WRITE(8);
	if (below || x->vmcb->intercept1 & INTERCEPT_VINTR)
		x->vmcb->intercept_cr |= (u32)INTERCEPT_CR_WRITE(8);
	svm_dirty(v, CLEAN_INTERCEPTS);
}

/*
 * Sets a virtual interrupt that the CPU never delivers: its intercept ends the guest's run as soon
 * as the CPU could. Meanwhile writes of CR8 exit, because with V_IRQ set they crash QEMU.
 */
void svm_request_virq(struct vcpu *v, bool on)
{
	struct vmcb *b = vmcb_of(v);

	b->int_vector = 0;
	if (on) {
		b->int_ctl |= (u32)VIRQ;
		b->intercept1 |= (u32)INTERCEPT_VINTR;
		b->intercept_cr |= (u32)INTERCEPT_CR_WRITE(8);
	} else {
		b->int_ctl &= ~(u32)VIRQ;
		b->intercept1 &= ~(u32)INTERCEPT_VINTR;
		if (!svm_of(v)->tpr_exit)
			b->intercept_cr &= ~(u32)INTERCEPT_CR_WRITE(8);
	}
	svm_dirty(v, CLEAN_INTERCEPTS | CLEAN_INT_CTL);
}

void svm_interrupt_window(struct vcpu *v, bool on)
{
	svm_of(v)->irq_window = on; /* svm_run() looks at it */
	if (on)
		svm_withdraw_virq(v); /* an event of higher priority has come meanwhile */
	else
		svm_request_virq(v, false);
}

void svm_nmi_window(struct vcpu *v, bool on)
{
	svm_of(v)->nmi_window = on;
}
