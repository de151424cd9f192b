/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition of the host's disk, by virtio: writes to all of it, reads it back, flushes, and
 * leaves a text at its beginning for the test that reads the disk from outside.
 */
#include "virtio.h"

#define SLOT VIO_FIRST_DISK
#define IN 0
#define OUT 1
#define FLUSH 4
#define CAPACITY 0x100
#define AT_ONCE 8
#define SECTORS 64 /* a request */

static struct vio_ring ring;
static struct {
	u32 type, reserved;
	u64 sector;
} header[AT_ONCE];
static u8 status[AT_ONCE];
static u8 data[AT_ONCE][SECTORS * 512] __attribute__((aligned(PAGE)));
static u16 used;

static void add(u32 i, u32 type, u64 sector, u32 bytes)
{
	u16 d = (u16)(3 * i);

	header[i].type = type;
	header[i].sector = sector;
	status[i] = 0xee;
	ring.desc[d] = (struct vio_desc){ (u64)&header[i], 16, VIO_NEXT, (u16)(d + 1) };
	ring.desc[d + 1] =
		(struct vio_desc){ (u64)data[i], bytes,
				   (u16)(VIO_NEXT | (type == IN ? VIO_WRITE : 0)), (u16)(d + 2) };
	if (!bytes)
		ring.desc[d].next = (u16)(d + 2);
	ring.desc[d + 2] = (struct vio_desc){ (u64)&status[i], 1, VIO_WRITE, 0 };
	ring.avail[ring.avail_index % VIO_QUEUE] = d;
	__atomic_store_n(&ring.avail_index, (u16)(ring.avail_index + 1), __ATOMIC_RELEASE);
}

/* Notifies the device, and waits until all requests have ended. */
static int finish(u32 n)
{
	*vio_reg(SLOT, VIO_NOTIFY) = 0;
	used = (u16)(used + n);
	while (__atomic_load_n(&ring.used_index, __ATOMIC_ACQUIRE) != used)
		bare_sleep_us(100);
	for (u32 i = 0; i < n; i++)
		CHECK_EQ(status[i], 0);
	return 0;
}

static u8 byte_of(u64 sector, u32 i)
{
	return (u8)(sector * 7 + i + i / 512 * 3 + 1);
}

static int all(u64 capacity, u32 type)
{
	for (u64 at = 0; at + SECTORS * AT_ONCE <= capacity; at += SECTORS * AT_ONCE) {
		for (u32 i = 0; i < AT_ONCE; i++) {
			for (u32 k = 0; k < sizeof(data[i]); k++)
				data[i][k] = type == OUT ? byte_of(at + i * SECTORS, k) : 0;
			add(i, type, at + i * SECTORS, sizeof(data[i]));
		}
		if (finish(AT_ONCE))
			return 1;
		for (u32 i = 0; type == IN && i < AT_ONCE; i++)
			for (u32 k = 0; k < sizeof(data[i]); k++)
				CHECK_EQ(data[i][k], byte_of(at + i * SECTORS, k));
	}
	return 0;
}

static int fill_and_read(void)
{
	static const char text[] = "aerostat: this was written by a guest";
	u64 capacity = *vio_reg(SLOT, CAPACITY);

	CHECK_EQ(*vio_reg(SLOT, VIO_DEVICE_ID), 2);
	CHECK(capacity >= SECTORS * AT_ONCE);
	vio_start(SLOT, &ring);
	if (all(capacity, OUT))
		return 1;
	add(0, FLUSH, 0, 0);
	if (finish(1) || all(capacity, IN))
		return 1;
	for (u32 i = 0; i < sizeof(text); i++)
		data[0][i] = (u8)text[i];
	add(0, OUT, 0, 512);
	add(1, FLUSH, 0, 0);
	if (finish(2))
		return 1;
	bare_printf("%lu sectors, written and read\n", capacity);
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = { { "pattern", fill_and_read }, { NULL, NULL } };

	return run_case(cases);
}
