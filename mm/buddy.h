/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buddy allocator over frame records, one set of lists for dirty and one for
 * clean blocks.  Private to mm/frame.c, which holds the lock.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include <mm/frame.h>

struct buddy {
	struct frame *table;
	u32 nr;
	u32 heads[2][FRAME_MAX_ORDER + 1]; /* [is_clean][order] */
	u32 nonempty[2];		   /* bit per order */
	u64 count[2];			   /* in 4 KiB frames */
};

void buddy_init(struct buddy *b, struct frame *table, u32 nr);

/* Frees a block as @state (FREE_DIRTY or FREE_CLEAN), merging with equal buddies. */
void buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state);

/* Takes the free block that starts at @frame off its list. */
void buddy_remove(struct buddy *b, u32 frame);

/* A block of exactly @order, cut from the smallest that fits; FRAME_NONE if none. */
u32 buddy_take(struct buddy *b, unsigned int order, enum frame_state state);

/* The largest block of at most @max_order (cut down if larger); its order in *@order. */
u32 buddy_take_largest(struct buddy *b, unsigned int max_order, enum frame_state state,
		       unsigned int *order);

#endif
