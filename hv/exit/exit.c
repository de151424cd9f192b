/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/exit/exit.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

static void exit_nothing(struct vcpu *v, struct vmexit *e)
{
	(void)v;
	(void)e;
}

static void exit_halt(struct vcpu *v, struct vmexit *e)
{
	if (exit_refused(v, e))
		return;
	vcpu_skip(v, e);
	v->halted = true;
	atomic_or(&v->pending, PENDING_IRQ); /* look before sleeping */
}

/* INVD, WBINVD */
static void exit_cache(struct vcpu *v, struct vmexit *e)
{
	if (!exit_refused(v, e))
		vcpu_skip(v, e);
}

/* A guest that spins waits for another vCPU, which may have no CPU. */
static void exit_pause(struct vcpu *v, struct vmexit *e)
{
	vcpu_skip(v, e);
	sched_give_way(v);
}

static void exit_undefined(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	vcpu_inject_ud(v);
}

/* RDPMC: there are no counters */
static void exit_forbidden(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	vcpu_inject_gp(v);
}

static void exit_interrupt_window(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	backend->interrupt_window(v, false);
	v->window_open = false;
	atomic_or(&v->pending, PENDING_IRQ);
}

static void exit_tpr_below(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	atomic_or(&v->pending, PENDING_IRQ);
}

static void exit_nmi_window(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	backend->nmi_window(v, false);
	v->nmi_window_open = false;
}

static void exit_cr8(struct vcpu *v, struct vmexit *e)
{
	u64 value = v->gpr[e->cr8.gpr];

	if (exit_refused(v, e))
		return;
	if (!e->cr8.write) {
		v->gpr[e->cr8.gpr] = lapic_tpr(v) >> 4;
	} else if (value > 15) {
		vcpu_inject_gp(v);
		return;
	} else {
		lapic_set_tpr(v, value << 4);
	}
	vcpu_skip(v, e);
}

static void exit_shutdown(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	vcpu_dump(v);
	vm_end(v->vm, VM_STATUS_CRASHED, "triple fault on vCPU %u", v->index);
}

/* The hardware lost something while this VM ran: it cannot be trusted to go on. */
static void exit_machine_check(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	vcpu_dump(v);
	vm_end(v->vm, VM_STATUS_CRASHED, "machine check on CPU %u", plat_cpu());
}

static void exit_unknown(struct vcpu *v, struct vmexit *e)
{
	vcpu_dump(v);
	vm_end(v->vm, VM_STATUS_CRASHED, "%s: %s (reason %lx, information %lx)",
	       e->kind == EXIT_ENTRY_FAILED ? "VM entry failed" : "exit not handled", e->raw.name,
	       e->raw.reason, e->raw.info);
}

typedef void (*exit_fn)(struct vcpu *v, struct vmexit *e);

static const exit_fn handlers[EXIT_NR_KINDS] = {
	[EXIT_NONE] = exit_nothing,
	[EXIT_INTERRUPT] = exit_nothing,
	[EXIT_PREEMPT] = exit_nothing,
	[EXIT_CPUID] = exit_cpuid,
	[EXIT_HYPERCALL] = exit_hypercall,
	[EXIT_IO] = exit_io,
	[EXIT_RDMSR] = exit_rdmsr,
	[EXIT_WRMSR] = exit_wrmsr,
	[EXIT_HLT] = exit_halt,
	[EXIT_PAUSE] = exit_pause,
	[EXIT_P2M_FAULT] = exit_p2m_fault,
	[EXIT_CR8] = exit_cr8,
	[EXIT_TPR_BELOW] = exit_tpr_below,
	[EXIT_INTERRUPT_WINDOW] = exit_interrupt_window,
	[EXIT_NMI_WINDOW] = exit_nmi_window,
	[EXIT_CACHE] = exit_cache,
	[EXIT_UNDEFINED] = exit_undefined,
	[EXIT_FORBIDDEN] = exit_forbidden,
	[EXIT_SHUTDOWN] = exit_shutdown,
	[EXIT_MACHINE_CHECK] = exit_machine_check,
	[EXIT_ENTRY_FAILED] = exit_unknown,
	[EXIT_UNKNOWN] = exit_unknown,
};

void exit_dispatch(struct vcpu *v, struct vmexit *e)
{
#ifdef COUNT_EXITS
	exit_count(v, e);
#endif
	handlers[e->kind](v, e);
}
