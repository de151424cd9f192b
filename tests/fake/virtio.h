/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio driver of a few lines: drives a slot of a fake VM as a guest's kernel does. */
#ifndef TESTS_FAKE_VIRTIO_H
#define TESTS_FAKE_VIRTIO_H

#include <tests/fake/guest.h>

#include <hv/dev/bus.h>

#define VIO_QUEUE 8	   /* descriptors in each queue */
#define VIO_REFILL_TSC 100 /* ticks that pass whenever another vCPU refills a queue */

enum {
	VIO_MAGIC = 0x000,
	VIO_VERSION = 0x004,
	VIO_DEVICE = 0x008,
	VIO_DEVICE_FEATURES = 0x010,
	VIO_DEVICE_FEATURES_SEL = 0x014,
	VIO_DRIVER_FEATURES = 0x020,
	VIO_DRIVER_FEATURES_SEL = 0x024,
	VIO_QUEUE_SEL = 0x030,
	VIO_QUEUE_MAX = 0x034,
	VIO_QUEUE_NUM = 0x038,
	VIO_QUEUE_READY = 0x044,
	VIO_NOTIFY = 0x050,
	VIO_ISR = 0x060,
	VIO_ACK = 0x064,
	VIO_STATUS = 0x070,
	VIO_DESC = 0x080,
	VIO_AVAIL = 0x090,
	VIO_USED = 0x0a0,
	VIO_CONFIG = 0x100,
};

struct vio {
	struct vcpu *v;
	u32 slot;
	u64 rings; /* guest-physical, a page for each queue */
	u16 avail[VIRTIO_QUEUES], used[VIRTIO_QUEUES];
};

struct vio_piece {
	u64 gpa;
	u32 length;
	bool write; /* by the device */
};

u32 vio_read(const struct vio *d, u32 reg);
void vio_write(const struct vio *d, u32 reg, u32 value);

/* Reset, features (all that are offered), @queues queues at d->rings, DRIVER_OK. */
void vio_start(struct vio *d, u32 queues);
/* The queues' part of that. */
void vio_start_queues(struct vio *d, u32 queues);

/* Makes a chain of @n pieces, from descriptor @first on, available; does not notify the device. */
void vio_add(struct vio *d, u32 queue, u16 first, const struct vio_piece *p, u32 n);
/* The same with a table of its own at @table, in descriptor @first. */
void vio_add_indirect(struct vio *d, u32 queue, u16 first, u64 table, const struct vio_piece *p,
		      u32 n);
void vio_notify(const struct vio *d, u32 queue);
/* With EVENT_IDX: does the device want a notice of what came since @before? */
bool vio_must_notify(const struct vio *d, u32 queue, u16 before);

/* The next entry of the used ring; false: there is none. */
bool vio_used(struct vio *d, u32 queue, u32 *head, u32 *written);

/* The addresses of the descriptors and rings of @queue. */
u64 vio_desc_at(const struct vio *d, u32 queue);
u64 vio_avail_at(const struct vio *d, u32 queue);
u64 vio_used_at(const struct vio *d, u32 queue);

/* Guest memory as the guest sees it. */
void vio_put(const struct vio *d, u64 gpa, const void *from, size_t n);
void vio_get(const struct vio *d, u64 gpa, void *to, size_t n);

/*
 * Plays another vCPU that makes all of @queue's ring available again whenever the device has put an
 * entry into the used ring, at most @times times; only in programs that are linked with VIO_WRAP.
 * Returns how many times are left.
 */
void vio_refill(const struct vio *d, u32 queue, u32 times);
u32 vio_refills_left(void);

/* Takes the slot's interrupt from vCPU 0; false: it is not pending. */
bool vio_interrupted(const struct vio *d);

#endif
