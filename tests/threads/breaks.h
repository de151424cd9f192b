/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leaves a part out of the code under test, to see that the tests notice. Each source file is
 * compiled with this before its first line (threads.mk); it leaves nothing out unless
 * broken_choose() was called.
 */
#ifndef TESTS_THREADS_BREAKS_H
#define TESTS_THREADS_BREAKS_H

#include <hv/base/lock.h>
#include <mm/epoch.h>

extern struct broken {
	enum lock_rank lock;	/* this kind is never taken */
	bool unlock_relaxed;	/* a plain store frees a lock */
	bool no_flush;		/* a CPU notes a stale generation and flushes nothing */
	bool no_wait;		/* quarantine ends at once */
	bool epoch_after_flush; /* a CPU reads the epoch after the flush, not before it */
	bool epoch_relaxed;	/* a plain store publishes the epoch */
	bool idle_never_leaves; /* a CPU that was idle counts as idle until its next entry */
} broken;

/* False: no such part. */
bool broken_choose(const char *name);

#undef spin_lock
#undef spin_trylock
#undef spin_unlock
#define spin_lock(l) (SPIN_RANK(l) == broken.lock ? (void)0 : spin_take(&(l)->held, SPIN_RANK(l)))
#define spin_trylock(l) (SPIN_RANK(l) == broken.lock || spin_try_take(&(l)->held, SPIN_RANK(l)))
#define spin_unlock(l) (SPIN_RANK(l) == broken.lock ? (void)0 : broken_release(&(l)->held))

static inline void broken_release(u32 *held)
{
	if (!broken.unlock_relaxed) {
		spin_release(held);
	} else {
		lock_order_release(held);
		atomic_store(held, 0);
	}
}

/* platform.c. Now and then this gives other CPUs much time. */
void threads_dawdle(void);

static inline void broken_quiescent(u32 cpu, u64 seen)
{
	threads_dawdle();
	if (broken.epoch_after_flush)
		seen = epoch_now();
	if (broken.epoch_relaxed)
		atomic_store(&epochs.cpu[cpu].seen, seen);
	else
		epoch_quiescent(cpu, seen);
}
#define epoch_quiescent broken_quiescent

#endif
