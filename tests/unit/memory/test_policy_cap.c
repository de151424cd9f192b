/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy and limits of balloons: the cap, a stuck driver, and means beyond balloons. */
#include <tests/unit/memory/policy_fixture.h>

/* Without means beyond the balloon, memory that a balloon's cap protects cannot be taken. */
static void the_cap(void **state)
{
	(void)state;
	vms(2, 900);
	in.balloon_max = 65;
	in.beyond_balloon = false;
	vm[0].shares = 1;
	vm[0].active_permille = 0;
	vm[0].resident = P(400);
	vm[1].resident = P(600);
	vm[1].waiting = true;
	in.free = TOTAL / 200;
	decide();
	assert_int_equal(out.vm[0].entitlement, P(900) - P(900) * 65 / 100);
	assert_int_equal(out.vm[0].rule, RULE_HELD);
	assert_int_equal(out.vm[0].mechanism, MECHANISM_BALLOON);
	assert_int_equal(out.vm[0].target, P(900) * 65 / 100);
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
	/* A balloon that has reached its cap gets no higher target. */
	vm[0].target = out.vm[0].target;
	decide();
	assert_int_equal(out.vm[0].reason, REASON_NONE);
	assert_int_equal(out.vm[0].target, vm[0].target);
	/* It has less than that, and more than its shares give: it gets no more. */
	vm[0].target = 0;
	vm[0].resident = P(300);
	in.free += P(100);
	in.total -= P(100);
	in.free -= P(100);
	decide();
	assert_int_equal(out.vm[0].entitlement, P(300));
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
	assert_int_equal(out.vm[0].target, P(900) * 65 / 100);
	/* With compression or swap only its min limits it, and the decision names the mechanism. */
	in.beyond_balloon = true;
	in.state = POLICY_HARD;
	decide();
	assert_int_equal(out.vm[0].entitlement, vm[0].min);
	assert_int_equal(out.vm[0].rule, RULE_MIN);
	assert_int_equal(out.vm[0].mechanism, out.mechanism);
	assert_true(out.vm[0].mechanism > MECHANISM_BALLOON);
	vm[0].target = out.vm[0].target;
	decide();
	assert_int_equal(out.vm[0].reason, REASON_NONE);
	/* Set by hand beyond the cap, and then left to the policy. */
	vm[0].target = vm[0].balloon = P(800);
	decide();
	assert_int_equal(out.vm[0].target, P(900) * 65 / 100);
}

/* Two VMs of 900 MiB; the first's balloon is at its cap, and the second waits. */
static void at_the_cap(void)
{
	vms(2, 900);
	in.balloon_max = 65;
	in.beyond_balloon = false;
	vm[0].active_permille = 0;
	vm[0].shares = 200;
	vm[0].balloon = vm[0].target = P(900) * 65 / 100;
	vm[0].resident = P(900) - vm[0].balloon;
	vm[1].resident = P(690);
	vm[1].waiting = true;
	in.free = TOTAL / 20;
}

/* The next decision, after the targets of the last one are reached. */
static void obey(void)
{
	in.cap_yields = out.cap_yields;
	for (u32 i = 0; i < in.nr_vms; i++)
		vm[i].target = vm[i].balloon = out.vm[i].target;
	decide();
}

/* Only balloons, a cap in the way, and a VM waits or memory is low: the cap yields. */
static void the_cap_yields(void **state)
{
	const u64 capped = P(900) * 65 / 100;

	(void)state;
	for (int why = 0; why < 8; why++) {
		bool waits = why & 1, low = why & 2, by_silent = why & 4;

		at_the_cap();
		vm[1].waiting = waits;
		vm[1].responsive = !by_silent;
		in.state = POLICY_HARD;
		in.free = low ? TOTAL / 200 : TOTAL / 40;
		if (by_silent) /* its own memory is more than the host's */
			vm[1].resident = P(800);
		decide();
		assert_int_equal(out.vm[0].target, capped);
		assert_int_equal(out.cap_yields, waits || low);
		obey();
		if (!waits && !low) {
			assert_int_equal(out.vm[0].target, capped);
			continue;
		}
		assert_true(out.vm[0].target > capped);
		assert_int_equal(out.vm[0].reason, REASON_BEYOND);
		assert_true(out.vm[0].rule == RULE_SHARES || out.vm[0].rule == RULE_MIN);
		assert_int_equal(out.vm[0].target, P(900) - out.vm[0].entitlement);
		assert_true(out.vm[0].target <= P(900) - vm[0].min);
		assert_true(out.vm[1].reason != REASON_BEYOND);
	}
	/* A VM within its cap is an ordinary victim meanwhile. */
	vm[1].responsive = true;
	vm[1].shares = 500;
	vm[1].waiting = false;
	vm[1].resident = P(800);
	decide();
	assert_int_equal(out.vm[1].reason, REASON_VICTIM);
	assert_true(out.vm[1].target < capped);
}

/* The cap stays if other means take memory, or memory below the cap can still be taken. */
static void the_cap_stays(void **state)
{
	(void)state;
	at_the_cap();
	in.beyond_balloon = true;
	decide();
	assert_false(out.cap_yields);
	at_the_cap();
	in.beyond_balloon = true;
	in.cap_yields = true;
	decide();
	assert_false(out.cap_yields);
	/* Its balloon is not there yet: by a 64th it may be. */
	at_the_cap();
	vm[0].balloon -= P(900) / 64 + 1;
	decide();
	assert_false(out.cap_yields);
	vm[0].balloon++;
	decide();
	assert_true(out.cap_yields);
	/* The VM would give nothing, or must not give: no cap is in the way. */
	at_the_cap();
	vm[0].stuck = true;
	decide();
	assert_false(out.cap_yields);
	at_the_cap();
	vm[0].manual = true;
	decide();
	assert_false(out.cap_yields);
	at_the_cap();
	vm[0].responsive = false;
	decide();
	assert_false(out.cap_yields);
	/* Its shares give it more than its cap leaves it. */
	at_the_cap();
	vm[0].shares = 1000;
	decide();
	assert_int_equal(out.vm[0].rule, RULE_SHARES);
	assert_false(out.cap_yields);
}

/*
 * The caps are back when no VM needs memory and no balloon is beyond its cap; then nothing moves.
 */
static void the_cap_comes_back(void **state)
{
	const u64 capped = P(900) * 65 / 100;
	u64 before;

	(void)state;
	at_the_cap();
	in.cap_yields = true;
	vm[0].balloon = vm[0].target = P(700);
	vm[0].resident = P(100);
	vm[1].waiting = false;
	/* Demands are not met: the cap still yields, however much is free now. */
	vm[0].resident = P(200);
	vm[1].balloon = vm[1].target = P(150);
	vm[1].resident = P(750);
	in.free = policy_thresholds(TOTAL).high;
	decide();
	assert_true(out.vm[0].target > capped);
	assert_true(out.cap_yields);
	/* They are met, but the memory that can be given back at once does not suffice. */
	vm[1].balloon = vm[1].target = 0;
	vm[1].resident = P(790);
	vm[0].resident = P(100);
	in.total = P(1032);
	in.free = policy_thresholds(in.total).high + P(80);
	decide();
	assert_int_equal(out.vm[0].reason, REASON_GIVEN_BACK);
	assert_in_range(out.vm[0].target, capped + 1, P(620));
	assert_true(out.cap_yields);
	vm[0].target = vm[0].balloon = out.vm[0].target;
	in.total += P(200);
	in.free += P(200);
	decide();
	assert_true(out.vm[0].target <= capped);
	assert_false(out.cap_yields);
	before = out.vm[0].target;
	vm[0].target = vm[0].balloon = before;
	in.free = policy_thresholds(in.total).high;
	decide();
	assert_int_equal(out.vm[0].target, before);
	in.cap_yields = false;
	decide();
	assert_int_equal(out.vm[0].target, before);
	assert_false(out.cap_yields);
	/* A balloon that is held by hand beyond its cap does not matter for others. */
	in.free += P(200);
	in.cap_yields = true;
	vm[0].manual = true;
	vm[0].target = vm[0].balloon = P(800);
	decide();
	assert_false(out.cap_yields);
}

/* A stuck driver: others give memory, and its target stays. */
static void a_stuck_balloon(void **state)
{
	(void)state;
	vms(2, 900);
	in.balloon_max = 65;
	for (u32 i = 0; i < 2; i++)
		vm[i].resident = P(490);
	vm[0].target = P(400);
	in.free = TOTAL / 40;
	for (int beyond = 0; beyond < 2; beyond++) {
		in.beyond_balloon = beyond;
		vm[0].stuck = true;
		in.state = POLICY_HIGH;
		in.free = TOTAL / 40;
		decide();
		assert_int_equal(out.state, POLICY_SOFT);
		assert_int_equal(out.vm[0].reason, REASON_STUCK);
		assert_true(beyond ? out.vm[0].target > P(400) : out.vm[0].target == P(400));
		/* In this state no means beyond the balloon are used. */
		assert_int_equal(out.vm[0].mechanism, MECHANISM_NONE);
		if (!beyond)
			assert_true(out.vm[0].entitlement >= vm[0].resident);
		in.free = TOTAL / 80;
		decide();
		assert_int_equal(out.state, POLICY_HARD);
		assert_int_equal(out.vm[0].mechanism, beyond ? MECHANISM_SWAP : MECHANISM_NONE);
		assert_int_equal(out.vm[1].mechanism, MECHANISM_BALLOON);
	}
	/* A needy and pressed VM while memory is contended still gets a higher target. */
	vm[0].balloon = P(300);
	vm[0].resident = P(600);
	vm[0].active_permille = 1000;
	vm[1].resident = P(380);
	vm[0].waiting = true;
	in.free = TOTAL / 20;
	decide();
	assert_int_equal(out.vm[0].target, vm[0].target);
	vm[0].stuck = false;
	decide();
	assert_true(out.vm[0].target < P(400));
	/* Silent: its memory is not shared out. */
	vm[0].responsive = false;
	decide();
	assert_int_equal(out.vm[0].entitlement, vm[0].resident);
	assert_int_equal(out.vm[0].rule, RULE_HELD);
}

static void mechanisms_follow_the_plan(void **state)
{
	static const enum policy_mechanism last[] = { MECHANISM_NONE, MECHANISM_BALLOON,
						      MECHANISM_SWAP, MECHANISM_BLOCK };

	(void)state;
	for (u32 s = POLICY_HIGH; s <= POLICY_LOW; s++) {
		vms(3, 900);
		for (u32 i = 0; i < 3; i++) {
			vm[i].resident = P(450);
			vm[i].active_permille = 500;
		}
		vm[1].resident = P(20); /* below its entitlement */
		vm[2].resident = P(450);
		vm[2].manual = true;
		in.state = (enum policy_state)s;
		in.free = TOTAL / 100 * (7 - 2 * s);
		if (s == POLICY_LOW)
			in.free = TOTAL / 200;
		decide();
		assert_int_equal(out.state, s);
		assert_int_equal(out.mechanism, last[s]);
		assert_int_equal(out.vm[0].mechanism, s ? MECHANISM_BALLOON : MECHANISM_NONE);
		assert_int_equal(out.vm[1].mechanism, MECHANISM_NONE);
		assert_int_equal(out.vm[2].mechanism, MECHANISM_NONE);
		assert_int_equal(out.vm[1].rule, RULE_NEED);
		vm[0].responsive = false;
		in.vm = vm;
		decide();
		assert_int_equal(out.vm[0].mechanism, MECHANISM_NONE); /* its memory is its own */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cap),	   cmocka_unit_test(the_cap_yields),
		cmocka_unit_test(the_cap_stays),   cmocka_unit_test(the_cap_comes_back),
		cmocka_unit_test(a_stuck_balloon), cmocka_unit_test(mechanisms_follow_the_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
