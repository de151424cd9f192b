/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Grow before OOM: a kernel that is about to kill somebody asks the hypervisor
 * for a smaller balloon instead, and has the pages before the call returns.
 */
#include <linux/oom.h>

#include "aerostat.h"

#define GROW_PAGES (8ul << (20 - PAGE_SHIFT))

/* The allocation that failed waits for us; our own never come here (__GFP_NORETRY). */
static int out_of_memory_soon(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct aerostat *a = container_of(nb, struct aerostat, oom);
	u64 before, started = get_cycles();

	/* The worker, if it is about to take more, stops at its next page. */
	aerostat_hold_off(a);
	mutex_lock(&a->lock);
	before = a->balloon.size;
	aero_balloon_grow(&a->balloon, GROW_PAGES);
	*(unsigned long *)freed += before - a->balloon.size;
	a->grown += before - a->balloon.size;
	a->grow_cycles = get_cycles() - started;
	mutex_unlock(&a->lock);
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
