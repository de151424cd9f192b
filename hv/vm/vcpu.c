/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's life on a CPU: deliver, flush, enter, handle, until it has to leave. */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/exit/exit.h>
#include <hv/apic/pvclock.h>
#include <hv/apic/pvcpu.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

#define RFLAGS_IF BIT(9)
#include <mm/epoch.h>

#define STOOD_MS 1000 /* a guest whose CPU stood still for so long is told */

struct vcpu *vcpu_alloc(struct vm *vm, u32 index)
{
	struct vcpu *v = frame_alloc_pages(0);

	_Static_assert(sizeof(*v) <= PAGE_SIZE, "one page");
	if (!v)
		return NULL;
	v->vm = vm;
	v->index = index;
	v->state = VCPU_DEAD;
	list_init(&v->ready);
	return v;
}

int vcpu_reset(struct vcpu *v)
{
	int err;

	v->tsc_offset = v->vm->tsc_offset;
	err = backend->vcpu_init(v);
	if (err)
		return err;
	for (int i = 0; i < GPR_NR; i++)
		v->gpr[i] = 0;
	v->spec_ctrl = 0;
	v->advance = 0;
	v->disagreements = 0;
	v->halted = v->window_open = v->nmi_window_open = false;
	v->deaf = 0;
	v->tpr_exit = 0;
	v->last_cpu = VCPU_NO_CPU;
	v->flush_gen = v->pv_time = v->pv_steal = v->waited = 0;
	atomic_store(&v->vruntime, 0UL);
	atomic_store(&v->exits, 0UL);
	atomic_store(&v->ran, 0UL);
	atomic_store(&v->stood_since, 0UL);
	lapic_reset(v, false);
	atomic_store_seq(&v->pending, 0u);
	atomic_store_seq(&v->wait_for_sipi, v->index ? 1u : 0u); /* the boot CPU runs */
	v->next = VCPU_READY;
	atomic_store(&v->state, VCPU_OFF);
	return HV_OK;
}

void vcpu_fini(struct vcpu *v)
{
	backend->vcpu_destroy(v);
}

void vcpu_notify(struct vcpu *v, u32 pending)
{
	atomic_or(&v->pending, pending);
	sched_wake(v);
	sched_kick(v);
}

void vcpu_halt(struct vcpu *v)
{
	v->halted = true;
	atomic_or(&v->pending, PENDING_IRQ); /* look before sleeping */
	if (backend->get_reg(v, GREG_RFLAGS) & RFLAGS_IF)
		return;
	atomic_store_seq(&v->deaf, 1u);
	if (!(atomic_load(&v->pending) & (PENDING_NMI | PENDING_INIT)) && vm_halted(v->vm))
		vm_log(v->vm,
		       "stands still for ever: all its vCPUs have halted with interrupts off; "
		       "stop it or restart it");
}

void vcpu_inject_gp(struct vcpu *v)
{
	backend->inject_exception(v, VEC_GP, true, 0);
}

void vcpu_inject_ud(struct vcpu *v)
{
	backend->inject_exception(v, VEC_UD, false, 0);
}

void vcpu_inject_pf(struct vcpu *v, u64 linear, u32 error)
{
	backend->set_reg(v, GREG_CR2, linear);
	backend->inject_exception(v, VEC_PF, true, error);
}

/* SDM: "Processor State After Reset" / INIT, with CS as a SIPI leaves it. */
static void reset_to_real_mode(struct vcpu *v, u8 page)
{
	struct guest_state s = {
		.rflags = 2, .cr0 = 0x60000010, .gdtr_limit = 0xffff, .idtr_limit = 0xffff
	};

	for (int i = 0; i < SEG_NR; i++)
		s.seg[i] = (struct guest_segment){ .limit = 0xffff, .attr = 0x93 };
	s.seg[SEG_CS] = (struct guest_segment){
		.selector = (u16)(page << 8), .limit = 0xffff, .base = (u64)page << 12, .attr = 0x9b
	};
	s.seg[SEG_LDTR].attr = 0x82;
	s.seg[SEG_TR].attr = 0x8b;
	for (int i = 0; i < GPR_NR; i++)
		v->gpr[i] = 0;
	v->gpr[GPR_RDX] = 0x600;
	backend->set_state(v, &s);
}

/* INIT and SIPI; true if the vCPU has nothing to execute now. */
static bool start_up(struct vcpu *v, u32 pending)
{
	if (pending & PENDING_INIT) {
		/* SDM: "MP Initialization Protocol": the boot CPU goes to its firmware, which is a reboot */
		if (lapic_is_boot_cpu(v)) {
			vm_reboot(v->vm);
			return true;
		}
		lapic_reset(v, true);
		backend->init_events(v);
		v->halted = false;
		atomic_store(&v->deaf, 0u);
		v->advance = 0;
		v->spec_ctrl = 0;
		reset_to_real_mode(v, 0);
		if (!(pending & PENDING_SIPI)) {
			sched_block(v, VCPU_OFF);
			return true;
		}
	}
	if (pending & PENDING_SIPI)
		reset_to_real_mode(v, v->lapic.sipi_vector);
	return false;
}

static void deliver_nmi(struct vcpu *v)
{
	v->halted = false;
	atomic_store(&v->deaf, 0u);
	if (backend->nmi_allowed(v)) {
		backend->inject_nmi(v);
		return;
	}
	atomic_or(&v->pending, PENDING_NMI);
	if (!v->nmi_window_open)
		backend->nmi_window(v, true);
	v->nmi_window_open = true;
}

static void set_interrupt_window(struct vcpu *v, bool open)
{
	if (v->window_open != open)
		backend->interrupt_window(v, open);
	v->window_open = open;
}

static void deliver_interrupt(struct vcpu *v, int vector)
{
	if (backend->interruptible(v)) {
		v->halted = false;
		set_interrupt_window(v, false);
		backend->inject_interrupt(v, (u8)vector);
		lapic_accept(v, (u8)vector);
		vector = lapic_pending(v);
	}
	/* The rest waits until the guest can take it. */
	if (vector >= 0)
		set_interrupt_window(v, true);
}

/* An interrupt that the TPR alone holds back comes as soon as the guest lowers it. */
static void set_tpr_exit(struct vcpu *v, u8 below)
{
	if (unlikely(v->tpr_exit != below))
		backend->tpr_exit(v, below);
	v->tpr_exit = below;
}

/*
 * Works off v->pending; false if there is nothing for the vCPU to do now.
 * A halted vCPU is entered only with an event to wake it.
 */
static bool deliver(struct vcpu *v)
{
	u32 pending;
	int vector;

	if (v->lapic.eoi_offered)
		pvcpu_eoi_collect(v);
	pending = atomic_swap(&v->pending, 0u);
	if (pending & (PENDING_INIT | PENDING_SIPI) && start_up(v, pending))
		return false;
	if (v->advance)
		backend->retire(v); /* first, with its shadow of STI or MOV SS */
	if (pending & PENDING_NMI)
		deliver_nmi(v);
	lapic_sync_tpr(v);
	vector = lapic_pending(v);
	set_tpr_exit(v, vector < 0 ? lapic_held_back(v) : 0);
	if (vector >= 0)
		deliver_interrupt(v, vector);
	if (v->halted) {
		sched_block(v, VCPU_HALTED);
		return false;
	}
	if (v->lapic.pv_eoi)
		pvcpu_eoi_offer(v);
	return true;
}

static void flush_if_stale(struct vcpu *v)
{
	u64 gen = atomic_load_seq(&v->vm->p2m.flush_gen);

	if (v->flush_gen == gen)
		return;
	backend->flush(v);
	v->flush_gen = gen;
}

/* One entry and exit. */
static void step(struct vcpu *v, u32 cpu)
{
	struct vmexit e;
	u64 epoch = epoch_now(), deadline = min(v->slice_end, v->lapic.deadline);

	flush_if_stale(v);
	epoch_quiescent(cpu, epoch);
	backend->run(v, min(deadline, sched_next_event()), &e);
	tally_add(&v->exits, 1);
	exit_dispatch(v, &e);
	if (e.kind <= EXIT_PREEMPT) {
		u64 now = plat_tsc();

		lapic_timer_check(v, now);
		if (quarantine_drain(64))
			memory_wake_waiters();
		if (now >= v->slice_end || now >= sched_next_event() || sched_should_yield(v))
			v->slice_end = 0; /* leave */
	}
}

bool vcpu_may_go_on(const struct vcpu *v)
{
	u64 now = plat_tsc();

	return !atomic_load(&v->pending) && atomic_load(&v->vm->state) == VM_RUNNING &&
	       now < v->slice_end && now < v->lapic.deadline && now < sched_next_event() &&
	       !sched_should_yield(v);
}

/* Its CPU stood still for longer than a guest's watchdogs take for an accident. */
static bool stood_long(const struct vcpu *v)
{
	u64 since = atomic_load(&v->stood_since);

	return since && tsc_since(since, v->started) > STOOD_MS * plat_tsc_khz();
}

static void enter_and_exit(struct vcpu *v)
{
	u32 cpu = plat_cpu();

	backend->vcpu_load(v);
	if (v->last_cpu != cpu) {
		v->last_cpu = cpu;
		v->flush_gen = 0; /* this CPU may hold old translations of it */
	}
	atomic_or(&v->vm->p2m.active, BIT(cpu));
	lapic_timer_check(v, plat_tsc());
	if (v->halted) /* woken for nothing: look before it is entered */
		atomic_or(&v->pending, PENDING_IRQ);
	while (v->slice_end && atomic_load(&v->vm->state) == VM_RUNNING) {
		if (atomic_load(&v->pending) && !deliver(v))
			break;
		step(v, cpu);
	}
	atomic_and(&v->vm->p2m.active, ~BIT(cpu));
	backend->vcpu_unload(v);
}

void vcpu_execute(struct vcpu *v)
{
	if (unlikely(stood_long(v))) {
		pvclock_stopped(v);
		atomic_cas(&v->stood_since, STOOD_BY_PAUSE, 0UL); /* that is over */
	}
	if (v->pv_steal)
		pvcpu_steal_begin(v);
	enter_and_exit(v);
	if (v->pv_steal && v->next == VCPU_READY)
		pvcpu_steal_preempted(v);
}

bool vcpu_dump(struct vcpu *v)
{
	static const char *const names[SEG_NR] = {
		"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"
	};
	struct guest_state s;
	const char *name = v->vm->cfg->name;
	u64 *g = v->gpr;

	/* Sixteen lines of 9 ms each: not again for each vCPU that runs into the same. */
	if (!vm_alive(v->vm) || atomic_swap(&v->vm->dumped, 1u))
		return false;
	backend->get_state(v, &s);
	log_line("vm %s: vCPU %u stopped at rip %lx:", name, v->index, s.rip);
	log_raw("%s# rax %016lx rbx %016lx rcx %016lx rdx %016lx", name, g[GPR_RAX], g[GPR_RBX],
		g[GPR_RCX], g[GPR_RDX]);
	log_raw("%s# rsi %016lx rdi %016lx rbp %016lx rsp %016lx", name, g[GPR_RSI], g[GPR_RDI],
		g[GPR_RBP], s.rsp);
	log_raw("%s# r8  %016lx r9  %016lx r10 %016lx r11 %016lx", name, g[8], g[9], g[10], g[11]);
	log_raw("%s# r12 %016lx r13 %016lx r14 %016lx r15 %016lx", name, g[12], g[13], g[14],
		g[15]);
	log_raw("%s# rflags %lx cr0 %lx cr3 %lx cr4 %lx efer %lx", name, s.rflags, s.cr0, s.cr3,
		s.cr4, s.efer);
	for (int i = 0; i < SEG_NR; i++)
		log_raw("%s# %-4s %04x base %lx limit %x attr %x", name, names[i],
			s.seg[i].selector, s.seg[i].base, s.seg[i].limit, s.seg[i].attr);
	log_raw("%s# gdtr %lx/%x idtr %lx/%x", name, s.gdtr_base, s.gdtr_limit, s.idtr_base,
		s.idtr_limit);
	return true;
}
