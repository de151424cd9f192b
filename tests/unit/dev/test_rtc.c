/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock: dates, and the registers that show them. */
#include <tests/fake/guest.h>

#include <hv/base/date.h>
#include <time.h>

#define SECOND (1000 * FAKE_KHZ)
enum { A = 10, B, C, D };
#define UIP 0x80
#define SET 0x80

static struct vm_config cfg, cfg2;
static struct vm *vm;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("clock");
	vm = guest_start(&cfg);
	fake.tsc = 0;
	fake.wall_us = 1709251198UL * 1000000; /* 2024-02-29 23:59:58, a Thursday */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake.wall_us = 0;
	fake_machine_off();
	return 0;
}

static u32 io(struct vm *m, bool in, u16 port, u32 value)
{
	return (u32)guest_port(m->vcpus[0], port, 1, in, in ? 0 : value);
}

static u32 rd_of(struct vm *m, u32 reg)
{
	io(m, false, 0x70, reg);
	return io(m, true, 0x71, 0);
}

static u32 rd(u32 reg)
{
	return rd_of(vm, reg);
}

static void wr(u32 reg, u32 value)
{
	io(vm, false, 0x70, reg);
	io(vm, false, 0x71, value);
}

/* Century to second, as one number of BCD digits. */
static u64 clock_of(struct vm *m)
{
	static const u8 regs[] = { 0x32, 9, 8, 7, 4, 2, 0 };
	u64 all = 0;

	for (size_t i = 0; i < sizeof(regs); i++)
		all = all << 8 | rd_of(m, regs[i]);
	return all;
}

static void dates_of_the_calendar(void **state)
{
	u64 seed = 1;

	(void)state;
	/* Against the C library: each day of 1970 to 2410, and then some. */
	for (u64 s = 0; s < 440UL * 366 * 86400;
	     s += s < 440UL * 365 * 86400 ? 86400 : fake_random(&seed) % 86400) {
		time_t t = (time_t)(s + s % 86399);
		struct tm tm;
		struct date d = date_of_seconds((u64)t);

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(d.year, tm.tm_year + 1900);
		assert_int_equal(d.month, tm.tm_mon + 1);
		assert_int_equal(d.day, tm.tm_mday);
		assert_int_equal(d.hour, tm.tm_hour);
		assert_int_equal(d.minute, tm.tm_min);
		assert_int_equal(d.second, tm.tm_sec);
		assert_true(date_valid(&d));
		assert_int_equal(date_to_seconds(&d), t);
	}
}

static void dates_that_are_none(void **state)
{
	static const struct date bad[] = {
		{ 1969, 12, 31, 0, 0, 0 }, { 10000, 1, 1, 0, 0, 0 }, { 2023, 0, 1, 0, 0, 0 },
		{ 2023, 13, 1, 0, 0, 0 },  { 2023, 1, 0, 0, 0, 0 },  { 2023, 1, 32, 0, 0, 0 },
		{ 2023, 2, 29, 0, 0, 0 },  { 2100, 2, 29, 0, 0, 0 }, { 2023, 4, 31, 0, 0, 0 },
		{ 2023, 6, 31, 0, 0, 0 },  { 2023, 9, 31, 0, 0, 0 }, { 2023, 11, 31, 0, 0, 0 },
		{ 2023, 1, 1, 24, 0, 0 },  { 2023, 1, 1, 0, 60, 0 }, { 2023, 1, 1, 0, 0, 60 },
	};
	static const struct date good[] = {
		{ 1970, 1, 1, 0, 0, 0 },   { 2000, 2, 29, 0, 0, 0 }, { 2023, 7, 31, 0, 0, 0 },
		{ 2023, 8, 31, 0, 0, 0 },  { 2023, 3, 31, 0, 0, 0 }, { 2023, 12, 31, 23, 59, 59 },
		{ 2023, 10, 31, 0, 0, 0 }, { 2023, 5, 31, 0, 0, 0 }, { 9999, 12, 31, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(date_valid(&bad[i]));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(date_valid(&good[i]));
}

static void shows_the_time(void **state)
{
	(void)state;
	assert_int_equal(clock_of(vm), 0x20240229235958);
	assert_int_equal(rd(6), 5); /* Thursday */
	fake.tsc += 2 * SECOND;
	assert_int_equal(clock_of(vm), 0x20240301000000);
	assert_int_equal(rd(6), 6);
	assert_int_equal(rd(0x80 | 7), 0x01); /* with the NMI mask */
	assert_int_equal(rd(B), 0x02);	      /* BCD, 24 hours */
	assert_int_equal(rd(C), 0);
	assert_int_equal(rd(D), 0x80);
	assert_int_equal(io(vm, true, 0x70, 0), 0xff);
	for (u32 r = 0x0e; r < 0x80; r++)
		if (r != 0x32) {
			wr(r, 0x5a);
			assert_int_equal(rd(r), 0);
		}
}

/* Whoever sees no update has 244 us to read it all. */
static void says_when_it_changes(void **state)
{
	u32 seen = 0;

	(void)state;
	for (u64 us = 0; us < 2000000; us += 10) {
		u32 before;

		fake.tsc = us * SECOND / 1000000;
		if (rd(A) & UIP) {
			seen++;
			continue;
		}
		before = rd(0);
		fake.tsc += 244 * SECOND / 1000000 - 1;
		assert_int_equal(rd(0), before);
	}
	assert_in_range(seen, 40, 60); /* 244 us in each second */
	fake.tsc = 0;
	assert_int_equal(rd(A), 0x26);
}

static void set_time(const u8 value[7])
{
	static const u8 regs[] = { 0x32, 9, 8, 7, 4, 2, 0 };

	wr(B, SET | 2);
	for (size_t i = 0; i < sizeof(regs); i++)
		wr(regs[i], value[i]);
	wr(B, 2);
}

static void can_be_set(void **state)
{
	struct vm *other;

	(void)state;
	cfg2 = guest_config("other");
	other = guest_start(&cfg2);
	fake.tsc = 0;
	wr(0, 0x33); /* not without SET */
	assert_int_equal(rd(0), 0x58);
	wr(B, SET);
	assert_int_equal(rd(B), SET | 2);
	fake.tsc += 10 * SECOND;
	assert_int_equal(rd(0), 0x58); /* it stands */
	assert_int_equal(rd(A) & UIP, 0);
	wr(B, 0);
	assert_int_equal(clock_of(vm), 0x20240229235958); /* and has lost that time */
	set_time((const u8[]){ 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59 });
	assert_int_equal(clock_of(vm), 0x19991231235959);
	assert_int_equal(rd(6), 6);
	fake.tsc += SECOND;
	assert_int_equal(clock_of(vm), 0x20000101000000);
	set_time((const u8[]){ 0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59 });
	assert_int_equal(clock_of(vm), 0x99991231235959);
	/* What is no time is forgotten. */
	set_time((const u8[]){ 0x20, 0x23, 0x02, 0x29, 0x00, 0x00, 0x00 });
	assert_int_equal(clock_of(vm), 0x99991231235959);
	set_time((const u8[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff });
	set_time((const u8[]){ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 });
	assert_int_equal(clock_of(vm), 0x99991231235959);
	/* It is this VM's own, and gone when it starts again. */
	assert_int_equal(clock_of(other), 0x20240301000009);
	rtc_reset(vm);
	assert_int_equal(clock_of(vm), 0x20240301000009);
}

static void without_a_clock(void **state)
{
	(void)state;
	fake.wall_us = 0;
	fake.tsc = 61 * SECOND;
	assert_int_equal(clock_of(vm), 0x20000101000101);
	assert_int_equal(rd(D), 0); /* and it says that this is not so */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dates_of_the_calendar), T(dates_that_are_none), T(shows_the_time),
		T(says_when_it_changes),  T(can_be_set),	  T(without_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
