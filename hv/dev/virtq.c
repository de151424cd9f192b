/* SPDX-License-Identifier: BSD-2-Clause */
/* "Split Virtqueues": the guest's rings, of which nothing is believed. */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/virtio.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

struct descriptor {
	u64 gpa;
	u32 length;
	u16 flags, next;
};
#define DESC_NEXT BIT(0)
#define DESC_WRITE BIT(1) /* by the device */
#define DESC_INDIRECT BIT(2)

struct used {
	u32 id, length;
};

#define AVAIL_NO_INTERRUPT BIT(0)
/* Both rings: flags, index, entries. */
#define RING_INDEX 2
#define RING_ENTRIES 4

/* Guest-physical addresses are shorter than this on any CPU: sums do not wrap. */
#define ADDRESS_LIMIT BIT(52)

bool virtq_start(struct virtq *q)
{
	if (!q->num || q->num > VIRTQ_SIZE || q->num & (q->num - 1))
		return false;
	if (q->desc & 15 || q->avail & 1 || q->ring & 3)
		return false;
	if (q->desc >= ADDRESS_LIMIT || q->avail >= ADDRESS_LIMIT || q->ring >= ADDRESS_LIMIT)
		return false;
	q->next = q->used = 0;
	q->ready = true;
	return true;
}

static int read(struct virtio *d, u64 gpa, void *to, size_t length)
{
	return guest_read(&d->vm->p2m, GPA(gpa), to, length);
}

u32 virtq_waiting(struct virtio *d, u32 queue)
{
	struct virtq *q = &d->q[queue];
	u16 index, waiting;

	if (!q->ready)
		return 0;
	if (read(d, q->avail + RING_INDEX, &index, sizeof(index))) {
		virtio_broken(d, "a queue's available ring is not in memory");
		return 0;
	}
	q->seen = index;
	waiting = (u16)(index - q->next);
	if (waiting > q->num) {
		virtio_broken(d, "an available ring has more entries than its queue");
		return 0;
	}
	return waiting;
}

static int broken_chain(struct virtio *d, const char *what)
{
	virtio_broken(d, what);
	return HV_EFAULT;
}

/* Where a chain's descriptors are: the queue's, or a table of the chain's own. */
struct table {
	u64 gpa;
	u32 nr;
	bool indirect;
	u64 page; /* of it, that was looked up last; and where it is, or NULL */
	const u8 *at;
};

/* Most tables are in one page, which is looked up once. */
static int read_descriptor(struct virtio *d, struct table *t, u32 index, struct descriptor *desc)
{
	u64 gpa = t->gpa + index * sizeof(*desc), offset = gpa & PAGE_MASK;
	const u64 *from;

	if (!t->at || gpa - offset != t->page) {
		t->page = gpa - offset;
		t->at = guest_peek(&d->vm->p2m, GPA(t->page));
	}
	if (!t->at || gpa % sizeof(u64) || offset > PAGE_SIZE - sizeof(*desc))
		return read(d, gpa, desc, sizeof(*desc));
	from = (const u64 *)(t->at + offset);
	desc->gpa = atomic_load(from);
	*(u64 *)&desc->length = atomic_load(from + 1);
	return HV_OK;
}

/* "Indirect Descriptors": one alone, and no table in a table. */
static bool enter_table(const struct virtio *d, struct table *t, struct descriptor *desc, u32 n)
{
	u32 nr = desc->length / (u32)sizeof(*desc);

	if (!(d->features & VIRTIO_F_INDIRECT_DESC) || t->indirect || n ||
	    desc->flags != DESC_INDIRECT || desc->length % sizeof(*desc) || !nr ||
	    nr > VIRTQ_SIZE || desc->gpa >= ADDRESS_LIMIT)
		return false;
	*t = (struct table){ .gpa = desc->gpa, .nr = nr, .indirect = true };
	*desc = (struct descriptor){ .next = 0, .flags = DESC_NEXT };
	return true;
}

static bool add_segment(struct virtq_chain *c, const struct descriptor *desc)
{
	if (desc->flags & ~(DESC_NEXT | DESC_WRITE) || desc->gpa >= ADDRESS_LIMIT ||
	    (c->nr_in && !(desc->flags & DESC_WRITE)))
		return false;
	c->segment[c->nr_in + c->nr_out] = (struct virtq_segment){ desc->gpa, desc->length };
	if (desc->flags & DESC_WRITE) {
		c->nr_in++;
		c->bytes_in += desc->length;
	} else {
		c->nr_out++;
		c->bytes_out += desc->length;
	}
	return true;
}

/* What the device reads comes first; no chain is longer than its table, so a loop ends. */
static int walk(struct virtio *d, const struct virtq *q, struct virtq_chain *c)
{
	struct descriptor desc = { .next = c->head, .flags = DESC_NEXT };
	struct table t = { .gpa = q->desc, .nr = q->num };

	c->nr_in = c->nr_out = 0;
	c->bytes_in = c->bytes_out = 0;
	while (desc.flags & DESC_NEXT) {
		u32 n = c->nr_in + c->nr_out;

		if (desc.next >= t.nr || n == t.nr)
			return broken_chain(
				d, "a chain of descriptors leaves its table, or is a loop");
		if (read_descriptor(d, &t, desc.next, &desc))
			return broken_chain(d, "a queue's descriptors are not in memory");
		if (desc.flags & DESC_INDIRECT ? !enter_table(d, &t, &desc, n) :
						 !add_segment(c, &desc))
			return broken_chain(d, "a descriptor is malformed");
	}
	return HV_OK;
}

int virtq_walk(struct virtio *d, u32 queue, u16 head, struct virtq_chain *c)
{
	int err;

	if (!d->budget)
		return HV_EBUSY;
	c->head = head;
	err = walk(d, &d->q[queue], c);
	if (!err)
		d->budget -= min(d->budget, (u32)c->nr_in + c->nr_out);
	return err;
}

int virtq_peek(struct virtio *d, u32 queue, struct virtq_chain *c)
{
	struct virtq *q = &d->q[queue];
	u16 head;

	if (!d->budget)
		return HV_EBUSY;
	if (!virtq_waiting(d, queue))
		return HV_ENOENT;
	if (read(d, q->avail + RING_ENTRIES + q->next % q->num * sizeof(u16), &head, sizeof(head)))
		return broken_chain(d, "a queue's available ring is not in memory");
	return virtq_walk(d, queue, head, c);
}

void virtq_take(struct virtio *d, u32 queue)
{
	d->q[queue].next++;
}

int virtq_complete(struct virtio *d, u32 queue, u16 head, u32 written)
{
	struct virtq *q = &d->q[queue];
	struct used entry = { head, written };
	u16 index = (u16)(q->used + 1);
	int err;

	if (!q->ready) /* the guest has taken it away meanwhile */
		return broken_chain(d, "a queue was taken away with requests on their way");
	err = guest_write(&d->vm->p2m,
			  GPA(q->ring + RING_ENTRIES + q->used % q->num * sizeof(entry)), &entry,
			  sizeof(entry));

	/* The entry is there before the index says so; x86 keeps the order of stores. */
	barrier();
	if (!err)
		err = guest_write(&d->vm->p2m, GPA(q->ring + RING_INDEX), &index, sizeof(index));
	if (err == HV_EFAULT)
		virtio_broken(d, "a queue's used ring is not in memory");
	if (!err)
		q->used = index;
	return err;
}

int virtq_done(struct virtio *d, u32 queue, const struct virtq_chain *c, u32 written)
{
	int err = virtq_complete(d, queue, c->head, written);

	if (!err)
		virtq_take(d, queue);
	return err;
}

/* "Used Buffer Notification Suppression": has @event come between @old and @now? */
static bool passed(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1) < (u16)(now - old);
}

bool virtq_wants_interrupt(struct virtio *d, u32 queue)
{
	struct virtq *q = &d->q[queue];
	bool by_index = d->features & VIRTIO_F_EVENT_IDX;
	u16 word, told = q->told;

	if (!q->ready)
		return false;
	q->told = q->used;
	/* The guest says what it wants, then looks at the used index; we go the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (read(d, q->avail + (by_index ? RING_ENTRIES + q->num * sizeof(u16) : 0), &word,
		 sizeof(word)))
		return false;
	return by_index ? passed(word, q->used, told) : !(word & AVAIL_NO_INTERRUPT);
}

void virtq_ask(struct virtio *d, u32 queue)
{
	struct virtq *q = &d->q[queue];
	u16 event = (u16)(q->next + q->ahead), index;
	int err;

	if (!q->ready || (q->has_asked && event == q->asked))
		return;
	err = guest_write(&d->vm->p2m, GPA(q->ring + RING_ENTRIES + q->num * sizeof(struct used)),
			  &event, sizeof(event));
	if (err && !virtio_wait_for_memory(d, err))
		virtio_broken(d, "a queue's used ring is not in memory");
	if (err)
		return;
	q->asked = event;
	q->has_asked = true;
	/* The guest makes a chain available, then looks at that; we go the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!read(d, q->avail + RING_INDEX, &index, sizeof(index)) && index != q->seen)
		virtio_again(d, plat_tsc());
}

typedef int (*piece_fn)(struct virtio *d, u64 gpa, void *buf, size_t length);

static int write(struct virtio *d, u64 gpa, void *from, size_t length)
{
	return guest_write(&d->vm->p2m, GPA(gpa), from, length);
}

static int pieces(struct virtio *d, const struct virtq_segment *s, u32 nr, u64 offset, u8 *buf,
		  size_t length, piece_fn piece)
{
	for (; nr && length; s++, nr--) {
		size_t n;
		int err;

		if (offset >= s->length) {
			offset -= s->length;
			continue;
		}
		n = min(length, (size_t)(s->length - offset));
		err = piece(d, s->gpa + offset, buf, n);
		if (err)
			return err;
		offset = 0;
		buf += n;
		length -= n;
	}
	return length ? HV_ERANGE : HV_OK;
}

int virtq_read(struct virtio *d, const struct virtq_chain *c, u64 offset, void *to, size_t length)
{
	return pieces(d, c->segment, c->nr_out, offset, to, length, read);
}

int virtq_write(struct virtio *d, const struct virtq_chain *c, u64 offset, const void *from,
		size_t length)
{
	return pieces(d, c->segment + c->nr_out, c->nr_in, offset, (u8 *)(uintptr_t)from, length,
		      write);
}
