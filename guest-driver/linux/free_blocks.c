/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes free blocks of 2 MiB from the page allocator's lists, untouched.
 *
 * alloc_pages() zeroes the pages that it returns (init_on_alloc), 4 KiB at a time, even if nobody
 * will use them: the guest would touch memory that it never had, only to give it away. No flag and
 * no exported function avoids that, so this takes a block off its list as mm/page_alloc.c does for
 * __isolate_free_page(). That depends on the inside of mm/page_alloc.c, so it runs only on kernels
 * that have been compared with this code. On others, and on those that poison free pages, the
 * driver calls alloc_pages(). docs/linux-driver.md says what was compared, and what differs.
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

/* Movable blocks first: the kernel itself needs the other kinds more. */
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
	/* Blocks kept for atomic allocations count as free, and are in none of our lists. */
	if (zone_page_state(zone, NR_FREE_PAGES) >
	    high_wmark_pages(zone) + zone->nr_reserved_highatomic + (1ul << MAX_ORDER))
		for (; !page && order < MAX_ORDER; order++)
			page = take_of(zone, order);
	spin_unlock_irqrestore(&zone->lock, flags);
	if (!page)
		return NULL;
	init_page_count(page);
	/* The rest of a larger block goes back; the next call finds it first. */
	while (--order > AERO_ORDER_2M) {
		struct page *rest = page + (1ul << (order - 1));

		init_page_count(rest);
		__free_pages(rest, order - 1);
	}
	return page;
}

/* Leave the lowest zone to devices that reach no other. */
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
