/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk that is one of the host's: requests are on their way, many at a time, and end in
 * any order.
 *
 * Whole pages of the guest's the device reads and writes itself.  Their frames are pinned from
 * submit() until the device is done, and no longer: a guest may be reset, give memory away or
 * lose its ring at any moment, and is not taken apart before the last request has ended.  Data
 * that does not lie in whole pages goes through frames of the hypervisor's, of which there are few.
 */
#ifndef HV_DEV_BLK_HOST_H
#define HV_DEV_BLK_HOST_H

#include <hv/block/block.h>
#include <hv/dev/virtio.h>

#define BLK_SLOTS 32
#define BLK_BOUNCES 4
#define BLK_BOUNCE_ORDER 4 /* 64 KiB of data: a larger request goes in pieces */
#define BLK_BOUNCE_BYTES ((u32)PAGE_SIZE << BLK_BOUNCE_ORDER)
_Static_assert(BLK_BOUNCE_BYTES <= BLOCK_PIECES * PAGE_SIZE, "one request");

enum blk_slot_state {
	SLOT_FREE,
	SLOT_READY, /* its next piece can be begun, as soon as there is room for it */
	SLOT_FLIES, /* that piece is the device's */
	SLOT_LANDED,
	SLOT_ENDS, /* all that is missing is memory for the guest to see it */
};

struct blk_slot {
	struct block_request r;
	struct blk_host *host;
	u32 state; /* (a) enum blk_slot_state; the driver makes FLIES LANDED */
	int err;
	bool orphan; /* the guest has reset the device meanwhile */
	u8 status;
	u16 queue, head;
	u32 type;		  /* T_... */
	u64 status_at;		  /* guest-physical */
	u64 sector, bytes, done;  /* of the guest's request */
	void *bounce;		  /* where the piece's data is, or NULL: in the guest's pages */
	u32 nr_pinned;		  /* while it FLIES */
	u32 pinned[BLOCK_PIECES]; /* first frames of leaves */
};

struct blk_host {
	struct virtio *d; /* where it is plugged in */
	struct block_part part;
	bool writable;
	bool starved;		  /* a slot waits for a bounce */
	u32 flying;		  /* (a) */
	u64 direct, bounced;	  /* pieces; statistics */
	struct virtq_chain chain; /* that is being worked on */
	void *zeroes;		  /* a frame, or NULL: the device writes zeroes by itself */
	struct {
		void *data;
		struct blk_slot *user;
	} bounce[BLK_BOUNCES];
	struct blk_slot slot[BLK_SLOTS];
};

/* In frames. */
u64 blk_host_frames(void);

/* Opens what @name says.  NULL, and *@err: as block_open(), or HV_ENOMEM. */
struct blk_host *blk_host_open(const char *name, bool writable, int *err);

/* False: requests are on their way; come again. */
bool blk_host_idle(const struct blk_host *h);

/* It is idle. */
void blk_host_close(struct blk_host *h);

/* virtio_blk's, with d->lock held. */
void blk_host_reset(struct blk_host *h);
void blk_host_work(struct virtio *d, struct blk_host *h);

/* --- blk_data.c, for blk_host.c: where a piece's data is ----------------------------------- */

/*
 * Makes @s's next piece ready to be submitted: pinned pages of the guest's, or a bounce.  The
 * request is in h->chain.  HV_EBUSY: no bounce is free; HV_ENOMEM, HV_EAGAIN: no memory, now;
 * HV_EFAULT, HV_ERANGE: it is none, or too little.  Nothing is held after an error.
 */
int blk_data_begin(struct blk_host *h, struct blk_slot *s);

/* Is a bounce free? */
bool blk_data_room(const struct blk_host *h);

/* The device is done with the piece.  Any CPU, without d->lock. */
void blk_data_unpin(struct blk_slot *s);

/* What was read goes to the guest; h->chain is the request.  Errors as above. */
int blk_data_take(struct blk_host *h, struct blk_slot *s);

/* The piece is over, whether it came about or not. */
void blk_data_end(struct blk_host *h, struct blk_slot *s);

#endif
