/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balloon driver for Linux: what its files share.  The protocol's state is
 * struct aero_balloon (../balloon_core.h); this is what Linux adds.
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
	/* Held for a few batches; inside it page locks, small.pages_lock, zone->lock. */
	struct mutex lock;
	struct aero_balloon balloon;
	struct aero_os os;
	struct workqueue_struct *queue;
	struct delayed_work work;
	struct balloon_dev_info small; /* the 4 KiB pages in the balloon, movable */
	unsigned long memory;	       /* pages that the kernel managed before we took any */
	s64 budget;		       /* pages that may still be taken in this step */
	struct list_head stock;	       /* 4 KiB pages for it, from before the lock was taken */
	bool out_of_stock;	       /* more of those would have been of use */
	struct page *own;	       /* for the core itself, from before the lock, too; or NULL */
	unsigned long hold_until;      /* jiffies: no page is taken before; 0: whenever */
	u64 rings, grown;	       /* of the doorbell; pages, before OOM */
	u64 cycles, grow_cycles;       /* of the TSC: moving pages; the last growth */
	int irq;		       /* of the doorbell; negative: polling alone */
	bool listening;		       /* it is on */

	struct page_reporting_dev_info reporting;
	bool reporting_on;
	aero_u64 *report_pages;
	unsigned long shown;	   /* pages that the allocator misses for a report */
	unsigned long shown_until; /* jiffies: it has them back by then; 0: there were none */
	unsigned long report_seen; /* shown_until of the last look at it, if it was over by then */

	struct notifier_block oom, sleep;
	s64 last_sum;		  /* of spare pages and balloon, when last looked at */
	bool was_short;		  /* and hardly any was spare */
	unsigned long kills;	  /* by the kernel, as of then */
	unsigned long most_swap;  /* free pages in it, at most ever */
	unsigned long next_stats; /* jiffies */

	struct aero_pressure pressure; /* from user space, in STATS until then */
	unsigned long pressure_until;  /* jiffies; 0: there is none */
	struct aero_stats stats;
	unsigned long events[NR_VM_EVENT_ITEMS];
};

/* main.c */
void aerostat_call(aero_u64 number, aero_u64 a, aero_u64 b, aero_u64 c, struct aero_result *r);

/* pages.c: the balloon core's way to the page allocator. */
void aerostat_pages_init(struct aerostat *a);
/*
 * Without the lock: a page for the core; 4 KiB pages for the balloon, true if there are some
 * and the last step found too few; and what was not used goes back.
 */
void aerostat_own_ready(struct aerostat *a);
bool aerostat_restock(struct aerostat *a);
void aerostat_unstock(struct aerostat *a);
/* Pages that the hypervisor does not give back are lost from now on. */
void aerostat_pages_abandon(struct aerostat *a);
/* How many pages may be taken without making the guest's own life hard. */
s64 aerostat_spare(struct aerostat *a);
/* How many of the pages that are available are not spare. */
s64 aerostat_keep(const struct aerostat *a);

/* For so many jiffies from now on the guest needs its memory itself. Any context. */
void aerostat_hold_off(struct aerostat *a, unsigned long time);

/* report.c, oom.c, stats.c */
void aerostat_report_start(struct aerostat *a);
void aerostat_report_stop(struct aerostat *a);
/* Pages that will be in the allocator's lists again in a moment; waits for a part of it. */
unsigned long aerostat_report_returns(const struct aerostat *a);
/* Did it miss some at any time since the last call of this? */
bool aerostat_reported_since(struct aerostat *a);
/*
 * Before each step: what is missing of what the guest keeps comes back, and somebody's death is
 * noticed.  Without the lock, by the worker alone.
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

/* device.c: /dev/aerostat. Nothing of a's is used any more once stop has returned. */
void aerostat_device_start(struct aerostat *a);
void aerostat_device_stop(struct aerostat *a);

/* sysfs.c */
extern const struct attribute_group *aerostat_groups[];

#endif
