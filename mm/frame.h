/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame table: one 16-byte record per 4 KiB host frame, the buddy
 * allocator under it, and the only functions that change a frame's state.
 * A block of 2^order frames is described by its first record; the others are
 * FRAME_TAIL.  Everything here takes frames.lock itself.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include <hv/base/atomic.h>
#include <hv/base/err.h>
#include <hv/base/types.h>

enum frame_state {
	FRAME_ABSENT,	  /* not RAM, or not ours */
	FRAME_TAIL,	  /* belongs to the block that starts below */
	FRAME_FREE_DIRTY, /* free, holds somebody's old bytes */
	FRAME_FREE_CLEAN, /* free and zero: the only kind that a guest may get */
	FRAME_HV,	  /* the hypervisor's own */
	FRAME_TABLE,	  /* a p2m table */
	FRAME_GUEST,	  /* mapped into exactly one VM at one gfn */
	FRAME_SHARED,	  /* mapped read-only in several places */
	FRAME_QUARANTINE, /* unmapped; some CPU may still hold a translation */
	FRAME_BAD,	  /* machine check: never used again */
	FRAME_NR_STATES
};

#define FRAME_NONE 0xffffffffu
#define FRAME_MAX_ORDER ORDER_1G

struct frame {
	u8 state;  /* enum frame_state */
	u8 order;  /* of the block, in its first record */
	u16 owner; /* VM id of GUEST and TABLE */
	u32 aux;   /* GUEST: pins; QUARANTINE: low half of the epoch */
	union {
		u64 gfn; /* GUEST */
		struct {
			u32 next, prev;
		} link;	      /* FREE_*, QUARANTINE */
		u16 kinds[4]; /* TABLE: entries by enum p2m_kind (see p2m.c) */
	};
};
_Static_assert(sizeof(struct frame) == 16, "a frame record is 16 bytes");

/*
 * What one VM holds, and what it is promised, in frames: its min by right, the tables for a
 * p2m of its size, and a reserve that serves its faults while its balloon inflates.
 */
struct frame_acct {
	u16 owner;
	u64 resident; /* GUEST frames; by the holder of p2m.lock, read without it like tables */
	u64 tables;
	u64 min;	     /* guaranteed resident frames */
	u64 min_promised;    /* of those, not yet taken */
	u64 tables_max;	     /* tables that it may ever need */
	u64 tables_promised; /* of those, not yet taken */
	u64 reserve;	     /* promised to this VM and not yet taken */
	u64 reserve_max;
};

struct frame_stats {
	u64 total; /* RAM handed to the allocator, in 4 KiB frames */
	u64 free_dirty, free_clean;
	u64 quarantine;
	u64 hv, table, guest, bad;
	u64 reserved;	   /* sum of all promises: mins, tables, reserves */
	u64 scrubbed_idle; /* frames, ever */
	u64 scrubbed_demand;
};

/* Takes over @table, whose first @nr records are zeroed. Boot only. */
void frames_init(struct frame *table, u32 nr);

/*
 * Adds RAM [first, first + count) as FREE_DIRTY; the table then reaches there,
 * all zeroed up to @first.  One CPU at a time; the others may be allocating.
 */
void frames_add(u32 first, u32 count);

/* Takes @count frames away from the free ones, as far as there are any, for good. */
void frames_withhold(u64 count);

struct frame_stats frames_stats(void);
u32 frames_nr(void);
const struct frame *frame_get(u32 frame);

/* The record as it is now, from any CPU: gfn only of a GUEST; ABSENT where there is none. */
struct frame frame_copy(u32 frame);

/* First record of the block that @frame is in, or FRAME_NONE. */
u32 frame_head(u32 frame);

enum frame_flags {
	FRAME_USE_RESERVE = BIT(0), /* may dip into acct->reserve */
	FRAME_CLEAN_ONLY = BIT(1),  /* do not scrub now */
	FRAME_PROMISED = BIT(2),    /* only what is promised to acct: others come first */
};

/*
 * A scrubbed block for @gfn of the VM of @acct, state GUEST.
 * HV_ENOMEM: none, and none coming; HV_EAGAIN: some are in quarantine.
 */
int frame_alloc_guest(struct frame_acct *acct, u64 gfn, unsigned int order, unsigned int flags,
		      u32 *frame);

/* One frame for a p2m table of @acct's VM; contents undefined. */
int frame_alloc_table(struct frame_acct *acct, unsigned int flags, u32 *frame);

/* 2^order frames for the hypervisor; contents undefined. Freed by frame_free_hv. */
int frame_alloc_hv(unsigned int order, u32 *frame);
int frame_free_hv(u32 frame);

/* Of the smallest block that holds @bytes. */
static inline unsigned int frame_order(u64 bytes)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

/* The same as zeroed memory; NULL without. frame_free_pages(NULL) does nothing. */
void *frame_alloc_pages(unsigned int order);
void frame_free_pages(void *p);

/* GUEST block of @order becomes 512 blocks of order - 9, and back. */
int frame_split_guest(u32 frame);
int frame_merge_guest(u32 frame, unsigned int order);

/* Pins keep a GUEST frame from being reclaimed. */
int frame_pin(u32 frame);
int frame_unpin(u32 frame);
void frame_unpin_all(u32 frame);

/*
 * @frame has failed: it becomes BAD, now if it is free, else when its owner
 * lets go of it.  Remembers FRAME_MAX_POISONED of them.
 */
#define FRAME_MAX_POISONED 64
void frame_poison(u32 frame);

/*
 * Frames that one operation unmapped, chained.  They become allocatable only
 * after quarantine_commit() and the passing of its epoch.
 */
struct frame_batch {
	u32 first, last;
	u64 frames; /* in 4 KiB */
};
#define FRAME_BATCH_INIT ((struct frame_batch){ FRAME_NONE, FRAME_NONE, 0 })

/* GUEST -> QUARANTINE. The mapping must be gone from the tables already. */
int frame_retire_guest(struct frame_acct *acct, u32 frame, struct frame_batch *batch);
/* TABLE -> QUARANTINE. */
int frame_retire_table(struct frame_acct *acct, u32 frame, struct frame_batch *batch);

/* Hands over the batch under @epoch; refills acct's reserve from it first. */
void quarantine_commit(struct frame_acct *acct, struct frame_batch *batch, u64 epoch);

/* Frees what has outlived its epoch, at most @max blocks; returns frames freed. */
u64 quarantine_drain(unsigned int max);

/*
 * Promises @acct all of what a VM starts with: @min_frames resident frames, @tables p2m tables,
 * a reserve.  HV_ENOMEM: there are not as many unpromised frames, and nothing has changed.
 */
int frame_promise(struct frame_acct *acct, u64 min_frames, u64 tables, u64 reserve);

/* Brings the promises up to what they should be, as far as there are unpromised frames. */
void frame_reserve_fill(struct frame_acct *acct);

/* Takes all promises back: the VM has ended. */
void frame_reserve_drop(struct frame_acct *acct);

/* Up to half of @from's reserve becomes @to's, as far as @to may have one; returns frames. */
u64 frame_reserve_lend(struct frame_acct *from, struct frame_acct *to);

/*
 * Are few frames free and unpromised?  A glance for the hypercall path, as of
 * the last time that frames were taken or came back.
 */
#define FRAMES_SCARCE (MIB(32) >> PAGE_SHIFT)
extern u32 frames_scarce_now; /* (a) */
static inline bool frames_scarce(void)
{
	return atomic_load(&frames_scarce_now);
}

/* Free and unpromised, in frames. */
u64 frames_available(void);

/* Scrubs one free dirty block of at most 8 KiB; false if there is none. */
bool frame_scrub_one(void);

/* Counts records by walking the table; for the audit. First error, or HV_OK. */
int frames_check(u32 from, u32 count);

#endif
