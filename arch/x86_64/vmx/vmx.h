/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared among the files of the VMX back end only. */
#ifndef ARCH_VMX_VMX_H
#define ARCH_VMX_VMX_H

#include <arch/x86_64/cpu/guestregs.h>
#include <arch/x86_64/vmx/vmcs.h>
#include <hv/vm/vcpu.h>

/* The CPU's features, as the controls that we will use. */
struct vmx_caps {
	u32 revision;
	u32 pin, cpu, cpu2, exit, entry;
	u64 ept_vpid;
	unsigned int timer_shift; /* preemption timer: TSC >> shift */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	bool ept_ad;
};
extern struct vmx_caps vmx_caps;

/* Raw values of the capability MSRs. vmx_probe() reads them; pure code judges them. */
struct vmx_msrs {
	u64 basic, pin, cpu, exit, entry, misc, cpu2, ept_vpid;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/*
 * Pure: *@want is the value of IA32_FEATURE_CONTROL with which VMXON works; the present one if the
 * firmware has locked it. Returns NULL, or a message why VMXON cannot work.
 */
const char *vmx_feature_control(u64 now, u64 *want);

/* Pure: fills @caps. Returns NULL, or the name of a missing feature. */
const char *vmx_caps_check(const struct vmx_msrs *m, struct vmx_caps *caps);

#define VMX_VTPR 0x80

/* The VMX part of a vCPU; one page. */
struct vmx_vcpu {
	void *vmcs;
	u64 vmcs_pa;
	u64 launched;
	u32 cpu_controls; /* the values in the VMCS */
	u64 ept_pointer;
	u64 efer;
	/*
	 * The guest's TPR. The CPU takes this page as the "virtual-APIC page"; "use TPR shadow"
	 * alone lets it use only these four bytes.
	 */
	u32 vtpr __attribute__((aligned(VMX_VTPR)));
	struct guestregs regs;
};
_Static_assert(offsetof(struct vmx_vcpu, vtpr) == VMX_VTPR, "SDM: Virtualizing MOV to CR8");

static inline struct vmx_vcpu *vmx_of(struct vcpu *v)
{
	return v->arch;
}

void vmx_read_failed(u32 field) __attribute__((noreturn, cold));
void vmx_write_failed(u32 field, u64 value) __attribute__((noreturn, cold));

/* VMREAD and VMWRITE with checked flags; a failure is a bug of ours, and panics. */
static inline u64 vmread(u32 field)
{
	u64 value;

	asm goto volatile("vmread %1, %0\n\tjbe %l2"
			  : "=r"(value)
			  : "r"((u64)field)
			  : "cc", "memory"
			  : failed);
	return value;
failed:
	vmx_read_failed(field);
}

static inline void vmwrite(u32 field, u64 value)
{
	asm goto volatile("vmwrite %0, %1\n\tjbe %l2"
			  :
			  : "r"(value), "r"((u64)field)
			  : "cc", "memory"
			  : failed);
	return;
failed:
	vmx_write_failed(field, value);
}

/* entry.S: 0 after an exit; 1, 2: VMLAUNCH or VMRESUME failed with CF, ZF. */
int vmx_enter(u64 *gpr, u64 launched);

/* reasons.c, pure: the meaning of an exit reason, and the information fields to read. */
struct vmx_reason {
	const char *name;      /* NULL: unknown */
	enum vmexit_kind kind; /* unless decoding finds another kind */
	bool length;	       /* of the instruction */
	bool qualification;
	bool vectoring; /* may come during the delivery of an event; these have a qualification */
	bool privileged;
	void (*decode)(struct vcpu *v, struct vmexit *e, u64 qualification);
};
extern const struct vmx_reason vmx_reasons[VMX_REASON_NR];
const char *vmx_invalid_state(u64 qualification);
const char *vmx_instruction_error(u32 error);

/* exit.c: after a successful vmx_enter(). */
void vmx_decode_exit(struct vcpu *v, struct vmexit *e);
void vmx_decode_exception(struct vcpu *v, struct vmexit *e, u64 qualification);
void vmx_decode_interrupt(struct vcpu *v, struct vmexit *e, u64 qualification);
void vmx_decode_io(struct vcpu *v, struct vmexit *e, u64 qualification);
void vmx_decode_ept(struct vcpu *v, struct vmexit *e, u64 qualification);
void vmx_decode_task_switch(struct vcpu *v, struct vmexit *e, u64 qualification);
void vmx_decode_xsetbv(struct vcpu *v, struct vmexit *e, u64 qualification);

/* cr.c */
bool vmx_set_cr0(struct vcpu *v, u64 value);
bool vmx_set_cr4(struct vcpu *v, u64 value);
void vmx_set_efer(struct vcpu *v, u64 value);
u64 vmx_get_cr0(void);
u64 vmx_get_cr4(void);
void vmx_init_cr(void);
/* Loads the PDPTEs at CR3 into the VMCS; false: CR3 does not point to memory. */
bool vmx_load_pdptes(struct vcpu *v);
void vmx_cr_exit(struct vcpu *v, struct vmexit *e, u64 qualification);

/* vmcs.c */
void vmx_vmcs_init(struct vcpu *v);
void vmx_vmcs_load_host(void);

/* state.c */
u8 vmx_get_cr8(struct vcpu *v);
void vmx_set_cr8(struct vcpu *v, u8 value);
void vmx_tpr_exit(struct vcpu *v, u8 below);
void vmx_init_events(struct vcpu *v);
void vmx_put_segments(const struct guest_state *s);
void vmx_get_state(struct vcpu *v, struct guest_state *s);
void vmx_set_state(struct vcpu *v, const struct guest_state *s);
u64 vmx_get_reg(struct vcpu *v, enum guest_reg r);
void vmx_set_reg(struct vcpu *v, enum guest_reg r, u64 value);
bool vmx_interruptible(struct vcpu *v);
bool vmx_nmi_allowed(struct vcpu *v);
void vmx_inject_interrupt(struct vcpu *v, u8 vector);
void vmx_inject_nmi(struct vcpu *v);
void vmx_note_debug(u64 dr6);
void vmx_inject_debug(struct vcpu *v, u64 dr6);
void vmx_inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
void vmx_interrupt_window(struct vcpu *v, bool on);
void vmx_nmi_window(struct vcpu *v, bool on);

extern struct pt_format ept_format;
extern u8 vmx_exit_entry[];

/* Before the first vCPU. HV_ENOMEM. */
int vmx_msr_bitmap_init(void);

#endif
