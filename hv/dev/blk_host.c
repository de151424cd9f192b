/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/blk_host.h>
#include <hv/dev/blk_request.h>
#include <hv/dev/virtio_blk.h>
#include <hv/vm/vm.h>
#include <mm/frame.h>

#define RETRY_US 200 /* when the device has no room */

static unsigned int host_order(void)
{
	return frame_order(sizeof(struct blk_host));
}

u64 blk_host_frames(void)
{
	return (1UL << host_order()) + (BLK_SLOTS << BLK_SLOT_ORDER);
}

struct blk_host *blk_host_open(const char *name, bool writable, int *err)
{
	struct blk_host *h = frame_alloc_pages(host_order());
	bool whole = h;

	for (u32 i = 0; h && i < BLK_SLOTS; i++) {
		h->slot[i].host = h;
		h->slot[i].data = frame_alloc_pages(BLK_SLOT_ORDER);
		whole &= h->slot[i].data != NULL;
	}
	*err = whole ? block_open(name, writable, &h->part) : HV_ENOMEM;
	if (h && *err) {
		h->part.device = NULL;
		blk_host_close(h);
		return NULL;
	}
	if (h)
		h->writable = writable;
	return h;
}

bool blk_host_idle(const struct blk_host *h)
{
	for (u32 i = 0; i < BLK_SLOTS; i++)
		if (atomic_load_acquire(&h->slot[i].state) == SLOT_FLIES)
			return false;
	return true;
}

void blk_host_close(struct blk_host *h)
{
	if (h->part.device)
		block_close(&h->part, h->writable);
	for (u32 i = 0; i < BLK_SLOTS; i++)
		frame_free_pages(h->slot[i].data);
	frame_free_pages(h);
}

void blk_host_reset(struct blk_host *h)
{
	for (u32 i = 0; i < BLK_SLOTS; i++) {
		struct blk_slot *s = &h->slot[i];

		/* It may land meanwhile: who finds it landed sees that it is nobody's. */
		if (atomic_load(&s->state) == SLOT_FREE)
			continue;
		s->orphan = true;
		if (atomic_load(&s->state) != SLOT_FLIES)
			atomic_store(&s->state, (u32)SLOT_FREE);
	}
}

/* --- a slot's life ----------------------------------------------------------------------------- */

static void landed(struct block_request *r, int err)
{
	struct blk_slot *s = container_of(r, struct blk_slot, r);

	s->err = err;
	atomic_store_release(&s->state, (u32)SLOT_LANDED);
	virtio_again(s->host->d, plat_tsc());
}

static void end(struct blk_slot *s, u8 status)
{
	s->status = status;
	atomic_store(&s->state, (u32)SLOT_ENDS);
}

static void submit(struct virtio *d, struct blk_slot *s)
{
	int err;

	/* Before, for it may land at once. */
	atomic_store(&s->state, (u32)SLOT_FLIES);
	err = block_submit(&s->host->part, &s->r);
	if (!err)
		return;
	if (err == HV_EAGAIN) {
		atomic_store(&s->state, (u32)SLOT_WAITS);
		virtio_again(d, plat_tsc() + plat_tsc_khz() * RETRY_US / 1000);
		return;
	}
	end(s, S_IOERR);
}

/* Begins the next piece.  Data to be written is copied now, whatever the guest does to it later. */
static int fly(struct virtio *d, struct blk_slot *s)
{
	u32 bytes = (u32)min(s->bytes - s->done, (u64)BLK_SLOT_BYTES);
	u64 at = sizeof(struct blk_header) + s->done;
	u32 n = 0;
	int err;

	err = s->r.op == BLOCK_WRITE ? virtq_read(d, &s->c, at, s->data, bytes) : HV_OK;
	if (err)
		return err;
	s->r.sector = s->sector + s->done / BLOCK_SECTOR;
	s->r.bytes = bytes;
	for (u32 left = bytes; left; n++) {
		u32 piece = min(left, (u32)PAGE_SIZE);

		s->r.piece[n] =
			(struct block_piece){ plat_pa((u8 *)s->data + n * PAGE_SIZE), piece };
		left -= piece;
	}
	s->r.nr_pieces = n;
	submit(d, s);
	return HV_OK;
}

/* A piece has arrived.  HV_ENOMEM, HV_EAGAIN: no memory for what was read, now. */
static int take_landed(struct virtio *d, struct blk_slot *s)
{
	int err = s->err;

	if (!err && s->r.op == BLOCK_READ)
		err = virtq_write(d, &s->c, s->done, s->data, s->r.bytes);
	if (err == HV_ENOMEM || err == HV_EAGAIN)
		return err;
	s->done += s->r.bytes;
	if (!err && s->done < s->bytes)
		err = fly(d, s);
	else if (!err)
		end(s, S_OK);
	if (err)
		end(s, S_IOERR);
	return HV_OK;
}

/* Tells the guest.  HV_ENOMEM, HV_EAGAIN: later; HV_EFAULT: it has no place for that. */
static int tell(struct virtio *d, struct blk_slot *s)
{
	struct virtio_blk *blk = d->device;
	u32 written = s->status == S_OK && s->r.op == BLOCK_READ ? (u32)s->c.bytes_in : 1;
	int err = virtq_write(d, &s->c, s->c.bytes_in - 1, &s->status, 1);

	if (!err)
		err = virtq_complete(d, 0, s->c.head, written);
	if (err)
		return err;
	if (s->status == S_OK)
		*(s->r.op == BLOCK_WRITE ? &blk->writes : &blk->reads) += s->bytes / BLOCK_SECTOR;
	atomic_store(&s->state, (u32)SLOT_FREE);
	return HV_OK;
}

/* What can be done about @s now; true: the guest has been told of its end. */
static bool go_on(struct virtio *d, struct blk_slot *s)
{
	int err = HV_OK;

	switch (atomic_load_acquire(&s->state)) {
	case SLOT_LANDED:
		if (s->orphan)
			atomic_store(&s->state, (u32)SLOT_FREE);
		else
			err = take_landed(d, s);
		break;
	case SLOT_WAITS:
		submit(d, s);
		break;
	}
	if (!err && atomic_load(&s->state) == SLOT_ENDS) {
		err = tell(d, s);
		if (!err)
			return true;
	}
	if (err && !virtio_wait_for_memory(d, err)) {
		virtio_broken(d, "a block request's status has no place in memory");
		atomic_store(&s->state, (u32)SLOT_FREE);
	}
	return false;
}

/* --- requests ----------------------------------------------------------------------------------- */

static bool fits(const struct blk_host *h, u64 sector, u64 bytes)
{
	return bytes && !(bytes % BLOCK_SECTOR) && bytes <= BLK_REQUEST_MAX &&
	       sector <= h->part.sectors && bytes / BLOCK_SECTOR <= h->part.sectors - sector;
}

static int get_id(struct virtio *d, struct blk_slot *s)
{
	const struct virtio_blk *blk = d->device;

	return virtq_write(d, &s->c, 0, blk->id, min(s->c.bytes_in - 1, sizeof(blk->id)));
}

static void begin(struct virtio *d, struct blk_host *h, struct blk_slot *s,
		  const struct blk_header *r)
{
	int err = HV_ERANGE;

	s->orphan = false;
	s->done = 0;
	s->sector = r->sector;
	s->bytes = r->type == T_IN  ? s->c.bytes_in - 1 :
		   r->type == T_OUT ? s->c.bytes_out - sizeof(*r) :
				      0;
	s->r.op = r->type == T_OUT ? BLOCK_WRITE : r->type == T_FLUSH ? BLOCK_FLUSH : BLOCK_READ;
	s->r.done = landed;
	switch (r->type) {
	case T_OUT:
		if (h->writable && fits(h, s->sector, s->bytes))
			err = fly(d, s);
		break;
	case T_IN:
		if (fits(h, s->sector, s->bytes))
			err = fly(d, s);
		break;
	case T_FLUSH:
		err = fly(d, s);
		break;
	case T_GET_ID:
		err = get_id(d, s);
		if (!err)
			end(s, S_OK);
		break;
	default:
		end(s, S_UNSUPP);
		return;
	}
	if (err)
		end(s, S_IOERR);
}

static struct blk_slot *free_slot(struct blk_host *h)
{
	for (u32 i = 0; i < BLK_SLOTS; i++)
		if (atomic_load(&h->slot[i].state) == SLOT_FREE)
			return &h->slot[i];
	return NULL;
}

/* Takes the next chain into a slot.  False: none, or not now. */
static bool take(struct virtio *d, struct blk_host *h, bool *any)
{
	struct blk_slot *s = free_slot(h);
	struct blk_header r;

	if (!s || virtq_peek(d, 0, &s->c))
		return false;
	if (!s->c.bytes_in || virtq_read(d, &s->c, 0, &r, sizeof(r))) {
		virtio_broken(d, "a block request has no header, or no place for its status");
		return false;
	}
	virtq_take(d, 0);
	begin(d, h, s, &r);
	*any |= go_on(d, s);
	return true;
}

void blk_host_work(struct virtio *d, struct blk_host *h)
{
	bool any = false;

	for (u32 i = 0; i < BLK_SLOTS; i++) {
		if (!virtio_may_go_on(d)) {
			virtio_again(d, plat_tsc());
			break;
		}
		any |= go_on(d, &h->slot[i]);
	}
	while (free_slot(h) && virtq_waiting(d, 0)) {
		if (!virtio_may_go_on(d)) {
			virtio_again(d, plat_tsc());
			break;
		}
		if (!take(d, h, &any))
			break;
	}
	if (any)
		virtq_interrupt(d, 0);
}
