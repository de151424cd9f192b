/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest driver's core: batches, targets, refusals. */
#include <tests/unit/driver/driver_fixture.h>

static void to_the_target_and_back(void **state)
{
	static const u64 targets[] = { 10, 3000, 513, 0, 8192, 8191, 512, 511, 1, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		run_to(targets[i]);
		assert_int_equal(b.size, targets[i]);
	}
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

static void large_pages_where_granted(void **state)
{
	(void)state;
	run_to(8192);
	assert_true(k.batches <= 2);
	assert_true(b.large.used == 16);
	aero_balloon_stop(&b);
	k.features = 0;
	assert_int_equal(aero_balloon_start(&b, &os), AERO_OK);
	run_to(2048);
	assert_null(b.large.top);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void hint_bounds_a_batch(void **state)
{
	(void)state;
	k.hint = 16;
	run_to(1000);
	assert_true(k.largest <= 16);
	assert_int_equal(b.size, 1000);
	k.hint = 0; /* an impossible target: still goes on */
	run_to(1010);
	assert_int_equal(b.size, 1010);
}

static void again_is_followed(void **state)
{
	(void)state;
	k.again_after = 7;
	run_to(1000);
	assert_int_equal(b.size, 1000);
	run_to(0);
	assert_int_equal(b.size, 0);
	k.starts = 0;
	aero_balloon_stop(&b);
	k.start_again = 5;
	assert_int_equal(aero_balloon_start(&b, &os), AERO_OK);
	assert_int_equal(k.starts, 6);
	/* A hypervisor that makes no progress does not hang the driver. */
	k.no_progress = true;
	k.target = 100;
	aero_balloon_step(&b, 4);
}

static void refused_pages_go_back(void **state)
{
	(void)state;
	k.refuse = 3;
	k.hint = 256; /* small pages */
	run_to(2000);
	assert_int_equal(b.size, 2000);
	assert_true(b.refused > 500);
	k.refuse = 1; /* everything is refused: gives up for now, loses nothing */
	run_to(4000);
	assert_int_equal(b.size, 2000);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void calls_that_fail(void **state)
{
	(void)state;
	k.fail = AERO_ERR_FAULT;
	k.target = 100;
	aero_balloon_step(&b, 1);
	assert_int_equal(b.size, 0);
	assert_int_equal(PAGES - k.free, 2); /* its batch page and a chunk */
	run_to(100);
	assert_int_equal(b.size, 100);
}

static void grow_gives_back_at_once(void **state)
{
	(void)state;
	run_to(4096);
	aero_balloon_grow(&b, 1000);
	assert_int_equal(b.target, 3096);
	assert_true(b.size <= 3096);
	run_to(k.target);
	assert_int_equal(b.size, 3096);
	aero_balloon_grow(&b, UINT64_MAX);
	assert_int_equal(b.size, 0);
	consistent();
}

/*
 * The answer of GROW counts, even if the target changes a moment later: otherwise a program would
 * be killed.
 */
static void grow_against_a_target_that_rises(void **state)
{
	(void)state;
	for (int small = 0; small < 2; small++) {
		k.features = small ? 0 : AERO_FEATURE_2M;
		aero_balloon_start(&b, &os);
		run_to(4096);
		k.raises = true;
		aero_balloon_grow(&b, 2048);
		assert_int_equal(b.size, 2048);
		k.raises = false;
		aero_balloon_grow(&b, 0);
		assert_int_equal(b.size, 2048);
		aero_balloon_stop(&b);
	}
}

static void random_life(void **state)
{
	u64 seed = 11;

	(void)state;
	for (int i = 0; i < 400; i++) {
		u64 r = fake_random(&seed);

		k.keep = r & 1 ? (u32)(r >> 8) % PAGES : 0;
		k.refuse = r & 2 ? 1 + (r >> 24) % 9 : 0;
		k.again_after = r & 4 ? 1 + (u32)(r >> 32) % 40 : 0;
		k.hint = r & 8 ? 1 + (r >> 40) % 2048 : 512 * 512;
		k.target = (r >> 20) % (PAGES - 200);
		for (int n = 0; n < 5; n++)
			aero_balloon_step(&b, 3);
		consistent();
	}
	k.keep = k.refuse = 0;
	run_to(777);
	assert_int_equal(b.size, 777);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

/* The driver makes END when all pages are back, or when it gives the rest up. */
static void the_end_is_said(void **state)
{
	(void)state;
	restart(&mover);
	assert_int_equal(k.ends, 1);
	run_to(700);
	k.moving = 1;
	assert_int_equal(aero_balloon_stop(&b), 1);
	assert_int_equal(k.ends, 1);
	k.start_again = 3;
	aero_balloon_abandon(&b);
	assert_int_equal(k.ends, 2);
	assert_int_equal(k.ballooned, 0);
	assert_int_equal(aero_balloon_step(&b, 8), 0);
	aero_balloon_abandon(&b); /* twice is once */
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(k.ends, 2);
	k.moving = k.nr_kept = 0;
	k.no_end = true;
	assert_int_equal(aero_balloon_start(&b, &mover), AERO_OK);
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(b.started, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(to_the_target_and_back),
		T(large_pages_where_granted),
		T(hint_bounds_a_batch),
		T(again_is_followed),
		T(refused_pages_go_back),
		T(calls_that_fail),
		T(grow_gives_back_at_once),
		T(grow_against_a_target_that_rises),
		T(random_life),
		T(the_end_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
