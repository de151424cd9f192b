/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer of the guest's local APIC. */
#include <tests/unit/apic/lapic_fixture.h>

static void one_shot_timer(void **state)
{
	static const struct {
		u32 code;
		u64 divisor;
	} d[] = { { 0, 2 },  { 1, 4 },	{ 2, 8 },    { 3, 16 },
		  { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };

	(void)state;
	wr(LVT_TIMER, 0x50);
	for (size_t i = 0; i < ARRAY_SIZE(d); i++) {
		u64 start = fake.tsc;

		wr(DIVIDE, d[i].code);
		wr(INITIAL, 1000);
		assert_int_equal(rd(CURRENT), 1000);
		fake.tsc = start + 600 * d[i].divisor;
		assert_int_equal(rd(CURRENT), 400);
		lapic_timer_check(v, start + 1000 * d[i].divisor - 1);
		assert_int_equal(lapic_pending(v), -1);
		fake.tsc = start + 1000 * d[i].divisor;
		lapic_timer_check(v, fake.tsc);
		assert_int_equal(lapic_pending(v), 0x50);
		assert_int_equal(rd(CURRENT), 0);
		lapic_accept(v, 0x50);
		wr(EOI, 0);
		lapic_timer_check(v, fake.tsc + 1000000); /* only once */
		assert_int_equal(lapic_pending(v), -1);
	}
	wr(INITIAL, 1000);
	wr(INITIAL, 0); /* stops it */
	lapic_timer_check(v, fake.tsc + (1UL << 40));
	assert_int_equal(lapic_pending(v), -1);
	/* Masked, or the APIC is off by software: it runs out without an interrupt. */
	wr(LVT_TIMER, 0x50 | MASKED);
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1000);
	wr(LVT_TIMER, 0x50);
	wr(SVR, 0xff);
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1000);
	assert_int_equal(lapic_pending(v), -1);
}

static void periodic_timer(void **state)
{
	u64 start = fake.tsc, period = 1000000;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, (u32)period);
	for (u64 n = 1; n < 10; n++) {
		lapic_timer_check(v, start + n * period);
		assert_int_equal(lapic_pending(v), 0x60);
		lapic_accept(v, 0x60);
		wr(EOI, 0);
		assert_int_equal(v->lapic.deadline, start + (n + 1) * period);
	}
	/* Missed ones come as one, and the phase is kept. */
	lapic_timer_check(v, start + 1000 * period + 5);
	assert_int_equal(v->lapic.deadline, start + 1001 * period);
	/* A period that only keeps the host busy is stretched. */
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1);
	assert_true(v->lapic.deadline - fake.tsc >= FAKE_KHZ / 20);
	/* The mode of deadlines disarms. */
	wr(LVT_TIMER, 0x60 | DEADLINE);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

/* Between one-shot and periodic the timer goes on; the mode counts when it has run out. */
static void mode_of_a_running_timer(void **state)
{
	u64 start = fake.tsc, period = 1000000;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, (u32)period);
	fake.tsc += period / 4;
	wr(LVT_TIMER, 0x60);
	assert_int_equal(rd(CURRENT), period * 3 / 4);
	lapic_timer_check(v, start + period);
	assert_int_equal(lapic_pending(v), 0x60);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	/* It has run out: a change of the mode alone does not start it again. */
	fake.tsc = start + 2 * period;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_int_equal(rd(CURRENT), 0);
	wr(LVT_TIMER, 0x60);
	wr(INITIAL, (u32)period);
	start = fake.tsc;
	fake.tsc += period / 4;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	for (u64 n = 1; n < 4; n++) {
		assert_int_equal(v->lapic.deadline, start + n * period);
		lapic_timer_check(v, start + n * period);
	}
	/* A change from or to deadlines stops it. */
	wr(LVT_TIMER, 0x60 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + v->tsc_offset + 500));
	wr(LVT_TIMER, 0x60);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_int_equal(v->lapic.tsc_deadline, 0);
}

static void tsc_deadline_timer(void **state)
{
	u64 value, guest_now;

	(void)state;
	fake.tsc += 1000;
	guest_now = fake.tsc + vm->tsc_offset;
	assert_true(
		lapic_msr_write(v, TSC_DEADLINE, guest_now + 500)); /* not in that mode: ignored */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	wr(LVT_TIMER, 0x70 | DEADLINE);
	wr(INITIAL, 1000); /* has no effect in this mode */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, guest_now + 500));
	assert_int_equal(v->lapic.deadline, fake.tsc + 500);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, guest_now + 500);
	lapic_timer_check(v, fake.tsc + 499);
	assert_int_equal(lapic_pending(v), -1);
	lapic_timer_check(v, fake.tsc + 500);
	assert_int_equal(lapic_pending(v), 0x70);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	lapic_accept(v, 0x70);
	wr(EOI, 0);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, guest_now - 1)); /* past: at once */
	assert_int_equal(lapic_pending(v), 0x70);
	lapic_accept(v, 0x70);
	wr(EOI, 0);
	assert_true(
		lapic_msr_write(v, TSC_DEADLINE, ~0UL)); /* for ever, not wrapped into the past */
	assert_int_equal(lapic_pending(v), -1);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, 0));
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

/* --- the timer's details ------------------------------------------------------------ */

static void divide_on_the_fly(void **state)
{
	u64 start = fake.tsc;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, 1000000);
	fake.tsc = start + 400000;
	wr(DIVIDE, 0); /* by 2: the 600000 left take twice as long */
	assert_int_equal(rd(CURRENT), 600000);
	assert_int_equal(v->lapic.deadline, start + 400000 + 1200000);
	fake.tsc = v->lapic.deadline;
	lapic_timer_check(v, fake.tsc);
	assert_int_equal(v->lapic.deadline, fake.tsc + 2000000);
	wr(INITIAL, 0);
	wr(DIVIDE, 11); /* and does not start one that stands */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

static void counts_that_are_overdue(void **state)
{
	u64 start = fake.tsc, value;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, 1000000);
	fake.tsc = start + 3250000; /* nothing has looked since */
	assert_int_equal(rd(CURRENT), 750000);
	wr(INITIAL, 500000); /* the interrupt that was due still comes */
	assert_int_equal(who_got(0x60), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 500000);
	fake.tsc += 500000;
	wr(LVT_TIMER, 0x61 | PERIODIC | MASKED); /* masked after it ran out */
	assert_int_equal(who_got(0x60), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 500000); /* and goes on */
	/* The count never shows more than the value written, even after a very short period. */
	wr(INITIAL, 5);
	assert_int_equal(rd(CURRENT), 5);
	wr(INITIAL, 0);
	/* The MSR reads zero outside its mode, and once it is due. */
	wr(LVT_TIMER, 0x62 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	wr(LVT_TIMER, 0x62);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	wr(LVT_TIMER, 0x62 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	fake.tsc += 10;
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	assert_int_equal(who_got(0x62), 1);
	/* One deadline follows another that has just passed: both come. */
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	fake.tsc += 10;
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 1000));
	assert_int_equal(who_got(0x62), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_shot_timer),     T(periodic_timer),    T(mode_of_a_running_timer),
		T(tsc_deadline_timer), T(divide_on_the_fly), T(counts_that_are_overdue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
