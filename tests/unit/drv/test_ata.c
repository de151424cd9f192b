/* SPDX-License-Identifier: BSD-2-Clause */
/* The ATA driver against a disk behind ports. */
#include <tests/unit/drv/ata_fixture.h>

#define REQUESTS 40
#define LIMIT ((u32)(GIB(4) >> PAGE_SHIFT)) /* the first frame that the bus master does not reach */

static struct block_part disk;
static struct block_request r[REQUESTS];
static int ended[REQUESTS]; /* 1: not yet */
static u32 page[REQUESTS];  /* frame of its data */

static void done(struct block_request *q, int err)
{
	assert_int_equal(ended[q - r], 1); /* once */
	ended[q - r] = err;
	lock_order_none("a request's end");
}

static int submit(u32 i, enum block_op op, u64 sector, u32 bytes)
{
	r[i] = (struct block_request){ .op = op, .sector = sector, .bytes = bytes, .done = done };
	for (u32 n = 0; n * 4096 < bytes; n++)
		r[i].piece[r[i].nr_pieces++] =
			(struct block_piece){ plat_pa(fake_frame(page[i] + n)),
					      min(bytes - n * 4096, 4096u) };
	ended[i] = 1;
	return block_submit(&disk, &r[i]);
}

static void go_on(u64 ms)
{
	for (u64 until = fake.tsc + ms * FAKE_KHZ; fake.tsc < until; plat_tsc())
		block_poll(fake.tsc);
}

static int begin(u32 first)
{
	fake_machine_at(first, 4096, 1);
	controller();
	fake.on_tsc = tick;
	for (u32 i = 0; i < REQUESTS; i++)
		page[i] = fake.first + 600 + 4 * i;
	block_forget();
	ata_forget();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return begin(512);
}

static void start(void)
{
	assert_int_equal(ata_start(AT), HV_OK);
	assert_int_equal(block_find("disk:SERIAL", &disk), HV_OK);
}

static void both_ways(void)
{
	assert_int_equal(submit(0, BLOCK_READ, 3, 8192), HV_OK);
	go_on(1);
	assert_int_equal(ended[0], HV_OK);
	assert_memory_equal(fake_frame(page[0]), c.disk + 3 * 512, 8192);
	memset(fake_frame(page[1]), 0xaa, 4096);
	assert_int_equal(submit(1, BLOCK_WRITE, 700, 1024), HV_OK);
	assert_int_equal(submit(2, BLOCK_FLUSH, 0, 0), HV_OK);
	go_on(1);
	assert_int_equal(ended[1], HV_OK);
	assert_int_equal(ended[2], HV_OK);
	assert_int_equal(c.flushes, 1);
	assert_int_equal(c.disk[700 * 512], 0xaa);
	assert_int_equal(c.disk[702 * 512 - 1], 0xaa);
	assert_int_equal(c.disk[702 * 512], (u8)(702 * 512 * 31 + 702));
}

static void starts_and_transfers(void **state)
{
	(void)state;
	start();
	assert_string_equal(disk.device->name, "ata1");
	assert_string_equal(disk.device->model, "A model");
	assert_int_equal(disk.sectors, SECTORS);
	assert_true(disk.device->write_cache);
	assert_int_equal(disk.device->max_bytes, KIB(64)); /* what its bounce holds */
	both_ways();
	assert_int_equal(c.last, ATA_FLUSH_CACHE_EXT);
}

/* A disk of before 2002: 28 bits. */
static void an_old_disk(void **state)
{
	(void)state;
	c.id[ID_COMMANDS_SUPPORTED] = 0;
	c.id[ID_SECTORS48] = 0;
	start();
	both_ways();
	assert_int_equal(c.last, ATA_FLUSH_CACHE);
}

static void as_many_as_wait(void **state)
{
	u32 taken = 0;

	(void)state;
	start();
	c.hold = true;
	while (submit(taken, BLOCK_READ, taken, 512) == HV_OK)
		taken++;
	assert_int_equal(taken, 32);
	c.hold = false;
	go_on(10);
	for (u32 i = 0; i < taken; i++) {
		assert_int_equal(ended[i], HV_OK);
		assert_memory_equal(fake_frame(page[i]), c.disk + i * 512, 512);
	}
	assert_int_equal(disk.device->in_flight, 0);
}

/* The bus master cannot reach the data: the driver copies through memory below. */
static void memory_above_4_gib(void **state)
{
	u32 frame;

	(void)state;
	fake_machine_off();
	begin(LIMIT - 2048);
	do /* the driver itself finds only memory below */
		assert_int_equal(frame_alloc_hv(4, &frame), HV_OK);
	while (frame >= LIMIT);
	start();
	for (u32 i = 0; i < REQUESTS; i++)
		page[i] = LIMIT + 4 * i;
	both_ways();
	page[0] = LIMIT - 1; /* across the limit */
	assert_int_equal(submit(0, BLOCK_READ, 9, 8192), HV_OK);
	go_on(1);
	assert_memory_equal(fake_frame(page[0]), c.disk + 9 * 512, 8192);
}

static void errors(void **state)
{
	(void)state;
	start();
	c.fail_next = 2;
	assert_int_equal(submit(0, BLOCK_READ, 5, 512), HV_OK);
	go_on(1);
	assert_int_equal(ended[0], HV_OK);
	c.fail_next = 3;
	assert_int_equal(submit(0, BLOCK_WRITE, 5, 512), HV_OK);
	assert_int_equal(submit(1, BLOCK_READ, 6, 512), HV_OK);
	go_on(1);
	assert_int_equal(ended[0], HV_EIO);
	assert_int_equal(ended[1], HV_OK);
	assert_true(fake_log_has("a request at sector 5 ends with status"));
}

static void a_lost_command(void **state)
{
	(void)state;
	start();
	c.hold = true;
	assert_int_equal(submit(0, BLOCK_READ, 3, 512), HV_OK);
	go_on(2100);
	assert_true(fake_log_has("a request has taken 2 s"));
	assert_int_equal(ended[0], 1);
	go_on(12800);
	c.hold = false;
	assert_int_equal(c.resets, 0);
	c.pending = 0; /* it is lost */
	go_on(200);
	assert_int_equal(c.resets, 1);
	assert_int_equal(ended[0], HV_OK);
	assert_memory_equal(fake_frame(page[0]), c.disk + 3 * 512, 512);
}

static void a_dead_disk(void **state)
{
	(void)state;
	start();
	c.hold = true;
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(submit(i, BLOCK_WRITE, i, 512), HV_OK);
	go_on(44000);
	assert_int_equal(c.resets, 2);
	assert_int_equal(ended[0], 1);
	assert_true(c.masters);
	go_on(2000);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(ended[i], HV_ENODEV);
	assert_false(c.masters);
	assert_int_equal(c.bm_command & BM_START, 0);
	assert_int_equal(submit(3, BLOCK_READ, 0, 512), HV_ENODEV);
}

static void it_does_not_come_back(void **state)
{
	(void)state;
	start();
	c.hold = c.busy_for_ever = true;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(40000);
	assert_int_equal(ended[0], 1);
	go_on(7000);
	assert_int_equal(ended[0], HV_ENODEV);
	assert_true(fake_log_has("it does not come back from a reset"));
	assert_false(c.masters);
}

static void what_is_left_alone(void **state)
{
	struct block_part p;

	(void)state;
	c.interface = 0; /* it masters no bus */
	assert_int_equal(ata_start(AT), HV_ENODEV);
	c.interface = 0x80;
	c.id[ID_CAPABILITIES] = ID_LBA;
	assert_int_equal(ata_start(AT), HV_OK);
	assert_int_equal(block_find("disk:SERIAL", &p), HV_ENOENT);
	ata_forget();
	c.id[ID_CAPABILITIES] = ID_LBA | ID_DMA;
	c.id[ID_SECTOR_SIZE] = 0x4000 | ID_LARGE_SECTORS;
	assert_int_equal(ata_start(AT), HV_OK);
	assert_int_equal(block_find("disk:SERIAL", &p), HV_ENOENT);
	ata_forget();
	c.gone = true; /* both channels float */
	c.id[ID_SECTOR_SIZE] = 0;
	assert_int_equal(ata_start(AT), HV_OK);
	assert_int_equal(block_find("disk:SERIAL", &p), HV_ENOENT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(starts_and_transfers),
		T(an_old_disk),
		T(as_many_as_wait),
		T(memory_above_4_gib),
		T(errors),
		T(a_lost_command),
		T(a_dead_disk),
		T(it_does_not_come_back),
		T(what_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
