/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balloon driver without an operating system: poll the target, lock pages
 * that the kernel can spare, unlock them when it shrinks.  The kernel around
 * it supplies struct aero_os.  Not reentrant: one caller at a time.
 */
#ifndef AEROSTAT_BALLOON_CORE_H
#define AEROSTAT_BALLOON_CORE_H

#include "aerostat_abi.h"

struct aero_result {
	long status;
	aero_u64 value, target, hint;
};

/* What the kernel provides. Page numbers are 4 KiB; order is 0 or 9. */
struct aero_os {
	/*
	 * Allocates pages that the kernel can spare, and pins them; 0: it can spare none. Never
	 * blocks for long.
	 */
	int (*alloc)(void *ctx, unsigned int order, aero_u64 *page);
	void (*release)(void *ctx, unsigned int order, aero_u64 page);
	void (*call)(aero_u64 number, aero_u64 a, aero_u64 b, aero_u64 c, struct aero_result *r);
	void *(*map)(void *ctx, aero_u64 page); /* one 4 KiB page, for the driver itself */
	void (*log)(void *ctx, const char *what, aero_u64 value);
	void *ctx;
	/*
	 * The kernel gives pages of order 9 untouched: a batch of them needs no frames, whatever
	 * the hint.
	 */
	int large_untouched;
	/*
	 * Optional, for a kernel that moves pages: it keeps the list of the 4 KiB pages in the
	 * balloon, gives them back one by one (0: none now), and may exchange them by
	 * aero_balloon_move(). It also supplies the driver's own pages, which do not move.
	 */
	void (*keep)(void *ctx, aero_u64 page);
	int (*take)(void *ctx, aero_u64 *page);
	int (*own)(void *ctx, aero_u64 *page);
	void (*disown)(void *ctx, aero_u64 page);
};

/*
 * The driver's own list of locked pages: pages of entries, used as a stack. One page of 4 KiB has
 * 510 entries, so the list costs at most 0.2 % of the balloon.
 */
#define AERO_CHUNK_ENTRIES 510

struct aero_chunk {
	struct aero_chunk *next;
	aero_u64 page; /* the page number of the chunk itself */
	aero_u64 entry[AERO_CHUNK_ENTRIES];
};

struct aero_stack {
	struct aero_chunk *top;
	unsigned int used;	  /* entries in the top chunk */
	struct aero_chunk *spare; /* at most one, so that chunks do not come and go */
};

struct aero_balloon {
	const struct aero_os *os;
	struct aero_batch *batch;
	aero_u64 batch_page;
	struct aero_stack small, large;
	aero_u64 size, actual, target;	     /* pages: by our count, by the hypervisor's, target */
	aero_u64 hint;			     /* pages that the next batch should cover at most */
	aero_u64 refused, batches, reported; /* counts of entries, calls and pages */
	aero_u64 features;		     /* AERO_FEATURE_* of both sides */
	int started;
};

/* 0, or a negative AERO_ERR_*. After a reload the balloon is empty again. */
long aero_balloon_start(struct aero_balloon *b, const struct aero_os *os);

/*
 * Asks for the target and moves the balloon toward it, by at most @batches batches. Returns 1 if
 * there is more to do now, else 0.
 */
int aero_balloon_step(struct aero_balloon *b, unsigned int batches);

/* Asks for @pages back at once, and gives them to the kernel. */
void aero_balloon_grow(struct aero_balloon *b, aero_u64 pages);

/*
 * Tells the hypervisor that @n blocks of 2 MiB are free, and it takes their frames at once. Returns
 * how many pages it took; the blocks stay the kernel's.
 */
aero_u64 aero_balloon_report(struct aero_balloon *b, const aero_u64 *pages, unsigned int n);

/*
 * Exchanges @from, a page in the balloon, for @to, a free page. Returns 1: @to is in the balloon,
 * and @from is the kernel's. 0: @to was refused, nothing has changed.
 */
int aero_balloon_move(struct aero_balloon *b, aero_u64 from, aero_u64 to);

/*
 * Gives everything back, to unload the driver. Returns the pages that did not go yet; 0: the
 * balloon has ended, and another driver of this guest or of the next kernel may start it.
 */
aero_u64 aero_balloon_stop(struct aero_balloon *b);

/* Ends the balloon although pages did not go: the kernel has lost those pages. */
void aero_balloon_abandon(struct aero_balloon *b);

#endif
