/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is behind a virtual disk: a file that was loaded at boot, or nothing
 * (zeroes), and over it 4 KiB blocks that were written.  Those live in frames
 * that are taken when the disk is opened, so that a write never waits for
 * memory, and they are never reclaimed.
 *
 * This is all that virtio_blk.c knows of a disk.  HV_EAGAIN, which memory
 * never answers, would mean "on its way: ask again", for a real one.
 */
#ifndef HV_DEV_DISK_H
#define HV_DEV_DISK_H

#include <hv/load/images.h>

#define DISK_SECTOR 512
#define DISK_BLOCK 4096

struct disk_config;

struct disk {
	u64 bytes;		   /* its size, a multiple of DISK_SECTOR; 0: not open */
	const struct image *image; /* NULL: zeroes */
	bool writable;
	u32 *block; /* by number: its frame, or 0 */
	u32 *spare; /* frames not yet written */
	u32 nr_blocks, nr_spare, closed;
};

/* What opening it takes, in frames. The file that is not there takes none. */
u64 disk_frames(const struct disk_config *cfg);

/* HV_ENOENT: its file was not loaded; HV_ENOMEM. On an error @d is as closed. */
int disk_open(struct disk *d, const struct disk_config *cfg);

/* Gives its frames back, some thousand a call; true when all are. */
bool disk_close(struct disk *d);

/* Where to read @*length bytes (made less, but not 0) at @offset. */
int disk_read(const struct disk *d, u64 offset, size_t *length, const u8 **at);

/* Where to write them. HV_ERANGE: the writable part is full. */
int disk_write(struct disk *d, u64 offset, size_t *length, u8 **at);

#endif
