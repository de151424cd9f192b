/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's block devices: disks that a driver in hv/drv/ has found, and their partitions.
 *
 * A request names frames, not bytes: the device reads and writes them itself, so they stay where
 * they are until done() has been called.  Nothing waits: submit() begins, the driver's interrupt
 * or block_poll() ends.  A request that begins always ends, with data or with an error.
 */
#ifndef HV_BLOCK_BLOCK_H
#define HV_BLOCK_BLOCK_H

#include <hv/base/err.h>
#include <hv/base/types.h>

#define BLOCK_SECTOR 512 /* the unit of addresses here, whatever the device's own block is */
#define BLOCK_PIECES 128 /* of one request: 512 KiB */
#define BLOCK_DEVICES_MAX 16
#define BLOCK_PARTS_MAX 64 /* of all devices */
#define BLOCK_NAME_MAX 37  /* a GPT's label has 36 characters */

/* DISCARD: its blocks are of no use any more, and read as anything.  ZERO: they read as zeroes. */
enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };
#define BLOCK_OPS 5

/* Whole 4 KiB frames, but the last may be used in part. */
struct block_piece {
	hpa_t at;
	u32 bytes;
};

struct block_request {
	enum block_op op;
	u64 sector; /* from the beginning of what it is submitted to */
	u32 bytes;  /* the sum of the pieces; FLUSH: 0; DISCARD, ZERO: of the range, no pieces */
	u32 nr_pieces;
	struct block_piece piece[BLOCK_PIECES];
	/*
	 * Called once: HV_OK, HV_EIO (the device says that it cannot), HV_ENODEV (it is dead).
	 * On any CPU, with no lock of this layer held; it is short and submits nothing.
	 */
	void (*done)(struct block_request *r, int err);
	/* the layer's, from submit() to done() */
	u64 since; /* TSC */
};

struct block_device;

struct block_ops {
	/* Begins @r, whose sector is the device's.  HV_EAGAIN: its queue is full; HV_ENODEV: it is dead. */
	int (*submit)(struct block_device *d, struct block_request *r);
	/* Ends what has ended, and sees to what takes too long.  Any CPU. */
	void (*poll)(struct block_device *d, u64 now);
};

struct block_device {
	const struct block_ops *ops;
	void *driver;
	char name[12]; /* as in "nvme0n1" */
	char model[41], serial[21];
	u64 sectors;
	u32 block_size;	  /* bytes: addresses and lengths are multiples */
	u32 max_bytes;	  /* of one request with data */
	u32 max_discard;  /* bytes of one DISCARD; 0: it can none */
	u32 max_zero;	  /* bytes of one ZERO; 0: it can none */
	u32 poll_us;	  /* between two polls while requests are on their way */
	bool write_cache; /* FLUSH has something to do */
	bool partitioned; /* somebody has divided it: not for use as a whole */
	u32 in_flight;	  /* (a) */
	u32 dead;	  /* (a) */
	/* statistics, (a) */
	u64 reads, writes, flushes, discards, bytes_read, bytes_written, errors, resets;
	u64 busy_ticks; /* TSC, sum over requests from submit to done */
};

/* What a name in aerostat.conf stands for: a piece of a device. */
struct block_part {
	struct block_device *device;
	u64 first, sectors;
	char label[BLOCK_NAME_MAX]; /* empty: the whole device */
};

/* Somebody who calls block_poll() at a TSC, or later.  Boot. */
void block_set_alarm(void (*at)(u64 tsc));

/* As before the first block_add().  Boot. */
void block_forget(void);

/* A driver's device is ready. Boot. HV_ENOMEM: there are too many. */
int block_add(struct block_device *d);

/* Reads the partition tables of all devices, and says what there is.  Boot; waits. */
void block_scan(void);

/* Is @name one of a host's disk, "part:..." or "disk:...", and not of a file? */
bool block_is_name(const char *name);

/*
 * What "part:LABEL" or "disk:SERIAL" (or "disk:nvme0n1") stands for.  HV_ENOENT: nothing;
 * HV_EINVAL: two have that name; HV_EPERM: a disk that has partitions.
 */
int block_find(const char *name, struct block_part *p);

/*
 * The same for somebody who uses it: many may read, or one may read and write.  HV_EBUSY: others
 * use it, or a piece of it, and one of both would write; HV_ENOMEM: too many are open.
 */
int block_open(const char *name, bool write, struct block_part *p);
void block_close(const struct block_part *p, bool write);

/* Begins @r at @p.  HV_ERANGE: it leaves @p, or is not in blocks of the device; or the driver's. */
int block_submit(const struct block_part *p, struct block_request *r);

/* Polls devices that have requests on their way and are due; returns when to come again (TSC). */
u64 block_poll(u64 now);

/* "read", "write"... */
const char *block_op_name(enum block_op op);

/* A driver's request has ended. */
void block_done(struct block_device *d, struct block_request *r, int err);

/* scan.c's part of block_forget(). */
void block_forget_parts(void);

/* All devices there are, for those who show them; NULL behind the last. */
struct block_device *block_device(u32 index);
const struct block_part *block_partition(u32 index);

#endif
