/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX back end: probe, enable, load, run.  It owns the VMXON regions and
 * the VMCSs; a vCPU's VMCS is current and active only between load and unload,
 * so no CPU ever has to clear another's.
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/errata.h>
#include <arch/x86_64/quirks/identify.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/backend.h>
#include <arch/x86_64/vmx/vmx.h>
#include <hv/base/log.h>
#include <hv/vm/vm.h>

_Static_assert(offsetof(struct vcpu, gpr) == 0 && offsetof(struct vcpu, spec_ctrl) == 128,
	       "VCPU_SPEC_CTRL in guest_exit.inc");

struct vmx_caps vmx_caps;

static bool vmx_on(u64 pa)
{
	bool failed;

	asm volatile("vmxon %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

static void vmcs_clear(u64 pa)
{
	bool failed;

	asm volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	if (unlikely(failed))
		plat_panic("VMCLEAR %lx failed", pa);
}

static void vmcs_load(u64 pa)
{
	bool failed;

	asm volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	if (unlikely(failed))
		plat_panic("VMPTRLD %lx failed", pa);
}

static void invept(u64 type, u64 ept_pointer)
{
	struct {
		u64 eptp, zero;
	} d = { ept_pointer, 0 };
	bool failed;

	asm volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
	if (unlikely(failed))
		plat_panic("INVEPT type %lu failed", type);
}

static void read_msrs(struct vmx_msrs *m)
{
	bool true_msrs;

	m->basic = rdmsr(MSR_VMX_BASIC);
	true_msrs = m->basic & VMX_BASIC_TRUE;
	m->pin = rdmsr(true_msrs ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN);
	m->cpu = rdmsr(true_msrs ? MSR_VMX_TRUE_CPU : MSR_VMX_CPU);
	m->exit = rdmsr(true_msrs ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
	m->entry = rdmsr(true_msrs ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
	m->misc = rdmsr(MSR_VMX_MISC);
	m->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	m->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	m->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	m->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	if (m->cpu >> 32 & CPU_SECONDARY) {
		m->cpu2 = rdmsr(MSR_VMX_CPU2);
		rdmsr_safe(MSR_VMX_EPT_VPID, &m->ept_vpid);
	}
}

/* The timer that ends a run of the guest. */
static void choose_timer(void)
{
	bool there = vmx_caps.pin & PIN_PREEMPTION_TIMER;
	struct cpu_id id;

	cpu_identify(&id);
	if (there && !errata_preemption_timer(&id)) {
		log_line("vmx: preemption timer TSC/%u", 1u << vmx_caps.timer_shift);
		return;
	}
	vmx_caps.pin &= ~(u32)PIN_PREEMPTION_TIMER;
	log_line("vmx: %s preemption timer, the APIC's is used", there ? "an unreliable" : "no");
}

static int vmx_probe(void)
{
	struct vmx_msrs m = { 0 };
	const char *missing;
	u64 feature, want;

	if (!(cpuid(1, 0).c & BIT(5)))
		return HV_ENOENT; /* boot/main.c logs it if no other back end fits */
	rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &feature);
	missing = vmx_feature_control(feature, &want);
	if (missing)
		return log_error(HV_ENODEV, "vmx: %s", missing);
	log_line("vmx: the firmware left VT-x %s", want == feature ? "on" : "unlocked: locked on");
	read_msrs(&m);
	missing = vmx_caps_check(&m, &vmx_caps);
	if (missing)
		return log_error(HV_ENODEV, "vmx: this CPU's VT-x lacks %s; Aerostat needs it",
				 missing);
	ept_format.large_no_exec = mitigations.no_exec_large;
	ept_format.gib_pages = vmx_caps.ept_vpid & EPT_CAP_1G;
	if (!vmx_caps.ept_ad)
		ept_format.accessed = ept_format.dirty = 0;
	log_line("vmx: EPT%s%s, VPID, unrestricted guest",
		 ept_format.gib_pages ? " with 1 GiB pages" : "",
		 vmx_caps.ept_ad ? ", accessed and dirty flags" : "");
	choose_timer();
	return HV_OK;
}

static int vmx_cpu_enable(void)
{
	u64 feature, want;
	u32 *region;

	rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &feature);
	if (vmx_feature_control(feature, &want) ||
	    (want != feature && !wrmsr_safe(MSR_IA32_FEATURE_CONTROL, want)))
		return log_error(
			HV_ENODEV,
			"vmx: locked off on CPU %u only, which is not used; update the firmware",
			plat_cpu());
	region = frame_alloc_pages(0);
	if (!region || vmx_msr_bitmap_init())
		return HV_ENOMEM;
	*region = vmx_caps.revision;
	write_cr0((read_cr0() | vmx_caps.cr0_fixed0) & vmx_caps.cr0_fixed1);
	write_cr4((read_cr4() | vmx_caps.cr4_fixed0) & vmx_caps.cr4_fixed1);
	if (!vmx_on(plat_pa(region).v)) {
		frame_free_pages(region);
		return log_error(HV_ENODEV, "vmx: VMXON fails on CPU %u", plat_cpu());
	}
	this_cpu()->backend = region;
	/* Software that ran before us may have left translations behind. */
	if (vmx_caps.ept_vpid & EPT_CAP_INVEPT_ALL)
		invept(2, 0);
	return HV_OK;
}

static void vmx_cpu_disable(void)
{
	if (!this_cpu()->backend)
		return;
	asm volatile("vmxoff" ::: "cc");
	write_cr4(read_cr4() & ~CR4_VMXE);
	frame_free_pages(this_cpu()->backend);
	this_cpu()->backend = NULL;
}

static int vmx_vcpu_init(struct vcpu *v)
{
	struct vmx_vcpu *x = frame_alloc_pages(0);

	_Static_assert(sizeof(*x) <= PAGE_SIZE, "one page");
	if (!x)
		return HV_ENOMEM;
	v->arch = x;
	x->vmcs = frame_alloc_pages(0);
	if (!x->vmcs || guestregs_init(&x->regs)) {
		frame_free_pages(x->vmcs);
		frame_free_pages(x);
		v->arch = NULL;
		return HV_ENOMEM;
	}
	*(u32 *)x->vmcs = vmx_caps.revision;
	x->vmcs_pa = plat_pa(x->vmcs).v;
	vmcs_clear(x->vmcs_pa);
	vmcs_load(x->vmcs_pa);
	vmx_vmcs_init(v);
	vmcs_clear(x->vmcs_pa);
	return HV_OK;
}

static void vmx_vcpu_destroy(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);

	if (!x)
		return;
	guestregs_destroy(&x->regs);
	frame_free_pages(x->vmcs);
	frame_free_pages(x);
	v->arch = NULL;
}

static void vmx_vcpu_load(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);

	mitigate_vm_load(v->vm->run);
	vmcs_load(x->vmcs_pa);
	if (v->last_cpu != plat_cpu())
		vmx_vmcs_load_host();
	guestregs_load(&x->regs);
}

static void vmx_vcpu_unload(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);

	guestregs_save(&x->regs);
	vmcs_clear(x->vmcs_pa);
	x->launched = 0;
}

static void vmx_flush(struct vcpu *v)
{
	bool single = vmx_caps.ept_vpid & EPT_CAP_INVEPT_SINGLE;

	invept(single ? 1 : 2, single ? vmx_of(v)->ept_pointer : 0);
}

/*
 * Moves past an emulated instruction, as the CPU would have. We inject its trap, because a pending
 * trap is lost when we inject another event, for example a waiting interrupt. Inlined: a call takes
 * 8 of the 250 instructions that a hypercall may take.
 */
static inline __attribute__((always_inline)) void retire(struct vcpu *v)
{
	u32 blocked = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);

	vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + v->advance);
	if (unlikely(blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			blocked & ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	v->advance = 0;
	/* A debugger in the guest steps over it like over any other instruction. */
	if (unlikely(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
		vmx_inject_debug(v, DR6_BS);
}

static void entry_failed(struct vcpu *v, struct vmexit *e, int how)
{
	u32 error = how == 2 ? (u32)vmread(VMCS_INSTRUCTION_ERROR) : 0;

	(void)v;
	e->kind = EXIT_ENTRY_FAILED;
	e->raw.reason = (u64)how;
	e->raw.info = error;
	e->raw.name = vmx_instruction_error(error);
}

static void vmx_run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	struct vmx_vcpu *x = vmx_of(v);
	s64 left = (s64)(deadline - rdtsc());
	u64 ticks = left > 0 ? (u64)left >> vmx_caps.timer_shift : 0;
	int how;

	if (likely(vmx_caps.pin & PIN_PREEMPTION_TIMER)) {
		vmwrite(VMCS_PREEMPTION_TIMER, min(ticks, (u64)UINT32_MAX));
	} else if (left > 0) {
		apic_timer_set(deadline); /* its interrupt exits */
	} else {
		e->kind = EXIT_PREEMPT;
		return;
	}
	if (v->advance)
		retire(v);
	if (unlikely(mitigate_entries))
		mitigate_entry(v->spec_ctrl);
	how = vmx_enter(v->gpr, x->launched);
	if (unlikely(how)) {
		entry_failed(v, e, how);
		return;
	}
	x->launched = 1;
	vmx_decode_exit(v, e);
}

static void host_cpuid(u32 leaf, u32 sub, u32 regs[4])
{
	mitigate_host_cpuid(leaf, sub, regs);
	/* Hide instructions from the guest that our controls do not let it execute. */
	if (leaf == 7 && !(vmx_caps.cpu2 & CPU2_INVPCID))
		regs[1] &= ~(u32)BIT(10);
	if (leaf == 7 && !(vmx_caps.cpu2 & CPU2_RDTSCP))
		regs[2] &= ~(u32)BIT(22);
	if (leaf == 0x80000001 && !(vmx_caps.cpu2 & CPU2_RDTSCP))
		regs[3] &= ~(u32)BIT(27);
}

const struct cpu_backend vmx_backend = {
	.name = "VT-x/EPT",
	.format = &ept_format,
	.hypercall_opcode = { 0x0f, 0x01, 0xc1 },
	.vendor = "GenuineIntel",
	.probe = vmx_probe,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_unload = vmx_vcpu_unload,
	.run = vmx_run,
	.retire = retire,
	.flush = vmx_flush,
	.interruptible = vmx_interruptible,
	.nmi_allowed = vmx_nmi_allowed,
	.inject_interrupt = vmx_inject_interrupt,
	.inject_nmi = vmx_inject_nmi,
	.inject_exception = vmx_inject_exception,
	.interrupt_window = vmx_interrupt_window,
	.nmi_window = vmx_nmi_window,
	.get_cr8 = vmx_get_cr8,
	.set_cr8 = vmx_set_cr8,
	.tpr_exit = vmx_tpr_exit,
	.init_events = vmx_init_events,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.get_reg = vmx_get_reg,
	.set_reg = vmx_set_reg,
	.host_cpuid = host_cpuid,
	.arch_capabilities = mitigate_guest_arch_caps,
	.xcr0_mask = guestregs_xcr0_mask,
};
