/* SPDX-License-Identifier: BSD-2-Clause */
/* Drivers of virtio disks that attack others. None ends: t_hostile.c judges, and stops them. */
#include "virtio.h"

#define BUFFER 0x800000ul /* above this program, below what the case's VM has */
#define REQUEST 0x400000u /* the most that a disk takes at once */

struct request {
	u32 type, reserved;
	u64 sector;
};

static struct vio_ring ring[VIO_DISKS];
static struct request request = { 0, 0, 0 };
static u8 status;

static u32 disks(void)
{
	u32 n = 0;

	while (n < VIO_DISKS && *vio_reg(VIO_FIRST_DISK + n, VIO_DEVICE_ID) == 2)
		n++;
	return n;
}

/* One request of 4 MiB, which all 128 entries of the ring share. */
static void share_request(struct vio_ring *r, bool write)
{
	u16 to_device = write ? 0 : VIO_WRITE;

	request.type = write;
	r->avail_flags = 1; /* no interrupts */
	r->desc[0] = (struct vio_desc){ (u64)&request, sizeof(request), VIO_NEXT, 1 };
	r->desc[1] = (struct vio_desc){ BUFFER, REQUEST, VIO_NEXT | to_device, 2 };
	r->desc[2] = (struct vio_desc){ (u64)&status, 1, VIO_WRITE, 0 };
	for (u32 i = 0; i < VIO_QUEUE; i++)
		r->avail[i] = 0;
}

/* On each disk all entries of the ring wait at any time. */
static void keep_full(u32 n)
{
	for (u32 i = 0; i < n; i++) {
		volatile u16 *used = &ring[i].used_index;

		__atomic_store_n(&ring[i].avail_index, (u16)(*used + VIO_QUEUE), __ATOMIC_SEQ_CST);
		*vio_reg(VIO_FIRST_DISK + i, VIO_NOTIFY) = 0;
	}
}

static int shared_requests(bool write, bool notify_once)
{
	u32 n = disks();

	CHECK(n);
	for (u32 i = 0; i < n; i++) {
		share_request(&ring[i], write);
		vio_start(VIO_FIRST_DISK + i, &ring[i]);
	}
	for (;;) {
		keep_full(n);
		if (notify_once) /* the rest is the hypervisor's background work */
			bare_sleep_us(20000);
	}
}

static int disk_reads(void)
{
	return shared_requests(false, false);
}

static int disk_writes(void)
{
	return shared_requests(true, false);
}

static int disk_background(void)
{
	return shared_requests(false, true);
}

/* Each time the device finds an error, stops, and gets a reset. */
static int breaks(void)
{
	CHECK(disks());
	for (u64 n = 0;; n++) {
		struct vio_ring *r = &ring[0];

		share_request(r, false);
		switch (n % 4) {
		case 0: /* more than the queue has */
			r->avail_index = VIO_QUEUE + 1;
			break;
		case 1: /* a head outside */
			r->avail[0] = VIO_QUEUE;
			r->avail_index = 1;
			break;
		case 2: /* a chain that ends nowhere */
			r->desc[2].flags = VIO_NEXT | VIO_WRITE;
			r->desc[2].next = 1;
			r->avail_index = 1;
			break;
		case 3: /* no place for the status */
			r->desc[2].gpa = 0xd0000000;
			r->avail_index = 1;
			break;
		}
		vio_start(VIO_FIRST_DISK, r);
		*vio_reg(VIO_FIRST_DISK, VIO_NOTIFY) = 0;
		CHECK(n % 4 == 3 || *vio_reg(VIO_FIRST_DISK, VIO_STATUS) & VIO_NEEDS_RESET);
	}
}

/* An address that is not, or not always, memory: @page is in the balloon. */
static u64 bad_address(u64 page)
{
	static const u64 bad[] = { 0xa0000,    0xc0000,	    0xfee00000,	   0xd0000400,
				   0xc0000000, 0x100000000, 0xffffffff000, 0xfffffffffff00 };
	u64 choice = random_bits() % 12;

	return choice < 8 ? bad[choice] : choice < 10 ? page * PAGE : bare_memory_pages() * PAGE;
}

static struct aero_batch batch __attribute__((aligned(4096)));

/* Rings, requests and buffers in the balloon, in holes, in devices, past the end. */
static int rings_nowhere(void)
{
	struct vio_ring *r = &ring[0];
	u64 page = bare_page_alloc(0);
	struct aero_result res;

	CHECK(disks());
	CHECK(bare_balloon_start());
	for (u64 n = 0;; n++) {
		u64 at[5] = { (u64)r->desc, (u64)&r->avail_flags, (u64)&r->used_flags,
			      (u64)&request, BUFFER };

		batch.entry[0] = page * PAGE;
		bare_hypercall(AERO_CALL_LOCK, (u64)&batch, 1, 0, &res);
		at[n % 5] = bad_address(page);
		share_request(r, random_bits() & 1);
		r->desc[0].gpa = at[3];
		r->desc[1].gpa = at[4];
		r->avail_index = 8;
		r->used_index = 0;
		vio_start_at(VIO_FIRST_DISK, VIO_QUEUE, at[0], at[1], at[2]);
		*vio_reg(VIO_FIRST_DISK, VIO_NOTIFY) = 0;
	}
}

/* Any value in any register of any slot. */
static int any_register(void)
{
	CHECK(disks());
	for (u64 n = 0;; n++) {
		u64 x = random_bits();
		u32 slot = (u32)(x % 9), reg = (u32)(x >> 8) % 0x180 & ~3u;

		if (!(n % 64)) {
			share_request(&ring[0], x & 1);
			vio_start(VIO_FIRST_DISK, &ring[0]);
			ring[0].avail_index += (u16)(x >> 32 & 0xff);
		}
		if (slot == 8)
			(void)*vio_reg(slot & 7, reg);
		else
			*vio_reg(slot, reg) = (u32)(x >> 48 & 1 ? x >> 20 : x >> 60);
	}
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "disk-reads", disk_reads },
		{ "disk-writes", disk_writes },
		{ "disk-background", disk_background },
		{ "breaks", breaks },
		{ "rings-nowhere", rings_nowhere },
		{ "any-register", any_register },
		{ NULL, NULL },
	};

	return run_case(cases);
}
