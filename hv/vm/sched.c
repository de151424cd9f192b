/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/lock.h>
#include <hv/base/platform.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>
#include <mm/epoch.h>

static struct {
	SPINLOCK(LOCK_SCHED) lock;
	struct list ready;
	u64 clock;  /* least virtual time that anybody ran at */
	u64 idle;   /* bit per idle CPU that runs vCPUs */
	u64 spared; /* bit per CPU that runs none */
	u32 ticking;
	struct sched_work work;
	struct vcpu *running[MAX_CPUS];
	u32 wake[MAX_CPUS]; /* (a) for plat_idle() */
} sched;

u64 sched_event __aligned(64);
static u64 sched_later __aligned(64); /* (a) events that came while one CPU is in the tick */
u64 sched_first_run;

u64 sched_slice_ticks(void)
{
	return plat_tsc_khz() * SCHED_SLICE_US / 1000;
}

void sched_init(void)
{
	list_init(&sched.ready);
	sched_event = sched_later = UINT64_MAX;
}

void sched_spare(u32 cpu)
{
	sched.spared |= BIT(cpu);
}

void sched_set_work(struct sched_work work)
{
	sched.work = work;
}

static void not_after(u64 *event, u64 tsc)
{
	u64 old = atomic_load(event);

	while (tsc < old && !atomic_cas(event, old, tsc))
		old = atomic_load(event);
}

/*
 * While a CPU is in the tick, events wait in sched_later until it has finished: a run on
 * another CPU is not cut short for what that CPU serves.
 */
void sched_event_at(u64 tsc)
{
	not_after(&sched_later, tsc);
	if (!atomic_load_seq(&sched.ticking))
		not_after(&sched_event, tsc);
}

/* The tick begins: what is due by @now is served by it. */
static void begin_events(u64 now)
{
	u64 later;

	atomic_store_seq(&sched_event, UINT64_MAX);
	later = atomic_swap(&sched_later, UINT64_MAX);
	if (later > now)
		not_after(&sched_later, later);
}

static void end_events(void)
{
	atomic_store_seq(&sched.ticking, 0u);
	not_after(&sched_event, atomic_load_seq(&sched_later));
}

/* Sleeping earns at most one slice of credit. With sched.lock held. */
static u64 least_vruntime(void)
{
	return sched.clock - min(sched.clock, sched_slice_ticks());
}

void sched_charge(const struct vm *vm, u64 ticks)
{
	const struct vcpu *here;

	spin_lock(&sched.lock);
	here = sched.running[plat_cpu()];
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus) && !(here && here->vm == vm); i++)
		atomic_store(&vm->vcpus[i]->vruntime,
			     max(vm->vcpus[i]->vruntime, least_vruntime()) +
				     ticks * 1000 / max(atomic_load(&vm->cfg->shares), 1u));
	spin_unlock(&sched.lock);
}

/* A VM's shares are divided among its vCPUs. */
static u64 weight(const struct vcpu *v)
{
	return max(atomic_load(&v->vm->cfg->shares) / v->vm->nr_vcpus, 1u);
}

static bool runnable(const struct vcpu *v)
{
	return atomic_load(&v->vm->state) == VM_RUNNING;
}

/* With sched.lock held. */
static void make_ready(struct vcpu *v)
{
	atomic_store(&v->state, VCPU_READY);
	v->ready_since = plat_tsc();
	atomic_store(&v->vruntime, max(v->vruntime, least_vruntime()));
	list_add_tail(&sched.ready, &v->ready);
}

/* Virtual time of a running vCPU, up to now. */
static u64 vruntime_now(const struct vcpu *v)
{
	return atomic_load(&v->vruntime) + tsc_since(v->started, plat_tsc()) * 1000 / weight(v);
}

/* No CPU is idle: the one whose vCPU is furthest ahead of @v makes room. */
static void preempt_for(const struct vcpu *v)
{
	u32 victim = VCPU_NO_CPU;
	u64 most = v->vruntime;

	for (u32 i = 0; i < plat_nr_cpus(); i++)
		if (sched.running[i] && vruntime_now(sched.running[i]) > most) {
			most = vruntime_now(sched.running[i]);
			victim = i;
		}
	if (victim != VCPU_NO_CPU && victim != plat_cpu())
		plat_kick(victim);
}

/* Wakes an idle CPU for @v on the ready list, the one where it last ran if it can. */
static void find_cpu_for(const struct vcpu *v)
{
	u64 idle = sched.idle;
	u32 prefer = v->last_cpu, cpu;

	if (!idle) {
		preempt_for(v);
		return;
	}
	cpu = prefer < MAX_CPUS && idle & BIT(prefer) ? prefer : (u32)__builtin_ctzl(idle);
	sched.idle &= ~BIT(cpu);
	atomic_store_seq(&sched.wake[cpu], 1);
	if (cpu != plat_cpu())
		plat_kick(cpu);
}

/* What @v waits for has come. With sched.lock held, after the pending bit was set. */
static bool may_wake(const struct vcpu *v, enum vcpu_state state)
{
	u32 pending = atomic_load_seq(&v->pending);

	if (state == VCPU_OFF) /* an interrupt does not start a CPU */
		return pending & (PENDING_INIT | PENDING_SIPI);
	return state == VCPU_HALTED || state == VCPU_NO_MEMORY;
}

static void wake_locked(struct vcpu *v)
{
	if (may_wake(v, v->state)) {
		if (v->state == VCPU_NO_MEMORY)
			atomic_sub(&v->vm->waiting, 1);
		make_ready(v);
		find_cpu_for(v);
	}
}

void sched_start(struct vcpu *v)
{
	spin_lock(&sched.lock);
	make_ready(v);
	find_cpu_for(v);
	spin_unlock(&sched.lock);
}

void sched_wake(struct vcpu *v)
{
	spin_lock(&sched.lock);
	wake_locked(v);
	spin_unlock(&sched.lock);
}

void sched_kick(struct vcpu *v)
{
	u32 cpu = VCPU_NO_CPU;

	spin_lock(&sched.lock);
	if (v->state == VCPU_RUNNING)
		cpu = v->cpu;
	spin_unlock(&sched.lock);
	if (cpu != VCPU_NO_CPU && cpu != plat_cpu())
		plat_kick(cpu);
}

/*
 * Until sched_put() the vCPU stays RUNNING: another CPU must not take it while this
 * one still has its registers.
 */
void sched_block(struct vcpu *v, enum vcpu_state why)
{
	v->next = why;
	v->slice_end = 0;
}

/* What came while it was leaving keeps it ready. With sched.lock held. */
static enum vcpu_state settle(struct vcpu *v)
{
	enum vcpu_state why = v->next;

	v->next = VCPU_READY;
	if (why == VCPU_OFF && may_wake(v, why))
		return VCPU_READY;
	if (why == VCPU_HALTED && (atomic_load_seq(&v->pending) || v->lapic.deadline <= plat_tsc()))
		return VCPU_READY;
	if (why == VCPU_HALTED)
		sched_event_at(v->lapic.deadline);
	if (why == VCPU_NO_MEMORY)
		atomic_add(&v->vm->waiting, 1);
	return why;
}

void sched_wake_no_memory(const struct vm *vm)
{
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		if (vm->vcpus[i]->state == VCPU_NO_MEMORY)
			sched_wake(vm->vcpus[i]);
}

bool sched_should_yield(const struct vcpu *v)
{
	u64 mine = vruntime_now(v);
	struct vcpu *o;
	bool yield = false;

	if (list_empty(&sched.ready))
		return false;
	spin_lock(&sched.lock);
	list_for_each(o, &sched.ready, ready)
		yield |= runnable(o) && o->vruntime < mine;
	spin_unlock(&sched.lock);
	return yield;
}

void sched_give_way(struct vcpu *v)
{
	if (list_empty(&sched.ready))
		return;
	v->yields = true;
	v->slice_end = 0;
}

bool sched_retire(struct vcpu *v)
{
	bool gone;

	spin_lock(&sched.lock);
	if (v->state == VCPU_READY)
		list_del(&v->ready);
	gone = v->state != VCPU_RUNNING;
	if (gone) {
		if (v->state == VCPU_NO_MEMORY)
			atomic_sub(&v->vm->waiting, 1);
		atomic_store(&v->state, VCPU_DEAD);
	}
	spin_unlock(&sched.lock);
	return gone;
}

/* No CPU sleeps while a vCPU is ready: one that was left on the list wakes another. */
static void pass_on(void)
{
	struct vcpu *v;

	if (!sched.idle)
		return;
	list_for_each(v, &sched.ready, ready)
		if (runnable(v)) {
			find_cpu_for(v);
			return;
		}
}

static bool goes_before(const struct vcpu *v, const struct vcpu *best, u32 cpu)
{
	if (!best || v->yields != best->yields)
		return !best || best->yields;
	return v->vruntime < best->vruntime ||
	       (v->vruntime == best->vruntime && v->last_cpu == cpu);
}

/* The ready vCPU with the least virtual time; ties go to one that ran here last. */
static struct vcpu *pick(u32 cpu)
{
	struct vcpu *v, *best = NULL;
	bool spared = sched.spared & BIT(cpu);

	spin_lock(&sched.lock);
	list_for_each(v, &sched.ready, ready)
		if (!spared && runnable(v) && goes_before(v, best, cpu))
			best = v;
	if (best) {
		list_for_each(v, &sched.ready, ready)
			v->yields = false;
		list_del(&best->ready);
		atomic_store(&best->state, VCPU_RUNNING);
		best->cpu = cpu;
		best->started = plat_tsc();
		best->waited += tsc_since(best->ready_since, best->started);
		sched.idle &= ~BIT(cpu);
		sched.running[cpu] = best;
		sched.clock = max(sched.clock, best->vruntime);
		pass_on();
	} else {
		if (!spared)
			sched.idle |= BIT(cpu);
		atomic_store_seq(&sched.wake[cpu], 0);
	}
	spin_unlock(&sched.lock);
	return best;
}

/*
 * Since when it waits for memory, tries again, and waits.  Between two tries it may leave a CPU
 * for another reason: it goes on when its fault has been served (fault.c), or it halts.
 */
static void note_standing(struct vcpu *v)
{
	if (v->state == VCPU_NO_MEMORY && !atomic_load(&v->stood_since))
		atomic_store(&v->stood_since, plat_tsc());
	else if (v->state != VCPU_NO_MEMORY && v->state != VCPU_READY)
		atomic_store(&v->stood_since, 0UL);
}

void sched_put(struct vcpu *v)
{
	spin_lock(&sched.lock);
	atomic_store(&v->vruntime, vruntime_now(v));
	tally_add(&v->ran, tsc_since(v->started, plat_tsc()));
	sched.running[v->cpu] = NULL;
	atomic_store(&v->state, settle(v));
	note_standing(v);
	if (v->state == VCPU_READY)
		make_ready(v);
	spin_unlock(&sched.lock);
}

bool sched_resume_vm(struct vm *vm)
{
	bool resumed = false;

	spin_lock(&sched.lock);
	/* Before any CPU may run them: the guest learns of the pause before it can take an interrupt. */
	if (atomic_load(&vm->state) == VM_PAUSED) {
		for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
			atomic_store(&vm->vcpus[i]->stood_since, STOOD_BY_PAUSE);
		resumed = atomic_cas(&vm->state, (u32)VM_PAUSED, (u32)VM_RUNNING);
	}
	for (u32 i = 0; resumed && i < atomic_load_acquire(&vm->nr_vcpus); i++)
		if (vm->vcpus[i]->state == VCPU_READY) {
			vm->vcpus[i]->ready_since = plat_tsc(); /* a pause is no stolen time */
			find_cpu_for(vm->vcpus[i]);
		}
	spin_unlock(&sched.lock);
	return resumed;
}

static void run(struct vcpu *v)
{
	v->slice_end = v->started + sched_slice_ticks();
	if (unlikely(!atomic_load(&sched_first_run)))
		atomic_store(&sched_first_run, plat_tsc());
	vcpu_execute(v);
	sched_put(v);
}

/* Timers of halted vCPUs: wakes those that are due, and finds the next. */
static u64 expire_timers(u64 now)
{
	u64 next = UINT64_MAX, deadline;
	struct vm *vm;

	for_each_vm(vm)
		for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++) {
			struct vcpu *v = vm->vcpus[i];

			if (atomic_load(&v->state) != VCPU_HALTED)
				continue;
			deadline = atomic_load(&v->lapic.deadline);
			if (deadline <= now)
				sched_wake(v);
			else
				next = min(next, deadline);
		}
	return next;
}

/* What is due for the host as a whole; one CPU at a time, others go on. */
static void events(void)
{
	u64 now = plat_tsc();

	if (now < sched_next_event() || atomic_swap(&sched.ticking, 1))
		return;
	begin_events(now);
	sched_event_at(expire_timers(now));
	if (sched.work.tick)
		sched.work.tick(now);
	end_events();
	/* Devices and the loading of VMs take a while: timers go on meanwhile, on other CPUs. */
	if (sched.work.background && sched.work.background())
		sched_event_at(plat_tsc() + plat_tsc_khz());
}

static void go_idle(u32 cpu)
{
	if (sched.work.idle && sched.work.idle()) {
		epoch_quiescent(cpu, epoch_now());
		return;
	}
	epoch_idle_enter(cpu);
	plat_idle(sched_next_event(), &sched.wake[cpu]);
	epoch_idle_leave(cpu);
}

void sched_loop(void)
{
	u32 cpu = plat_cpu();

	for (;;) {
		struct vcpu *v;

		events();
		v = pick(cpu);
		if (v)
			run(v);
		else
			go_idle(cpu);
	}
}
