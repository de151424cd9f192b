/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with a disk of the host, and that disk, for the tests of hv/dev/blk_*.c. */
#ifndef TESTS_UNIT_DEV_BLK_HOST_FIXTURE_H
#define TESTS_UNIT_DEV_BLK_HOST_FIXTURE_H

#include <tests/fake/virtio.h>

#include <hv/base/string.h>
#include <hv/block/block.h>
#include <hv/vm/sched.h>

#define RINGS MIB(2)
#define HEADERS MIB(3)	      /* 32 bytes a request, its status behind the header */
#define DATA (MIB(4) + 0x600) /* not on a page's boundary */
#define SECTORS 4096
#define MAX_HELD 64

enum { IN, OUT, FLUSH = 4, GET_ID = 8 };
enum { OK, IOERR, UNSUPP, NOT_YET = 0xee };

static u8 disk[SECTORS * 512];
static struct block_device device;
static struct block_request *held[MAX_HELD];
static u32 nr_held, flushes, refusals, submitted;
static bool hold, discard;
static int refusal, outcome;
static struct vm_config cfg;
static struct vm *vm;
static struct vio d;
static u32 made;

static void carry_out(struct block_request *r, int err)
{
	u8 *at = disk + r->sector * 512;

	if (r->op == BLOCK_DISCARD || r->op == BLOCK_ZERO)
		memset(at, r->op == BLOCK_ZERO ? 0 : 0xdd, r->bytes);
	for (u32 i = 0; !err && i < r->nr_pieces; at += r->piece[i++].bytes)
		if (r->op == BLOCK_READ)
			memcpy(plat_ptr(r->piece[i].at), at, r->piece[i].bytes);
		else
			memcpy(at, plat_ptr(r->piece[i].at), r->piece[i].bytes);
	flushes += r->op == BLOCK_FLUSH;
	block_done(&device, r, err);
}

static int submit(struct block_device *dev, struct block_request *r)
{
	assert_ptr_equal(dev, &device);
	if (refusals) {
		refusals--;
		return refusal;
	}
	assert_true(r->sector * 512 + r->bytes <= sizeof(disk));
	submitted++;
	if (hold)
		held[nr_held++] = r;
	else
		carry_out(r, outcome);
	return HV_OK;
}

static void poll(struct block_device *dev, u64 now)
{
	(void)dev, (void)now;
}

static const struct block_ops ops = { submit, poll };

static void start_device(void)
{
	vio_start(&d, 1);
	made = 0;
}

static void start(bool read_only)
{
	guest_machine(MIB(64), 2);
	block_forget();
	device = (struct block_device){ .ops = &ops,
					.name = "fake0",
					.serial = "S",
					.sectors = SECTORS,
					.block_size = 512,
					.max_bytes = KIB(64),
					.write_cache = true,
					.max_discard = discard ? KIB(64) : 0,
					.poll_us = 1000 };
	assert_int_equal(block_add(&device), HV_OK);
	for (u32 i = 0; i < sizeof(disk); i++)
		disk[i] = (u8)(i * 7 + i / 512);
	nr_held = flushes = refusals = submitted = 0;
	hold = false;
	outcome = HV_OK;
	block_scan();
	cfg = guest_config("d");
	cfg.nr_disks = 1;
	cfg.disk[0] =
		(struct disk_config){ .file = "disk:S", .host = true, .read_only = read_only };
	assert_int_equal(vm_create(0, &cfg), HV_OK);
	vm = vms[0];
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	d = (struct vio){ .v = vm->vcpus[0], .slot = SLOT_DISK, .rings = RINGS };
	start_device();
	fake_log_clear();
}

static int setup(void **state)
{
	(void)state;
	start(false);
	return 0;
}

/* Background work, as the tick does it. */
static void go_on(void)
{
	for (u32 i = 0; i < 50; i++) {
		fake.tsc += FAKE_KHZ / 10;
		bus_work(true);
	}
}

static u8 status_of(u32 request)
{
	u8 status;

	vio_get(&d, HEADERS + request * 32 + 16, &status, 1);
	return status;
}

#endif
