/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/blk_request.h>
#include <hv/dev/virtio_blk.h>
#include <hv/vm/vm.h>

#define F_SEG_MAX BIT(2)
#define F_RO BIT(5)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH BIT(9)
#define F_MQ BIT(12)
#define F_DISCARD BIT(13)
#define F_WRITE_ZEROES BIT(14)

static void log_full(struct virtio *d)
{
	struct virtio_blk *blk = d->device;

	if (!blk->full_logged)
		vm_log(d->vm, "the writable part of %s is full: writes fail; give it more",
		       blk->id);
	blk->full_logged = true;
}

/* One contiguous piece of a transfer. HV_ENOMEM, HV_EAGAIN: not now; else: it failed. */
static int transfer_piece(struct virtio *d, const struct virtq_chain *c, bool out, u64 offset,
			  u64 done, size_t *n)
{
	struct virtio_blk *blk = d->device;
	const u8 *from;
	u8 *to;
	int err;

	if (out) {
		err = disk_write(&blk->disk, offset, n, &to);
		if (err)
			log_full(d);
		else
			err = virtq_read(d, c, sizeof(struct blk_header) + done, to, *n);
	} else {
		err = disk_read(&blk->disk, offset, n, &from);
		if (!err)
			err = virtq_write(d, c, done, from, *n);
	}
	return err;
}

static int transfer(struct virtio *d, const struct virtq_chain *c, bool out, u64 sector, u64 bytes)
{
	struct virtio_blk *blk = d->device;
	u64 sectors = bytes / DISK_SECTOR;

	if (bytes % DISK_SECTOR || bytes > BLK_REQUEST_MAX || sector > blk->config.capacity ||
	    sectors > blk->config.capacity - sector || (out && !blk->disk.writable))
		return HV_ERANGE;
	while (blk->done < bytes) {
		size_t n = bytes - blk->done;
		int err = virtio_may_go_on(d) ?
				  transfer_piece(d, c, out, sector * DISK_SECTOR + blk->done,
						 blk->done, &n) :
				  HV_EBUSY;

		if (err)
			return err;
		blk->done += n;
	}
	*(out ? &blk->writes : &blk->reads) += sectors;
	return HV_OK;
}

static int get_id(struct virtio *d, const struct virtq_chain *c, u64 bytes)
{
	const struct virtio_blk *blk = d->device;

	return virtq_write(d, c, 0, blk->id, min(bytes, sizeof(blk->id)));
}

/* The last byte that the device writes is the status; before it is the data. */
static int carry_out(struct virtio *d, const struct virtq_chain *c, const struct blk_header *r,
		     u8 *status)
{
	u64 data = c->bytes_in - 1;
	int err = HV_OK;

	*status = S_OK;
	switch (r->type) {
	case T_IN:
		err = transfer(d, c, false, r->sector, data);
		break;
	case T_OUT:
		err = transfer(d, c, true, r->sector, c->bytes_out - sizeof(*r));
		break;
	case T_FLUSH: /* memory is as stable as this disk gets */
		break;
	case T_GET_ID:
		err = get_id(d, c, data);
		break;
	default:
		*status = S_UNSUPP;
	}
	return err;
}

/* False: it has to wait. */
static bool serve(struct virtio *d, const struct virtq_chain *c)
{
	struct blk_header r;
	u8 status;
	int err;

	if (!c->bytes_in || virtq_read(d, c, 0, &r, sizeof(r))) {
		virtio_broken(d, "a block request has no header, or no place for its status");
		return false;
	}
	err = carry_out(d, c, &r, &status);
	if (err == HV_EBUSY) /* the rest of it comes later */
		virtio_again(d, plat_tsc());
	if (err == HV_EBUSY || virtio_wait_for_memory(d, err))
		return false;
	if (err)
		status = S_IOERR;
	err = virtq_write(d, c, c->bytes_in - 1, &status, 1);
	if (!err)
		err = virtq_done(d, 0, c, status == S_OK ? (u32)c->bytes_in : 1);
	if (err && !virtio_wait_for_memory(d, err))
		virtio_broken(d, "a block request's status has no place in memory");
	if (!err)
		((struct virtio_blk *)d->device)->done = 0;
	return !err;
}

/* When what the guest has announced is due. */
static void note_arrivals(struct virtio *d, u32 waiting, u64 now)
{
	struct virtio_blk *blk = d->device;
	u16 end = (u16)(d->q[0].next + waiting);

	if ((u16)(end - blk->seen) > VIRTQ_SIZE)
		return; /* it has taken some back: they are due when they were */
	for (; blk->seen != end; blk->seen++)
		blk->due[blk->seen % VIRTQ_SIZE] = now + blk->latency;
}

static void work(struct virtio *d, u64 now)
{
	struct virtio_blk *blk = d->device;
	struct virtq_chain c;
	bool any = false;
	u32 waiting;

	if (blk->host) {
		blk_host_work(d, blk->host);
		return;
	}
	waiting = virtq_waiting(d, 0);
	note_arrivals(d, waiting, now);
	for (; waiting; waiting--) {
		u64 due = blk->due[d->q[0].next % VIRTQ_SIZE];

		if (due > now || !virtio_may_go_on(d)) {
			virtio_again(d, max(due, now));
			break;
		}
		if (virtq_peek(d, 0, &c) || !serve(d, &c))
			break;
		any = true;
	}
	if (any)
		virtq_interrupt(d, 0);
}

static void reset(struct virtio *d)
{
	struct virtio_blk *blk = d->device;

	blk->seen = 0;
	blk->done = 0;
	if (blk->host)
		blk_host_reset(blk->host);
}

const struct virtio_kind virtio_blk = {
	.id = 2,
	.nr_queues = VIRTIO_QUEUES,
	.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_MQ | F_DISCARD | F_WRITE_ZEROES |
		    VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	.reset = reset,
	.work = work,
};

/* What is true of a disk in memory. */
static void describe_memory(struct virtio *d, struct virtio_blk *blk)
{
	blk->config.capacity = blk->disk.bytes / DISK_SECTOR;
	blk->config.block_size = DISK_SECTOR;
	d->offered &= ~(F_MQ | F_DISCARD | F_WRITE_ZEROES);
	if (!blk->disk.writable)
		d->offered |= F_RO;
}

/* And of one of the host's. */
static void describe_host(struct virtio *d, struct virtio_blk *blk)
{
	const struct block_device *device = blk->host->part.device;
	u32 sectors = BLK_RANGE_MAX / BLOCK_SECTOR;

	blk->config.capacity = blk->host->part.sectors;
	blk->config.block_size = device->block_size;
	blk->config.nr_queues = (u16)min(d->vm->cfg->vcpus, (u32)VIRTIO_QUEUES);
	blk->config.max_discard_sectors = blk->config.max_zero_sectors = sectors;
	blk->config.max_discard_ranges = blk->config.max_zero_ranges = 1;
	blk->config.discard_alignment = device->block_size / BLOCK_SECTOR;
	if (!device->write_cache)
		d->offered &= ~F_FLUSH;
	if (!device->max_discard || !blk->host->writable)
		d->offered &= ~F_DISCARD;
	if (!blk->host->writable)
		d->offered = (d->offered & ~F_WRITE_ZEROES) | F_RO;
	blk->host->d = d;
}

void virtio_blk_plug(struct virtio *d, struct vm *vm, u32 slot, struct virtio_blk *blk, u64 latency)
{
	blk->latency = latency;
	memset(&blk->config, 0, sizeof(blk->config));
	blk->config.segments = BLK_SEGMENTS;
	virtio_plug(d, &virtio_blk, vm, slot, blk);
	d->config = &blk->config;
	d->config_size = sizeof(blk->config);
	if (blk->host)
		describe_host(d, blk);
	else
		describe_memory(d, blk);
}
