/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest registers in the VMCS, and events for the guest. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/base/platform.h>

_Static_assert(SEG_TR == 7 && SEG_ES == 0, "segment fields are in the VMCS's order");

void vmx_get_state(struct vcpu *v, struct guest_state *s)
{
	s->rip = vmread(VMCS_GUEST_RIP);
	s->rsp = vmread(VMCS_GUEST_RSP);
	s->rflags = vmread(VMCS_GUEST_RFLAGS);
	s->cr0 = vmx_get_cr0();
	s->cr3 = vmread(VMCS_GUEST_CR3);
	s->cr4 = vmx_get_cr4();
	s->efer = vmx_of(v)->efer;
	for (u32 i = 0; i < SEG_NR; i++) {
		s->seg[i].selector = (u16)vmread(VMCS_GUEST_ES + i * 2);
		s->seg[i].limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + i * 2);
		s->seg[i].attr = (u32)vmread(VMCS_GUEST_ES_ATTR + i * 2);
		s->seg[i].base = vmread(VMCS_GUEST_ES_BASE + i * 2);
	}
	s->gdtr_base = vmread(VMCS_GUEST_GDTR_BASE);
	s->gdtr_limit = (u32)vmread(VMCS_GUEST_GDTR_LIMIT);
	s->idtr_base = vmread(VMCS_GUEST_IDTR_BASE);
	s->idtr_limit = (u32)vmread(VMCS_GUEST_IDTR_LIMIT);
}

void vmx_put_segments(const struct guest_state *s)
{
	for (u32 i = 0; i < SEG_NR; i++) {
		vmwrite(VMCS_GUEST_ES + i * 2, s->seg[i].selector);
		vmwrite(VMCS_GUEST_ES_LIMIT + i * 2, s->seg[i].limit);
		vmwrite(VMCS_GUEST_ES_ATTR + i * 2, s->seg[i].attr);
		vmwrite(VMCS_GUEST_ES_BASE + i * 2, s->seg[i].base);
	}
}

void vmx_set_state(struct vcpu *v, const struct guest_state *s)
{
	vmwrite(VMCS_GUEST_RIP, s->rip);
	vmwrite(VMCS_GUEST_RSP, s->rsp);
	vmwrite(VMCS_GUEST_RFLAGS, s->rflags | 2);
	vmwrite(VMCS_GUEST_CR3, s->cr3);
	v->flush_gen = 0;
	vmwrite(VMCS_CR0_SHADOW, s->cr0);
	vmx_set_efer(v, s->efer);
	hv_assert(vmx_set_cr4(v, s->cr4));
	hv_assert(vmx_set_cr0(v, s->cr0));
	vmx_put_segments(s);
	vmwrite(VMCS_GUEST_GDTR_BASE, s->gdtr_base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdtr_limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, s->idtr_base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, s->idtr_limit);
}

void vmx_init_events(struct vcpu *v)
{
	(void)v;
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	guestregs_init_debug();
}

static u32 reg_field(enum guest_reg r)
{
	static const u16 field[] = {
		[GREG_RIP] = VMCS_GUEST_RIP,
		[GREG_RSP] = VMCS_GUEST_RSP,
		[GREG_RFLAGS] = VMCS_GUEST_RFLAGS,
		[GREG_CR3] = VMCS_GUEST_CR3,
		[GREG_FS_BASE] = VMCS_GUEST_FS_BASE,
		[GREG_GS_BASE] = VMCS_GUEST_GS_BASE,
		[GREG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
		[GREG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
		[GREG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
		[GREG_PAT] = VMCS_GUEST_PAT,
		[GREG_TSC_OFFSET] = VMCS_TSC_OFFSET,
		[GREG_CS_ATTR] = VMCS_GUEST_ES_ATTR + SEG_CS * 2,
	};

	return field[r];
}

u64 vmx_get_reg(struct vcpu *v, enum guest_reg r)
{
	switch (r) {
	case GREG_CR0:
		return vmx_get_cr0();
	case GREG_CR4:
		return vmx_get_cr4();
	case GREG_EFER:
		return vmx_of(v)->efer;
	case GREG_CR2: /* the CPU's, while the vCPU is loaded */
		return read_cr2();
	case GREG_CPL:
		return vmread(VMCS_GUEST_ES_ATTR + SEG_SS * 2) >> 5 & 3;
	default:
		return vmread(reg_field(r));
	}
}

void vmx_set_reg(struct vcpu *v, enum guest_reg r, u64 value)
{
	switch (r) {
	case GREG_CR0:
		vmx_set_cr0(v, value);
		break;
	case GREG_CR4:
		vmx_set_cr4(v, value);
		break;
	case GREG_EFER:
		vmx_set_efer(v, value);
		break;
	case GREG_CR2:
		write_cr2(value);
		break;
	default:
		vmwrite(reg_field(r), value);
	}
}

bool vmx_interruptible(struct vcpu *v)
{
	(void)v;
	return vmread(VMCS_GUEST_RFLAGS) & BIT(9) &&
	       !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)) &&
	       !(vmread(VMCS_ENTRY_INTERRUPT_INFO) & INTR_VALID);
}

bool vmx_nmi_allowed(struct vcpu *v)
{
	(void)v;
	return !(vmread(VMCS_GUEST_INTERRUPTIBILITY) &
		 (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI)) &&
	       !(vmread(VMCS_ENTRY_INTERRUPT_INFO) & INTR_VALID);
}

void vmx_inject_interrupt(struct vcpu *v, u8 vector)
{
	(void)v;
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, INTR_VALID | INTR_TYPE_EXTERNAL | vector);
}

void vmx_inject_nmi(struct vcpu *v)
{
	(void)v;
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, INTR_VALID | INTR_TYPE_NMI | VEC_NMI);
}

void vmx_inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	bool real_mode = !(vmx_get_cr0() & CR0_PE);

	(void)v;
	if (vector != VEC_DB)
		vmwrite(VMCS_GUEST_RFLAGS, vmread(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	has_error &= !real_mode; /* SDM: "VM-Entry Controls for Event Injection" */
	if (has_error)
		vmwrite(VMCS_ENTRY_ERROR_CODE, error);
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO,
		INTR_VALID | INTR_TYPE_HARD_EXCEPTION | vector | (has_error ? INTR_ERROR_CODE : 0));
}

/*
 * SDM: "Exit Qualification for Debug Exceptions": the CPU leaves DR6 and DR7.GD to us, also at an
 * injection.
 */
void vmx_note_debug(u64 dr6)
{
	write_dr6((read_dr6() & ~0xfUL) | dr6 | 0xffff0ff0);
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
}

void vmx_inject_debug(struct vcpu *v, u64 dr6)
{
	vmx_note_debug(dr6);
	vmx_inject_exception(v, VEC_DB, false, 0);
}

static void set_cpu_control(struct vcpu *v, u32 bit, bool on)
{
	struct vmx_vcpu *x = vmx_of(v);

	x->cpu_controls = on ? x->cpu_controls | bit : x->cpu_controls & ~bit;
	vmwrite(VMCS_CPU_CONTROLS, x->cpu_controls);
}

void vmx_interrupt_window(struct vcpu *v, bool on)
{
	set_cpu_control(v, CPU_INTERRUPT_WINDOW, on);
}

void vmx_nmi_window(struct vcpu *v, bool on)
{
	set_cpu_control(v, CPU_NMI_WINDOW, on);
}

u8 vmx_get_cr8(struct vcpu *v)
{
	return (u8)(*(volatile u32 *)&vmx_of(v)->vtpr >> 4 & 15);
}

void vmx_set_cr8(struct vcpu *v, u8 value)
{
	*(volatile u32 *)&vmx_of(v)->vtpr = (u32)value << 4;
}

/* Without the TPR shadow each access exits. */
void vmx_tpr_exit(struct vcpu *v, u8 below)
{
	(void)v;
	if (vmx_caps.cpu & CPU_TPR_SHADOW)
		vmwrite(VMCS_TPR_THRESHOLD, below);
}
