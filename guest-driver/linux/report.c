/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Free page reporting: the kernel shows blocks that are free, and the host takes their frames,
 * whatever the target. Nobody else can allocate the blocks until report() returns.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "aerostat.h"

static bool report_free = true;
module_param_named(report, report_free, bool, 0444);
MODULE_PARM_DESC(report, "Let the host have free memory without being asked for it (default yes)");

/* The time from the end of a report until the kernel has its blocks back in the lists. */
#define RETURN_TIME (HZ / 5)

/* The largest block of the page allocator is 4 MiB, 8 in later kernels. */
#define BLOCKS_MAX (PAGE_REPORTING_CAPACITY * 4)

static int report(struct page_reporting_dev_info *info, struct scatterlist *list,
		  unsigned int nents)
{
	struct aerostat *a = container_of(info, struct aerostat, reporting);
	aero_u64 *pages = a->report_pages;
	struct scatterlist *s;
	unsigned int i, n = 0;
	aero_u64 taken;

	for_each_sg(list, s, nents, i) for (unsigned int at = 0; at < s->length && n < BLOCKS_MAX;
					    at += PMD_SIZE) pages[n++] =
		page_to_pfn(sg_page(s)) + (at >> PAGE_SHIFT);
	WRITE_ONCE(a->shown, (unsigned long)n << AERO_ORDER_2M);
	mutex_lock(&a->lock);
	taken = aero_balloon_report(&a->balloon, pages, n);
	mutex_unlock(&a->lock);
	WRITE_ONCE(a->shown_until, (jiffies + RETURN_TIME) | 1);
	WRITE_ONCE(a->shown, 0);
	/* The kernel shows blocks that the host does not take again later. */
	return taken == (aero_u64)n << AERO_ORDER_2M ? 0 : -EAGAIN;
}

/*
 * The kernel shows us up to 128 MiB at a time, and others may have only its minimum left meanwhile.
 * If a report takes long, because this VM or the host has to wait, the kernel would kill programs
 * although memory is free.
 */
unsigned long aerostat_report_returns(const struct aerostat *a)
{
	unsigned long shown = READ_ONCE(a->shown), until = READ_ONCE(a->shown_until);

	if (!shown && until && time_before(jiffies, until))
		shown = 1ul << AERO_ORDER_2M;
	if (shown)
		schedule_timeout_uninterruptible(1);
	return shown;
}

bool aerostat_reported_since(struct aerostat *a)
{
	unsigned long until = READ_ONCE(a->shown_until);
	bool now = READ_ONCE(a->shown) || (until && time_before(jiffies, until));
	bool since = now || a->report_seen != until;

	a->report_seen = now ? 0 : until;
	return since;
}

/* No error: the balloon works without it. */
void aerostat_report_start(struct aerostat *a)
{
	a->reporting = (struct page_reporting_dev_info){ .report = report };
	if (!report_free || !(a->balloon.features & AERO_FEATURE_REPORT) ||
	    page_poisoning_enabled_static())
		return;
	if (!a->report_pages)
		a->report_pages = kcalloc(BLOCKS_MAX, sizeof(*a->report_pages), GFP_KERNEL);
	if (!a->report_pages)
		return;
	a->reporting_on = !page_reporting_register(&a->reporting);
	if (!a->reporting_on)
		dev_info(a->dev, "free pages are not reported: another driver does that\n");
}

void aerostat_report_stop(struct aerostat *a)
{
	if (a->reporting_on)
		page_reporting_unregister(&a->reporting);
	a->reporting_on = false;
	kfree(a->report_pages);
	a->report_pages = NULL;
}
