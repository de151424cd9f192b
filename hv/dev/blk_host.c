/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/blk_host.h>
#include <hv/dev/blk_request.h>
#include <hv/dev/virtio_blk.h>
#include <hv/vm/vm.h>
#include <mm/frame.h>
#include <mm/guestmem.h>

#define RETRY_US 200 /* when the device has no room */
/* That the driver may add without a notice while so many are on their way: they end, and we look. */
#define AHEAD(flying) min((flying) / 2, 8u)

static unsigned int host_order(void)
{
	return frame_order(sizeof(struct blk_host));
}

/* The one of the zeroes included. */
u64 blk_host_frames(void)
{
	return (1UL << host_order()) + (BLK_BOUNCES << BLK_BOUNCE_ORDER) + 1;
}

static bool alloc_data(struct blk_host *h)
{
	bool whole = true;

	for (u32 i = 0; i < BLK_BOUNCES; i++) {
		h->bounce[i].data = frame_alloc_pages(BLK_BOUNCE_ORDER);
		whole &= h->bounce[i].data != NULL;
	}
	h->zeroes = frame_alloc_pages(0);
	return whole && h->zeroes;
}

struct blk_host *blk_host_open(const char *name, bool writable, int *err)
{
	struct blk_host *h = frame_alloc_pages(host_order());

	*err = h && alloc_data(h) ? block_open(name, writable, &h->part) : HV_ENOMEM;
	if (h && *err) {
		h->part.device = NULL;
		blk_host_close(h);
		return NULL;
	}
	for (u32 i = 0; h && i < BLK_SLOTS; i++)
		h->slot[i].host = h;
	if (h)
		h->writable = writable;
	return h;
}

bool blk_host_idle(const struct blk_host *h)
{
	return !atomic_load_seq(&h->flying);
}

void blk_host_close(struct blk_host *h)
{
	if (h->part.device)
		block_close(&h->part, h->writable);
	for (u32 i = 0; i < BLK_BOUNCES; i++)
		frame_free_pages(h->bounce[i].data);
	frame_free_pages(h->zeroes);
	frame_free_pages(h);
}

static void free_up(struct blk_host *h, struct blk_slot *s)
{
	blk_data_end(h, s);
	atomic_store(&s->state, (u32)SLOT_FREE);
}

void blk_host_reset(struct blk_host *h)
{
	for (u32 i = 0; i < BLK_SLOTS; i++) {
		struct blk_slot *s = &h->slot[i];

		/* It may land meanwhile: who finds it landed sees that it is nobody's. */
		if (atomic_load(&s->state) == SLOT_FREE)
			continue;
		s->orphan = true;
		if (atomic_load_acquire(&s->state) != SLOT_FLIES)
			free_up(h, s);
	}
}

/* --- a slot's life ----------------------------------------------------------------------------- */

static void landed(struct block_request *r, int err)
{
	struct blk_slot *s = container_of(r, struct blk_slot, r);
	struct blk_host *h = s->host;
	struct virtio *d = h->d;

	blk_data_unpin(s);
	s->err = err;
	atomic_store_release(&s->state, (u32)SLOT_LANDED);
	virtio_again(d, plat_tsc());
	atomic_sub(&h->flying, 1u); /* the last: then @h may go */
}

static void end(struct blk_slot *s, u8 status)
{
	s->status = status;
	atomic_store(&s->state, (u32)SLOT_ENDS);
}

static int submit(struct blk_host *h, struct blk_slot *s)
{
	int err;

	/* Before, for it may land at once. */
	atomic_add(&h->flying, 1u);
	atomic_store(&s->state, (u32)SLOT_FLIES);
	err = block_submit(&h->part, &s->r);
	if (!err)
		return HV_OK;
	atomic_sub(&h->flying, 1u);
	atomic_store(&s->state, (u32)SLOT_READY);
	blk_data_unpin(s);
	blk_data_end(h, s);
	if (err == HV_EAGAIN)
		virtio_again(h->d, plat_tsc() + plat_tsc_khz() * RETRY_US / 1000);
	return err == HV_EAGAIN ? HV_EBUSY : err;
}

/* HV_EBUSY: it was not for lack of the guest's memory that nothing happened. */
static bool not_now(int err)
{
	return err == HV_EBUSY || err == HV_ENOMEM || err == HV_EAGAIN;
}

/* Begins the next piece of a request whose chain is in h->chain. */
static int fly(struct blk_host *h, struct blk_slot *s)
{
	int err = blk_data_begin(h, s);

	if (!err)
		err = submit(h, s);
	if (!err || not_now(err))
		return err;
	end(s, S_IOERR);
	return HV_OK;
}

/* A piece has arrived: what was read goes to the guest, and the next one begins. */
static int take_landed(struct blk_host *h, struct blk_slot *s)
{
	int err = s->err ? HV_OK : blk_data_take(h, s);

	if (not_now(err))
		return err;
	blk_data_end(h, s);
	s->done += s->r.bytes;
	if (err || s->err)
		end(s, S_IOERR);
	else if (s->done >= s->bytes)
		end(s, S_OK);
	else
		atomic_store(&s->state, (u32)SLOT_READY);
	return HV_OK;
}

/* Tells the guest.  HV_ENOMEM, HV_EAGAIN: later; HV_EFAULT: it has no place for that. */
static int tell(struct virtio *d, struct blk_slot *s)
{
	struct virtio_blk *blk = d->device;
	u32 written = s->status == S_OK && s->type == T_IN ? (u32)s->bytes + 1 : 1;
	int err = guest_write(&d->vm->p2m, GPA(s->status_at), &s->status, 1);

	if (!err)
		err = virtq_complete(d, s->queue, s->head, written);
	if (err)
		return err;
	if (s->status == S_OK && s->type == T_OUT)
		blk->writes += s->bytes / BLOCK_SECTOR;
	if (s->status == S_OK && s->type == T_IN)
		blk->reads += s->bytes / BLOCK_SECTOR;
	free_up(s->host, s);
	return HV_OK;
}

/* @s needs its chain for what comes next; a request that goes on is read again. */
static int with_chain(struct virtio *d, struct blk_host *h, struct blk_slot *s)
{
	int err = virtq_walk(d, s->queue, s->head, &h->chain);

	if (err == HV_EBUSY)
		virtio_again(d, plat_tsc());
	return err;
}

/* Has something of @s to be done now? */
static int step(struct virtio *d, struct blk_host *h, struct blk_slot *s, bool have_chain)
{
	u32 state = atomic_load_acquire(&s->state);
	int err = HV_OK;

	if (state == SLOT_LANDED) {
		if (s->bounce && s->type == T_IN && !s->err)
			err = with_chain(d, h, s);
		have_chain = s->bounce && s->type == T_IN;
		if (!err)
			err = take_landed(h, s);
		state = atomic_load(&s->state);
	}
	if (!err && state == SLOT_READY) {
		err = have_chain || s->type == T_FLUSH ? HV_OK : with_chain(d, h, s);
		if (!err)
			err = fly(h, s);
	}
	if (!err && atomic_load(&s->state) == SLOT_ENDS)
		err = tell(d, s);
	return err;
}

/* What can be done about @s now; true: the guest has been told of its end. */
static bool go_on(struct virtio *d, struct blk_host *h, struct blk_slot *s, bool have_chain)
{
	int err;

	if (s->orphan) {
		if (atomic_load_acquire(&s->state) == SLOT_LANDED)
			free_up(h, s);
		return false;
	}
	err = step(d, h, s, have_chain);
	if (!err)
		return atomic_load_acquire(&s->state) == SLOT_FREE;
	if (err != HV_EBUSY && !virtio_wait_for_memory(d, err)) {
		virtio_broken(d, "a block request's status has no place in memory");
		free_up(h, s);
	}
	return false;
}

/* --- requests ----------------------------------------------------------------------------------- */

static bool fits(const struct blk_host *h, u64 sector, u64 bytes, u64 most)
{
	return bytes && !(bytes % BLOCK_SECTOR) && bytes <= most && sector <= h->part.sectors &&
	       bytes / BLOCK_SECTOR <= h->part.sectors - sector;
}

static int get_id(struct blk_host *h)
{
	const struct virtio_blk *blk = h->d->device;

	return virtq_write(h->d, &h->chain, 0, blk->id,
			   min(h->chain.bytes_in - 1, sizeof(blk->id)));
}

/* The range of a DISCARD or WRITE_ZEROES. */
static u8 read_range(struct blk_host *h, struct blk_slot *s)
{
	u32 known = s->type == T_WRITE_ZEROES ? RANGE_UNMAP : 0;
	struct blk_range range;

	if (s->type == T_DISCARD && !h->part.device->max_discard)
		return S_UNSUPP;
	if (h->chain.bytes_out != sizeof(struct blk_header) + sizeof(range))
		return S_UNSUPP; /* we say that a request has one */
	if (virtq_read(h->d, &h->chain, sizeof(struct blk_header), &range, sizeof(range)))
		return S_IOERR;
	if (range.flags & ~known)
		return S_UNSUPP;
	s->sector = range.sector;
	s->bytes = (u64)range.sectors * BLOCK_SECTOR;
	return h->writable && fits(h, s->sector, s->bytes, BLK_RANGE_MAX) ? S_OK : S_IOERR;
}

/* What is asked for; S_OK: it can be begun. */
static u8 understand(struct blk_host *h, struct blk_slot *s, const struct blk_header *r)
{
	s->type = r->type;
	s->sector = r->sector;
	s->bytes = 0;
	switch (r->type) {
	case T_OUT:
		s->r.op = BLOCK_WRITE;
		s->bytes = h->chain.bytes_out - sizeof(*r);
		return h->writable && fits(h, s->sector, s->bytes, BLK_REQUEST_MAX) ? S_OK :
										      S_IOERR;
	case T_IN:
		s->r.op = BLOCK_READ;
		s->bytes = h->chain.bytes_in - 1;
		return fits(h, s->sector, s->bytes, BLK_REQUEST_MAX) ? S_OK : S_IOERR;
	case T_FLUSH:
		s->r.op = BLOCK_FLUSH;
		return S_OK;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		s->r.op = r->type == T_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO;
		return read_range(h, s);
	default:
		return S_UNSUPP;
	}
}

/* The last byte that the device writes; there is one. */
static u64 status_at(const struct virtq_chain *c)
{
	u32 i = (u32)c->nr_out + c->nr_in - 1;

	while (!c->segment[i].length)
		i--;
	return c->segment[i].gpa + c->segment[i].length - 1;
}

static void begin(struct blk_host *h, struct blk_slot *s, u32 queue, const struct blk_header *r)
{
	u8 status;

	s->orphan = false;
	s->done = 0;
	s->queue = (u16)queue;
	s->head = h->chain.head;
	s->status_at = status_at(&h->chain);
	s->r.done = landed;
	atomic_store(&s->state, (u32)SLOT_READY);
	status = understand(h, s, r);
	if (r->type == T_GET_ID)
		end(s, get_id(h) ? S_IOERR : S_OK);
	else if (status != S_OK)
		end(s, status);
#ifdef BREAK_flush /* the guest is told that its data is safe, and it is not: make durability */
	else if (r->type == T_FLUSH)
		end(s, S_OK);
#endif
}

static struct blk_slot *free_slot(struct blk_host *h)
{
	for (u32 i = 0; i < BLK_SLOTS; i++)
		if (atomic_load(&h->slot[i].state) == SLOT_FREE)
			return &h->slot[i];
	return NULL;
}

/* Takes the next chain into a slot.  False: none, or not now. */
static bool take(struct virtio *d, struct blk_host *h, u32 queue, bool *any)
{
	struct blk_slot *s = free_slot(h);
	struct blk_header r;

	if (!s || virtq_peek(d, queue, &h->chain))
		return false;
	if (!h->chain.bytes_in || virtq_read(d, &h->chain, 0, &r, sizeof(r))) {
		virtio_broken(d, "a block request has no header, or no place for its status");
		return false;
	}
	virtq_take(d, queue);
	begin(h, s, queue, &r);
	*any |= go_on(d, h, s, true);
	return true;
}

static bool take_all(struct virtio *d, struct blk_host *h, u32 queue)
{
	bool any = false;

	while (free_slot(h) && virtq_waiting(d, queue)) {
		if (!virtio_may_go_on(d)) {
			virtio_again(d, plat_tsc());
			break;
		}
		if (!take(d, h, queue, &any))
			break;
	}
	return any;
}

void blk_host_work(struct virtio *d, struct blk_host *h)
{
	u32 told = 0; /* a bit for each queue */

	h->starved = false;
	for (u32 i = 0; i < BLK_SLOTS; i++) {
		struct blk_slot *s = &h->slot[i];

		if (atomic_load(&s->state) == SLOT_FREE)
			continue;
		if (!virtio_may_go_on(d)) {
			virtio_again(d, plat_tsc());
			break;
		}
		if (go_on(d, h, s, false))
			told |= 1u << s->queue;
	}
	for (u32 q = 0; q < virtio_blk.nr_queues; q++) {
		if (take_all(d, h, q))
			told |= 1u << q;
		d->q[q].ahead = (u16)AHEAD(atomic_load(&h->flying));
	}
	for (u32 q = 0; q < virtio_blk.nr_queues; q++)
		if (told & 1u << q)
			virtq_interrupt(d, q);
	if (h->starved && blk_data_room(h))
		virtio_again(d, plat_tsc());
}
