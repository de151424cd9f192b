/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy, a pure function, by example: states, reasons, the VMs that get memory and the rules.
 */
#include <tests/unit/memory/policy_fixture.h>

static void thresholds(void **state)
{
	struct policy_thresholds t = policy_thresholds(TOTAL),
				 big = policy_thresholds(GIB(64) >> 12);

	(void)state;
	assert_int_equal(t.high, 6 * (TOTAL / 100));
	assert_int_equal(t.soft, 4 * (TOTAL / 100));
	assert_int_equal(t.hard, 2 * (TOTAL / 100));
	assert_int_equal(t.low, TOTAL / 100);
	/* A large machine keeps a smaller part, but never less than a smaller machine. */
	assert_true(big.high < 2 * (GIB(64) >> 12) / 100);
	for (u64 pages = 1; pages < 1UL << 40; pages = pages * 5 / 4 + 1) {
		struct policy_thresholds a = policy_thresholds(pages),
					 b = policy_thresholds(pages + 1000);

		assert_true(a.high >= a.soft && a.soft >= a.hard && a.hard >= a.low);
		assert_true(b.high >= a.high && b.low >= a.low);
		assert_true(a.high <= pages);
	}
}

static enum policy_state with_free(u64 percent_x10)
{
	in.free = TOTAL / 100 * percent_x10 / 10;
	decide();
	return out.state;
}

static void states_have_hysteresis(void **state)
{
	(void)state;
	vms(1, 64);
	assert_int_equal(with_free(500), POLICY_HIGH);
	assert_int_equal(with_free(50), POLICY_HIGH); /* below high, above soft */
	assert_int_equal(with_free(39), POLICY_SOFT);
	assert_int_equal(with_free(50), POLICY_SOFT); /* not yet again */
	assert_int_equal(with_free(60), POLICY_HIGH);
	assert_int_equal(with_free(19), POLICY_HARD);
	assert_int_equal(with_free(30), POLICY_HARD);
	assert_int_equal(with_free(40), POLICY_SOFT);
	assert_int_equal(with_free(5), POLICY_LOW);
	assert_int_equal(out.mechanism, MECHANISM_BLOCK);
	assert_int_equal(with_free(15), POLICY_LOW);
	assert_int_equal(with_free(20), POLICY_HARD);
	assert_int_equal(with_free(0), POLICY_LOW);
	assert_int_equal(with_free(900), POLICY_HIGH);
	assert_int_equal(out.mechanism, MECHANISM_NONE);
}

static void batches_shrink_with_memory(void **state)
{
	u32 last = UINT32_MAX;

	(void)state;
	vms(1, 64);
	for (u64 f = 70; f > 0; f = f > 10 ? f - 10 : 0) {
		with_free(f);
		assert_true(out.hint <= last && out.hint > 0);
		last = out.hint;
	}
}

static void plenty_asks_for_nothing(void **state)
{
	(void)state;
	vms(4, 100);
	in.free = P(600);
	decide();
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(out.vm[i].target, 0);
		assert_int_equal(out.vm[i].reason, REASON_NONE);
	}
}

static void reasons(void **state)
{
	(void)state;
	vms(6, 200);
	in.free = TOTAL / 200;
	vm[0].manual = true;
	vm[0].target = 777;
	vm[1].responsive = false;
	vm[1].target = 88;
	vm[2].hold = true;
	vm[3].grow = 50;
	vm[3].hold = true;
	vm[3].balloon = vm[3].target = 1000;
	vm[5].max = P(100);
	vm[5].resident = P(50);
	decide();
	assert_int_equal(out.vm[0].reason, REASON_MANUAL);
	assert_int_equal(out.vm[0].target, 777);
	assert_int_equal(out.vm[1].reason, REASON_SILENT);
	assert_int_equal(out.vm[1].target, 88);
	assert_int_equal(out.vm[2].reason, REASON_HOLD);
	assert_int_equal(out.vm[2].target, 0);
	assert_true(out.vm[3].reason == REASON_GROW || out.vm[3].reason == REASON_HOLD);
	assert_true(out.vm[3].target <= 1000);
	assert_int_equal(out.vm[4].reason, REASON_VICTIM);
	assert_true(out.vm[4].target > 0);
	assert_true(out.vm[5].target >= P(100)); /* max, whatever else */
	for (int r = REASON_NONE; r <= REASON_BEYOND; r++)
		assert_true(strlen(policy_reason_text((enum policy_reason)r)) > 5);
	for (int r = RULE_SHARES; r <= RULE_HELD; r++)
		assert_true(strlen(policy_rule_text((enum policy_rule)r)) > 3);
	for (int s = POLICY_HIGH; s <= POLICY_LOW; s++)
		assert_true(strlen(policy_state_name((enum policy_state)s)) > 2);
}

static void max_is_enforced_in_plenty(void **state)
{
	(void)state;
	vms(1, 400);
	vm[0].max = P(300);
	in.free = P(600);
	decide();
	assert_int_equal(out.vm[0].target, P(100));
	assert_int_equal(out.vm[0].reason, REASON_MAX);
}

/* A VM that is pressed may neither fault nor wait: only the guest itself sees it. */
static void plenty_is_divided_anew(void **state)
{
	u64 got, slack;

	(void)state;
	squeezed_pair();
	vm[0].active_permille = 20;
	vm[1].active_permille = 1000;
	decide();
	slack = in.free - policy_thresholds(TOTAL).soft;
	assert_int_equal(out.state, POLICY_HIGH);
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
	assert_int_equal(out.vm[0].target, P(900) - out.vm[0].entitlement);
	assert_int_equal(out.vm[1].reason, REASON_GIVEN_BACK);
	/* Memory that no VM has given yet is promised to no VM, except half of the margin. */
	got = vm[1].target - out.vm[1].target;
	assert_in_range(got, slack - 1, slack);
	/* Both alike: no target moves. */
	squeezed_pair();
	decide();
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(out.vm[i].reason, REASON_NONE);
		assert_int_equal(out.vm[i].target, vm[i].target);
	}
}

/* Room that others have and do not use is no reason to take memory from a VM. */
static void nobody_gives_for_nobody(void **state)
{
	(void)state;
	vms(7, 900);
	in.free = policy_thresholds(TOTAL).high;
	for (u32 i = 0; i < 7; i++)
		vm[i].resident = i < 2 ? (TOTAL - in.free - 5 * P(20)) / 2 : P(20);
	for (u32 i = 0; i < 7; i++)
		vm[i].min = 0;
	for (u32 i = 0; i < 2; i++)
		vm[i].balloon = vm[i].target = vm[i].size - vm[i].resident;
	decide();
	assert_true(out.vm[0].entitlement + P(40) < vm[0].resident);
	for (u32 i = 0; i < 7; i++) {
		assert_int_equal(out.vm[i].reason, REASON_NONE);
		assert_int_equal(out.vm[i].target, vm[i].target);
	}
	vm[1].waiting = true; /* now one VM needs it */
	vm[1].active_permille = 1000;
	vm[0].active_permille = 0;
	decide();
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
}

/*
 * Samples err: balloons do not follow small differences, unless memory is short or a VM asks for
 * it.
 */
static void small_differences_are_left(void **state)
{
	(void)state;
	squeezed_pair();
	vm[0].active_permille = 440;
	decide();
	assert_true(out.vm[0].entitlement + P(4) < vm[0].resident);
	assert_true(out.vm[0].entitlement + P(28) > vm[0].resident);
	assert_int_equal(out.vm[0].target, vm[0].target);
	assert_int_equal(out.vm[1].target, vm[1].target);
	vm[1].waiting = true;
	decide();
	assert_true(out.vm[1].target < vm[1].target);
	vm[1].waiting = false;
	in.free = TOTAL / 100;
	vm[0].resident += TOTAL / 50;
	decide();
	assert_true(out.vm[0].target > vm[0].target);
}

static u64 given(u32 i)
{
	return vm[i].target - out.vm[i].target;
}

/* Growth first; then the spare memory is divided, and never more. */
static void spare_memory_is_divided(void **state)
{
	(void)state;
	vms(3, 100);
	for (u32 i = 0; i < 3; i++) {
		vm[i].resident = P(30);
		vm[i].balloon = vm[i].target = P(40); /* 30 MiB that it has not touched */
	}
	vm[1].balloon = vm[1].target = P(20);
	in.free = policy_thresholds(TOTAL).high + P(30);
	decide();
	assert_in_range(given(0), P(12) - 1, P(12));
	assert_in_range(given(1), P(6) - 1, P(6));
	assert_in_range(given(2), P(12) - 1, P(12));
	vm[2].faulted = P(1);
	decide();
	assert_int_equal(given(0) + given(1), 0);
	assert_int_equal(given(2), P(30));
	assert_int_equal(out.vm[0].reason, REASON_NONE);
	assert_int_equal(out.vm[2].reason, REASON_GIVEN_BACK);
	/*
	 * No memory is spare: a VM that would run out gets the memory that it asked for, and no
	 * more.
	 */
	vm[2].faulted = 0;
	vm[2].resident = P(60);
	vm[2].active_permille = 1000;
	vm[0].active_permille = vm[1].active_permille = 0;
	in.free = policy_thresholds(TOTAL).soft;
	decide();
	assert_int_equal(out.state, POLICY_HIGH);
	assert_int_equal(given(2), 0);
	assert_int_equal(out.vm[2].reason, REASON_NONE);
	vm[2].grow = P(3);
	decide();
	assert_int_equal(given(2), P(3));
	assert_int_equal(out.vm[2].reason, REASON_GROW);
}

static void no_vms(void **state)
{
	(void)state;
	vms(0, 1);
	decide();
	assert_int_equal(out.state, POLICY_LOW); /* nothing is free */
	assert_int_equal(out.mechanism, MECHANISM_BLOCK);
	assert_int_equal(out.active, 0);
	assert_int_equal(out.culprit, POLICY_NOBODY);
	assert_false(out.cap_yields);
	assert_int_equal(vm_out[0].target, 0xeeeeeeeeeeeeeeee); /* no VM, no decision */
}

static void no_memory_and_no_shares(void **state)
{
	(void)state;
	vms(2, 1);
	in.total = 0;
	in.tax = 1000; /* as if it were 99 */
	for (u32 i = 0; i < 2; i++)
		vm[i] = (struct policy_vm){ .size = 1, .max = 1, .responsive = true };
	decide();
	assert_int_equal(out.state, POLICY_HIGH); /* its thresholds are 0, too */
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(out.vm[i].target, 0);
		assert_int_equal(out.vm[i].entitlement, 0);
		assert_int_equal(out.vm[i].rho, (1u << 20) / 100); /* of a share, which all have */
		assert_int_equal(out.vm[i].reason, REASON_NONE);
	}
}

/* The largest values: 16 TiB, 64 VMs that could each use all of it, and the most shares. */
static void largest_machine(void **state)
{
	const u64 total = UINT32_MAX, lost = total % 64;
	const u64 memory = total - lost - policy_thresholds(total).high;
	const u64 each = memory / 64, one = memory / 1000063;

	(void)state;
	vms(64, 1);
	in.total = total;
	in.balloon_max = 100;
	for (u32 i = 0; i < 64; i++) {
		vm[i] = (struct policy_vm){ .size = total, .max = total, .shares = 1000000 };
		vm[i].resident = total / 64;
		vm[i].balloon = vm[i].target = total - total / 64;
		vm[i].active_permille = 1000;
		vm[i].responsive = vm[i].waiting = true;
	}
	decide();
	assert_int_equal(out.active, total / 64 * 64);
	for (u32 i = 0; i < 64; i++) {
		assert_in_range(out.vm[i].entitlement, each - 1, each);
		assert_int_equal(out.vm[i].rule, RULE_SHARES);
		assert_int_equal(out.vm[i].rho, (1000000ul << 20) / (total / 64));
		assert_int_equal(out.vm[i].target, total - out.vm[i].entitlement);
	}
	/* Of a million and 63 shares the first has all except 63. */
	for (u32 i = 1; i < 64; i++)
		vm[i].shares = 1;
	decide();
	assert_in_range(out.vm[1].entitlement, one - 1, one + 1);
	assert_in_range(out.vm[0].entitlement, memory - 63 * (one + 1), memory - 62 * one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds),
		cmocka_unit_test(states_have_hysteresis),
		cmocka_unit_test(batches_shrink_with_memory),
		cmocka_unit_test(plenty_asks_for_nothing),
		cmocka_unit_test(reasons),
		cmocka_unit_test(max_is_enforced_in_plenty),
		cmocka_unit_test(plenty_is_divided_anew),
		cmocka_unit_test(nobody_gives_for_nobody),
		cmocka_unit_test(small_differences_are_left),
		cmocka_unit_test(spare_memory_is_divided),
		cmocka_unit_test(no_vms),
		cmocka_unit_test(no_memory_and_no_shares),
		cmocka_unit_test(largest_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
