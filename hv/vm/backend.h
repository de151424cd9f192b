/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boundary with the CPU: one table, filled by the VMX back end, the SVM
 * back end and the tests' fake, chosen once at boot.  A back end turns what
 * its hardware reports into a struct vmexit; nothing above it sees a raw exit
 * reason.
 */
#ifndef HV_BACKEND_H
#define HV_BACKEND_H

#include <mm/p2m.h>

struct vcpu;

enum vmexit_kind {
	EXIT_NONE,	/* dealt with by the back end: enter again */
	EXIT_INTERRUPT, /* a host interrupt came and has been served */
	EXIT_PREEMPT,	/* the deadline given to run() passed */
	EXIT_CPUID,
	EXIT_HYPERCALL,
	EXIT_IO,
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_P2M_FAULT,
	EXIT_CR8,
	EXIT_TPR_BELOW, /* the guest has lowered CR8: see tpr_exit() */
	EXIT_INTERRUPT_WINDOW,
	EXIT_NMI_WINDOW,
	EXIT_CACHE,	/* INVD, WBINVD: nothing to do */
	EXIT_UNDEFINED, /* an instruction that guests do not have: #UD */
	EXIT_FORBIDDEN, /* one whose operand they never have: #GP */
	EXIT_SHUTDOWN,	/* triple fault */
	EXIT_MACHINE_CHECK,
	EXIT_ENTRY_FAILED, /* the guest's state is not one the CPU accepts */
	EXIT_UNKNOWN,
	EXIT_NR_KINDS
};

struct vmexit {
	enum vmexit_kind kind;
	u8 length; /* of the instruction, where there is one */
	u8 cpl; /* who executed it, where a kernel alone may; the CPU is not trusted to ask first */
	union {
		struct {
			u16 port;
			u8 size; /* 1, 2, 4 */
			bool in, string;
		} io;
		struct {
			gpa_t gpa;
			bool read, write, exec;
		} fault;
		struct {
			bool write;
			u8 gpr;
		} cr8;
		struct {
			u64 reason, info;
			const char *name;
		} raw; /* for the dump */
	};
};

enum { VEC_DB = 1, VEC_NMI = 2, VEC_UD = 6, VEC_GP = 13, VEC_PF = 14, VEC_MC = 18 };

struct guest_segment {
	u16 selector;
	u32 limit;
	u64 base;
	u32 attr; /* as in the VMCS: type, S, DPL, P, AVL, L, D, G, unusable (bit 16) */
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_NR };

/* Everything that INIT, SIPI and a boot loader set, and that a dump prints. */
struct guest_state {
	u64 rip, rsp, rflags;
	u64 cr0, cr3, cr4, efer;
	struct guest_segment seg[SEG_NR];
	u64 gdtr_base, idtr_base;
	u32 gdtr_limit, idtr_limit;
};

enum guest_reg {
	GREG_RIP,
	GREG_RSP,
	GREG_RFLAGS,
	GREG_CR0,
	GREG_CR3,
	GREG_CR4,
	GREG_EFER,
	GREG_FS_BASE,
	GREG_GS_BASE,
	GREG_SYSENTER_CS,
	GREG_SYSENTER_ESP,
	GREG_SYSENTER_EIP,
	GREG_PAT,
	GREG_CR2,
	GREG_TSC_OFFSET,
	/* Only read: */
	GREG_CS_ATTR, /* as in struct guest_segment */
	GREG_CPL,
};

struct cpu_backend {
	const char *name;
	const struct pt_format *format;
	u8 hypercall_opcode[3];
	const char *vendor; /* as CPUID spells it */

	/* Is the hardware there and usable? HV_ENOENT: not this kind; others: logged, in words. */
	int (*probe)(void);
	/* On each CPU. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_destroy)(struct vcpu *v);

	/* Puts the vCPU on this CPU, and takes it off. Between them the rest may be called. */
	void (*vcpu_load)(struct vcpu *v);
	void (*vcpu_unload)(struct vcpu *v);

	/* Enters the guest until something happens, at the latest at TSC @deadline. */
	void (*run)(struct vcpu *v, u64 deadline, struct vmexit *exit);

	/* Moves past the instruction of v->advance bytes now; run() would do it at entry. */
	void (*retire)(struct vcpu *v);

	/* Forgets this CPU's cached translations of the vCPU's p2m. */
	void (*flush)(struct vcpu *v);

	/* May an interrupt (NMI) be injected now? */
	bool (*interruptible)(struct vcpu *v);
	bool (*nmi_allowed)(struct vcpu *v);
	void (*inject_interrupt)(struct vcpu *v, u8 vector);
	void (*inject_nmi)(struct vcpu *v);
	/* A fault (all but #DB) is told to have RFLAGS.RF set, as the CPU's own are. */
	void (*inject_exception)(struct vcpu *v, u8 vector, bool has_error, u32 error);
	/* Exit as soon as an interrupt (NMI) could be injected. */
	void (*interrupt_window)(struct vcpu *v, bool on);
	void (*nmi_window)(struct vcpu *v, bool on);

	/*
	 * The upper half of the local APIC's TPR, which the guest reads and writes as CR8, most
	 * often without an exit; and the value that it must not fall below without one, 0: none.
	 * @below is at most what the TPR is.
	 */
	u8 (*get_cr8)(struct vcpu *v);
	void (*set_cr8)(struct vcpu *v, u8 value);
	void (*tpr_exit)(struct vcpu *v, u8 below);

	/* INIT: forgets events that were on their way, resets debug registers and CR2. */
	void (*init_events)(struct vcpu *v);
	void (*get_state)(struct vcpu *v, struct guest_state *s);
	void (*set_state)(struct vcpu *v, const struct guest_state *s);
	u64 (*get_reg)(struct vcpu *v, enum guest_reg r);
	void (*set_reg)(struct vcpu *v, enum guest_reg r, u64 value);

	/*
	 * The host's own CPUID, for the policy; IA32_ARCH_CAPABILITIES for guests (0: no
	 * such MSR); XCR0 bits that guests may set.
	 */
	void (*host_cpuid)(u32 leaf, u32 sub, u32 regs[4]);
	u64 (*arch_capabilities)(void);
	u64 (*xcr0_mask)(void);
};

extern const struct cpu_backend *backend;

#endif
