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

/* Makes @v ready if what it waits for may have come. Any CPU. */
void sched_wake(struct vcpu *v);

/*
 * By the CPU that runs @v: it is to leave, and why.  Takes effect in
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

/*
 * Wakes who waits for memory and may have some now: the VM furthest below its
 * entitlement and those that are as far, and whoever has a promise.  The others
 * come when these have theirs, or nobody waits before them any more.  Any CPU.
 */
void sched_wake_memory_waiters(void);
/*
 * Is a vCPU of @vm without the memory that it needs?  One that was woken for it
 * counts until it has had a CPU and time to take any.  @now: TSC.  Takes no lock.
 */
bool sched_wants_memory(const struct vm *vm, u64 now);

/* Does a vCPU of @vm get no further for want of memory, whether it waits or is just trying again? */
bool sched_stands_still(const struct vm *vm);

/* May @vm take memory that is promised to nobody?  Not while one further below waits. */
bool sched_memory_turn(const struct vm *vm);

/* @vm goes from paused to running: its ready vCPUs look for a CPU. */
void sched_vm_resumed(const struct vm *vm);

/* Takes @v off the list for good; false while it still runs. */
bool sched_retire(struct vcpu *v);

/* Background work that boot registers: called by one CPU at a time. */
typedef void (*sched_tick_fn)(u64 now);
void sched_set_tick(sched_tick_fn fn);

#endif
