/* SPDX-License-Identifier: BSD-2-Clause */
/* The TSC: how far those of two CPUs are apart, and what is done about it. */
#include <tests/fake/fake.h>

#include <arch/x86_64/time/tsc_span.h>

/* Two CPUs: the time is ours, theirs is that many ticks ahead. */
static u64 now, seed;
static s64 apart, drift; /* @drift: in 1/1000 */

static u64 theirs(void)
{
	return now + (u64)apart + (u64)((s64)now * drift / 1000);
}

/* A message takes 80 to 600 ticks; now and then an SMI or an outer hypervisor is in the way. */
static void message(void)
{
	now += 80 + fake_random(&seed) % 520;
	if (fake_random(&seed) % 8 == 0)
		now += fake_random(&seed) % 1000000;
}

static struct tsc_span measure(void)
{
	struct tsc_span s = TSC_SPAN_ANY;

	for (int i = 0; i < 32; i++) {
		u64 sent = now, answer;

		message();
		answer = theirs();
		message();
		tsc_span_add(&s, sent, answer, now);
	}
	return s;
}

/* Measures and shifts until that ends; each write of the TSC loses @lost ticks. */
static enum tsc_verdict put_in_step(struct tsc_fix *f, s64 lost, bool works)
{
	enum tsc_verdict v;

	*f = (struct tsc_fix){ 0 };
	do {
		struct tsc_span s = measure();

		v = tsc_fix(f, &s, !lost);
		if (f->shift && works)
			apart += f->shift - lost;
		assert_true(f->shifts <= 4);
	} while (f->shift);
	return v;
}

static void machine(s64 ticks)
{
	now = 1UL << 40;
	apart = ticks;
	drift = 0;
}

static void equal_ones_are_left_alone(void **state)
{
	struct tsc_fix f;

	(void)state;
	for (seed = 1; seed < 1000; seed++) {
		machine(0);
		assert_int_equal(put_in_step(&f, 0, true), TSC_EQUAL);
		assert_int_equal(f.shifts, 0);
	}
}

/* What is left is less than anybody can see by a message: it takes 80 ticks at least. */
static void those_apart_are_shifted(void **state)
{
	static const s64 by[] = { 3000000000, -3000000000, 700, -700, 1 - (1L << 40) };
	struct tsc_fix f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(by); i++)
		for (s64 lost = 0; lost <= 900; lost += 300)
			for (u64 k = 1; k < 200; k++) {
				seed = k;
				machine(by[i]);
				assert_int_equal(put_in_step(&f, lost, true), TSC_EQUAL);
				assert_in_range(f.ahead, by[i] - 600, by[i] + 600);
				assert_in_range(apart + 600, 0, 1200);
			}
}

static void what_cannot_be_set(void **state)
{
	struct tsc_fix f;

	(void)state;
	seed = 1;
	machine(5000);
	assert_int_equal(put_in_step(&f, 0, false), TSC_APART);
	assert_int_equal(f.shifts, 4); /* three times, and once more to see that it did not help */
	/* One that runs at another speed. */
	machine(5000);
	drift = 100;
	assert_int_equal(put_in_step(&f, 0, true), TSC_UNSTEADY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ones_are_left_alone),
		cmocka_unit_test(those_apart_are_shifted),
		cmocka_unit_test(what_cannot_be_set),
	};

	return cmocka_run_group_tests_name("tsc", tests, NULL, NULL);
}
