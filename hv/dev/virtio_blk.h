/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device. "Virtual I/O Device (VIRTIO) Version 1.2": "Block Device".
 * With a latency a request is carried out that long after the guest gave
 * notice of it, any number at once, as by a disk with many heads.
 */
#ifndef HV_DEV_VIRTIO_BLK_H
#define HV_DEV_VIRTIO_BLK_H

#include <hv/block/disk.h>
#include <hv/dev/blk_host.h>
#include <hv/dev/virtio.h>

#define BLK_SEGMENTS (VIRTQ_SIZE - 2)

struct virtio_blk {
	u64 done; /* bytes of the request that is next: a large one is done in pieces */
	struct disk disk;
	struct blk_host *host; /* instead of disk, or NULL */
	u64 latency;	       /* TSC ticks */
	u16 seen;	       /* available index up to which arrivals are noted */
	bool full_logged;
	u64 due[VIRTQ_SIZE]; /* by available index */
	char id[20];
	u64 reads, writes; /* sectors; statistics */
	struct {	   /* "Device configuration layout" */
		u64 capacity;
		u32 size_max, segments;
		u16 cylinders;
		u8 heads, sectors;
		u32 block_size;
		u8 physical_block_exp, alignment_offset;
		u16 min_io_size;
		u32 opt_io_size;
		u8 writeback, unused0;
		u16 nr_queues;
		u32 max_discard_sectors, max_discard_ranges, discard_alignment;
		u32 max_zero_sectors, max_zero_ranges;
		u8 zero_may_unmap, unused1[3];
	} config;
};

extern const struct virtio_kind virtio_blk;

/* An open disk goes into @d, an empty slot. */
void virtio_blk_plug(struct virtio *d, struct vm *vm, u32 slot, struct virtio_blk *blk,
		     u64 latency);

#endif
