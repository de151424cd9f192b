/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks: reads and writes, the memory that they take, and requests that no driver would make. */
#include <tests/fake/virtio.h>

#include <hv/load/images.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>

#define RINGS MIB(2)
#define HEADER MIB(3)
#define STATUS (HEADER + 0x100)
#define DATA (MIB(4) + 0x600) /* not on a page's boundary */
#define MS FAKE_KHZ
#define FILE_BYTES 10000 /* neither blocks nor sectors */
#define SECTORS 20

enum { IN, OUT, FLUSH = 4, GET_ID = 8 };
enum { OK, IOERR, UNSUPP };

static u8 file[FILE_BYTES + 4096]; /* bytes after the file in memory are not on the disk */
static struct vm_config cfg;
static struct vm *vm;
static struct vio disk[3];
static u64 frames_before;

static u64 frames_in_use(void)
{
	return frames_stats().hv;
}

static void start(const struct disk_config *d, u32 n)
{
	guest_machine(MIB(64), 2);
	for (u32 i = 0; i < sizeof(file); i++)
		file[i] = (u8)(i * 7 + i / 256 + 1);
	if (!image_find("disk.img"))
		image_add("disk.img", file, FILE_BYTES);
	cfg = guest_config("d");
	cfg.nr_disks = n;
	memcpy(cfg.disk, d, n * sizeof(*d));
	assert_int_equal(vm_create(0, &cfg), HV_OK);
	frames_before = frames_in_use();
	assert_int_equal(vm_queue_start(vms[0]), HV_OK);
	vm_background();
	vm = vms[0];
	assert_int_equal(vm->state, VM_RUNNING);
	for (u32 i = 0; i < n; i++) {
		disk[i] = (struct vio){ .v = vm->vcpus[0],
					.slot = SLOT_DISK + i,
					.rings = RINGS + i * 0x10000 };
		vio_start(&disk[i], 1);
	}
	fake_log_clear();
}

/* A read-only file, the same with two blocks to write, 64 KiB of zeroes that take 5 ms. */
static int setup(void **state)
{
	static const struct disk_config disks[] = {
		{ .file = "disk.img" },
		{ .file = "disk.img", .writable = 2 * DISK_BLOCK },
		{ .blank = true, .writable = KIB(64), .latency_us = 5000 },
	};

	(void)state;
	start(disks, 3);
	return 0;
}

/* As the guest sees it, in order; the device answers @status. */
static u32 submit(struct vio *d, u32 type, u64 sector, u64 gpa, u32 bytes)
{
	struct {
		u32 type, reserved;
		u64 sector;
	} header = { type, 0, sector };
	struct vio_piece p[4] = { { HEADER, 16, false },
				  { gpa, bytes / 3, type != OUT },
				  { gpa + bytes / 3, bytes - bytes / 3, type != OUT },
				  { STATUS, 1, true } };
	u8 unknown = 0xee;

	vio_put(d, HEADER, &header, sizeof(header));
	vio_put(d, STATUS, &unknown, 1);
	if (!bytes)
		p[1] = p[3];
	vio_add(d, 0, (u16)(d->avail[0] * 4 % VIO_QUEUE), p, bytes ? 4 : 2);
	vio_notify(d, 0);
	return 0;
}

static u32 answer(struct vio *d)
{
	u32 head, written;
	u8 status;

	if (!vio_used(d, 0, &head, &written))
		return 0xff;
	vio_get(d, STATUS, &status, 1);
	return status;
}

static u32 request(struct vio *d, u32 type, u64 sector, u64 gpa, u32 bytes)
{
	submit(d, type, sector, gpa, bytes);
	return answer(d);
}

static bool reads_as(struct vio *d, u64 sector, const void *want, size_t n)
{
	u8 *got = calloc(1, n + 1);
	bool same;

	assert_int_equal(request(d, IN, sector, DATA, (u32)n), OK);
	vio_get(d, DATA, got, n + 1);
	same = !memcmp(got, want, n) && !got[n]; /* and not a byte more */
	memset(got, 0, n + 1);
	vio_put(d, DATA, got, n + 1);
	free(got);
	return same;
}

static void the_file(void **state)
{
	u8 want[SECTORS * DISK_SECTOR] = { 0 };

	(void)state;
	assert_int_equal(vio_read(&disk[0], VIO_DEVICE), 2);
	assert_int_equal(vio_read(&disk[0], VIO_CONFIG), SECTORS);
	assert_int_equal(vio_read(&disk[0], VIO_CONFIG + 4), 0);
	vio_write(&disk[0], VIO_DEVICE_FEATURES_SEL, 0);
	assert_true(vio_read(&disk[0], VIO_DEVICE_FEATURES) & BIT(5));
	vio_write(&disk[1], VIO_DEVICE_FEATURES_SEL, 0);
	assert_false(vio_read(&disk[1], VIO_DEVICE_FEATURES) & BIT(5));
	memcpy(want, file, FILE_BYTES); /* zeroes follow, not the bytes in memory there */
	assert_true(reads_as(&disk[0], 0, want, sizeof(want)));
	assert_true(reads_as(&disk[1], 0, want, sizeof(want)));
	for (u32 s = 0; s < SECTORS; s++)
		assert_true(reads_as(&disk[0], s, want + s * DISK_SECTOR, DISK_SECTOR));
	assert_int_equal(vm->bus->disk[0].reads, 2 * SECTORS);
}

static void writing(void **state)
{
	u8 want[SECTORS * DISK_SECTOR] = { 0 }, mine[1536];

	(void)state;
	memcpy(want, file, FILE_BYTES);
	memset(mine, 0xa5, sizeof(mine));
	vio_put(&disk[1], DATA, mine, sizeof(mine));
	assert_int_equal(request(&disk[0], OUT, 0, DATA, 512), IOERR); /* read-only */
	/* Across the end of the first block. */
	assert_int_equal(request(&disk[1], OUT, 7, DATA, sizeof(mine)), OK);
	assert_int_equal(request(&disk[1], FLUSH, 0, 0, 0), OK);
	memcpy(want + 7 * DISK_SECTOR, mine, sizeof(mine));
	vio_put(&disk[1], DATA, (u8[1536]){ 0 }, 1536);
	assert_true(reads_as(&disk[1], 0, want, sizeof(want)));
	memcpy(want, file, FILE_BYTES);
	assert_true(reads_as(&disk[0], 0, want, sizeof(want)));
	assert_int_equal(file[7 * DISK_SECTOR], (u8)(7 * DISK_SECTOR * 7 + 7 * 2 + 1));
}

/* Two of its three blocks may be written. */
static void the_writable_part_is_full(void **state)
{
	(void)state;
	assert_int_equal(request(&disk[1], OUT, 0, DATA, 512), OK);
	assert_int_equal(request(&disk[1], OUT, 8, DATA, 512), OK);
	assert_int_equal(request(&disk[1], OUT, 16, DATA, 512), IOERR);
	assert_true(fake_log_has("writable part of aerostat-disk1 is full"));
	assert_int_equal(request(&disk[1], OUT, 1, DATA, 512), OK);
	assert_int_equal(request(&disk[1], IN, 16, DATA, 512), OK);
}

static void outside(void **state)
{
	static const struct {
		u64 sector;
		u32 bytes;
	} bad[] = {
		{ SECTORS, 512 },
		{ SECTORS - 1, 1024 },
		{ UINT64_MAX, 512 },
		{ BIT(55), 512 },
		{ 0, 511 },
		{ 0, 513 },
		{ 0, SECTORS * 512 + 512 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(request(&disk[1], IN, bad[i].sector, DATA, bad[i].bytes), IOERR);
		assert_int_equal(request(&disk[1], OUT, bad[i].sector, DATA, bad[i].bytes), IOERR);
	}
	assert_int_equal(request(&disk[1], IN, SECTORS, DATA, 0), OK); /* nothing, at the end */
	assert_int_equal(request(&disk[1], 77, 0, DATA, 512), UNSUPP);
	/* Data at an address without memory: an error of the request; the disk goes on. */
	assert_int_equal(request(&disk[1], IN, 0, cfg.memory - 512, 1024), IOERR);
	assert_int_equal(request(&disk[1], OUT, 0, cfg.memory - 512, 1024), IOERR);
	assert_int_equal(request(&disk[1], IN, 0, DATA, 512), OK);
	/* A block written in part has no old bytes of others. */
	assert_true(reads_as(&disk[1], 3, file + 3 * 512, 512));
}

static void identity(void **state)
{
	char id[21] = { 0 };

	(void)state;
	assert_int_equal(request(&disk[2], GET_ID, 0, DATA, 20), 0xff); /* not yet: 5 ms */
	fake.tsc += 5 * MS;
	bus_work(true);
	assert_int_equal(answer(&disk[2]), OK);
	vio_get(&disk[2], DATA, id, 20);
	assert_string_equal(id, "aerostat-disk2");
}

/* Each request takes 5 ms from its notice on, several at the same time. */
static void latency(void **state)
{
	struct vio *d = &disk[2];

	(void)state;
	submit(d, IN, 0, DATA, 512);
	assert_int_equal(answer(d), 0xff);
	assert_int_equal(vm->bus->slot[SLOT_DISK + 2].due, fake.tsc + 5 * MS);
	assert_true(sched_next_event() <= fake.tsc + 5 * MS);
	fake.tsc += 2 * MS;
	submit(d, IN, 1, DATA, 512);
	fake.tsc += 3 * MS - 1;
	bus_work(true);
	assert_int_equal(answer(d), 0xff);
	fake.tsc += 1;
	bus_work(true);
	assert_int_equal(answer(d), OK);
	assert_true(vio_interrupted(d));
	assert_int_equal(answer(d), 0xff);
	fake.tsc += 2 * MS - 1;
	vio_notify(d, 0); /* does not make it faster, nor later */
	assert_int_equal(answer(d), 0xff);
	fake.tsc += 1;
	bus_work(true);
	assert_int_equal(answer(d), OK);
	assert_int_equal(vm->bus->slot[SLOT_DISK + 2].due, UINT64_MAX);
}

static void malformed(void **state)
{
	struct vio_piece no_header = { STATUS, 1, true },
			 short_header[] = { { HEADER, 15, false }, { STATUS, 1, true } },
			 no_status = { HEADER, 16, false };

	(void)state;
	vio_add(&disk[0], 0, 0, &no_header, 1);
	vio_notify(&disk[0], 0);
	assert_true(vio_read(&disk[0], VIO_STATUS) & 0x40);
	vio_start(&disk[0], 1);
	vio_add(&disk[0], 0, 0, short_header, 2);
	vio_notify(&disk[0], 0);
	assert_true(vio_read(&disk[0], VIO_STATUS) & 0x40);
	vio_start(&disk[0], 1);
	vio_add(&disk[0], 0, 0, &no_status, 1);
	vio_notify(&disk[0], 0);
	assert_true(vio_read(&disk[0], VIO_STATUS) & 0x40);
	vio_start(&disk[0], 1);
	assert_int_equal(request(&disk[0], IN, 0, DATA, 512), OK);
}

/* A guest that announces less than before, or another queue: nothing runs for long. */
static void arrivals_taken_back(void **state)
{
	u16 index = 0;

	(void)state;
	submit(&disk[2], IN, 0, DATA, 512);
	vio_put(&disk[2], vio_avail_at(&disk[2], 0) + 2, &index, 2);
	vio_notify(&disk[2], 0);
	fake.tsc += 10 * MS;
	bus_work(true);
	assert_int_equal(answer(&disk[2]), 0xff);
	assert_int_equal(vm->bus->slot[SLOT_DISK + 2].due, UINT64_MAX);
}

static void reap(void)
{
	for (int i = 0; i < 100 && vm->state == VM_ENDING; i++) {
		fake_settle();
		vm_background();
	}
}

/* The frames are taken at the start, all of them, and come back. */
static void memory(void **state)
{
	u64 open = frames_in_use();
	u64 charged = bus_frames(vm);

	(void)state;
	assert_int_equal(charged, 0 + (2 + 1 + 1) + (16 + 1 + 1));
	assert_true(open - frames_before >= charged);
	for (u32 s = 0; s < 128; s += 8)
		submit(&disk[2], OUT, s, DATA, 512);
	fake.tsc += 10 * MS;
	bus_work(true);
	assert_int_equal(frames_in_use(), open); /* a write takes none */
	vm_end(vm, 0, "test");
	reap();
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->slots, 1 << SLOT_DISK | 2 << SLOT_DISK | 4 << SLOT_DISK);
	/* Only the bus and the vCPU's record are left, which live as long as the host. */
	assert_int_equal(open - frames_in_use() >= charged, 1);
	assert_int_equal(frames_check(0, frames_nr()), HV_OK);
}

/* A guest that reboots finds its disks as it left them, one that is started anew does not. */
static void reboot(void **state)
{
	u8 mine[512];

	(void)state;
	memset(mine, 0x5a, sizeof(mine));
	vio_put(&disk[1], DATA, mine, sizeof(mine));
	assert_int_equal(request(&disk[1], OUT, 2, DATA, 512), OK);
	vm_reboot(vm);
	reap();
	fake.tsc += 2000 * MS;
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	vio_start(&disk[1], 1);
	assert_true(reads_as(&disk[1], 2, mine, sizeof(mine)));
	vm_end(vm, 0, "test");
	reap();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	vio_start(&disk[1], 1);
	assert_true(reads_as(&disk[1], 2, file + 1024, 512));
}

/* There are frames only for a part of the disk; the next try of the start opens all of it. */
static void opened_again(void **state)
{
	static const struct disk_config large = { .blank = true, .writable = MIB(1) };
	static u32 hoard[MIB(64) >> PAGE_SHIFT];
	static struct vm_config late;
	u32 have = 0, give = 100;

	(void)state;
	late = guest_config("late");
	late.nr_disks = 1;
	late.disk[0] = large;
	assert_int_equal(vm_create(1, &late), HV_OK);
	while (!frame_alloc_hv(0, &hoard[have]))
		have++;
	while (give--)
		assert_int_equal(frame_free_hv(hoard[--have]), HV_OK);
	assert_int_equal(vm_queue_start(vms[1]), HV_OK);
	vm_background();
	assert_true(fake_log_has("vm late: waits for memory to start"));
	while (have)
		assert_int_equal(frame_free_hv(hoard[--have]), HV_OK);
	for (int i = 0; i < 100 && vms[1]->state != VM_RUNNING; i++) {
		fake_settle();
		fake.tsc += 10 * MS;
		vm_background();
	}
	assert_int_equal(vms[1]->state, VM_RUNNING);
	disk[0] = (struct vio){ .v = vms[1]->vcpus[0], .slot = SLOT_DISK, .rings = RINGS };
	vio_start(&disk[0], 1);
	for (u32 sector = 0; sector < MIB(1) / 512; sector += 8)
		assert_int_equal(request(&disk[0], OUT, sector, DATA, 512), OK);
}

/* Admission counts the writable parts; a missing file is named. */
static void admission(void **state)
{
	static const struct disk_config large = { .blank = true, .writable = MIB(64) };
	static struct vm_config big, lost;

	(void)state;
	big = guest_config("big");
	big.nr_disks = 1;
	big.disk[0] = large;
	assert_int_equal(vm_create(1, &big), HV_OK);
	vm_queue_start(vms[1]);
	vm_background();
	assert_int_equal(vms[1]->state, VM_ENDED);
	assert_true(fake_log_has("vm big: not started"));
	lost = guest_config("lost");
	lost.nr_disks = 1;
	strcpy(lost.disk[0].file, "nowhere.img");
	assert_int_equal(vm_create(2, &lost), HV_OK);
	vm_queue_start(vms[2]);
	vm_background();
	assert_true(fake_log_has("vm lost: disk nowhere.img was not loaded"));
	assert_int_equal(vm->state, VM_RUNNING);
}

/* Headers of any bytes on any disk. */
static void fuzz(void **state)
{
	u64 seed = 0xd15c;

	(void)state;
	for (u32 round = 0; round < 3000; round++) {
		struct vio *d = &disk[round % 3];
		struct {
			u32 type, reserved;
			u64 sector;
		} header = { (u32)fake_random(&seed) % 10, 0, fake_random(&seed) % (SECTORS + 2) };
		struct vio_piece p[4];
		u32 out = 1 + (u32)(fake_random(&seed) % 3);

		if (round % 7 == 0)
			header.sector = fake_random(&seed);
		for (u32 i = 0; i < 4; i++)
			p[i] = (struct vio_piece){ fake_random(&seed) % (cfg.memory + 4096),
						   (u32)fake_random(&seed) % 5000 &
							   ~(i % 2 ? 511 : 0),
						   i >= out };
		p[0] = (struct vio_piece){ HEADER, 16, false };
		vio_start(d, 1);
		vio_put(d, HEADER, &header, sizeof(header));
		vio_add(d, 0, 0, p, 4);
		vio_notify(d, 0);
		fake.tsc += 6 * MS;
		bus_work(true);
	}
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(file[FILE_BYTES - 1],
			 (u8)((FILE_BYTES - 1) * 7 + (FILE_BYTES - 1) / 256 + 1));
	assert_int_equal(frames_check(0, frames_nr()), HV_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_file),
		T(writing),
		T(the_writable_part_is_full),
		T(outside),
		T(identity),
		T(latency),
		T(malformed),
		T(arrivals_taken_back),
		T(memory),
		T(reboot),
		T(admission),
		T(opened_again),
		T(fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
