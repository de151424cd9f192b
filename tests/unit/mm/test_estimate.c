/* SPDX-License-Identifier: BSD-2-Clause */
/* From sampled pages to active memory: the arithmetic. */
#include <tests/fake/fake.h>

#include <mm/estimate.h>

static void intervals(void **state)
{
	/* Wilson's interval, as tables have it, in 1/1000. */
	static const struct {
		u32 touched, sampled, low, high;
	} known[] = {
		{ 0, 100, 0, 37 },    { 50, 100, 404, 596 }, { 100, 100, 963, 1000 },
		{ 10, 100, 55, 174 }, { 1, 10, 18, 404 },    { 30, 300, 71, 139 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(known); i++) {
		struct estimate e;

		estimate_init(&e);
		estimate_add(&e, known[i].touched, known[i].sampled);
		assert_in_range(e.low + 1, known[i].low, known[i].low + 2);
		assert_in_range(e.high + 1, known[i].high, known[i].high + 3);
		assert_in_range(e.now, e.low, e.high);
	}
}

/* 95 of 100 intervals contain the true value, whatever it is. */
static void intervals_cover_the_truth(void **state)
{
	u64 r = 42;

	(void)state;
	for (u32 truth = 10; truth < 1000; truth += 70) {
		u32 in = 0;

		for (int n = 0; n < 4000; n++) {
			struct estimate e;
			u32 touched = 0;

			estimate_init(&e);
			for (int i = 0; i < 100; i++)
				touched += fake_random(&r) % 1000 < truth;
			estimate_add(&e, touched, 100);
			in += truth >= e.low && truth <= e.high;
		}
		assert_true(in > 4000 * 92 / 100);
	}
}

static void averages(void **state)
{
	struct estimate e;

	(void)state;
	estimate_init(&e);
	assert_int_equal(estimate_add(&e, 0, 0), 1000); /* no samples: unknown */
	assert_int_equal(e.high - e.low, 1000);
	assert_int_equal(estimate_add(&e, 0, 100), 750); /* the slow average */
	assert_int_equal(e.fast, 500);
	assert_int_equal(e.now, 0);
	for (int i = 0; i < 60; i++)
		estimate_add(&e, 0, 100);
	assert_in_range(estimate_active(&e), 0, 3);
	assert_int_equal(estimate_add(&e, 90, 100), 900); /* the sample itself */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals),
		cmocka_unit_test(intervals_cover_the_truth),
		cmocka_unit_test(averages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
