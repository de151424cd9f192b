/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit reasons, by table, and names for what goes wrong at an entry.  Pure. */
#include <arch/x86_64/vmx/vmx.h>

#define UNDEFINED(name)                                \
	{                                              \
		name, EXIT_UNDEFINED, 0, 0, 0, 0, NULL \
	}

/*
 * The table also has instructions that guests do not have but that exit whatever the controls say,
 * TDCALL on a CPU with TDX for example, and some reasons whose controls are off.
 */
const struct vmx_reason vmx_reasons[VMX_REASON_NR] = {
	[VMX_REASON_EXCEPTION] = { "exception or NMI", EXIT_NONE, 0, 1, 1, 0,
				   vmx_decode_exception },
	[VMX_REASON_EXTERNAL_INTERRUPT] = { "external interrupt", EXIT_INTERRUPT, 0, 0, 0, 0,
					    vmx_decode_interrupt },
	[VMX_REASON_TRIPLE_FAULT] = { "triple fault", EXIT_SHUTDOWN, 0, 0, 0, 0, NULL },
	[VMX_REASON_INTERRUPT_WINDOW] = { "interrupt window", EXIT_INTERRUPT_WINDOW, 0, 0, 0, 0,
					  NULL },
	[VMX_REASON_NMI_WINDOW] = { "NMI window", EXIT_NMI_WINDOW, 0, 0, 0, 0, NULL },
	[VMX_REASON_TASK_SWITCH] = { "task switch", EXIT_NONE, 1, 1, 1, 0, vmx_decode_task_switch },
	[VMX_REASON_CPUID] = { "CPUID", EXIT_CPUID, 1, 0, 0, 0, NULL },
	[VMX_REASON_HLT] = { "HLT", EXIT_HLT, 1, 0, 0, 1, NULL },
	[VMX_REASON_INVD] = { "INVD", EXIT_CACHE, 1, 0, 0, 1, NULL },
	[VMX_REASON_WBINVD] = { "WBINVD", EXIT_CACHE, 1, 0, 0, 1, NULL },
	[VMX_REASON_RDPMC] = { "RDPMC", EXIT_FORBIDDEN, 0, 0, 0, 0, NULL },
	[VMX_REASON_VMCALL] = { "VMCALL", EXIT_HYPERCALL, 1, 0, 0, 1, NULL },
	[VMX_REASON_GETSEC] = UNDEFINED("GETSEC"),
	[19] = UNDEFINED("VMCLEAR"),
	[20] = UNDEFINED("VMLAUNCH"),
	[21] = UNDEFINED("VMPTRLD"),
	[22] = UNDEFINED("VMPTRST"),
	[23] = UNDEFINED("VMREAD"),
	[24] = UNDEFINED("VMRESUME"),
	[25] = UNDEFINED("VMWRITE"),
	[26] = UNDEFINED("VMXOFF"),
	[VMX_REASON_VMXON] = UNDEFINED("VMXON"),
	[VMX_REASON_INVEPT] = UNDEFINED("INVEPT"),
	[VMX_REASON_INVVPID] = UNDEFINED("INVVPID"),
	[VMX_REASON_MWAIT] = UNDEFINED("MWAIT"),
	[VMX_REASON_MONITOR] = UNDEFINED("MONITOR"),
	[VMX_REASON_CR] = { "control register access", EXIT_CR8, 1, 1, 0, 1, vmx_cr_exit },
	[VMX_REASON_IO] = { "I/O instruction", EXIT_IO, 1, 1, 0, 0, vmx_decode_io },
	[VMX_REASON_RDMSR] = { "RDMSR", EXIT_RDMSR, 1, 0, 0, 1, NULL },
	[VMX_REASON_WRMSR] = { "WRMSR", EXIT_WRMSR, 1, 0, 0, 1, NULL },
	[VMX_REASON_INVALID_STATE] = { "entry failed: invalid guest state", EXIT_ENTRY_FAILED, 0, 1,
				       0, 0, NULL },
	[VMX_REASON_MSR_LOAD] = { "entry failed: MSR loading", EXIT_ENTRY_FAILED, 0, 1, 0, 0,
				  NULL },
	[VMX_REASON_PAUSE] = { "PAUSE", EXIT_PAUSE, 1, 0, 0, 0, NULL },
	[VMX_REASON_MACHINE_CHECK] = { "machine check during entry", EXIT_MACHINE_CHECK, 0, 0, 0, 0,
				       NULL },
	[VMX_REASON_TPR_BELOW] = { "TPR below threshold", EXIT_TPR_BELOW, 0, 0, 0, 0, NULL },
	[VMX_REASON_EPT_VIOLATION] = { "EPT violation", EXIT_P2M_FAULT, 0, 1, 1, 0,
				       vmx_decode_ept },
	[VMX_REASON_EPT_MISCONFIG] = { "EPT misconfiguration", EXIT_UNKNOWN, 0, 0, 0, 0, NULL },
	[VMX_REASON_PREEMPTION_TIMER] = { "preemption timer", EXIT_PREEMPT, 0, 0, 0, 0, NULL },
	[58] = UNDEFINED("INVPCID"),
	[59] = UNDEFINED("VMFUNC"),
	[60] = UNDEFINED("ENCLS"),
	[63] = UNDEFINED("XSAVES"),
	[64] = UNDEFINED("XRSTORS"),
	[65] = UNDEFINED("PCONFIG"),
	[67] = UNDEFINED("UMWAIT"),
	[68] = UNDEFINED("TPAUSE"),
	[69] = UNDEFINED("LOADIWKEY"),
	[70] = UNDEFINED("ENCLV"),
	[VMX_REASON_SEAMCALL] = UNDEFINED("SEAMCALL"),
	[VMX_REASON_TDCALL] = UNDEFINED("TDCALL"),
	[78] = UNDEFINED("RDMSRLIST"),
	[79] = UNDEFINED("WRMSRLIST"),
	[VMX_REASON_XSETBV] = { "XSETBV", EXIT_NONE, 1, 0, 0, 1, vmx_decode_xsetbv },
};

/* SDM: "VM-Entry Failures During or After Loading Guest State"; what the qualification tells. */
const char *vmx_invalid_state(u64 qualification)
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
