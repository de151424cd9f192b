/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Epochs: when may an unmapped frame be reused?
 *
 * A CPU that unmaps clears the entries, raises the p2m's flush generation, then
 * calls epoch_advance().  A CPU that enters a guest reads the epoch first,
 * flushes if the generation moved, then publishes the epoch that it read; an
 * idle CPU holds no translation in use and no pointer into guest memory.  The
 * hypervisor's own accesses (mm/guestmem.c) happen between two such points,
 * so they are covered by the same rule.
 */
#ifndef MM_EPOCH_H
#define MM_EPOCH_H

#include <hv/base/atomic.h>
#include <hv/base/platform.h>

/* Starts a new epoch and returns it. */
u64 epoch_advance(void);

/* In the open only because every entry into a guest reads and writes it. */
struct epoch_state {
	u64 now __aligned(64);
	struct {
		u64 seen;
	} __aligned(64) cpu[MAX_CPUS];
};
extern struct epoch_state epochs;

/* The current epoch: read it before looking at flush generations. */
static inline u64 epoch_now(void)
{
	return atomic_load_acquire(&epochs.now);
}

/* This CPU has flushed all it had to since @seen was read, and enters a guest. */
static inline void epoch_quiescent(u32 cpu, u64 seen)
{
	atomic_store_release(&epochs.cpu[cpu].seen, seen);
}

void epoch_cpu_online(u32 cpu);
void epoch_idle_enter(u32 cpu);
void epoch_idle_leave(u32 cpu);

/* Every CPU has passed this epoch. */
u64 epoch_safe(void);

/* Boot: every CPU counts as idle until it comes online. */
void epoch_init(void);

#endif
