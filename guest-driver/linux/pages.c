/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gives the balloon core pages that Linux can spare. It takes 2 MiB blocks only if they are free,
 * because making room for them would cost the guest its own huge pages; 4 KiB pages may come from
 * the page cache, and stay movable while they are in the balloon. All of them still count as the
 * guest's memory (MemTotal): they come back when the guest needs them, so a program may ask for
 * more than is left at this moment.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "aerostat.h"

/*
 * Daemons kill when a tenth of the memory is available: earlyoom and systemd-oomd by their
 * defaults. So we leave more than that. docs/linux-driver.md has their figures, and the kubelet's.
 */
static uint keep_percent = 15;
module_param_named(keep, keep_percent, uint, 0644);
MODULE_PARM_DESC(keep,
		 "Percent of the memory that stay available when the balloon grows (default 15)");
#define KEEP_MIN (8ul << (20 - PAGE_SHIFT))

#define GFP_BLOCK \
	((GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN)

/*
 * Anonymous memory for which there is swap space; the kernel decides which of it to swap out. The
 * same part of the swap stays free as of the memory, because daemons look at both.
 */
static s64 swappable(struct aerostat *a)
{
	unsigned long anon =
		global_node_page_state(NR_INACTIVE_ANON) + global_node_page_state(NR_ACTIVE_ANON);
	long left = max(get_nr_swap_pages(), 0l);

	a->most_swap = max_t(unsigned long, a->most_swap, left);
	return clamp_t(s64, left - (s64)(a->most_swap * min(keep_percent, 100u) / 100), 0, anon);
}

s64 aerostat_keep(const struct aerostat *a)
{
	return max(a->memory * min(keep_percent, 100u) / 100, KEEP_MIN);
}

s64 aerostat_spare(struct aerostat *a)
{
	return (s64)si_mem_available() + swappable(a) - aerostat_keep(a);
}

static bool held_off(const struct aerostat *a)
{
	unsigned long until = READ_ONCE(a->hold_until);

	return until && time_before(jiffies, until);
}

void aerostat_hold_off(struct aerostat *a, unsigned long time)
{
	WRITE_ONCE(a->hold_until, (jiffies + time) | 1);
}

/* makedumpfile leaves such pages out; reading them would pop them. */
static void mark_offline(struct page *page, bool offline)
{
	for (unsigned int i = 0; i < 1u << AERO_ORDER_2M; i++)
		if (offline)
			__SetPageOffline(page + i);
		else
			__ClearPageOffline(page + i);
}

static struct page *take_block(void)
{
	struct page *page = aerostat_free_blocks_work() ? aerostat_take_free_block() :
							  alloc_pages(GFP_BLOCK, AERO_ORDER_2M);

	if (page)
		mark_offline(page, true);
	return page;
}

static int from_stock(struct aerostat *a, aero_u64 *page)
{
	if (list_empty(&a->stock)) {
		a->out_of_stock = true;
		return 0;
	}
	*page = page_to_pfn(balloon_page_pop(&a->stock));
	return 1;
}

static int os_alloc(void *ctx, unsigned int order, aero_u64 *page)
{
	struct aerostat *a = ctx;
	struct page *p;

	if (held_off(a))
		return 0;
	if (!order)
		return from_stock(a, page);
	p = a->budget < 1l << order ? NULL : take_block();
	if (!p)
		return 0;
	a->budget -= 1l << order;
	*page = page_to_pfn(p);
	return 1;
}

static void os_release(void *ctx, unsigned int order, aero_u64 page)
{
	struct page *p = pfn_to_page(page);

	if (order)
		mark_offline(p, false);
	__free_pages(p, order);
}

static void os_keep(void *ctx, aero_u64 page)
{
	struct aerostat *a = ctx;

	balloon_page_enqueue(&a->small, pfn_to_page(page));
}

/* None: the kernel is moving those that are left. */
static int os_take(void *ctx, aero_u64 *page)
{
	struct aerostat *a = ctx;
	LIST_HEAD(one);

	if (!balloon_page_list_dequeue(&a->small, &one, 1))
		return 0;
	*page = page_to_pfn(balloon_page_pop(&one));
	return 1;
}

static int os_own(void *ctx, aero_u64 *page)
{
	struct aerostat *a = ctx;
	struct page *p = a->own ? a->own : alloc_page(GFP_NOWAIT | __GFP_NOWARN);

	a->own = NULL;
	if (p)
		*page = page_to_pfn(p);
	return p != NULL;
}

static void os_disown(void *ctx, aero_u64 page)
{
	__free_page(pfn_to_page(page));
}

static void *os_map(void *ctx, aero_u64 page)
{
	return page_address(pfn_to_page(page));
}

static void os_log(void *ctx, const char *what, aero_u64 value)
{
	struct aerostat *a = ctx;

	dev_warn_ratelimited(a->dev, "%s (%llu)\n", what, value);
}

/* Compaction needs @from, and gives us @to for it. Both are locked; we must not wait. */
static int move(struct balloon_dev_info *small, struct page *to, struct page *from,
		enum migrate_mode mode)
{
	struct aerostat *a = container_of(small, struct aerostat, small);
	unsigned long flags;
	int moved;

	if (!mutex_trylock(&a->lock))
		return -EAGAIN;
	moved = aero_balloon_move(&a->balloon, page_to_pfn(from), page_to_pfn(to));
	mutex_unlock(&a->lock);
	if (!moved)
		return -EAGAIN;
	get_page(to); /* the balloon's */
	spin_lock_irqsave(&small->pages_lock, flags);
	balloon_page_insert(small, to);
	small->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&small->pages_lock, flags);
	balloon_page_finalize(from);
	put_page(from);
	return MIGRATEPAGE_SUCCESS;
}

/*
 * Allocate these pages before the lock. To make room for them may need a kernel lock whose holder
 * waits for our lock in out_of_memory_soon().
 */
void aerostat_own_ready(struct aerostat *a)
{
	if (!a->own)
		a->own = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
}

/* As many as the next batch takes: the kernel zeroes them, so the hint counts. */
bool aerostat_restock(struct aerostat *a)
{
	const struct aero_balloon *b = &a->balloon;
	s64 room = min_t(s64, READ_ONCE(b->hint), AERO_BATCH_MAX);
	struct page *p;

	if (!a->out_of_stock)
		return false;
	a->out_of_stock = false;
	room = min_t(s64, room, READ_ONCE(b->target) - READ_ONCE(b->actual));
	for (room = min(room, aerostat_spare(a)); room > 0 && !held_off(a); room--) {
		p = balloon_page_alloc();
		if (!p)
			break;
		balloon_page_push(&a->stock, p);
	}
	return !list_empty(&a->stock);
}

void aerostat_unstock(struct aerostat *a)
{
	while (!list_empty(&a->stock))
		__free_page(balloon_page_pop(&a->stock));
}

/* Takes them off the kernel's lists of movable pages; waits for those that it is moving. */
void aerostat_pages_abandon(struct aerostat *a)
{
	aero_u64 page;

	while (!list_empty(&a->small.pages) || READ_ONCE(a->small.isolated_pages))
		if (!os_take(a, &page))
			cond_resched();
}

void aerostat_pages_init(struct aerostat *a)
{
	a->memory = totalram_pages();
	INIT_LIST_HEAD(&a->stock);
	balloon_devinfo_init(&a->small);
	a->small.migratepage = move;
	a->os = (struct aero_os){
		.alloc = os_alloc,
		.release = os_release,
		.call = aerostat_call,
		.map = os_map,
		.log = os_log,
		.ctx = a,
		.large_untouched = aerostat_free_blocks_work(),
		.keep = os_keep,
		.take = os_take,
		.own = os_own,
		.disown = os_disown,
	};
}
