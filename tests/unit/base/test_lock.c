/* SPDX-License-Identifier: BSD-2-Clause */
/* hv/base/lock.h: the lock, and the order that all unit tests check (tests/fake/lock_order.c). */
#include <tests/fake/fake.h>

#include <hv/base/lock.h>

static SPINLOCK(LOCK_P2M) map, second_map;
static SPINLOCK(LOCK_FRAMES) table;
static SPINLOCK(LOCK_LOG) output;

_Static_assert(sizeof(map) == 4, "the rank takes no memory");
_Static_assert(SPIN_RANK(&table) == LOCK_FRAMES, "the rank is in the type");

static int setup(void **state)
{
	(void)state;
	map.held = second_map.held = table.held = output.held = 0;
	fake_machine(512, 2);
	return 0;
}

static void one_holder(void **state)
{
	(void)state;
	spin_lock(&table);
	assert_int_equal(table.held, 1);
	assert_false(spin_trylock(&table));
	spin_unlock(&table);
	assert_int_equal(table.held, 0);
	assert_true(spin_trylock(&table));
	spin_unlock(&table);
	lock_order_none("at the end");
}

static void down_the_list(void **state)
{
	(void)state;
	spin_lock(&map);
	spin_lock(&table);
	spin_lock(&output);
	/* Locks may be given back in any order, and one in the middle taken again. */
	spin_unlock(&map);
	spin_unlock(&output);
	spin_lock(&output);
	spin_unlock(&table);
	spin_unlock(&output);
	lock_order_none("at the end");
}

static void wrong_order_is_caught(void **state)
{
	(void)state;
	spin_lock(&table);
	assert_panics(spin_lock(&map));
	assert_string_equal(fake.panic_text,
			    "lock order: CPU 0 takes p2m.lock and holds frames.lock");
	assert_int_equal(map.held, 0);
}

/* Also if the innermost of them would allow it. */
static void all_held_locks_count(void **state)
{
	(void)state;
	spin_lock(&output);
	assert_true(spin_trylock(&map));
	assert_panics(spin_lock(&table));
	assert_non_null(strstr(fake.panic_text, "takes frames.lock and holds log's lock"));
}

static void two_of_a_rank_are_caught(void **state)
{
	(void)state;
	spin_lock(&map);
	assert_panics(spin_lock(&second_map));
	assert_non_null(strstr(fake.panic_text, "takes p2m.lock and holds p2m.lock"));
}

/* On a machine it would wait for itself for ever. */
static void same_lock_twice_is_caught(void **state)
{
	(void)state;
	spin_lock(&map);
	assert_panics(spin_lock(&map));
}

static void a_lock_that_is_only_tried_may_be_anywhere(void **state)
{
	(void)state;
	spin_lock(&table);
	assert_true(spin_trylock(&map));
	spin_unlock(&map);
	spin_unlock(&table);
}

static void other_cpus_have_their_own_order(void **state)
{
	(void)state;
	spin_lock(&table);
	fake.cpu = 1;
	spin_lock(&map);
	spin_unlock(&table); /* CPU 0's */
	lock_order_forget();
	assert_panics(spin_unlock(&map)); /* free by now */
}

static void no_guest_is_entered_with_a_lock(void **state)
{
	(void)state;
	spin_lock(&table);
	assert_panics(lock_order_none("while it enters a guest"));
	assert_string_equal(fake.panic_text,
			    "lock order: CPU 0 holds frames.lock while it enters a guest");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_holder),
		T(down_the_list),
		T(wrong_order_is_caught),
		T(all_held_locks_count),
		T(two_of_a_rank_are_caught),
		T(same_lock_twice_is_caught),
		T(a_lock_that_is_only_tried_may_be_anywhere),
		T(other_cpus_have_their_own_order),
		T(no_guest_is_entered_with_a_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
