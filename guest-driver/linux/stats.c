/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reports the kernel's own counters, and the figures from user space, to the hypervisor. */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "aerostat.h"

static unsigned long node_pages(enum node_stat_item item)
{
	return global_node_page_state(item);
}

/* all_vm_events() waits for CPUs that come or go; those may wait for memory and so for the lock. */
void aerostat_count_events(struct aerostat *a)
{
	all_vm_events(a->events);
}

/* The structure is in @a, because its memory must be contiguous. */
void aerostat_send_stats(struct aerostat *a)
{
	const unsigned long *events = a->events;
	struct aero_result r;

	a->stats = (struct aero_stats){
		.total = totalram_pages(),
		.free = global_zone_page_state(NR_FREE_PAGES),
		.available = max(si_mem_available(), 0l),
		.file = node_pages(NR_ACTIVE_FILE) + node_pages(NR_INACTIVE_FILE),
		.anon = node_pages(NR_ANON_MAPPED),
		.swap_in = events[PSWPIN],
		.swap_out = events[PSWPOUT],
		.major_faults = events[PGMAJFAULT],
		.refaults =
			node_pages(WORKINGSET_REFAULT_ANON) + node_pages(WORKINGSET_REFAULT_FILE),
		.oom_kills = events[OOM_KILL],
	};
	if (a->pressure_until && time_before(jiffies, a->pressure_until)) {
		a->stats.stall_some = a->pressure.stall_some;
		a->stats.stall_full = a->pressure.stall_full;
		a->stats.swap_total = a->pressure.swap_total;
		a->stats.swap_free = a->pressure.swap_free;
	} else {
		a->pressure_until = 0;
	}
	aerostat_call(AERO_CALL_STATS, virt_to_phys(&a->stats), 0, 0, &r);
}
