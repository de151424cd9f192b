/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/dev/blk_host.h>
#include <hv/dev/blk_request.h>
#include <hv/vm/vm.h>
#include <mm/frame.h>
#include <mm/guestmem.h>

/* In the data of a request: from @offset of the first of @nr segments on. */
struct place {
	const struct virtq_segment *s;
	u32 nr;
	u64 offset;
};

static struct place data_at(const struct virtq_chain *c, bool out, u64 done)
{
	return out ? (struct place){ c->segment, c->nr_out, sizeof(struct blk_header) + done } :
		     (struct place){ c->segment + c->nr_out, c->nr_in, done };
}

/* What lies in one page and one segment, of @left bytes.  False: the chain has no more. */
static bool next_part(struct place *p, u64 left, u64 *gpa, u32 *bytes)
{
	while (p->nr && p->offset >= p->s->length) {
		p->offset -= p->s->length;
		p->s++;
		p->nr--;
	}
	if (!p->nr)
		return false;
	*gpa = p->s->gpa + p->offset;
	*bytes = (u32)min(min(left, p->s->length - p->offset), PAGE_SIZE - (*gpa & PAGE_MASK));
	p->offset += *bytes;
	return true;
}

/* Is it a page that the device can have as it is: a whole one, or the request's last? */
static bool fits_a_piece(u64 gpa, u32 bytes, u64 left)
{
	return !(gpa & PAGE_MASK) && (bytes == PAGE_SIZE || bytes == left);
}

void blk_data_unpin(struct blk_slot *s)
{
	for (u32 i = 0; i < s->nr_pinned; i++)
		frame_unpin(s->pinned[i]);
	s->nr_pinned = 0;
}

/* Leaves that were pinned last: a buffer's pages lie in few of them, but not in order. */
#define LEAVES 4
struct leaves {
	struct {
		u64 gfn, pages; /* 0 pages: none */
		u32 frame;
	} of[LEAVES];
	u32 next;
};

/* The frame of @gfn in a leaf that is pinned already, or FRAME_NONE. */
static u32 pinned_frame(const struct leaves *l, u64 gfn)
{
	for (u32 i = 0; i < LEAVES; i++)
		if (gfn - l->of[i].gfn < l->of[i].pages)
			return l->of[i].frame + (u32)(gfn - l->of[i].gfn);
	return FRAME_NONE;
}

static int pin_leaf(struct blk_host *h, struct blk_slot *s, struct leaves *l, u64 gfn, u32 *frame)
{
	u32 i = l->next++ % LEAVES;
	struct p2m_entry e;
	int err = guest_pin(&h->d->vm->p2m, GPA(gfn << PAGE_SHIFT), s->type == T_IN, &e);

	if (err)
		return err;
	*frame = e.frame;
	s->pinned[s->nr_pinned++] = l->of[i].frame = p2m_leaf(&e);
	l->of[i].pages = 1UL << e.order;
	l->of[i].gfn = ALIGN_DOWN(gfn, l->of[i].pages);
	return HV_OK;
}

/* As many whole pages as one request takes.  HV_ERANGE: the next bytes lie in none. */
static int pin_pages(struct blk_host *h, struct blk_slot *s)
{
	u64 left = min(s->bytes - s->done, (u64)h->part.device->max_bytes), gpa;
	struct place p = data_at(&h->chain, s->type == T_OUT, s->done);
	struct leaves l = { .next = 0 };
	int err = HV_OK;
	u32 bytes;

	while (left && s->r.nr_pieces < BLOCK_PIECES && next_part(&p, left, &gpa, &bytes) &&
	       fits_a_piece(gpa, bytes, s->bytes - s->done - s->r.bytes)) {
		u32 frame = pinned_frame(&l, gpa >> PAGE_SHIFT);

		if (frame == FRAME_NONE)
			err = pin_leaf(h, s, &l, gpa >> PAGE_SHIFT, &frame);
		if (err)
			break;
		s->r.piece[s->r.nr_pieces++] =
			(struct block_piece){ HPA((u64)frame << PAGE_SHIFT), bytes };
		s->r.bytes += bytes;
		left -= bytes;
	}
	if (err)
		blk_data_unpin(s);
	return err ? err : s->r.bytes ? HV_OK : HV_ERANGE;
}

bool blk_data_room(const struct blk_host *h)
{
	for (u32 i = 0; i < BLK_BOUNCES; i++)
		if (!h->bounce[i].user)
			return true;
	return false;
}

static void take_bounce(struct blk_host *h, struct blk_slot *s)
{
	for (u32 i = 0; i < BLK_BOUNCES && !s->bounce; i++)
		if (!h->bounce[i].user) {
			h->bounce[i].user = s;
			s->bounce = h->bounce[i].data;
		}
}

/* Data to be written is copied now, whatever the guest does to it later. */
static int bounce(struct blk_host *h, struct blk_slot *s)
{
	u32 bytes = (u32)min(min(s->bytes - s->done, (u64)BLK_BOUNCE_BYTES),
			     (u64)h->part.device->max_bytes);
	int err = HV_OK;

	take_bounce(h, s);
	if (!s->bounce) {
		h->starved = true;
		return HV_EBUSY;
	}
	if (s->type == T_OUT)
		err = virtq_read(h->d, &h->chain, sizeof(struct blk_header) + s->done, s->bounce,
				 bytes);
	if (err) {
		blk_data_end(h, s);
		return err;
	}
	for (u32 at = 0; at < bytes; at += (u32)PAGE_SIZE) {
		u32 n = min(bytes - at, (u32)PAGE_SIZE);

		s->r.piece[s->r.nr_pieces++] =
			(struct block_piece){ plat_pa((u8 *)s->bounce + at), n };
	}
	s->r.bytes = bytes;
	h->bounced++;
	return HV_OK;
}

/* For a device that cannot by itself: the same zeroes again and again. */
static void write_zeroes(struct blk_host *h, struct blk_slot *s)
{
	u64 left = min(s->bytes - s->done, (u64)h->part.device->max_bytes);

	s->r.op = BLOCK_WRITE;
	while (left && s->r.nr_pieces < BLOCK_PIECES) {
		u32 bytes = (u32)min(left, PAGE_SIZE);

		s->r.piece[s->r.nr_pieces++] = (struct block_piece){ plat_pa(h->zeroes), bytes };
		s->r.bytes += bytes;
		left -= bytes;
	}
}

int blk_data_begin(struct blk_host *h, struct blk_slot *s)
{
	int err = HV_OK;

	s->r.sector = s->sector + s->done / BLOCK_SECTOR;
	s->r.bytes = s->r.nr_pieces = 0;
	if (s->type == T_WRITE_ZEROES && !h->part.device->max_zero) {
		write_zeroes(h, s);
	} else if (s->type == T_WRITE_ZEROES || s->type == T_DISCARD) {
		u64 most = s->type == T_DISCARD ? h->part.device->max_discard :
						  h->part.device->max_zero;

		s->r.bytes = (u32)min(s->bytes - s->done, most);
	} else if (s->type != T_FLUSH) {
		err = pin_pages(h, s);
		h->direct += !err;
		if (err == HV_ERANGE)
			err = bounce(h, s);
	}
	return err;
}

int blk_data_take(struct blk_host *h, struct blk_slot *s)
{
	if (!s->bounce || s->type != T_IN)
		return HV_OK;
	return virtq_write(h->d, &h->chain, s->done, s->bounce, s->r.bytes);
}

void blk_data_end(struct blk_host *h, struct blk_slot *s)
{
	for (u32 i = 0; s->bounce && i < BLK_BOUNCES; i++)
		if (h->bounce[i].user == s)
			h->bounce[i].user = NULL;
	s->bounce = NULL;
}
