/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest kernel's page allocator: a bitmap, one bit per 4 KiB page. For itself it prefers pages
 * that it has used before, as kernels do. It scans aligned runs for free blocks of 2 MiB.
 */
#include "bare.h"

#define MAX_PAGES (1ul << 20) /* 4 GiB */
#define BLOCK 512ul

extern u8 bare_end[];

static u64 used[MAX_PAGES / 64]; /* bit set: taken */
static u64 pages, free_pages, hint, block_hint;
static volatile u32 lock;
u64 bare_keep_free = 64;

static void acquire(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
}

static void release(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static bool test(u64 p)
{
	return used[p / 64] >> (p % 64) & 1;
}

void bare_memory_init(u64 bytes)
{
	u64 first = ((u64)bare_end + PAGE - 1) / PAGE;

	pages = bytes / PAGE;
	if (pages > MAX_PAGES)
		pages = MAX_PAGES;
	for (u64 p = 0; p < first; p++)
		used[p / 64] |= 1ul << (p % 64);
	free_pages = pages - first;
	hint = first;
	block_hint = (first + BLOCK - 1) / BLOCK;
}

u64 bare_memory_pages(void)
{
	return pages;
}

u64 bare_free_pages(void)
{
	return free_pages;
}

static u64 alloc_small(void)
{
	for (u64 n = 0; n < pages; n++) {
		u64 p = hint + n < pages ? hint + n : hint + n - pages;

		if (!(p & 63) && used[p / 64] == ~0ul) {
			n += 63;
			continue;
		}
		if (!test(p)) {
			used[p / 64] |= 1ul << (p % 64);
			free_pages--;
			hint = p + 1 < pages ? p + 1 : 0;
			return p;
		}
	}
	return 0;
}

static u64 alloc_large(void)
{
	u64 blocks = pages / BLOCK;

	for (u64 n = 0; n < blocks; n++) {
		u64 b = (block_hint + n) % blocks;
		u64 *w = &used[b * BLOCK / 64], any = 0;

		for (u64 i = 0; i < BLOCK / 64; i++)
			any |= w[i];
		if (any)
			continue;
		for (u64 i = 0; i < BLOCK / 64; i++)
			w[i] = ~0ul;
		free_pages -= BLOCK;
		block_hint = b + 1;
		return b * BLOCK;
	}
	return 0;
}

u64 bare_page_alloc(unsigned int order)
{
	u64 p;

	acquire();
	p = free_pages >= 1ul << order ? order ? alloc_large() : alloc_small() : 0;
	release();
	return p;
}

void bare_page_free(u64 page, unsigned int order)
{
	acquire();
	if (order) {
		for (u64 i = 0; i < BLOCK / 64; i++)
			used[page / 64 + i] = 0;
		block_hint = page / BLOCK;
	} else {
		used[page / 64] &= ~(1ul << (page % 64));
		hint = page;
	}
	free_pages += 1ul << order;
	release();
}
