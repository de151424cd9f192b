/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fake/virtio.h>

#include <hv/emulate/mmio.h>
#include <mm/guestmem.h>

struct descriptor {
	u64 gpa;
	u32 length;
	u16 flags, next;
};

static gpa_t at(const struct vio *d, u32 reg)
{
	return GPA(VIRTIO_BASE + d->slot * VIRTIO_STRIDE + reg);
}

u32 vio_read(const struct vio *d, u32 reg)
{
	return (u32)mmio_read(d->v, at(d, reg), 4);
}

void vio_write(const struct vio *d, u32 reg, u32 value)
{
	mmio_write(d->v, at(d, reg), 4, value);
}

u64 vio_desc_at(const struct vio *d, u32 queue)
{
	return d->rings + queue * PAGE_SIZE;
}

u64 vio_avail_at(const struct vio *d, u32 queue)
{
	return vio_desc_at(d, queue) + 0x400;
}

u64 vio_used_at(const struct vio *d, u32 queue)
{
	return vio_desc_at(d, queue) + 0x800;
}

void vio_put(const struct vio *d, u64 gpa, const void *from, size_t n)
{
	assert_int_equal(guest_write(&d->v->vm->p2m, GPA(gpa), from, n), HV_OK);
}

void vio_get(const struct vio *d, u64 gpa, void *to, size_t n)
{
	assert_int_equal(guest_read(&d->v->vm->p2m, GPA(gpa), to, n), HV_OK);
}

static void put16(const struct vio *d, u64 gpa, u16 value)
{
	vio_put(d, gpa, &value, sizeof(value));
}

static void write64(const struct vio *d, u32 reg, u64 value)
{
	vio_write(d, reg, (u32)value);
	vio_write(d, reg + 4, (u32)(value >> 32));
}

void vio_start_queues(struct vio *d, u32 queues)
{
	for (u32 q = 0; q < queues; q++) {
		u8 nothing[PAGE_SIZE] = { 0 };

		vio_put(d, vio_desc_at(d, q), nothing, sizeof(nothing));
		vio_write(d, VIO_QUEUE_SEL, q);
		vio_write(d, VIO_QUEUE_NUM, VIO_QUEUE);
		write64(d, VIO_DESC, vio_desc_at(d, q));
		write64(d, VIO_AVAIL, vio_avail_at(d, q));
		write64(d, VIO_USED, vio_used_at(d, q));
		vio_write(d, VIO_QUEUE_READY, 1);
		d->avail[q] = d->used[q] = 0;
	}
}

void vio_start(struct vio *d, u32 queues)
{
	vio_write(d, VIO_STATUS, 0);
	vio_write(d, VIO_STATUS, 3);
	for (u32 half = 0; half < 2; half++) {
		vio_write(d, VIO_DEVICE_FEATURES_SEL, half);
		vio_write(d, VIO_DRIVER_FEATURES_SEL, half);
		vio_write(d, VIO_DRIVER_FEATURES, vio_read(d, VIO_DEVICE_FEATURES));
	}
	vio_write(d, VIO_STATUS, 11);
	assert_int_equal(vio_read(d, VIO_STATUS), 11);
	vio_start_queues(d, queues);
	vio_write(d, VIO_STATUS, 15);
}

void vio_add(struct vio *d, u32 queue, u16 first, const struct vio_piece *p, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct descriptor desc = { p[i].gpa, p[i].length,
					   (u16)((i < n - 1) | p[i].write << 1),
					   (u16)((first + i + 1) % VIO_QUEUE) };

		vio_put(d, vio_desc_at(d, queue) + (first + i) % VIO_QUEUE * sizeof(desc), &desc,
			sizeof(desc));
	}
	put16(d, vio_avail_at(d, queue) + 4 + d->avail[queue] % VIO_QUEUE * 2, first);
	put16(d, vio_avail_at(d, queue) + 2, ++d->avail[queue]);
}

void vio_notify(const struct vio *d, u32 queue)
{
	vio_write(d, VIO_NOTIFY, queue);
}

bool vio_used(struct vio *d, u32 queue, u32 *head, u32 *written)
{
	u32 entry[2];
	u16 index;

	vio_get(d, vio_used_at(d, queue) + 2, &index, sizeof(index));
	if (index == d->used[queue])
		return false;
	vio_get(d, vio_used_at(d, queue) + 4 + d->used[queue]++ % VIO_QUEUE * 8, entry,
		sizeof(entry));
	*head = entry[0];
	*written = entry[1];
	/* With EVENT_IDX: tell me of the next. */
	put16(d, vio_avail_at(d, queue) + 4 + VIO_QUEUE * 2, d->used[queue]);
	return true;
}

void vio_add_indirect(struct vio *d, u32 queue, u16 first, u64 table, const struct vio_piece *p,
		      u32 n)
{
	struct descriptor whole = { table, n * (u32)sizeof(whole), 4, 0 };

	for (u32 i = 0; i < n; i++) {
		struct descriptor desc = { p[i].gpa, p[i].length,
					   (u16)((i < n - 1) | p[i].write << 1), (u16)(i + 1) };

		vio_put(d, table + i * sizeof(desc), &desc, sizeof(desc));
	}
	vio_put(d, vio_desc_at(d, queue) + first * sizeof(whole), &whole, sizeof(whole));
	put16(d, vio_avail_at(d, queue) + 4 + d->avail[queue] % VIO_QUEUE * 2, first);
	put16(d, vio_avail_at(d, queue) + 2, ++d->avail[queue]);
}

bool vio_must_notify(const struct vio *d, u32 queue, u16 before)
{
	u16 event;

	vio_get(d, vio_used_at(d, queue) + 4 + VIO_QUEUE * 8, &event, sizeof(event));
	return (u16)(d->avail[queue] - event - 1) < (u16)(d->avail[queue] - before);
}

/* --- another vCPU --- */

static struct {
	const struct vio *d;
	u32 queue, left;
} refill;

void vio_refill(const struct vio *d, u32 queue, u32 times)
{
	refill.d = d;
	refill.queue = queue;
	refill.left = times;
}

u32 vio_refills_left(void)
{
	return refill.left;
}

int __real_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);
int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);
int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len)
{
	int err = __real_guest_write(p, gpa, buf, len);
	u16 used;

	if (err || !refill.left || gpa.v != vio_used_at(refill.d, refill.queue) + 2)
		return err;
	refill.left--;
	fake.tsc += VIO_REFILL_TSC;
	memcpy(&used, buf, sizeof(used));
	put16(refill.d, vio_avail_at(refill.d, refill.queue) + 2, (u16)(used + VIO_QUEUE));
	return HV_OK;
}

bool vio_interrupted(const struct vio *d)
{
	u32 isr = vio_read(d, VIO_ISR);

	assert_int_equal(d->v->vm->ioapic.lines >> (VIRTIO_FIRST_PIN + d->slot) & 1, isr != 0);
	vio_write(d, VIO_ACK, isr);
	assert_int_equal(vio_read(d, VIO_ISR), 0);
	return isr & 1;
}
