/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CR0, CR4 and EFER of the guest. VMX needs bits set that the guest does not see (NE, VMXE): the
 * masks make these bits exit, and the shadows show the guest its own values. Changes of PG exit,
 * too, because LMA and the "IA-32e mode guest" control must follow them.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/exit/cpuid.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define CR0_OURS (CR0_PG | CR0_PE | CR0_NE | CR0_CD | CR0_NW)
#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

void vmx_init_cr(void)
{
	vmwrite(VMCS_CR0_MASK, CR0_OURS);
	vmwrite(VMCS_CR4_MASK, ~cpuid_cr4_mask() | CR4_VMXE | CR4_PAE | CR4_MCE);
}

u64 vmx_get_cr0(void)
{
	u64 ours = CR0_OURS;

	return (vmread(VMCS_CR0_SHADOW) & ours) | (vmread(VMCS_GUEST_CR0) & ~ours);
}

u64 vmx_get_cr4(void)
{
	u64 ours = vmread(VMCS_CR4_MASK);

	return (vmread(VMCS_CR4_SHADOW) & ours) | (vmread(VMCS_GUEST_CR4) & ~ours);
}

/* With PAE paging the four PDPTEs are in the VMCS. SDM: "PDPTE Registers" */
static bool load_pdptes(struct vcpu *v, u64 cr0, u64 cr4, u64 efer)
{
	u64 pdpte[4];
	gpa_t at = GPA(vmread(VMCS_GUEST_CR3) & 0xffffffe0);

	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || efer & EFER_LMA)
		return true;
	if (guest_read(&v->vm->p2m, at, pdpte, sizeof(pdpte)))
		return false;
	for (u32 i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + i * 2, pdpte[i]);
	return true;
}

bool vmx_load_pdptes(struct vcpu *v)
{
	return load_pdptes(v, vmx_get_cr0(), vmx_get_cr4(), vmx_of(v)->efer);
}

void vmx_set_efer(struct vcpu *v, u64 value)
{
	u32 entry = vmx_caps.entry & ~(u32)ENTRY_IA32E;

	vmx_of(v)->efer = value;
	vmwrite(VMCS_GUEST_EFER, value);
	vmwrite(VMCS_ENTRY_CONTROLS, entry | (value & EFER_LMA ? ENTRY_IA32E : 0));
}

bool vmx_set_cr0(struct vcpu *v, u64 value)
{
	u64 efer = vmx_of(v)->efer, cr4 = vmx_get_cr4();
	bool was_paging = vmread(VMCS_CR0_SHADOW) & CR0_PG;

	if (value >> 32)
		return false;
	value = (value & CR0_DEFINED) | CR0_ET; /* the others are ignored */
	if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		return false;
	if (value & CR0_PG && !was_paging && efer & EFER_LME) {
		if (!(cr4 & CR4_PAE))
			return false;
		efer |= EFER_LMA;
	} else if (!(value & CR0_PG)) {
		if (was_paging && cr4 & CR4_PCIDE)
			return false;
		efer &= ~(u64)EFER_LMA;
	}
	if (!load_pdptes(v, value, cr4, efer))
		return false;
	if (efer != vmx_of(v)->efer)
		vmx_set_efer(v, efer);
	if (was_paging != !!(value & CR0_PG))
		v->flush_gen = 0; /* SDM: "Operations that Invalidate TLBs" */
	vmwrite(VMCS_CR0_SHADOW, value);
	vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE);
	return true;
}

bool vmx_set_cr4(struct vcpu *v, u64 value)
{
	u64 efer = vmx_of(v)->efer;

	if (value & ~cpuid_cr4_mask() || (value & CR4_PCIDE && !(efer & EFER_LMA)))
		return false;
	if (efer & EFER_LMA && !(value & CR4_PAE))
		return false;
	if (!load_pdptes(v, vmx_get_cr0(), value, efer))
		return false;
	v->flush_gen = 0;
	vmwrite(VMCS_CR4_SHADOW, value);
	/* Without MCE a machine check in the guest would shut the CPU down and not exit. */
	vmwrite(VMCS_GUEST_CR4, value | vmx_caps.cr4_fixed0 | CR4_MCE);
	return true;
}

/* SDM: "Exit Qualification for Control-Register Accesses" */
void vmx_cr_exit(struct vcpu *v, struct vmexit *e, u64 qualification)
{
	u32 cr = qualification & 15, type = qualification >> 4 & 3, gpr = qualification >> 8 & 15;
	u64 value = gpr == GPR_RSP ? vmread(VMCS_GUEST_RSP) : v->gpr[gpr];
	bool ok;

	if (cr == 8 && type <= 1) {
		e->kind = EXIT_CR8;
		e->cr8.write = type == 0;
		e->cr8.gpr = (u8)gpr;
		return;
	}
	e->kind = EXIT_NONE;
	if (e->cpl)
		ok = false;
	else if (cr == 0 && type == 0)
		ok = vmx_set_cr0(v, value);
	else if (cr == 0 && type == 3) /* LMSW: sets PE, never clears it */
		ok = vmx_set_cr0(v, (vmx_get_cr0() & ~0xeUL) | (qualification >> 16 & 0xf));
	else if (cr == 4 && type == 0)
		ok = vmx_set_cr4(v, value);
	else {
		e->kind = EXIT_UNKNOWN;
		e->raw.reason = VMX_REASON_CR;
		e->raw.info = qualification;
		e->raw.name = "control register access";
		return;
	}
	if (ok)
		v->advance = e->length;
	else
		vcpu_inject_gp(v);
}
