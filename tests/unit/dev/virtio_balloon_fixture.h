/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM whose virtio balloon has its queues set up. */
#ifndef TESTS_UNIT_DEV_VIRTIO_BALLOON_FIXTURE_H
#define TESTS_UNIT_DEV_VIRTIO_BALLOON_FIXTURE_H

#include <tests/fake/virtio.h>

#include <hv/memory/governor.h>
#include <hv/vm/sched.h>

#define RINGS MIB(2)
#define LIST MIB(3)
#define STATS (LIST + 0x1000)
#define MS FAKE_KHZ
enum { INFLATE, DEFLATE, STATISTICS, REPORT };

static struct vm_config cfg;
static struct vm *vm;
static struct vio dev;
static struct virtio *slot;

static inline int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("b");
	cfg.nr_disks = 1; /* or there would be no bus */
	cfg.disk[0] = (struct disk_config){ .blank = true, .writable = MIB(1) };
	vm = guest_start(&cfg);
	slot = &vm->bus->slot[SLOT_BALLOON];
	virtio_balloon_plug(slot, vm, SLOT_BALLOON, &vm->bus->balloon);
	dev = (struct vio){ .v = vm->vcpus[0], .slot = SLOT_BALLOON, .rings = RINGS };
	fake_log_clear();
	return 0;
}

/* As Linux does it: takes all features offered. Pages of a former driver go out in a few pieces. */
static inline void start(void)
{
	vio_start(&dev, 4);
	for (u32 calls = 0; !vm->balloon.started; calls++) {
		assert_true(calls < 16);
		bus_work(true);
	}
	assert_ptr_equal(vm->balloon.front, &virtio_balloon_front);
	assert_true(vm->balloon.started);
	vio_interrupted(&dev);
}

/* A list of @n pages from @first on, downwards as Linux's come. */
static inline void send(u32 queue, u32 first, u32 n)
{
	u32 pages[1024];
	struct vio_piece p = { LIST, n * 4, false };

	for (u32 i = 0; i < n; i++)
		pages[i] = first + n - 1 - i;
	vio_put(&dev, LIST, pages, n * 4);
	vio_add(&dev, queue, 0, &p, 1);
	vio_notify(&dev, queue);
}

static inline bool done(u32 queue)
{
	u32 head, written;

	return vio_used(&dev, queue, &head, &written);
}

#endif
