/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks of the host: what is found on them, which VM may use which, and the place of requests. */
#include <tests/unit/block/gpt_fixture.h>

#include <hv/base/string.h>
#include <hv/block/block.h>

static struct block_device device[3];
static struct block_request *held; /* the test decides when it ends */
static bool hold, fail;
static u32 submits, answer;
static u64 bad_block; /* cannot be read */
static u64 last_sector;
static int ended; /* what done() was called with; 1: it was not */
static u64 alarmed;

static int submit(struct block_device *d, struct block_request *r)
{
	u8 *at = gpt_disk + r->sector * BLOCK_SECTOR;
	bool bad = fail || (bad_block && r->sector * BLOCK_SECTOR / gpt_block == bad_block);

	submits++;
	last_sector = r->sector;
	if (answer)
		return -(int)answer;
	assert_true(r->op == BLOCK_FLUSH ||
		    r->sector * BLOCK_SECTOR + r->bytes <= (u64)GPT_BLOCKS * gpt_block);
	if (hold) {
		held = r;
		return HV_OK;
	}
	for (u32 i = 0; i < r->nr_pieces; i++) {
		if (r->op == BLOCK_READ)
			memcpy(plat_ptr(r->piece[i].at), at, r->piece[i].bytes);
		else
			memcpy(at, plat_ptr(r->piece[i].at), r->piece[i].bytes);
		at += r->piece[i].bytes;
	}
	block_done(d, r, bad ? HV_EIO : HV_OK);
	return HV_OK;
}

static u32 polls;
static void poll(struct block_device *d, u64 now)
{
	(void)d, (void)now;
	polls++;
}

static const struct block_ops ops = { submit, poll };

static void alarm_at(u64 tsc)
{
	alarmed = tsc;
}

static struct block_device *add(u32 i, const char *serial)
{
	device[i] = (struct block_device){ .ops = &ops,
					   .sectors = GPT_BLOCKS * (gpt_block / BLOCK_SECTOR),
					   .block_size = gpt_block,
					   .max_bytes = KIB(8),
					   .poll_us = 100 };
	str_format(device[i].name, sizeof(device[i].name), "disk%u", i);
	str_copy(device[i].serial, serial, sizeof(device[i].serial));
	assert_int_equal(block_add(&device[i]), HV_OK);
	return &device[i];
}

static int setup(void **state)
{
	(void)state;
	fake_machine(1024, 2);
	block_forget();
	block_set_alarm(alarm_at);
	gpt_make(512);
	gpt_part(0, "root", 64, 99);
	gpt_part(1, "data", 100, 199);
	hold = fail = false;
	answer = submits = polls = 0;
	bad_block = 0;
	return 0;
}

static void done(struct block_request *r, int err)
{
	(void)r;
	ended = err;
}

static struct block_request request(enum block_op op, u64 sector, u32 bytes)
{
	ended = 1;
	return (struct block_request){ .op = op,
				       .sector = sector,
				       .bytes = bytes,
				       .nr_pieces = bytes ? 1 : 0,
				       .piece = { { plat_pa(fake_frame(fake.first + 9)), bytes } },
				       .done = done };
}

static void names(void **state)
{
	struct block_part p;

	(void)state;
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	assert_ptr_equal(p.device, &device[0]);
	assert_int_equal(p.first, 64);
	assert_int_equal(p.sectors, 36);
	assert_int_equal(block_find("part:nothing", &p), HV_ENOENT);
	assert_int_equal(block_find("root", &p), HV_ENOENT);
	assert_int_equal(block_find("disk:S1", &p), HV_EPERM);
	assert_int_equal(block_find("disk:disk0", &p), HV_EPERM);
	assert_int_equal(block_find("disk:S2", &p), HV_ENOENT);
	assert_true(block_is_name("part:x") && block_is_name("disk:x"));
	assert_false(block_is_name("particular.img"));
	/* A second disk with the same labels makes them ambiguous. */
	block_forget();
	add(0, "S1");
	add(1, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_EINVAL);
	assert_int_equal(block_find("disk:S1", &p), HV_EINVAL);
}

static void a_disk_without_a_table(void **state)
{
	struct block_part p;

	(void)state;
	memset(gpt_disk, 0, sizeof(gpt_disk));
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("disk:S1", &p), HV_OK);
	assert_int_equal(p.first, 0);
	assert_int_equal(p.sectors, GPT_BLOCKS);
	/* A plain MBR divides a disk, too. */
	gpt_disk[450] = 0x83;
	gpt_disk[510] = 0x55;
	gpt_disk[511] = 0xaa;
	block_scan();
	assert_int_equal(block_find("disk:S1", &p), HV_EPERM);
}

static void the_other_copy(void **state)
{
	struct block_part p;

	(void)state;
	add(0, "S1");
	gpt_at(1)[30] ^= 1;
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	assert_true(fake_log_has("the first copy of its partition table is bad"));
	/* Its header is good, its entries are not. */
	block_forget();
	add(0, "S1");
	gpt_make(512);
	gpt_part(0, "root", 64, 99);
	gpt_at(2)[60] ^= 1;
	fake_log_clear();
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	assert_true(fake_log_has("the checksum of its entries is wrong"));
	/* Neither table is good: no VM may write to the disk as a whole. */
	block_forget();
	add(0, "S1");
	gpt_at(GPT_BLOCKS - 1)[30] ^= 1;
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_ENOENT);
	assert_int_equal(block_find("disk:S1", &p), HV_EPERM);
	assert_true(fake_log_has("both copies"));
}

static void disks_that_cannot_be_read(void **state)
{
	struct block_part p;

	(void)state;
	add(0, "S1");
	bad_block = 1;
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK); /* the last copy */
	block_forget();
	add(0, "S1");
	fail = true;
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_ENOENT);
	assert_int_equal(block_find("disk:S1", &p), HV_EPERM);
	assert_true(fake_log_has("cannot be read"));
}

static void large_blocks(void **state)
{
	struct block_part p;
	struct block_request r;

	(void)state;
	gpt_make(4096);
	gpt_part(0, "root", 64, 99);
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	assert_int_equal(p.first, 64 * 8);
	assert_int_equal(p.sectors, 36 * 8);
	r = request(BLOCK_READ, 0, 512);
	assert_int_equal(block_submit(&p, &r), HV_ERANGE);
	r = request(BLOCK_READ, 1, 4096);
	assert_int_equal(block_submit(&p, &r), HV_ERANGE);
	r = request(BLOCK_READ, 8, 4096);
	assert_int_equal(block_submit(&p, &r), HV_OK);
	assert_int_equal(last_sector, 65 * 8);
	gpt_make(512);
}

static void requests_stay_inside(void **state)
{
	static const struct {
		u64 sector;
		u32 bytes;
		int err;
	} cases[] = {
		{ 0, 512, HV_OK },
		{ 35, 512, HV_OK },
		{ 28, 4096, HV_OK },
		{ 29, 4096, HV_ERANGE },
		{ 36, 512, HV_ERANGE },
		{ UINT64_MAX, 512, HV_ERANGE },
		{ UINT64_MAX - 63, 512, HV_ERANGE },
		{ 0, 0, HV_ERANGE },
		{ 0, 100, HV_ERANGE },
		{ 0, KIB(8) + 512, HV_ERANGE },
	};
	struct block_part p;

	(void)state;
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		for (u32 op = BLOCK_READ; op <= BLOCK_WRITE; op++) {
			struct block_request r =
				request((enum block_op)op, cases[i].sector, cases[i].bytes);

			assert_int_equal(block_submit(&p, &r), cases[i].err);
			assert_int_equal(ended, cases[i].err ? 1 : HV_OK);
			assert_int_equal(device[0].in_flight, 0);
			if (!cases[i].err)
				assert_int_equal(last_sector, 64 + cases[i].sector);
		}
}

static void statistics_and_errors(void **state)
{
	struct block_part p;
	struct block_request r;

	(void)state;
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	device[0].reads = device[0].bytes_read = 0;
	r = request(BLOCK_READ, 0, 1024);
	block_submit(&p, &r);
	r = request(BLOCK_WRITE, 0, 512);
	block_submit(&p, &r);
	r = request(BLOCK_FLUSH, 0, 0);
	block_submit(&p, &r);
	assert_int_equal(device[0].reads, 1);
	assert_int_equal(device[0].bytes_read, 1024);
	assert_int_equal(device[0].writes, 1);
	assert_int_equal(device[0].bytes_written, 512);
	assert_int_equal(device[0].flushes, 1);
	assert_int_equal(device[0].errors, 0);
	fail = true;
	r = request(BLOCK_READ, 0, 1024);
	assert_int_equal(block_submit(&p, &r), HV_OK);
	assert_int_equal(ended, HV_EIO);
	assert_int_equal(device[0].errors, 1);
	/* The driver has no room: nothing has changed, and the caller may try again. */
	answer = -HV_EAGAIN;
	r = request(BLOCK_READ, 3, 512);
	assert_int_equal(block_submit(&p, &r), HV_EAGAIN);
	assert_int_equal(r.sector, 3);
	assert_int_equal(device[0].in_flight, 0);
	atomic_store(&device[0].dead, 1u);
	submits = 0;
	assert_int_equal(block_submit(&p, &r), HV_ENODEV);
	assert_int_equal(submits, 0);
}

static void polled_while_on_its_way(void **state)
{
	struct block_part p;
	struct block_request r;

	(void)state;
	add(0, "S1");
	block_scan();
	assert_int_equal(block_find("part:root", &p), HV_OK);
	assert_int_equal(block_poll(1000), UINT64_MAX);
	assert_int_equal(polls, 0);
	hold = true;
	fake.tsc = 5000;
	r = request(BLOCK_READ, 0, 512);
	assert_int_equal(block_submit(&p, &r), HV_OK);
	assert_int_equal(alarmed, 5000 + 100 * FAKE_KHZ / 1000);
	assert_int_equal(block_poll(6000), 6000 + 100 * FAKE_KHZ / 1000);
	assert_int_equal(polls, 1);
	fake.tsc = 9000;
	device[0].busy_ticks = 0;
	block_done(&device[0], held, HV_OK);
	assert_int_equal(ended, HV_OK);
	assert_int_equal(device[0].busy_ticks, 4000);
	assert_int_equal(block_poll(7000), UINT64_MAX);
}

static void who_may_use_what(void **state)
{
	struct block_part root, data, again;

	(void)state;
	add(0, "S1");
	block_scan();
	assert_int_equal(block_open("part:root", true, &root), HV_OK);
	assert_int_equal(block_open("part:data", true, &data), HV_OK); /* beside it */
	assert_int_equal(block_open("part:root", false, &again), HV_EBUSY);
	assert_int_equal(block_open("part:root", true, &again), HV_EBUSY);
	block_close(&root, true);
	assert_int_equal(block_open("part:root", false, &root), HV_OK);
	assert_int_equal(block_open("part:root", false, &again), HV_OK); /* many read */
	assert_int_equal(block_open("part:root", true, &again), HV_EBUSY);
	block_close(&root, false);
	assert_int_equal(block_open("part:root", true, &again), HV_EBUSY);
	block_close(&root, false);
	assert_int_equal(block_open("part:root", true, &again), HV_OK);
	assert_int_equal(block_open("part:other", true, &again), HV_ENOENT);
}

static void too_many(void **state)
{
	(void)state;
	for (u32 i = 0; i < BLOCK_DEVICES_MAX; i++)
		assert_int_equal(block_add(&device[1]), HV_OK);
	assert_int_equal(block_add(&device[1]), HV_ENOMEM);
	assert_true(fake_log_has("is left out"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names),
		T(a_disk_without_a_table),
		T(the_other_copy),
		T(disks_that_cannot_be_read),
		T(large_blocks),
		T(requests_stay_inside),
		T(statistics_and_errors),
		T(polled_while_on_its_way),
		T(who_may_use_what),
		T(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
