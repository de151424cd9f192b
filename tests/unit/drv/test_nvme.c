/* SPDX-License-Identifier: BSD-2-Clause */
/* The NVMe driver against a controller in memory. */
#include <tests/unit/drv/nvme_fixture.h>

static struct block_part disk;
static struct block_request r[80];
static int end[80]; /* 1: not yet */

static void done(struct block_request *q, int err)
{
	assert_int_equal(end[q - r], 1); /* once */
	end[q - r] = err;
	lock_order_none("a request's end");
}

static int submit(u32 i, enum block_op op, u64 sector, u32 bytes)
{
	r[i] = (struct block_request){ .op = op, .sector = sector, .bytes = bytes, .done = done };
	for (u32 n = 0; n * 4096 < bytes; n++)
		r[i].piece[r[i].nr_pieces++] =
			(struct block_piece){ plat_pa(fake_frame(fake.first + 600 + 4 * i + n)),
					      min(bytes - n * 4096, 4096u) };
	end[i] = 1;
	return block_submit(&disk, &r[i]);
}

static void go_on(u64 ms)
{
	for (u64 until = fake.tsc + ms * FAKE_KHZ; fake.tsc < until; plat_tsc())
		block_poll(fake.tsc);
}

static int start(void)
{
	int err = nvme_start(AT);

	if (!err)
		assert_int_equal(block_find("disk:SERIAL", &disk), HV_OK);
	return err;
}

static int setup(void **state)
{
	(void)state;
	fake_machine(4096, 1);
	memset(&c, 0, sizeof(c));
	c.q[0] = 1023 | BIT(37) | 2UL << 24; /* CAP: 1024 entries, NVM, a second */
	c.shift = 9;
	c.blocks = BLOCKS;
	for (u32 i = 0; i < sizeof(c.disk); i++)
		c.disk[i] = (u8)(i * 31 + i / 512);
	fake.on_tsc = tick;
	block_forget();
	nvme_forget();
	return 0;
}

static void starts_and_transfers(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	assert_string_equal(disk.device->name, "nvme0n1");
	assert_string_equal(disk.device->model, "A model");
	assert_int_equal(disk.device->max_bytes, 8192); /* MDTS */
	assert_int_equal(disk.sectors, BLOCKS);
	assert_true(disk.device->write_cache);
	assert_int_equal(submit(0, BLOCK_READ, 3, 8192), HV_OK);
	go_on(1);
	assert_int_equal(end[0], HV_OK);
	assert_memory_equal(fake_frame(fake.first + 600), c.disk + 3 * 512, 8192);
	memset(fake_frame(fake.first + 604), 0xaa, 512);
	assert_int_equal(submit(1, BLOCK_WRITE, 7, 512), HV_OK);
	assert_int_equal(submit(2, BLOCK_FLUSH, 0, 0), HV_OK);
	go_on(1);
	assert_int_equal(end[1], HV_OK);
	assert_int_equal(end[2], HV_OK);
	assert_int_equal(c.flushes, 1);
	assert_int_equal(c.disk[7 * 512], 0xaa);
	assert_int_equal(c.disk[8 * 512], (u8)(8 * 512 * 31 + 8));
}

static void large_requests_have_lists(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	disk.device->max_bytes = 4 * 4096; /* as without MDTS */
	assert_int_equal(submit(0, BLOCK_READ, 0, 3 * 4096), HV_OK);
	assert_int_equal(submit(1, BLOCK_READ, 40, 4 * 4096), HV_OK);
	go_on(1);
	assert_memory_equal(fake_frame(fake.first + 600), c.disk, 3 * 4096);
	assert_memory_equal(fake_frame(fake.first + 604), c.disk + 40 * 512, 4 * 4096);
}

static void zeroes_and_discards(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	assert_int_equal(disk.device->max_discard, 0);
	assert_int_equal(disk.device->max_zero, 0);
	assert_int_equal(submit(0, BLOCK_DISCARD, 8, 4096), HV_ERANGE);
	assert_int_equal(submit(0, BLOCK_ZERO, 8, 4096), HV_ERANGE);
	fake_machine_off();
	setup(NULL);
	c.commands = ONCS_DSM | ONCS_WRITE_ZEROES;
	assert_int_equal(start(), HV_OK);
	assert_int_equal(submit(0, BLOCK_DISCARD, 8, 65536), HV_OK);
	assert_int_equal(submit(1, BLOCK_ZERO, 200, 8192), HV_OK);
	assert_int_equal(submit(2, BLOCK_ZERO, 200, 12288), HV_ERANGE); /* as with data */
	go_on(1);
	assert_int_equal(end[0], HV_OK);
	assert_int_equal(end[1], HV_OK);
	assert_int_equal(c.discards, 1);
	for (u32 i = 0; i < sizeof(c.disk); i++) {
		u32 sector = i / 512;

		assert_int_equal(c.disk[i], sector >= 8 && sector < 136	  ? 0xdd :
					    sector >= 200 && sector < 216 ? 0 :
									    (u8)(i * 31 + sector));
	}
	assert_int_equal(disk.device->discards, 2);
}

static void interrupts_end_requests(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	work();
	interrupt(interrupt_arg);
	assert_int_equal(end[0], HV_OK);
	assert_int_equal(disk.device->poll_us, 100000);
}

static void without_interrupts_it_is_polled(void **state)
{
	(void)state;
	c.no_interrupts = true;
	assert_int_equal(start(), HV_OK);
	assert_int_equal(disk.device->poll_us, 100);
}

/* Thousands of requests go round the queues, which are always full. */
static void full_queues(void **state)
{
	u32 taken = 0;

	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = true;
	while (submit(taken, BLOCK_READ, taken, 512) == HV_OK)
		taken++;
	assert_int_equal(taken, 63);
	assert_int_equal(disk.device->in_flight, 63);
	c.hold = false;
	go_on(1);
	assert_int_equal(c.nr_held, 63);
	while (c.nr_held) /* in any order: from the last */
		complete(c.io_cq, &c.io_tail, &c.io_phase, c.io_depth, c.held[--c.nr_held], 0);
	go_on(1);
	for (u32 i = 0; i < taken; i++)
		assert_int_equal(end[i], HV_OK);
	for (u32 i = 0; i < 1000; i++) {
		assert_int_equal(submit(i % 8, BLOCK_READ, i, 512), HV_OK);
		if (i % 8 == 7)
			go_on(1);
	}
	assert_int_equal(disk.device->in_flight, 0);
}

static void errors(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	/* A request that may be tried again is tried twice more. */
	c.status = 0x281;
	c.fail_next = 2;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(1);
	assert_int_equal(end[0], HV_OK);
	assert_int_equal(c.requests, 3);
	c.fail_next = 3;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(1);
	assert_int_equal(end[0], HV_EIO);
	assert_true(fake_log_has("a read at sector 0 ends with status 281"));
	/* A request that the controller would refuse again is not. */
	c.requests = 0;
	c.status = 0x4281;
	c.fail_next = 1;
	assert_int_equal(submit(0, BLOCK_WRITE, 5, 512), HV_OK);
	go_on(1);
	assert_int_equal(end[0], HV_EIO);
	assert_int_equal(c.requests, 1);
	assert_int_equal(disk.device->errors, 2);
}

/* A command that never ends: the driver logs it, resets the controller, and sends it again. */
static void a_lost_command(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = true;
	assert_int_equal(submit(0, BLOCK_READ, 3, 512), HV_OK);
	go_on(2100);
	assert_true(fake_log_has("a request has taken 2 s"));
	assert_int_equal(end[0], 1);
	c.resets = 0;
	c.hold = false;
	go_on(13000);
	assert_int_equal(c.resets, 1);
	assert_int_equal(end[0], HV_OK);
	assert_memory_equal(fake_frame(fake.first + 600), c.disk + 3 * 512, 512);
	assert_int_equal(disk.device->resets, 1);
}

/*
 * The third reset in a minute is the last; then no request is in flight, and the controller does
 * not master the bus.
 */
static void a_dead_controller(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = true;
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(submit(i, BLOCK_WRITE, i, 512), HV_OK);
	go_on(44000);
	assert_int_equal(disk.device->resets, 2);
	assert_int_equal(end[0], 1);
	go_on(2000);
	assert_true(fake_log_has("it is not used any more"));
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(end[i], HV_ENODEV);
	assert_int_equal(c.command & 4, 0);
	assert_int_equal(submit(7, BLOCK_READ, 0, 512), HV_ENODEV);
	assert_int_equal(disk.device->in_flight, 0);
}

static void it_vanishes(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = true;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(1);
	c.dead = true;
	go_on(1);
	assert_int_equal(end[0], HV_ENODEV);
	assert_true(fake_log_has("it has vanished"));
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_ENODEV);
}

/* The driver ends no request as long as the controller may write to memory. */
static void cannot_be_switched_off(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = c.slow_off = true;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(15500);
	assert_int_equal(end[0], 1);
	assert_int_equal(c.command & 4, 4);
	go_on(1000);
	assert_int_equal(end[0], HV_ENODEV);
	assert_int_equal(c.command & 4, 0);
	assert_true(fake_log_has("it cannot be switched off"));
}

static void fatal_status(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	c.hold = true;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(1);
	c.r[NVME_CSTS] |= CSTS_CFS;
	c.hold = false;
	go_on(10);
	assert_int_equal(end[0], HV_OK);
	assert_true(fake_log_has("it reports a fatal error"));
}

/* It ends a command that it was not given. */
static void nonsense_completions(void **state)
{
	(void)state;
	assert_int_equal(start(), HV_OK);
	for (u32 i = 0; i < 3; i++)
		complete(c.io_cq, &c.io_tail, &c.io_phase, c.io_depth, (u16[]){ 5, 64, 0xffff }[i],
			 0);
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(1);
	assert_int_equal(end[0], HV_OK);
	assert_true(fake_log_has("which it was not given"));
}

static void liars(void **state)
{
	static const struct {
		u64 blocks;
		u32 shift;
	} sizes[] = { { 0, 9 }, { BIT(44), 9 }, { 100, 8 }, { 100, 13 }, { UINT64_MAX, 9 } };
	struct block_part p;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		setup(NULL);
		c.blocks = sizes[i].blocks;
		c.shift = sizes[i].shift;
		assert_int_equal(nvme_start(AT), HV_OK);
		assert_int_equal(block_find("disk:SERIAL", &p), HV_ENOENT);
		fake_machine_off();
	}
	/* After a reset it is another disk. */
	setup(NULL);
	assert_int_equal(start(), HV_OK);
	c.blocks = BLOCKS / 2;
	c.hold = true;
	assert_int_equal(submit(0, BLOCK_READ, 0, 512), HV_OK);
	go_on(16000);
	assert_true(fake_log_has("it has become another"));
	assert_int_equal(submit(1, BLOCK_READ, 0, 512), HV_ENODEV);
}

static void does_not_start(void **state)
{
	static const u64 caps[] = { 0,
				    UINT64_MAX,
				    1023 | 2UL << 24,
				    1023 | BIT(37) | BIT(48),
				    1023 | BIT(37) | 15UL << 32,
				    BIT(37) };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
		setup(NULL);
		c.q[0] = caps[i];
		assert_true(nvme_start(AT) < 0);
		assert_int_equal(c.command & 4, 0);
		fake_machine_off();
	}
	setup(NULL);
	c.admin_status[ADMIN_CREATE_SQ] = 1;
	assert_int_equal(nvme_start(AT), HV_ENODEV);
	assert_true(fake_log_has("it cannot be started"));
	assert_int_equal(c.command & 4, 0);
	fake_machine_off();
	setup(NULL);
	c.mute = true;
	assert_int_equal(nvme_start(AT), HV_ENODEV);
	assert_int_equal(c.command & 4, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(starts_and_transfers),
		T(large_requests_have_lists),
		T(zeroes_and_discards),
		T(interrupts_end_requests),
		T(without_interrupts_it_is_polled),
		T(full_queues),
		T(errors),
		T(a_lost_command),
		T(a_dead_controller),
		T(it_vanishes),
		T(cannot_be_switched_off),
		T(fatal_status),
		T(nonsense_completions),
		T(liars),
		T(does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
