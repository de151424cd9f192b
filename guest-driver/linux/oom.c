/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Grow before OOM: a kernel that is about to kill a program asks the hypervisor for a smaller
 * balloon instead, and has the pages before the call returns. Daemons that kill earlier do not ask
 * us: so this gives pages back when the guest has less than it keeps. After a program was killed it
 * gives 8 MiB back, and takes none for 5 s.
 */
#include <linux/oom.h>

#include "aerostat.h"

#define GROW_PAGES (8ul << (20 - PAGE_SHIFT))
#define HOLD_OFF (2 * HZ)      /* as long as the hypervisor's hold-off */
#define KILL_HOLD_OFF (5 * HZ) /* so that a daemon sees that there is room again */
#define KILL_PART 64	       /* the part of the memory that comes back when a program is killed */

static u64 grow(struct aerostat *a, u64 pages, unsigned long hold)
{
	u64 before, gained;

	/* If the worker is taking pages, it stops at the next one. */
	aerostat_hold_off(a, hold);
	mutex_lock(&a->lock);
	before = a->balloon.size;
	aero_balloon_grow(&a->balloon, pages);
	gained = before - a->balloon.size;
	a->grown += gained;
	mutex_unlock(&a->lock);
	return gained;
}

/*
 * The kernel counts its own kills. We see a daemon's only by their effect: memory was short, and
 * suddenly is not. A program that ends by itself looks the same; that mistake costs a few seconds.
 */
static bool somebody_died(struct aerostat *a, s64 spare)
{
	unsigned long kills = a->events[OOM_KILL];
	s64 sum = spare + (s64)READ_ONCE(a->balloon.size);
	/* The blocks that the kernel reported were away, and are back. */
	bool reported = aerostat_reported_since(a), died = kills > a->kills;

	if (a->was_short && !reported)
		died |= sum - a->last_sum > (s64)(a->memory / KILL_PART);
	a->kills = kills;
	a->last_sum = sum;
	a->was_short = spare < aerostat_keep(a) / 2;
	return died;
}

void aerostat_oom_watch(struct aerostat *a)
{
	s64 spare = aerostat_spare(a), keep = aerostat_keep(a);

	if (somebody_died(a, spare))
		grow(a, GROW_PAGES, KILL_HOLD_OFF);
	else if (spare < -keep / 5 && READ_ONCE(a->balloon.size))
		grow(a, -spare, HOLD_OFF);
}

/* The allocation that failed waits for us; our own allocations never come here (__GFP_NORETRY). */
static int out_of_memory_soon(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct aerostat *a = container_of(nb, struct aerostat, oom);
	u64 started = get_cycles();

	*(unsigned long *)freed += grow(a, GROW_PAGES, HOLD_OFF);
	a->grow_cycles = get_cycles() - started;
	if (!*(unsigned long *)freed)
		*(unsigned long *)freed = aerostat_report_returns(a);
	return NOTIFY_OK;
}

int aerostat_oom_start(struct aerostat *a)
{
	a->oom.notifier_call = out_of_memory_soon;
	return register_oom_notifier(&a->oom);
}

void aerostat_oom_stop(struct aerostat *a)
{
	unregister_oom_notifier(&a->oom);
}
