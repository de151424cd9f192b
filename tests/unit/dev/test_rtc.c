/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock: the registers that show a date and a time. */
#include <tests/fake/guest.h>

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

/* A guest that sees no update has 244 us to read everything. */
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
	/* An invalid time is dropped. */
	set_time((const u8[]){ 0x20, 0x23, 0x02, 0x29, 0x00, 0x00, 0x00 });
	assert_int_equal(clock_of(vm), 0x99991231235959);
	set_time((const u8[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff });
	set_time((const u8[]){ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 });
	assert_int_equal(clock_of(vm), 0x99991231235959);
	/* The time that a VM sets is its own, and gone when it starts again. */
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
		T(shows_the_time),
		T(says_when_it_changes),
		T(can_be_set),
		T(without_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
