/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SVM back end: probe, enable, load, run.  It owns each CPU's host save
 * area and ASIDs, and the VMCBs.
 *
 * From vcpu_load() to vcpu_unload() GIF is clear except in the guest itself and in
 * svm_host_window(), and the CPU keeps the guest's FS, TR, LDTR and SYSENTER registers. #VMEXIT
 * restores none of them, and VMLOAD and VMSAVE at every exit would cost more time than the rest of
 * our path. The hypervisor needs two registers: GS, of which we exchange only the base at each
 * exit, and TR, for the stacks of NMI and #MC; neither can come while GIF is clear. (A #DF in that
 * time, caused by a bug of ours, finds no stack and resets the machine.)
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/backend.h>
#include <arch/x86_64/svm/svm.h>
#include <hv/base/log.h>
#include <hv/vm/vm.h>

_Static_assert(offsetof(struct vcpu, gpr) == 0 && offsetof(struct vcpu, spec_ctrl) == 128,
	       "VCPU_SPEC_CTRL in guest_exit.inc");

struct svm_caps svm_caps;

/* The time until we look again whether the guest has executed a single instruction. */
#define POLL_US 50
#define VIRQ_MISSED_MAX 16 /* times in a row */

static inline u64 gs_base_read(void)
{
	u64 v;

	if (!likely(svm_caps.fsgsbase))
		return rdmsr(MSR_GS_BASE);
	asm volatile("rdgsbase %0" : "=r"(v));
	return v;
}

static inline void gs_base_write(u64 v)
{
	if (likely(svm_caps.fsgsbase))
		asm volatile("wrgsbase %0" ::"r"(v) : "memory");
	else
		wrmsr(MSR_GS_BASE, v);
}

static struct svm_cpu *my(void)
{
	return this_cpu()->backend;
}

static void read_cpuid(struct svm_cpuid *c)
{
	struct cpuid_regs one = cpuid(0x80000001, 0);

	c->svm = one.c & BIT(2);
	c->gib = one.d & BIT(26);
	if (!c->svm)
		return;
	c->ebx = cpuid(0x8000000a, 0).b;
	c->edx = cpuid(0x8000000a, 0).d;
	c->phys_bits = cpuid(0x80000008, 0).a & 0xff;
	c->seven_ebx = cpuid(0, 0).a >= 7 ? cpuid(7, 0).b : 0;
	rdmsr_safe(MSR_VM_CR, &c->vm_cr);
}

static int svm_probe(void)
{
	struct svm_cpuid c = { 0 };
	const char *missing;

	if (cpuid(0x80000000, 0).a < 0x8000000a)
		return HV_ENOENT;
	read_cpuid(&c);
	if (!c.svm)
		return HV_ENOENT; /* boot/main.c logs it if no other back end fits */
	missing = svm_caps_check(&c, &svm_caps);
	if (missing)
		return log_error(HV_ENODEV, "svm: %s", missing);
	npt_format.large_no_exec = mitigations.no_exec_large;
	npt_format.gib_pages = c.gib;
	log_line("svm: NPT%s, %u ASIDs%s%s%s%s%s", c.gib ? " with 1 GiB pages" : "",
		 svm_caps.nr_asids, svm_caps.nrip ? ", NRIP save" : "",
		 svm_caps.decode_assists ? ", decode assists" : "",
		 svm_caps.clean_bits ? ", clean bits" : "",
		 svm_caps.flush_by_asid ? ", flush by ASID" : "",
		 svm_caps.pause_filter ? ", pause filter" : "");
	return HV_OK;
}

static int switch_on(void)
{
	u64 vm_cr;

	if (rdmsr_safe(MSR_VM_CR, &vm_cr) && vm_cr & VM_CR_SVMDIS) {
		if (vm_cr & VM_CR_LOCK)
			return log_error(HV_ENODEV, "svm: locked off on CPU %u only", plat_cpu());
		wrmsr(MSR_VM_CR, vm_cr & ~VM_CR_SVMDIS);
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	if (svm_caps.fsgsbase)
		write_cr4(read_cr4() | CR4_FSGSBASE);
	return HV_OK;
}

static int svm_cpu_enable(void)
{
	struct svm_cpu *c;
	int err = switch_on();

	_Static_assert(sizeof(*c) <= PAGE_SIZE << 2, "four pages");
	if (err)
		return err;
	c = frame_alloc_pages(2);
	if (!c || svm_maps_init())
		return HV_ENOMEM;
	/* The first vCPU that needs an ASID begins a new generation, which flushes everything. */
	c->generation = 1;
	c->last_asid = svm_caps.nr_asids - 1;
	wrmsr(MSR_VM_HSAVE_PA, plat_pa(c->host_save).v);
	vmsave(plat_pa(&c->host).v);
	this_cpu()->backend = c;
	return HV_OK;
}

static void svm_cpu_disable(void)
{
	if (!my())
		return;
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(u64)EFER_SVME);
	frame_free_pages(my());
	this_cpu()->backend = NULL;
}

static int svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *x = frame_alloc_pages(0);

	_Static_assert(sizeof(*x) <= PAGE_SIZE, "one page");
	if (!x)
		return HV_ENOMEM;
	x->vmcb = frame_alloc_pages(0);
	if (!x->vmcb || guestregs_init(&x->regs)) {
		frame_free_pages(x->vmcb);
		frame_free_pages(x);
		return HV_ENOMEM;
	}
	x->vmcb_pa = plat_pa(x->vmcb).v;
	v->arch = x;
	svm_vmcb_init(v);
	return HV_OK;
}

static void svm_vcpu_destroy(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);

	if (!x)
		return;
	guestregs_destroy(&x->regs);
	frame_free_pages(x->vmcb);
	frame_free_pages(x);
	v->arch = NULL;
}

/* Saves the guest's registers that VMSAVE knows from the CPU into the VMCB. */
void svm_registers_save(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);

	vmsave(x->vmcb_pa);
	x->vmcb->seg[VMCB_GS].base = x->gs_base;
}

/* Loads them into the CPU. GIF is clear; at the end GS is ours again. */
void svm_registers_load(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	u64 ours = (u64)this_cpu();

	x->gs_base = x->vmcb->seg[VMCB_GS].base;
	vmload(x->vmcb_pa);
	gs_base_write(ours);
}

static void svm_vcpu_load(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);

	mitigate_vm_load(v->vm->run);
	asm volatile("clgi" ::: "memory");
	svm_registers_load(v);
	guestregs_load(&x->regs);
	x->clean = 0; /* "VMCB State Caching": this vCPU may have run elsewhere, or another here */
	if (v->last_cpu != plat_cpu())
		x->generation = 0;
}

static void svm_vcpu_unload(struct vcpu *v)
{
	guestregs_save(&svm_of(v)->regs);
	svm_registers_save(v);
	vmload(plat_pa(&my()->host).v);
	asm volatile("stgi" ::: "memory");
}

/*
 * The host takes its pending events now, through its IDT, with its own registers: interrupts after
 * the shadow of STI, NMI and SMI at STGI.
 */
void svm_host_window(struct vcpu *v)
{
	svm_registers_save(v);
	vmload(plat_pa(&my()->host).v);
	asm volatile("stgi\n\tsti\n\tnop\n\tcli\n\tclgi" ::: "memory");
	svm_registers_load(v);
}

/*
 * A new ASID has the effect of a flush of the present one, and works on every CPU with SVM. When
 * ASIDs run out, we flush everything and begin a new generation.
 */
static void new_asid(struct vcpu *v, struct svm_cpu *c)
{
	struct svm_vcpu *x = svm_of(v);

	if (++c->last_asid >= svm_caps.nr_asids) {
		c->last_asid = 1;
		c->generation++;
		x->vmcb->tlb_control = TLB_FLUSH_ALL;
	}
	x->vmcb->asid = c->last_asid;
	x->generation = c->generation;
	svm_dirty(v, CLEAN_ASID);
}

void svm_flush(struct vcpu *v)
{
	if (svm_caps.flush_by_asid)
		vmcb_of(v)->tlb_control = TLB_FLUSH_ASID;
	else
		svm_of(v)->generation = 0;
}

/* Moves past an emulated instruction, as the CPU would have. */
static void retire(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	b->rip += v->advance;
	b->int_state &= ~INTERRUPT_SHADOW;
	svm_of(v)->shadow_rip = UINT64_MAX;
	v->advance = 0;
	/* A debugger in the guest steps over it like over any other instruction. */
	if (unlikely(b->rflags & RFLAGS_TF)) {
		b->dr6 |= DR6_BS; /* and GD: delivery of an injected event changes neither */
		b->dr7 &= ~DR7_GD;
		svm_dirty(v, CLEAN_DR);
		svm_inject_exception(v, VEC_DB, false, 0);
	}
}

/*
 * There is no preemption timer: the local APIC's timer ends the run. False: the time is up already.
 */
static bool arm_timer(u64 deadline)
{
	if (deadline <= rdtsc())
		return false;
	apic_timer_set(deadline);
	return true;
}

/*
 * True: the CPU still has the interrupt. It clears V_IRQ when it takes the interrupt, before the
 * guest executes anything. QEMU sometimes forgets one until the next entry, because several of its
 * threads write to the same word. Bochs takes none; when we notice that, we inject interrupts
 * instead.
 */
static bool virq_waits(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);

	if (!(x->vmcb->int_ctl & V_IRQ)) {
		x->virq = false;
		x->virq_missed = 0;
	} else if (v->advance && ++x->virq_missed >= VIRQ_MISSED_MAX && !svm_caps.ignores_virq) {
		log_line("svm: VMRUN ignores virtual interrupts: injecting them");
		svm_caps.ignores_virq = true;
	}
	return x->virq;
}

/* First, because the events may be delivered anew in another order. */
static void retire_and_withdraw(struct vcpu *v)
{
	if (svm_of(v)->virq && virq_waits(v))
		svm_withdraw_virq(v);
	retire(v);
}

/*
 * An event waits until the guest can take it. The end of a shadow of STI or MOV SS causes no exit,
 * so we look again soon. By the manual VMRUN restores the shadow and V_IRQ waits for its end; in
 * QEMU neither is so, and in STI; HLT the interrupt would come before HLT, which would then sleep
 * on.
 */
static u64 open_windows(struct vcpu *v, u64 deadline)
{
	struct svm_vcpu *x = svm_of(v);
	bool shadow = x->vmcb->int_state & INTERRUPT_SHADOW, poll = shadow;

	if (x->irq_window)
		svm_request_virq(v, !shadow);
	if (x->nmi_window && !x->nmi_masked) {
		if (x->iret_pending && x->vmcb->rip == x->iret_rip &&
		    !(x->vmcb->event_inj & EVENT_VALID))
			svm_step_iret(v);
		else
			poll = true;
	}
	return poll ? min(deadline, rdtsc() + plat_tsc_khz() * POLL_US / 1000) : deadline;
}

/* Not inlined: each entry would have to save the registers that it uses. */
static __attribute__((noinline)) u64 before_entry(struct vcpu *v, u64 deadline)
{
	struct svm_vcpu *x = svm_of(v);

	if (x->virq)
		virq_waits(v);
	if (v->advance)
		retire(v);
	if (x->mitigate)
		mitigate_entry(v->spec_ctrl);
	return x->irq_window || x->nmi_window ? open_windows(v, deadline) : deadline;
}

/* As long as RIP is the same, the instruction in the shadow has not been executed. */
static inline void keep_shadow(struct svm_vcpu *x)
{
	struct vmcb *b = x->vmcb;

	if (unlikely(b->int_state & INTERRUPT_SHADOW || b->rip == x->shadow_rip)) {
		b->int_state |= INTERRUPT_SHADOW;
		x->shadow_rip = b->rip;
	}
}

static void svm_run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;
	struct cpu *cpu = this_cpu();
	struct svm_cpu *c = cpu->backend;
	enum svm_action action;

	if (unlikely(x->before_entry))
		deadline = before_entry(v, deadline);
	else if (v->advance)
		retire(v);
	if (unlikely(cpu->timer_armed != deadline) && !arm_timer(deadline)) {
		e->kind = EXIT_PREEMPT;
		return;
	}
	if (unlikely(x->generation != c->generation))
		new_asid(v, c);
	b->clean = svm_caps.clean_bits ? x->clean : 0;
	b->rax = v->gpr[GPR_RAX];
	gs_base_write(x->gs_base);
	svm_enter(v->gpr, x->vmcb_pa);
	x->gs_base = gs_base_read();
	gs_base_write((u64)cpu);
	v->gpr[GPR_RAX] = b->rax;
	b->tlb_control = 0;
	x->clean = CLEAN_ALL;
	keep_shadow(x);
	action = svm_decode(b, &svm_caps, e);
	b->event_inj = 0;
	if (unlikely(b->exit_int_info & EVENT_VALID))
		svm_event_interrupted(v);
	if (likely(action == SVM_PASS_UP))
		return;
	svm_handle_exit(v, e, action);
	if (e->kind == EXIT_ENTRY_FAILED)
		c->last_asid = svm_caps.nr_asids - 1; /* a flush that was due has not been done */
}

const struct cpu_backend svm_backend = {
	.name = "SVM/NPT",
	.format = &npt_format,
	.hypercall_opcode = { 0x0f, 0x01, 0xd9 },
	.vendor = "AuthenticAMD",
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_init = svm_vcpu_init,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_load = svm_vcpu_load,
	.vcpu_unload = svm_vcpu_unload,
	.run = svm_run,
	.retire = retire_and_withdraw,
	.flush = svm_flush,
	.interruptible = svm_interruptible,
	.nmi_allowed = svm_nmi_allowed,
	.inject_interrupt = svm_inject_interrupt,
	.inject_nmi = svm_inject_nmi,
	.inject_exception = svm_inject_exception,
	.interrupt_window = svm_interrupt_window,
	.nmi_window = svm_nmi_window,
	.get_cr8 = svm_get_cr8,
	.set_cr8 = svm_set_cr8,
	.tpr_exit = svm_tpr_exit,
	.init_events = svm_init_events,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.get_reg = svm_get_reg,
	.set_reg = svm_set_reg,
	.host_cpuid = mitigate_host_cpuid,
	.arch_capabilities = mitigate_guest_arch_caps,
	.xcr0_mask = guestregs_xcr0_mask,
};
