/* SPDX-License-Identifier: BSD-2-Clause */
/* VMREAD and VMWRITE, and the contents of a new VMCS. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/base/string.h>
#include <hv/vm/vm.h>

#define PLE_GAP 128	/* TSC ticks between two PAUSEs that belong to the same loop */
#define PLE_WINDOW 4096 /* TSC ticks that the loop may last before an exit */

void vmx_read_failed(u32 field)
{
	plat_panic("VMREAD of field %x failed", field);
}

void vmx_write_failed(u32 field, u64 value)
{
	u64 error = 0;

	asm volatile("vmread %1, %0" : "+r"(error) : "r"((u64)VMCS_INSTRUCTION_ERROR) : "cc");
	plat_panic("VMWRITE of %lx to field %x failed: %s", value, field,
		   vmx_instruction_error((u32)error));
}

/*
 * The guest reaches these MSRs without an exit: the VMCS or guestregs switch them. One page for all
 * VMs. SDM: "MSR-Bitmap Address".
 */
static u8 *msr_bitmap;

static void allow_msr(u32 msr, bool write)
{
	u32 base = msr >= 0xc0000000 ? 1024 : 0, bit = msr & 0x1fff;

	msr_bitmap[base + bit / 8] &= (u8) ~(1u << (bit % 8));
	if (write)
		msr_bitmap[2048 + base + bit / 8] &= (u8) ~(1u << (bit % 8));
}

int vmx_msr_bitmap_init(void)
{
	if (msr_bitmap)
		return HV_OK;
	msr_bitmap = frame_alloc_pages(0);
	if (!msr_bitmap)
		return HV_ENOMEM;
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	for (u32 i = 0; i < nr_guest_own_msrs; i++)
		allow_msr(guest_own_msrs[i], true);
	allow_msr(MSR_IA32_TSC, false);
	allow_msr(MSR_EFER, false);
	allow_msr(MSR_IA32_PAT, false);
	return HV_OK;
}

/* Sets the host state that differs from CPU to CPU; at each load on a CPU. */
void vmx_vmcs_load_host(void)
{
	struct cpu *c = this_cpu();
	struct {
		u16 limit;
		u64 base;
	} __packed idtr;

	asm volatile("sidt %0" : "=m"(idtr));
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_GS_BASE, (u64)c);
	vmwrite(VMCS_HOST_TR_BASE, (u64)&c->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, (u64)c->gdt);
	vmwrite(VMCS_HOST_IDTR_BASE, (u64)idtr.base);
}

static void init_host(void)
{
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_CS, SEL_CODE);
	vmwrite(VMCS_HOST_SS, SEL_DATA);
	vmwrite(VMCS_HOST_DS, SEL_DATA);
	vmwrite(VMCS_HOST_ES, SEL_DATA);
	vmwrite(VMCS_HOST_FS, 0);
	vmwrite(VMCS_HOST_GS, 0);
	vmwrite(VMCS_HOST_TR, SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

void vmx_vmcs_init(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);

	x->cpu_controls = vmx_caps.cpu;
	vmwrite(VMCS_PIN_CONTROLS, vmx_caps.pin);
	vmwrite(VMCS_CPU_CONTROLS, vmx_caps.cpu);
	vmwrite(VMCS_CPU_CONTROLS2, vmx_caps.cpu2);
	if (vmx_caps.cpu2 & CPU2_PLE) {
		vmwrite(VMCS_PLE_GAP, PLE_GAP);
		vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	vmwrite(VMCS_EXIT_CONTROLS, vmx_caps.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.entry);
	/*
	 * #DB and #AC, too: a guest that makes their delivery raise them again would otherwise
	 * never leave the CPU.
	 */
	vmwrite(VMCS_EXCEPTION_BITMAP, BIT(VEC_MC) | BIT(VEC_DB) | BIT(17));
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGETS, 0);
	vmwrite(VMCS_EXIT_MSR_STORE, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD, 0);
	vmwrite(VMCS_ENTRY_INTERRUPT_INFO, 0);
	vmwrite(VMCS_MSR_BITMAP, plat_pa(msr_bitmap).v);
	vmwrite(VMCS_TSC_OFFSET, v->tsc_offset);
	if (vmx_caps.cpu & CPU_TPR_SHADOW) {
		vmwrite(VMCS_VIRTUAL_APIC, plat_pa(x).v);
		vmwrite(VMCS_TPR_THRESHOLD, 0);
	}
	vmwrite(VMCS_LINK_POINTER, UINT64_MAX);
	vmwrite(VMCS_VPID, 1 + v->vm->id * MAX_VCPUS + v->index);
	/* "Extended-Page-Table Pointer": write-back, four levels, A/D flags */
	x->ept_pointer =
		v->vm->p2m.root.v | 6 | (PT_LEVELS - 1) << 3 | (vmx_caps.ept_ad ? BIT(6) : 0);
	vmwrite(VMCS_EPT_POINTER, x->ept_pointer);

	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_PAT, 0x0007040600070406); /* as after reset */
	vmwrite(VMCS_GUEST_ACTIVITY, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	if (vmx_caps.pin & PIN_PREEMPTION_TIMER)
		vmwrite(VMCS_PREEMPTION_TIMER, 0);
	vmx_init_cr();
	init_host();
	vmx_vmcs_load_host();
}
