/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared among the files of the SVM back end only. */
#ifndef ARCH_SVM_SVM_H
#define ARCH_SVM_SVM_H

#include <arch/x86_64/cpu/guestregs.h>
#include <arch/x86_64/svm/vmcb.h>
#include <hv/vm/vcpu.h>

/* Raw values that describe the CPU. svm_probe() reads them; pure code judges them. */
struct svm_cpuid {
	bool svm;     /* 0x80000001 ECX */
	bool gib;     /* 0x80000001 EDX: 1 GiB pages */
	u32 ebx, edx; /* 0x8000000a */
	u32 seven_ebx;
	u32 phys_bits;
	u64 vm_cr;
};

/* The features that we use. Only nested paging is required. */
struct svm_caps {
	u32 nr_asids;
	u32 phys_bits;
	bool nrip, decode_assists, clean_bits, flush_by_asid;
	bool pause_filter, pause_threshold;
	bool fsgsbase;
	bool ignores_virq; /* VMRUN has ignored a virtual interrupt, as in Bochs */
};
extern struct svm_caps svm_caps;

/* caps.c, pure: fills @caps. Returns NULL, or a message why we cannot use SVM. */
const char *svm_caps_check(const struct svm_cpuid *c, struct svm_caps *caps);

/* The record of one CPU; the backend pointer of struct cpu points to it. */
struct svm_cpu {
	u8 host_save[PAGE_SIZE]; /* VM_HSAVE_PA: for VMRUN alone; its layout is not defined */
	struct vmcb host;	 /* FS, GS, TR ... of the host, for VMLOAD */
	u64 generation;		 /* generation of ASIDs, from 1 */
	u32 last_asid;
};

/* The SVM part of a vCPU; one page. */
struct svm_vcpu {
	struct vmcb *vmcb;
	u64 vmcb_pa;
	u64 generation; /* generation of its ASID; 0: it needs another one */
	u64 gs_base;	/* the guest's, while the vCPU is loaded; the CPU has ours */
	u64 pat;
	u64 cr0, cr4; /* as the guest wrote them: cr.c */
	u32 clean;    /* parts of the VMCB that have not changed since the last entry */
	union {
		struct {
			bool irq_window; /* exit as soon as an interrupt could be taken */
			bool nmi_window; /* report when nmi_masked changes */
			bool mitigate;	 /* mitigate_entries; a copy here saves a test */
			bool virq; /* we gave an interrupt to the CPU; it may not have taken it */
		};
		u32 before_entry; /* any of them */
	};
	u64 shadow_rip;	 /* where the guest was last seen in the shadow of STI or MOV SS */
	bool nmi_masked; /* an NMI handler runs: its IRET is intercepted */
	bool iret_pending;
	u64 iret_rip; /* RIP of the IRET that was intercepted and may not be done yet */
	/* We single-step that IRET, because an NMI waits for it: exit.c */
	bool stepping, guest_tf;
	bool tpr_exit; /* an interrupt waits for a lower TPR */
	u64 guest_dr6;
	u8 virq_missed; /* times in a row that the CPU did not take a virtual interrupt */
	struct guestregs regs;
};

static inline struct svm_vcpu *svm_of(struct vcpu *v)
{
	return v->arch;
}

static inline struct vmcb *vmcb_of(struct vcpu *v)
{
	return svm_of(v)->vmcb;
}

static inline void svm_dirty(struct vcpu *v, u32 what)
{
	svm_of(v)->clean &= ~what;
}

static inline void vmload(u64 pa)
{
	asm volatile("vmload" ::"a"(pa) : "memory");
}

static inline void vmsave(u64 pa)
{
	asm volatile("vmsave" ::"a"(pa) : "memory");
}

/* entry.S: loads @gpr, except RAX and RSP, which are in the VMCB. GIF must be clear. */
void svm_enter(u64 *gpr, u64 vmcb_pa);

/* decode.c, pure: what is left to do after decoding */
enum svm_action {
	SVM_PASS_UP,
	SVM_HOST_EVENT, /* an interrupt, NMI or SMI of the host waits */
	SVM_EXCEPTION,
	SVM_MACHINE_CHECK,
	SVM_IRET,
	SVM_CR,
	SVM_XSETBV,
	SVM_INVALID,
};
enum svm_action svm_decode(const struct vmcb *b, const struct svm_caps *caps, struct vmexit *e);
u64 svm_event_again(u64 exit_int_info);
int svm_interrupt_again(u64 exit_int_info);

enum svm_cr_op { CR_OP_READ, CR_OP_WRITE, CR_OP_LMSW, CR_OP_CLTS, CR_OP_SMSW };
struct svm_cr_insn {
	enum svm_cr_op op;
	u8 gpr, length;
	bool narrow, wide; /* SMSW: with the prefix 0x66, with REX.W */
};
bool svm_decode_cr(const u8 *bytes, size_t len, bool mode64, struct svm_cr_insn *out);

/* check.c, pure: a message for the first VMRUN consistency check that @b fails; NULL: none. */
const char *svm_vmcb_check(const struct vmcb *b, const struct svm_caps *caps);

/*
 * exit.c: puts back the event during whose delivery the exit came; the work that svm_decode() left
 */
void svm_event_interrupted(struct vcpu *v);
void svm_step_iret(struct vcpu *v);
void svm_handle_exit(struct vcpu *v, struct vmexit *e, enum svm_action action);

/* cr.c */
u64 svm_get_cr0(struct vcpu *v);
u64 svm_get_cr4(struct vcpu *v);
bool svm_set_cr0(struct vcpu *v, u64 value);
bool svm_set_cr4(struct vcpu *v, u64 value);
void svm_set_efer(struct vcpu *v, u64 value);
void svm_cr_exit(struct vcpu *v, struct vmexit *e);

/* svm.c */
void svm_flush(struct vcpu *v);
void svm_host_window(struct vcpu *v);
void svm_registers_save(struct vcpu *v);
void svm_registers_load(struct vcpu *v);

/* state.c */
u8 svm_get_cr8(struct vcpu *v);
void svm_set_cr8(struct vcpu *v, u8 value);
void svm_tpr_exit(struct vcpu *v, u8 below);
void svm_init_events(struct vcpu *v);
void svm_get_state(struct vcpu *v, struct guest_state *s);
void svm_set_state(struct vcpu *v, const struct guest_state *s);
u64 svm_get_reg(struct vcpu *v, enum guest_reg r);
void svm_set_reg(struct vcpu *v, enum guest_reg r, u64 value);
bool svm_interruptible(struct vcpu *v);
bool svm_nmi_allowed(struct vcpu *v);
void svm_inject_interrupt(struct vcpu *v, u8 vector);
void svm_inject_nmi(struct vcpu *v);
void svm_inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
void svm_interrupt_window(struct vcpu *v, bool on);
void svm_request_virq(struct vcpu *v, bool on);
bool svm_take_virq(struct vcpu *v);
void svm_withdraw_virq(struct vcpu *v);
void svm_nmi_window(struct vcpu *v, bool on);

/* vmcb.c */
/* Makes the permission maps. Once, on the boot CPU. HV_ENOMEM. */
int svm_maps_init(void);
void svm_vmcb_init(struct vcpu *v);

extern struct pt_format npt_format;

#endif
