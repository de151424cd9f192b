/* SPDX-License-Identifier: BSD-2-Clause */
/* From exit reason to struct vmexit, by table. SDM: "VM-Exit Information Fields". */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mce.h>
#include <arch/x86_64/cpu/trap.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/base/log.h>
#include <hv/vm/vm.h>

typedef void (*decode_fn)(struct vcpu *v, struct vmexit *e, u64 qualification);

struct reason {
	const char *name;
	enum vmexit_kind kind;
	bool length; /* the instruction length is valid */
	bool qualification;
	bool vectoring; /* may interrupt the delivery of an event; these have a qualification */
	bool privileged;
	decode_fn decode;
};

/*
 * The exit came while an event was being delivered: deliver it again at the
 * next entry.  SDM: "Information for VM Exits During Event Delivery"
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
	if (type == INTR_TYPE_NMI) /* it blocked NMIs; entry will block them again */
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

static void decode_exception(struct vcpu *v, struct vmexit *e, u64 qualification)
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
	if (vector == VEC_DB) {
		/* SDM: the exit leaves DR6 and DR7.GD for us to do */
		write_dr6((read_dr6() & ~0xfUL) | qualification | 0xffff0ff0);
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~BIT(13));
	}
	e->kind = EXIT_NONE;
	give_back_interrupt(v);
	if ((info & INTR_TYPE_MASK) == INTR_TYPE_ICEBP) {
		/* INT1: delivered as such, or the guest would come back to it for ever */
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

static void decode_interrupt(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	(void)e;
	(void)qualification;
	host_interrupt(vmread(VMCS_EXIT_INTERRUPT_INFO) & 0xff);
}

static void decode_io(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	e->io.size = (u8)((qualification & 7) + 1);
	e->io.in = qualification & BIT(3);
	e->io.string = qualification & BIT(4);
	e->io.port = (u16)(qualification >> 16);
}

static void decode_ept(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	(void)v;
	e->fault.gpa = GPA(vmread(VMCS_GUEST_PHYSICAL));
	e->fault.read = qualification & EPT_QUAL_READ;
	e->fault.write = qualification & EPT_QUAL_WRITE;
	e->fault.exec = qualification & EPT_QUAL_FETCH;
	/* IRET had unblocked NMIs before it faulted: undo that */
	if (qualification & EPT_QUAL_NMI_UNBLOCKED)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

static void decode_xsetbv(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	(void)qualification;
	e->kind = EXIT_NONE;
	if (!e->cpl && guestregs_set_xcr0(&vmx_of(v)->regs, (u32)v->gpr[GPR_RCX], value))
		v->advance = e->length;
	else
		vcpu_inject_gp(v);
}

static const struct reason reasons[VMX_REASON_NR] = {
	[VMX_REASON_EXCEPTION] = { "exception or NMI", EXIT_NONE, 0, 1, 1, 0, decode_exception },
	[VMX_REASON_EXTERNAL_INTERRUPT] = { "external interrupt", EXIT_INTERRUPT, 0, 0, 0, 0,
					    decode_interrupt },
	[VMX_REASON_TRIPLE_FAULT] = { "triple fault", EXIT_SHUTDOWN, 0, 0, 0, 0, NULL },
	[VMX_REASON_INTERRUPT_WINDOW] = { "interrupt window", EXIT_INTERRUPT_WINDOW, 0, 0, 0, 0,
					  NULL },
	[VMX_REASON_NMI_WINDOW] = { "NMI window", EXIT_NMI_WINDOW, 0, 0, 0, 0, NULL },
	[VMX_REASON_TASK_SWITCH] = { "task switch", EXIT_UNKNOWN, 1, 1, 0, 0, NULL },
	[VMX_REASON_CPUID] = { "CPUID", EXIT_CPUID, 1, 0, 0, 0, NULL },
	[VMX_REASON_HLT] = { "HLT", EXIT_HLT, 1, 0, 0, 1, NULL },
	[VMX_REASON_INVD] = { "INVD", EXIT_CACHE, 1, 0, 0, 1, NULL },
	[VMX_REASON_WBINVD] = { "WBINVD", EXIT_CACHE, 1, 0, 0, 1, NULL },
	[VMX_REASON_RDPMC] = { "RDPMC", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_VMCALL] = { "VMCALL", EXIT_HYPERCALL, 1, 0, 0, 1, NULL },
	[19] = { "VMCLEAR", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[20] = { "VMLAUNCH", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[21] = { "VMPTRLD", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[22] = { "VMPTRST", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[23] = { "VMREAD", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[24] = { "VMRESUME", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[25] = { "VMWRITE", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[26] = { "VMXOFF", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_VMXON] = { "VMXON", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_INVEPT] = { "INVEPT", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_INVVPID] = { "INVVPID", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_MWAIT] = { "MWAIT", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_MONITOR] = { "MONITOR", EXIT_UNDEFINED, 1, 0, 0, 0, NULL },
	[VMX_REASON_CR] = { "control register access", EXIT_CR8, 1, 1, 0, 1, vmx_cr_exit },
	[VMX_REASON_IO] = { "I/O instruction", EXIT_IO, 1, 1, 0, 0, decode_io },
	[VMX_REASON_RDMSR] = { "RDMSR", EXIT_RDMSR, 1, 0, 0, 1, NULL },
	[VMX_REASON_WRMSR] = { "WRMSR", EXIT_WRMSR, 1, 0, 0, 1, NULL },
	[VMX_REASON_INVALID_STATE] = { "entry failed: invalid guest state", EXIT_ENTRY_FAILED, 0, 1,
				       0, 0, NULL },
	[VMX_REASON_MSR_LOAD] = { "entry failed: MSR loading", EXIT_ENTRY_FAILED, 0, 1, 0, 0,
				  NULL },
	[VMX_REASON_PAUSE] = { "PAUSE", EXIT_PAUSE, 1, 0, 0, 0, NULL },
	[VMX_REASON_MACHINE_CHECK] = { "machine check during entry", EXIT_MACHINE_CHECK, 0, 0, 0, 0,
				       NULL },
	[VMX_REASON_EPT_VIOLATION] = { "EPT violation", EXIT_P2M_FAULT, 0, 1, 1, 0, decode_ept },
	[VMX_REASON_EPT_MISCONFIG] = { "EPT misconfiguration", EXIT_UNKNOWN, 0, 0, 0, 0, NULL },
	[VMX_REASON_PREEMPTION_TIMER] = { "preemption timer", EXIT_PREEMPT, 0, 0, 0, 0, NULL },
	[VMX_REASON_XSETBV] = { "XSETBV", EXIT_UNDEFINED, 1, 0, 0, 1, decode_xsetbv },
};

/* SDM: "VM-Entry Failures During or After Loading Guest State"; what the qualification adds. */
static const char *invalid_state(u64 qualification)
{
	switch (qualification) {
	case 2:
		return "invalid guest state: the PDPTEs";
	case 3:
		return "invalid guest state: an NMI into a shadow of STI";
	case 4:
		return "invalid guest state: the VMCS link pointer";
	default:
		return "invalid guest state: see the registers above, and the emulator's log";
	}
}

const char *vmx_instruction_error(u32 error)
{
	/* SDM: "VM-Instruction Error Numbers" */
	static const char *const names[] = {
		[1] = "VMCALL in root operation",
		[2] = "VMCLEAR with an invalid address",
		[3] = "VMCLEAR of the VMXON region",
		[4] = "VMLAUNCH of a VMCS that is not clear",
		[5] = "VMRESUME of a VMCS that is not launched",
		[6] = "VMRESUME after VMXOFF",
		[7] = "entry with invalid control fields",
		[8] = "entry with invalid host state",
		[9] = "VMPTRLD with an invalid address",
		[10] = "VMPTRLD of the VMXON region",
		[11] = "VMPTRLD with a wrong revision",
		[12] = "VMREAD or VMWRITE of a field that is not there",
		[13] = "VMWRITE of a read-only field",
		[15] = "VMXON in root operation",
		[26] = "entry with events blocked by MOV SS",
		[28] = "INVEPT or INVVPID with an invalid operand",
	};

	return error < ARRAY_SIZE(names) && names[error] ? names[error] : "unknown error";
}

void vmx_decode_exit(struct vcpu *v, struct vmexit *e)
{
	u32 raw = (u32)vmread(VMCS_EXIT_REASON), number = raw & 0xffff;
	const struct reason *r = &reasons[number < VMX_REASON_NR ? number : 2];
	u64 qualification = 0;

	e->kind = EXIT_UNKNOWN;
	if (unlikely(number >= VMX_REASON_NR || !r->name)) {
		e->raw.reason = raw;
		e->raw.info = vmread(VMCS_EXIT_QUALIFICATION);
		e->raw.name = "unknown";
		return;
	}
	asm("" : "+r"(r)); /* or gcc computes the row's address anew for each field */
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
		e->raw.name =
			number == VMX_REASON_INVALID_STATE ? invalid_state(qualification) : r->name;
	}
}
