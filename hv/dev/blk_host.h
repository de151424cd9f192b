/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk that is one of the host's: requests are on their way, several at a time, and end
 * in any order.  Data goes through frames of the hypervisor's, so the device writes no frame of a
 * guest, and a guest may end, be reset or lose its ring at any moment.
 */
#ifndef HV_DEV_BLK_HOST_H
#define HV_DEV_BLK_HOST_H

#include <hv/block/block.h>
#include <hv/dev/virtio.h>

#define BLK_SLOTS 8
#define BLK_SLOT_ORDER 4 /* 64 KiB of data: a larger request goes in pieces */
#define BLK_SLOT_BYTES ((u32)PAGE_SIZE << BLK_SLOT_ORDER)
_Static_assert(BLK_SLOT_BYTES == BLOCK_PIECES * PAGE_SIZE, "a slot's data is one request's");

enum blk_slot_state {
	SLOT_FREE,
	SLOT_WAITS, /* the device had no room: submit it again */
	SLOT_FLIES, /* it is the device's */
	SLOT_LANDED,
	SLOT_ENDS, /* but for memory for the guest to see it */
};

struct blk_slot {
	struct block_request r;
	struct blk_host *host;
	u32 state; /* (a) enum blk_slot_state; the driver makes FLIES LANDED */
	int err;
	bool orphan; /* the guest has reset the device meanwhile */
	u8 status;
	u64 sector, bytes, done; /* of the guest's request */
	void *data;
	struct virtq_chain c;
};

struct blk_host {
	struct virtio *d; /* where it is plugged in */
	struct block_part part;
	bool writable;
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

#endif
