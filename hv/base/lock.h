/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spin lock, and the one list of all locks: the order in which a CPU may take them.
 *
 * A CPU that holds a lock takes only locks further down the list, and none while it enters a guest.
 * The rank is in the lock's type, so it costs no memory and no lock can be without one.  The unit
 * tests (-DLOCK_ORDER) check each lock that is taken; the hypervisor on a machine checks nothing.
 */
#ifndef HV_BASE_LOCK_H
#define HV_BASE_LOCK_H

#include <hv/base/atomic.h>

/* X(rank, what it is called), from the outermost to the innermost. docs/architecture.md says why. */
#define LOCKS(X)                                              \
	X(LOCK_AUDIT, "audit_lock")	/* a VM: struct vm */ \
	X(LOCK_LIMITS, "limits_lock")	/* manage.c */        \
	X(LOCK_VIRTIO, "virtio.lock")	/* a virtio device */ \
	X(LOCK_UART, "uart.lock")	/* a VM */            \
	X(LOCK_BLOCK, "names.lock")	/* open disks */      \
	X(LOCK_DRIVER, "nvme.lock")	/* a controller */    \
	X(LOCK_CONSOLE, "console.lock") /* a VM */            \
	X(LOCK_IOAPIC, "ioapic.lock")	/* a VM */            \
	X(LOCK_P2M, "p2m.lock")		/* a VM */            \
	X(LOCK_FRAMES, "frames.lock")	/* the frame table */ \
	X(LOCK_SCHED, "sched.lock")	/* the ready list */  \
	X(LOCK_LOG, "log's lock")	/* log_lock() */      \
	X(LOCK_EXPLAIN, "explain.lock") /* a VM; nothing below */

#define LOCK_RANK_(rank, name) rank,
enum lock_rank {
	LOCK_NONE,
	LOCKS(LOCK_RANK_) LOCK_RANKS,
};
#undef LOCK_RANK_

/* Zero: free. The array has no elements; only the size of one is ever looked at. */
#define SPINLOCK(rank)               \
	struct {                     \
		u32 held;            \
		char rank_[0][rank]; \
	}
#define SPIN_RANK(l) ((enum lock_rank)sizeof((l)->rank_[0]))

#ifdef LOCK_ORDER
/* tests/fake/lock_order.c. @must: the caller would wait for it. */
void lock_order_take(u32 *held, enum lock_rank rank, bool must);
void lock_order_release(const u32 *held);
#else
static inline void lock_order_take(u32 *held, enum lock_rank rank, bool must)
{
	(void)held, (void)rank, (void)must;
}

static inline void lock_order_release(const u32 *held)
{
	(void)held;
}
#endif

/*
 * A test-and-test-and-set lock.  The hypervisor never takes an interrupt while
 * it holds one (it runs with interrupts off), so there is one flavour only.
 */
static inline bool spin_try_take(u32 *held, enum lock_rank rank)
{
	if (atomic_load(held) || __atomic_exchange_n(held, 1, __ATOMIC_ACQUIRE))
		return false;
	lock_order_take(held, rank, false);
	return true;
}

static inline void spin_take(u32 *held, enum lock_rank rank)
{
	lock_order_take(held, rank, true);
	while (unlikely(__atomic_exchange_n(held, 1, __ATOMIC_ACQUIRE)))
		while (atomic_load(held))
			__builtin_ia32_pause();
}

static inline void spin_release(u32 *held)
{
	lock_order_release(held);
	__atomic_store_n(held, 0, __ATOMIC_RELEASE);
}

#define spin_trylock(l) spin_try_take(&(l)->held, SPIN_RANK(l))
#define spin_lock(l) spin_take(&(l)->held, SPIN_RANK(l))
#define spin_unlock(l) spin_release(&(l)->held)

#endif
