/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: one ready list for all CPUs, virtual time weighted by shares
 * (Stoica and Abdel-Wahab's "Earliest Eligible Virtual Deadline First" in its
 * simplest form: least virtual time first).  Handlers run to completion;
 * there are no threads, so a "blocked" vCPU is one that is not on the list.
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <hv/vm/vcpu.h>

#define SCHED_SLICE_US 5000

void sched_init(void);

/* CPU @cpu runs no vCPUs, only the work of the host. Boot, before any starts. */
void sched_spare(u32 cpu);

/* TSC when a vCPU first ran, 0 before that: how long it took to boot. (a) */
extern u64 sched_first_run;

/* Each CPU's life after boot. */
void sched_loop(void) __attribute__((noreturn));

/* The boot vCPU of a VM that starts. */
void sched_start(struct vcpu *v);

/* Makes @v ready if the event it waits for may have come. Any CPU. */
void sched_wake(struct vcpu *v);

/*
 * By the CPU that runs @v: it must leave, and why.  Takes effect in
 * sched_put(), once its registers are saved.
 */
void sched_block(struct vcpu *v, enum vcpu_state why);

/* @v has left this CPU: it becomes what sched_block() said, or READY. */
void sched_put(struct vcpu *v);

/* Kicks the CPU that runs @v, if one does. */
void sched_kick(struct vcpu *v);

/* Is a vCPU ready that should run before @v goes on? */
bool sched_should_yield(const struct vcpu *v);

/*
 * By the CPU that runs @v, which has nothing useful to do now: others that are ready go
 * first, once each time.  If there are none it goes on.
 */
void sched_give_way(struct vcpu *v);

/* The next thing that this host has to do for a vCPU that is not running, or at all (TSC). */
extern u64 sched_event; /* (a) */
static inline u64 sched_next_event(void)
{
	return atomic_load(&sched_event);
}
void sched_event_at(u64 tsc);

/* Wakes the vCPUs of @vm that wait for memory: hv/memory/waiters.h says when. */
void sched_wake_no_memory(const struct vm *vm);

/*
 * The host has worked @ticks of TSC time for @vm outside of its vCPUs' runs: as if they had
 * run for so long, together.  Any CPU.
 */
void sched_charge(const struct vm *vm, u64 ticks);

/* A slice in TSC ticks. */
u64 sched_slice_ticks(void);

/* @vm goes from paused to running: its ready vCPUs look for a CPU.  False: it is not paused. */
bool sched_resume_vm(struct vm *vm);

/* Takes @v off the list for good; false while it still runs. */
bool sched_retire(struct vcpu *v);

/*
 * Work of the host that the scheduler knows nothing about.  tick: what is due at TSC @now, by
 * one CPU at a time.  background: a bounded piece that may take long, any CPU; idle: the same
 * on a CPU that has nothing to run.  True: there may be more.
 */
struct sched_work {
	void (*tick)(u64 now);
	bool (*background)(void);
	bool (*idle)(void);
};
void sched_set_work(struct sched_work work);

#endif
