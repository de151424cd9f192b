/* SPDX-License-Identifier: BSD-2-Clause */
/* When an unmapped frame may be used again: each CPU has passed, or is idle. */
#include <tests/unit/mm/frames_fixture.h>

static void safe_is_the_slowest(void **state)
{
	u64 first;

	(void)state;
	machine(8); /* two CPUs, both online */
	first = epoch_now();
	assert_int_equal(epoch_safe(), first);
	assert_int_equal(epoch_advance(), first + 1);
	assert_int_equal(epoch_now(), first + 1);
	assert_int_equal(epoch_safe(), first);
	epoch_quiescent(0, first + 1);
	assert_int_equal(epoch_safe(), first);
	epoch_quiescent(1, first + 1);
	assert_int_equal(epoch_safe(), first + 1);
}

static void an_idle_cpu_holds_nobody_up(void **state)
{
	u64 now;

	(void)state;
	machine(8);
	epoch_idle_enter(1);
	now = epoch_advance();
	epoch_quiescent(0, now);
	assert_int_equal(epoch_safe(), now);
	epoch_idle_leave(1); /* sees all that was unmapped before */
	assert_int_equal(epoch_safe(), now);
	assert_int_equal(epoch_advance(), now + 1);
	epoch_quiescent(0, now + 1);
	assert_int_equal(epoch_safe(), now);
}

static void a_cpu_counts_from_when_it_comes_online(void **state)
{
	(void)state;
	machine(8);
	epoch_init();
	epoch_advance();
	assert_int_equal(epoch_safe(), epoch_now()); /* both offline: no CPU has a translation */
	epoch_cpu_online(1);
	epoch_advance();
	assert_int_equal(epoch_safe(), epoch_now() - 1);
}

#define T(f) cmocka_unit_test_teardown(f, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(safe_is_the_slowest),
		T(an_idle_cpu_holds_nobody_up),
		T(a_cpu_counts_from_when_it_comes_online),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
