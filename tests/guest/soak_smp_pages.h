/* SPDX-License-Identifier: BSD-2-Clause */
/* The soak's memory: blocks with a lock, and the right contents of each page. */
#ifndef TESTS_GUEST_SOAK_SMP_PAGES_H
#define TESTS_GUEST_SOAK_SMP_PAGES_H

#include "case.h"

#define BLOCKS 12
#define PAGES (BLOCKS * 512)
#define KEPT 64
#define HOT 48 /* wild pages that are used most */
#define WILD_STRIDE 64
#define HELD 4 /* blocks that a batch spreads over */
#define WORKERS 2
#define STEP 0x9e3779b97f4a7c15ul /* between two words of a page */
#define KEEPER 0

enum {
	EMPTY,	/* ours, not touched since we got it: reads as zero */
	ZERO,	/* touched, not written */
	FILLED, /* with its pattern */
	LOCKED, /* in the balloon */
};

struct worker {
	u64 rng;
	u32 index;
	struct aero_batch *batch;
	u64 held[HELD];
	u32 nr_held;
	u64 accepted[2], refused, lacking, early; /* entries; by size; no table; driver off */
	u64 checked, restarts, audits;
};

static struct {
	u32 lock;
	u32 locked; /* pages of it in the balloon */
} blocks[BLOCKS];
static u8 state[PAGES];
static u32 generation[PAGES];
static u64 first, wild, kept, memory, salt, life, share, target, pops, wild_pops, flip;
static u64 marked; /* accepted entries at the last line about them */
static u32 done, scribbling;
static struct aero_batch batches[WORKERS] __attribute__((aligned(4096)));
static struct worker workers[WORKERS];

/* --- helpers ------------------------------------------------------ */

/* splitmix64: a good hash of a counter */
static u64 mix(u64 x)
{
	x += STEP;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul;
	x = (x ^ x >> 27) * 0x94d049bb133111ebul;
	return x ^ x >> 31;
}

static u64 rnd(struct worker *w, u64 n)
{
	w->rng++;
	return (mix(w->rng) >> 16) % n;
}

static void pause(void)
{
	__asm__ volatile("pause");
}

/*
 * Many may be inside, or one alone. A vCPU that wants to be alone keeps others from coming in, but
 * does not wait for ever: a vCPU inside may wait for memory that only this VM's driver can give.
 */
struct gate {
	int inside; /* -1: one alone */
	u32 closing;
};
static struct gate model, wilderness;

static bool enter(struct gate *g)
{
	int n = __atomic_load_n(&g->inside, __ATOMIC_SEQ_CST);

	return !__atomic_load_n(&g->closing, __ATOMIC_SEQ_CST) && n >= 0 &&
	       __atomic_compare_exchange_n(&g->inside, &n, n + 1, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static void leave(struct gate *g)
{
	__atomic_fetch_sub(&g->inside, 1, __ATOMIC_SEQ_CST);
}

static bool enter_alone(struct gate *g)
{
	if (__atomic_exchange_n(&g->closing, 1, __ATOMIC_SEQ_CST))
		return false;
	for (int i = 0; i < 2000; i++) {
		int nobody = 0;

		if (__atomic_compare_exchange_n(&g->inside, &nobody, -1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
		pause();
	}
	__atomic_store_n(&g->closing, 0, __ATOMIC_SEQ_CST);
	return false;
}

static void leave_alone(struct gate *g)
{
	__atomic_store_n(&g->inside, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&g->closing, 0, __ATOMIC_SEQ_CST);
}

/* Takes up to @n blocks at random that nobody has. */
static void hold(struct worker *w, u64 n)
{
	w->nr_held = 0;
	for (u64 i = 0; i < n; i++) {
		u64 b = rnd(w, BLOCKS);

		if (!__atomic_exchange_n(&blocks[b].lock, 1, __ATOMIC_ACQUIRE))
			w->held[w->nr_held++] = b;
	}
}

static void let_go(struct worker *w)
{
	while (w->nr_held)
		__atomic_store_n(&blocks[w->held[--w->nr_held]].lock, 0, __ATOMIC_RELEASE);
}

static u64 locked_pages(void)
{
	u64 n = 0;

	for (u64 b = 0; b < BLOCKS; b++)
		n += __atomic_load_n(&blocks[b].locked, __ATOMIC_RELAXED);
	return n;
}

/* --- a page's bytes ---------------------------------------------------------------- */

/* Each word of a page differs, and names its VM, life, page and generation. */
static u64 tag_of(u64 page, u64 gen)
{
	return mix(salt ^ page << 32 ^ gen);
}

static int verify(struct worker *w, u64 page, u64 start, u64 step)
{
	const u64 *p = bare_ptr(page);
	u64 bad = 0, expected = start;

	w->checked++;
	for (u64 i = 0; i < PAGE / 8; i++, expected += step)
		bad |= p[i] ^ expected;
	if (!bad)
		return 0;
	expected = start;
	for (u64 i = 0; i < PAGE / 8; i++, expected += step)
		if (p[i] != expected) {
			bare_printf("FAIL life %lu: page %lx word %lu holds %lx, not %lx\n", life,
				    page, i, p[i], expected);
			break;
		}
	return 1;
}

/* Page @i of the blocks, which must not be LOCKED. */
static int page_right(struct worker *w, u64 i)
{
	if (state[i] == FILLED)
		return verify(w, first + i, tag_of(first + i, generation[i]), STEP);
	state[i] = ZERO;
	return verify(w, first + i, 0, 0);
}

static void fill(u64 page, u64 gen)
{
	u64 *p = bare_ptr(page), word = tag_of(page, gen);

	for (u64 i = 0; i < PAGE / 8; i++, word += STEP)
		p[i] = word;
}

#endif
