/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balloon driver for Linux: declarations for its files. The protocol's state is struct
 * aero_balloon (../balloon_core.h); this adds the state for Linux.
 */
#ifndef AEROSTAT_H
#define AEROSTAT_H

#include <linux/balloon_compaction.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/page_reporting.h>
#include <linux/platform_device.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "../balloon_core.h"

#define AERO_ORDER_2M 9
#define AEROSTAT_PRESSURE_LIFE (10 * HZ)

struct aerostat {
	struct device *dev;
	/* Held for a few batches. Taken before page locks, small.pages_lock and zone->lock. */
	struct mutex lock;
	struct aero_balloon balloon;
	struct aero_os os;
	struct workqueue_struct *queue;
	struct delayed_work work;
	struct balloon_dev_info small; /* the 4 KiB pages in the balloon, movable */
	unsigned long memory;	       /* pages that the kernel managed before we took any */
	s64 budget;		       /* pages that may still be taken in this step */
	struct list_head stock;	       /* 4 KiB pages for it, allocated before the lock was taken */
	bool out_of_stock;	       /* the last step could have used more of those */
	struct page *own;	       /* for the core itself, from before the lock, too */
	unsigned long hold_until;      /* jiffies: we take no page before; 0: no such time */
	u64 rings, grown;	       /* of the doorbell; pages, before OOM */
	u64 cycles, grow_cycles;       /* of the TSC: moving pages; the last growth */
	int irq;		       /* of the doorbell; negative: only polling */
	bool listening;		       /* it is on */
	bool asleep, wakes;	       /* from going to sleep until waking; the doorbell wakes */

	struct page_reporting_dev_info reporting;
	bool reporting_on;
	aero_u64 *report_pages;
	unsigned long shown;	   /* pages that the allocator lacks because of a report */
	unsigned long shown_until; /* jiffies: it will have them back by then; 0: there were none */
	unsigned long report_seen; /* shown_until at our last look, if it had passed by then */

	struct notifier_block oom, sleep;
	s64 last_sum;		  /* spare pages plus balloon at the last look */
	bool was_short;		  /* true: hardly any page was spare then */
	unsigned long kills;	  /* kills by the kernel, at that look */
	unsigned long most_swap;  /* the most free pages that it ever had */
	unsigned long next_stats; /* jiffies */

	struct aero_pressure pressure; /* figures from user space, and until when STATS has them */
	unsigned long pressure_until;  /* jiffies; 0: no figures */
	struct aero_stats stats;
	unsigned long events[NR_VM_EVENT_ITEMS];
};

/* main.c */
void aerostat_call(aero_u64 number, aero_u64 a, aero_u64 b, aero_u64 c, struct aero_result *r);

/* pages.c: connects the balloon core to the page allocator. */
void aerostat_pages_init(struct aerostat *a);
/*
 * Called without the lock. Allocates a page for the core; allocates 4 KiB pages for the balloon,
 * true if there are some and the last step found too few; frees unused ones.
 */
void aerostat_own_ready(struct aerostat *a);
bool aerostat_restock(struct aerostat *a);
void aerostat_unstock(struct aerostat *a);
/* Gives up pages that the hypervisor does not give back. */
void aerostat_pages_abandon(struct aerostat *a);
/* The number of pages that we may take without making memory short in the guest. */
s64 aerostat_spare(struct aerostat *a);
/* The number of available pages that are not spare. */
s64 aerostat_keep(const struct aerostat *a);

/* Takes no page from the guest for this many jiffies. Any context. */
void aerostat_hold_off(struct aerostat *a, unsigned long time);

/* report.c, oom.c, stats.c */
void aerostat_report_start(struct aerostat *a);
void aerostat_report_stop(struct aerostat *a);
/* Pages that will soon be in the allocator's lists again; may wait for a part of that time. */
unsigned long aerostat_report_returns(const struct aerostat *a);
/* True: the allocator lacked some at any time since the last call of this function. */
bool aerostat_reported_since(struct aerostat *a);
/*
 * Before each step: gives the guest back what it lacks of the memory that it keeps, and notices
 * killed programs. Only the worker calls this, without the lock.
 */
void aerostat_oom_watch(struct aerostat *a);
int aerostat_oom_start(struct aerostat *a);
void aerostat_oom_stop(struct aerostat *a);
/* First without the lock, then with it. */
void aerostat_count_events(struct aerostat *a);
void aerostat_send_stats(struct aerostat *a);

/* free_blocks.c: a free block of 2 MiB, untouched; NULL if there is none to spare. */
bool aerostat_free_blocks_work(void);
struct page *aerostat_take_free_block(void);

/* device.c: /dev/aerostat. After stop has returned, nothing uses @a any more. */
void aerostat_device_start(struct aerostat *a);
void aerostat_device_stop(struct aerostat *a);

/* sysfs.c */
extern const struct attribute_group *aerostat_groups[];

#endif
