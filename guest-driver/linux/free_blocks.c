/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Free blocks of 2 MiB, taken from the page allocator's lists untouched.
 *
 * alloc_pages() zeroes what it gives (init_on_alloc), 4 KiB at a time, whether
 * the page will ever be used or not: memory that the guest never touched would
 * be faulted in only to be given away, and all of it zeroed.  No flag and no
 * exported function goes around that, so this takes a block off its list as
 * mm/page_alloc.c does for __isolate_free_page().  That is the inside of another
 * file: it is done only on kernels whose inside has been compared with this;
 * others, and those that poison free pages, are asked by alloc_pages().
 * docs/linux-driver.md says what was compared, and what differs.
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/version.h>
#include <linux/vmstat.h>

#include "aerostat.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0) && !defined(CONFIG_CMA)

static bool untouched = true;
module_param(untouched, bool, 0444);
MODULE_PARM_DESC(untouched,
		 "Take free blocks from the allocator's lists (default), or ask alloc_pages()");

/* Movable first: blocks of the kernel's own kinds serve it better. */
static const u8 kinds[] = { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE };

bool aerostat_free_blocks_work(void)
{
	return untouched && !page_poisoning_enabled_static() && !debug_pagealloc_enabled_static();
}

/* del_page_from_free_list() and __mod_zone_freepage_state(); zone->lock is held. */
static void unlink_block(struct zone *zone, struct page *page, unsigned int order)
{
	if (PageReported(page))
		__ClearPageReported(page);
	list_del(&page->buddy_list);
	__ClearPageBuddy(page);
	set_page_private(page, 0);
	zone->free_area[order].nr_free--;
	__mod_zone_page_state(zone, NR_FREE_PAGES, -(1l << order));
}

static struct page *take_of(struct zone *zone, unsigned int order)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct list_head *list = &zone->free_area[order].free_list[kinds[k]];
		struct page *page = list_first_entry_or_null(list, struct page, buddy_list);

		if (page) {
			unlink_block(zone, page, order);
			return page;
		}
	}
	return NULL;
}

static struct page *take_from(struct zone *zone)
{
	struct page *page = NULL;
	unsigned int order = AERO_ORDER_2M;
	unsigned long flags;

	spin_lock_irqsave(&zone->lock, flags);
	/* What is kept for atomic allocations counts as free, and is in none of our lists. */
	if (zone_page_state(zone, NR_FREE_PAGES) >
	    high_wmark_pages(zone) + zone->nr_reserved_highatomic + (1ul << MAX_ORDER))
		for (; !page && order < MAX_ORDER; order++)
			page = take_of(zone, order);
	spin_unlock_irqrestore(&zone->lock, flags);
	if (!page)
		return NULL;
	init_page_count(page);
	/* What is more than 2 MiB goes back, and is the first that the next one finds. */
	while (--order > AERO_ORDER_2M) {
		struct page *rest = page + (1ul << (order - 1));

		init_page_count(rest);
		__free_pages(rest, order - 1);
	}
	return page;
}

/* The lowest zone is for devices that reach no further. */
struct page *aerostat_take_free_block(void)
{
	int node;

	for_each_online_node(node) for (int z = MAX_NR_ZONES - 1; z > ZONE_DMA; z--)
	{
		struct zone *zone = &NODE_DATA(node)->node_zones[z];
		struct page *page = populated_zone(zone) ? take_from(zone) : NULL;

		if (page)
			return page;
	}
	return NULL;
}

#else

bool aerostat_free_blocks_work(void)
{
	return false;
}

struct page *aerostat_take_free_block(void)
{
	return NULL;
}

#endif
