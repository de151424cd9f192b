/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns an exit into struct vmexit: reasons.c says which fields to read. SDM: "VM-Exit Information
 * Fields".
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mce.h>
#include <arch/x86_64/cpu/trap.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/base/log.h>
#include <hv/vm/vm.h>

/*
 * The exit came during the delivery of an event: deliver that event again at the next entry. SDM:
 * "Information for VM Exits During Event Delivery"
 */
static void reinject(void)
{
	u32 info = (u32)vmread(VMCS_IDT_VECTORING_INFO);
	u32 type = info & INTR_TYPE_MASK;

	if (!(info & INTR_VALID))
		return;
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, info & ~BIT(12));
	if (info & INTR_ERROR_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, vmread(VMCS_IDT_VECTORING_ERROR));
	if (type == INTR_TYPE_SOFT_INTERRUPT || type == INTR_TYPE_SOFT_EXCEPTION ||
	    type == INTR_TYPE_ICEBP)
		vmwrite(VMCS_ENTRY_LENGTH, vmread(VMCS_EXIT_LENGTH));
	if (type == INTR_TYPE_NMI) /* it blocked NMIs; the entry will block them again */
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKED_BY_NMI);
}

/* An exception came while an interrupt was being delivered: the exception goes first. */
static void give_back_interrupt(struct vcpu *v)
{
	u32 info = (u32)vmread(VMCS_IDT_VECTORING_INFO);

	if (info & INTR_VALID && (info & INTR_TYPE_MASK) == INTR_TYPE_EXTERNAL)
		lapic_give_back(v, (u8)info);
}

void vmx_decode_exception(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	u32 info = (u32)vmread(VMCS_EXIT_INTERRUPT_INFO);
	u32 vector = info & 0xff;

	if ((info & INTR_TYPE_MASK) == INTR_TYPE_NMI) {
		/* The exit blocks NMIs; the host's own handler and its IRET unblock them. */
		asm volatile("int $2" ::: "memory");
		e->kind = EXIT_INTERRUPT;
		return;
	}
	if (vector == VEC_MC) {
		mce_report(true);
		e->kind = EXIT_MACHINE_CHECK;
		return;
	}
	if (vector == VEC_DB)
		vmx_note_debug(qualification);
	e->kind = EXIT_NONE;
	give_back_interrupt(v);
	if ((info & INTR_TYPE_MASK) == INTR_TYPE_ICEBP) {
		/* INT1: delivered as INT1, or the guest would execute it for ever */
		vmwrite(VMCS_ENTRY_LENGTH, vmread(VMCS_EXIT_LENGTH));
		vmwrite(VMCS_ENTRY_INTERRUPT_INFO, info & ~BIT(12));
		return;
	}
	/* SDM: "Checks on Guest Non-Register State": single-stepping in a shadow */
	if (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF &&
	    vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		vmwrite(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
	vmx_inject_exception(v, (u8)vector, info & INTR_ERROR_CODE,
			     (u32)vmread(VMCS_EXIT_ERROR_CODE));
}

void vmx_decode_interrupt(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	(void)e;
	(void)qualification;
	host_interrupt(vmread(VMCS_EXIT_INTERRUPT_INFO) & 0xff);
}

void vmx_decode_io(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	e->io.size = (u8)((qualification & 7) + 1);
	e->io.in = qualification & BIT(3);
	e->io.string = qualification & BIT(4);
	e->io.port = (u16)(qualification >> 16);
}

void vmx_decode_ept(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	e->fault.gpa = GPA(vmread(VMCS_GUEST_PHYSICAL));
	e->fault.read = qualification & EPT_QUAL_READ;
	e->fault.write = qualification & EPT_QUAL_WRITE;
	e->fault.exec = qualification & EPT_QUAL_FETCH;
	/*
	 * IRET had unblocked NMIs before it faulted: undo that. The bit is undefined during a
	 * delivery.
	 */
	if (qualification & EPT_QUAL_NMI_UNBLOCKED &&
	    !(vmread(VMCS_IDT_VECTORING_INFO) & INTR_VALID))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

void vmx_decode_xsetbv(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	(void)qualification;
	e->kind = EXIT_NONE;
	if (!e->cpl && guestregs_set_xcr0(&vmx_of(v)->regs, (u32)v->gpr[GPR_RCX], value))
		v->advance = e->length;
	else
		vcpu_inject_gp(v);
}

void vmx_decode_exit(struct vcpu *v, struct vmexit *e)
{
	u32 raw = (u32)vmread(VMCS_EXIT_REASON), number = raw & 0xffff;
	const struct vmx_reason *r = &vmx_reasons[number < VMX_REASON_NR ? number : 2];
	u64 qualification = 0;

	e->kind = EXIT_UNKNOWN;
	if (unlikely(number >= VMX_REASON_NR || !r->name)) {
		e->raw.reason = raw;
		e->raw.info = vmread(VMCS_EXIT_QUALIFICATION);
		e->raw.name = "unknown";
		return;
	}
	asm("" : "+r"(r)); /* a copy: gcc would compute the row's address for each field */
	e->kind = r->kind;
	if (r->length)
		e->length = (u8)vmread(VMCS_EXIT_LENGTH);
	if (r->privileged)
		e->cpl = vmread(VMCS_GUEST_ES_ATTR + SEG_SS * 2) >> 5 & 3;
	if (r->qualification) {
		qualification = vmread(VMCS_EXIT_QUALIFICATION);
		if (r->vectoring)
			reinject();
	}
	if (r->decode) {
		r->decode(v, e, qualification);
	} else if (unlikely(e->kind == EXIT_UNKNOWN || e->kind == EXIT_ENTRY_FAILED)) {
		e->raw.reason = raw;
		e->raw.info = qualification;
		e->raw.name = number == VMX_REASON_INVALID_STATE ?
				      vmx_invalid_state(qualification) :
				      r->name;
	}
}
