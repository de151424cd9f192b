/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What frame.c, quarantine.c and reserve.c share: the table, the counters and the lock over
 * both.  Private to these three.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <hv/base/lock.h>
#include <mm/buddy.h>

struct frames {
	SPINLOCK(LOCK_FRAMES) lock;
	struct buddy buddy;
	struct frame_stats stats;
	u32 q_first, q_last; /* quarantine, oldest first */
	u32 poisoned[FRAME_MAX_POISONED];
	u32 nr_poisoned;
	u64 scrubbing; /* frames on their way from dirty to clean */
};
extern struct frames frames;

/* In frames. Holds frames.lock. */
static inline u64 free_count(void)
{
	return frames.buddy.count[0] + frames.buddy.count[1];
}

/* Every way back to the free lists: poisoned frames of the block stay out. Holds frames.lock. */
void frames_release_block(u32 frame, unsigned int order, enum frame_state state);

/* May @n frames be taken, and on what promise to @acct?  Holds frames.lock. */
int frames_charge(struct frame_acct *acct, u64 n, unsigned int flags);

/* The same for one frame for a p2m table of @acct's VM. */
int frames_charge_table(struct frame_acct *acct, unsigned int flags);

/* @acct has taken frames: its min is promised no more than is missing. Holds frames.lock. */
static inline void frames_less_is_missing(struct frame_acct *acct)
{
	u64 left = acct->min - min(acct->min, atomic_load(&acct->resident));

	if (left < acct->min_promised) {
		frames.stats.reserved -= acct->min_promised - left;
		atomic_store(&acct->min_promised, left);
	}
}

/* Brings the promises of @acct's min and tables in line with what it has now. Holds frames.lock. */
void frames_promise_rest(struct frame_acct *acct);

/* Up to @n frames more for @acct's reserve, as far as it may have one. Holds frames.lock. */
void frames_refill_reserve(struct frame_acct *acct, u64 n);

/* Notes whether few frames are free and unpromised. Holds frames.lock. */
void frames_glance(void);

#endif
