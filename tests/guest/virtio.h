/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Half a driver for virtio over MMIO: enough to start a device and to put anything into its ring.
 * It never waits and checks nothing, because its users make errors on purpose.
 */
#ifndef TESTS_GUEST_VIRTIO_H
#define TESTS_GUEST_VIRTIO_H

#include "case.h"

#define VIO_FIRST_DISK 2 /* the slot; three more can follow */
#define VIO_DISKS 4
#define VIO_QUEUE 128

enum {
	VIO_DEVICE_ID = 0x008,
	VIO_DRIVER_FEATURES = 0x020,
	VIO_DRIVER_FEATURES_SEL = 0x024,
	VIO_QUEUE_SEL = 0x030,
	VIO_QUEUE_NUM = 0x038,
	VIO_QUEUE_READY = 0x044,
	VIO_NOTIFY = 0x050,
	VIO_STATUS = 0x070,
	VIO_DESC = 0x080,
	VIO_AVAIL = 0x090,
	VIO_USED = 0x0a0,
};
#define VIO_NEEDS_RESET 0x40
#define VIO_NEXT 1
#define VIO_WRITE 2 /* by the device */

struct vio_desc {
	u64 gpa;
	u32 length;
	u16 flags, next;
};

struct vio_ring {
	struct vio_desc desc[VIO_QUEUE];
	u16 avail_flags, avail_index, avail[VIO_QUEUE], unused[2];
	u8 pad[PAGE - 2048 - 4 - 2 * VIO_QUEUE - 4];
	u16 used_flags, used_index;
	struct {
		u32 id, length;
	} used[VIO_QUEUE];
} __attribute__((aligned(PAGE)));
_Static_assert(offsetof(struct vio_ring, used_flags) == PAGE, "the used ring has a page");

static inline volatile u32 *vio_reg(u32 slot, u32 reg)
{
	return (volatile u32 *)(0xd0000000ul + slot * 0x200ul + reg);
}

static inline void vio_set_address(u32 slot, u32 reg, u64 gpa)
{
	*vio_reg(slot, reg) = (u32)gpa;
	*vio_reg(slot, reg + 4) = (u32)(gpa >> 32);
}

/* Reset, features, queue 0 of @num entries at these addresses, DRIVER_OK. */
static inline void vio_start_at(u32 slot, u32 num, u64 desc, u64 avail, u64 used)
{
	*vio_reg(slot, VIO_STATUS) = 0;
	*vio_reg(slot, VIO_STATUS) = 3;
	*vio_reg(slot, VIO_DRIVER_FEATURES_SEL) = 1;
	*vio_reg(slot, VIO_DRIVER_FEATURES) = 1; /* VERSION_1 */
	*vio_reg(slot, VIO_STATUS) = 11;
	*vio_reg(slot, VIO_QUEUE_SEL) = 0;
	*vio_reg(slot, VIO_QUEUE_NUM) = num;
	vio_set_address(slot, VIO_DESC, desc);
	vio_set_address(slot, VIO_AVAIL, avail);
	vio_set_address(slot, VIO_USED, used);
	*vio_reg(slot, VIO_QUEUE_READY) = 1;
	*vio_reg(slot, VIO_STATUS) = 15;
}

static inline void vio_start(u32 slot, struct vio_ring *r)
{
	vio_start_at(slot, VIO_QUEUE, (u64)r->desc, (u64)&r->avail_flags, (u64)&r->used_flags);
}

#endif
