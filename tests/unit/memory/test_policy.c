/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy, a pure function: by example, by property, and in a closed loop. */
#include <tests/fake/fake.h>

#include <hv/memory/policy.h>

#define TOTAL (MIB(1024) >> PAGE_SHIFT)
#define P(mib) (MIB(mib) >> PAGE_SHIFT)

#define MAX_VMS 64
#define SCENES 300

static struct policy_vm vm[MAX_VMS];
static struct policy_vm_out vm_out[MAX_VMS];
static struct policy_scratch scratch[MAX_VMS];
static struct policy_in in;
static struct policy_out out = { .vm = vm_out, .scratch = scratch };

/* @n VMs of @mib each, all of it resident, drivers alive. */
static void vms(u32 n, u64 mib)
{
	in = (struct policy_in){ .total = TOTAL,
				 .tax = 75,
				 .balloon_max = 90,
				 .beyond_balloon = true,
				 .nr_vms = n,
				 .vm = vm };
	for (u32 i = 0; i < n; i++)
		vm[i] = (struct policy_vm){ .size = P(mib),
					    .min = P(mib) / 8,
					    .max = P(mib),
					    .shares = 1000,
					    .resident = P(mib),
					    .active_permille = 500,
					    .responsive = true };
	memset(vm_out, 0xee, sizeof(vm_out));
	memset(scratch, 0xee, sizeof(scratch));
}

static void decide(void)
{
	policy_decide(&in, &out);
	in.state = out.state;
}

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

/* Equal in everything but shares: entitlements stand as the shares do. */
static void shares_divide(void **state)
{
	(void)state;
	vms(2, 1000);
	vm[1].shares = 3000;
	vm[0].resident = P(250);
	vm[1].resident = P(700);
	vm[0].waiting = vm[1].waiting = true;
	in.free = TOTAL / 100;
	for (in.tax = 0; in.tax < 100; in.tax += 33) {
		/* Each all active, or each all idle: the tax is the same for both. */
		vm[0].active_permille = vm[1].active_permille = in.tax == 66 ? 0 : 1000;
		decide();
		assert_in_range(out.vm[1].entitlement * 100 / out.vm[0].entitlement, 299, 301);
		assert_true(out.vm[0].target > out.vm[1].target);
		assert_int_equal(out.vm[0].reason, REASON_VICTIM);
		assert_int_equal(out.vm[0].rule, RULE_SHARES);
	}
}

/* Waldspurger's experiment: equal shares, one idle. The active one gains by the tax. */
static void idle_tax(void **state)
{
	u64 taxed;

	(void)state;
	vms(2, 900);
	for (u32 i = 0; i < 2; i++)
		vm[i].resident = P(480);
	vm[0].active_permille = 0;
	vm[1].active_permille = 1000;
	vm[1].waiting = true;
	in.free = TOTAL / 100;
	decide();
	taxed = out.vm[1].entitlement;
	assert_true(out.vm[1].entitlement > out.vm[0].entitlement * 13 / 10);
	assert_true(out.vm[1].rho > out.vm[0].rho);
	in.tax = 0;
	in.state = POLICY_HIGH;
	decide();
	assert_true(out.vm[1].entitlement < taxed);
	assert_in_range(out.vm[1].rho * 100 / out.vm[0].rho, 99, 101);
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

/* --- who gets what, and by which rule --- */

/* Two of 900 MiB whose balloons are in their way; free is what it is to be. */
static void squeezed_pair(void)
{
	vms(2, 900);
	in.free = policy_thresholds(TOTAL).high;
	for (u32 i = 0; i < 2; i++) {
		vm[i].resident = (TOTAL - in.free) / 2;
		vm[i].balloon = vm[i].target = vm[i].size - vm[i].resident;
	}
}

/* Nothing faults and nobody waits: a guest that its balloon squeezes shows it to itself only. */
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
	/* What nobody has given yet is promised to nobody, but for half of the margin. */
	got = vm[1].target - out.vm[1].target;
	assert_in_range(got, slack - 1, slack);
	/* Both alike: nothing to be done. */
	squeezed_pair();
	decide();
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(out.vm[i].reason, REASON_NONE);
		assert_int_equal(out.vm[i].target, vm[i].target);
	}
}

/* Room that others have and do not use is no reason to take memory from anybody. */
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
	vm[1].waiting = true; /* now there is somebody */
	vm[1].active_permille = 1000;
	vm[0].active_permille = 0;
	decide();
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
}

/* Samples err: balloons do not follow small differences, unless memory is short or is asked for. */
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

/* Growth first; what is spare is divided, and never more than that. */
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
	/* Nothing is spare: what would run out otherwise gets what it asked for, and no more. */
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

/* What is below a balloon's cap is not to be had without something beyond the balloon. */
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
	/* Once there, it is not asked again. */
	vm[0].target = out.vm[0].target;
	decide();
	assert_int_equal(out.vm[0].reason, REASON_NONE);
	assert_int_equal(out.vm[0].target, vm[0].target);
	/* It has less than that, and more than its shares buy: it is to have no more. */
	vm[0].target = 0;
	vm[0].resident = P(300);
	in.free += P(100);
	in.total -= P(100);
	in.free -= P(100);
	decide();
	assert_int_equal(out.vm[0].entitlement, P(300));
	assert_int_equal(out.vm[0].reason, REASON_VICTIM);
	assert_int_equal(out.vm[0].target, P(900) * 65 / 100);
	/* With compression or swap there is nothing but its min, and they are told. */
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

/* Two of 900 MiB; the balloon of the first is where its cap is, and the second waits. */
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

/* The next decision, with what the last one asked for done. */
static void obey(void)
{
	in.cap_yields = out.cap_yields;
	for (u32 i = 0; i < in.nr_vms; i++)
		vm[i].target = vm[i].balloon = out.vm[i].target;
	decide();
}

/* Nothing but balloons, a cap in the way, and somebody waits or memory is low: it yields. */
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
		if (by_silent) /* what it has is its own, and more than there is */
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
	/* One within its cap is an ordinary victim meanwhile. */
	vm[1].responsive = true;
	vm[1].shares = 500;
	vm[1].waiting = false;
	vm[1].resident = P(800);
	decide();
	assert_int_equal(out.vm[1].reason, REASON_VICTIM);
	assert_true(out.vm[1].target < capped);
}

/* Where something else takes memory, or could still be taken below the cap, it stays. */
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
	/* It would give nothing, or is not to: no cap is in the way. */
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
	/* Its shares buy more than its cap leaves it. */
	at_the_cap();
	vm[0].shares = 1000;
	decide();
	assert_int_equal(out.vm[0].rule, RULE_SHARES);
	assert_false(out.cap_yields);
}

/* The caps are back when nobody wants for anything and nothing is beyond them; nothing moves then. */
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
	/* Demands are not met: however much is free now, it goes on. */
	vm[0].resident = P(200);
	vm[1].balloon = vm[1].target = P(150);
	vm[1].resident = P(750);
	in.free = policy_thresholds(TOTAL).high;
	decide();
	assert_true(out.vm[0].target > capped);
	assert_true(out.cap_yields);
	/* They are, but what could be given back at once does not suffice. */
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
	/* One that is held by hand beyond its cap holds up nobody. */
	in.free += P(200);
	in.cap_yields = true;
	vm[0].manual = true;
	vm[0].target = vm[0].balloon = P(800);
	decide();
	assert_false(out.cap_yields);
}

/* A driver that answers and gives nothing: others serve, and it stays asked. */
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
		/* In this state there is nothing after the balloon. */
		assert_int_equal(out.vm[0].mechanism, MECHANISM_NONE);
		if (!beyond)
			assert_true(out.vm[0].entitlement >= vm[0].resident);
		in.free = TOTAL / 80;
		decide();
		assert_int_equal(out.state, POLICY_HARD);
		assert_int_equal(out.vm[0].mechanism, beyond ? MECHANISM_SWAP : MECHANISM_NONE);
		assert_int_equal(out.vm[1].mechanism, MECHANISM_BALLOON);
	}
	/* Needy, its balloon in its way, memory contended: it is asked all the same. */
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
	/* Silent: what it has is nobody's. */
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
		vm[1].resident = P(20); /* below what it is entitled to */
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
		assert_int_equal(out.vm[0].mechanism, MECHANISM_NONE); /* what it has is its own */
	}
}

/* More is in use at once than there is: no balloon helps; somebody is named. */
static void active_memory_does_not_fit(void **state)
{
	(void)state;
	vms(3, 600);
	for (u32 i = 0; i < 3; i++) {
		vm[i].resident = P(330);
		vm[i].active_permille = 990;
	}
	vm[1].shares = 100;
	vm[2].shares = 200;
	in.free = TOTAL / 80;
	decide();
	assert_int_equal(out.active, 3 * (P(330) * 990 / 1000));
	assert_int_equal(out.culprit, 1);
	assert_int_equal(out.vm[1].mechanism, MECHANISM_SWAP);
	assert_int_equal(out.vm[2].mechanism, MECHANISM_NONE); /* it is within its entitlement */
	/* As short of memory, but idle: balloons will do. */
	for (u32 i = 0; i < 3; i++)
		vm[i].active_permille = 600;
	decide();
	assert_int_equal(out.culprit, POLICY_NOBODY);
	assert_int_equal(out.vm[1].mechanism, MECHANISM_BALLOON);
}

/* At most the taxed part of what is idle goes to others, however greedy they are. */
static void the_tax_leaves_a_part(void **state)
{
	u64 untaxed;

	(void)state;
	for (u32 f = 0; f <= 1000; f += 100) {
		vms(2, 1000);
		vm[0].resident = vm[1].resident = P(481);
		vm[1].waiting = true;
		vm[0].min = 0;
		vm[0].active_permille = f;
		vm[1].active_permille = 1000;
		in.free = TOTAL / 100;
		in.tax = 0;
		decide();
		untaxed = out.vm[0].entitlement;
		in.tax = 75;
		decide();
		if (untaxed > P(481) * f / 1000) /* some of that is idle */
			assert_true(out.vm[0].entitlement + 1 >=
				    untaxed - (untaxed - P(481) * f / 1000) * 75 / 100);
		else
			assert_true(out.vm[0].entitlement + 1 >= untaxed);
		assert_true(out.vm[0].entitlement <= untaxed + 1);
	}
}

/* All that it has is active: what it gets more would be, too, and is not taxed as idle. */
static void a_hot_guest_grows_untaxed(void **state)
{
	u64 warm;

	(void)state;
	squeezed_pair();
	vm[0].active_permille = 0;
	vm[1].active_permille = 890;
	decide();
	warm = out.vm[1].entitlement;
	vm[1].active_permille = 1000;
	decide();
	assert_true(out.vm[1].entitlement > warm + P(100));
}

/* It waits for its disk, and so touches little: what it says counts, for what its shares buy. */
static void a_guest_that_pages_is_not_taxed(void **state)
{
	u64 fair;

	(void)state;
	squeezed_pair();
	fair = vm[0].resident;
	vm[0].active_permille = 20;
	vm[1].active_permille = 160;
	decide();
	assert_true(out.vm[1].entitlement < fair + P(80));
	vm[1].paging = true;
	decide();
	assert_true(out.vm[1].entitlement > fair + P(200));
	/* What is published stays what was seen. */
	assert_int_equal(out.active, vm[0].resident * 20 / 1000 + vm[1].resident * 160 / 1000);
	/* A liar gets no more than that; two have what there would be without a tax. */
	vm[0].active_permille = vm[1].active_permille = 1000;
	vm[0].paging = false;
	vm[1].active_permille = 0;
	decide();
	assert_in_range(out.vm[1].entitlement, fair - 1, fair + 1);
	vm[0].paging = true;
	vm[0].active_permille = 0;
	decide();
	assert_in_range(out.vm[0].entitlement, fair - 1, fair + 1);
}

/* Any input that a configuration and a machine can give. */
static void random_input(u64 *seed)
{
	u64 left;

	vms(1 + (u32)(fake_random(seed) % 8), 1);
	in.tax = (u32)(fake_random(seed) % 100);
	in.balloon_max = (u32)(fake_random(seed) % 96);
	in.state = (enum policy_state)(fake_random(seed) % 4);
	in.total = P(16) + fake_random(seed) % (1UL << (12 + fake_random(seed) % 20));
	left = in.total;
	for (u32 i = 0; i < in.nr_vms; i++) {
		struct policy_vm *v = &vm[i];

		v->size = 256 + fake_random(seed) % in.total;
		v->max = 256 + fake_random(seed) % (v->size - 255);
		v->min = fake_random(seed) % (v->max + 1);
		v->shares = 1 + (u32)(fake_random(seed) % (fake_random(seed) & 1 ? 1000000 : 3000));
		v->resident = fake_random(seed) % (min(left, v->size) + 1);
		left -= v->resident;
		v->balloon = fake_random(seed) % (v->size - v->resident + 1);
		v->target = fake_random(seed) % (v->size + 1);
		v->active_permille = (u32)(fake_random(seed) % 1001);
		v->faulted = fake_random(seed) % (v->resident + 1);
		v->grow = fake_random(seed) % 8 ? 0 : fake_random(seed) % v->size;
		v->waiting = fake_random(seed) % 4 == 0;
		v->responsive = fake_random(seed) % 4 != 0;
		v->hold = fake_random(seed) % 8 == 0;
		v->stuck = fake_random(seed) % 8 == 0;
		v->manual = fake_random(seed) % 8 == 0;
		v->paging = fake_random(seed) % 8 == 0;
	}
	in.beyond_balloon = fake_random(seed) & 1;
	in.cap_yields = !in.beyond_balloon && fake_random(seed) & 1;
	in.free = fake_random(seed) % (left + 1);
	in.total -= fake_random(seed) % 4 ? 0 : fake_random(seed) % (left - in.free + 1);
}

static u64 cap(const struct policy_vm *v)
{
	return min(v->size * (in.cap_yields ? 100 : in.balloon_max) / 100, v->size - v->min);
}

static bool held(const struct policy_vm *v)
{
	return v->manual || !v->responsive;
}

/* What the VM cannot be brought below, whatever its shares. */
static u64 rock_bottom(const struct policy_vm *v)
{
	if (held(v))
		return v->resident;
	if (in.beyond_balloon)
		return v->min;
	return max(v->min, v->stuck ? v->resident : min(v->size - cap(v), v->resident));
}

/* Never below min or above max; targets within the VM; the sum fits if the mins do. */
static void check_one(const struct policy_vm *v, const struct policy_vm_out *o)
{
	if (held(v)) { /* it has what it has */
		assert_int_equal(o->entitlement, v->resident);
		assert_int_equal(o->target, v->target);
		assert_int_equal(o->reason, !v->manual ? REASON_SILENT :
					    v->grow    ? REASON_GROW :
							 REASON_MANUAL);
		return;
	}
	assert_true(o->entitlement >= v->min);
	assert_true(o->entitlement <= max(v->max, v->stuck ? v->resident : 0));
	assert_true(o->target <= cap(v));
	assert_true(o->target >= min(v->size - v->max, cap(v)));
	if (v->hold && o->reason == REASON_HOLD)
		assert_true(o->target <= v->target);
}

static void properties(void **state)
{
	u64 seed = 2026, fits = 0;

	(void)state;
	for (int n = 0; n < 20000; n++) {
		u64 sum = 0, bottom = 0, given_back = 0, known, memory, spare;
		struct policy_thresholds t;

		random_input(&seed);
		policy_decide(&in, &out);
		t = policy_thresholds(in.total);
		known = in.free;
		for (u32 i = 0; i < in.nr_vms; i++) {
			const struct policy_vm *v = &vm[i];

			check_one(v, &out.vm[i]);
			sum += out.vm[i].entitlement;
			bottom += rock_bottom(v);
			known += v->resident;
			/* But for what was asked for and what is clamped. */
			if (!v->grow && v->target <= cap(v) &&
			    min(v->balloon, v->target) > out.vm[i].target)
				given_back += min(v->balloon, v->target) - out.vm[i].target;
		}
		memory = in.total - t.high - (in.total - min(known, in.total));
		if (in.total - t.high < in.total - min(known, in.total))
			memory = 0;
		assert_true(sum <= max(memory, bottom));
		fits += sum <= memory;
		spare = in.free - min(in.free, t.soft);
		assert_true(given_back <= spare);
		assert_in_range(out.state, POLICY_HIGH, POLICY_LOW);
	}
	assert_true(fits > 5000); /* there was something to divide */
}

/*
 * All else equal, more shares never mean less memory; nor does being more
 * active.  (The common level is an integer: a page may be lost in rounding.)
 */
static void more_shares_never_less(void **state)
{
	u64 seed = 7;

	(void)state;
	for (int n = 0; n < 20000; n++) {
		struct policy_vm_out before[8], more[8];

		random_input(&seed);
		policy_decide(&in, &out);
		memcpy(before, vm_out, sizeof(before));
		vm[0].shares += 1 + vm[0].shares / (1 + (u32)(fake_random(&seed) % 50));
		policy_decide(&in, &out);
		assert_true(out.vm[0].entitlement + 1 >= before[0].entitlement);
		for (u32 i = 1; i < in.nr_vms; i++)
			assert_true(out.vm[i].entitlement <= before[i].entitlement + 1);
		memcpy(more, vm_out, sizeof(more));
		vm[0].active_permille = min(vm[0].active_permille + 100, 1000u);
		policy_decide(&in, &out);
		assert_true(out.vm[0].entitlement + 1 >= more[0].entitlement);
	}
}

/*
 * The level against its definition, found by bisection with nothing but what
 * the decision says: no other one gives out more of the memory that there is.
 */
static u64 at_level(const struct policy_vm *v, const struct policy_scratch *c, u64 level)
{
	u64 active_cost = 100 - in.tax, all_active = c->active * active_cost;
	u64 paid = (u64)((unsigned __int128)level * v->shares >> 24);
	u64 pages = paid <= all_active ? paid / active_cost : c->active + (paid - all_active) / 100;

	return min(max(pages, c->least), c->most);
}

static u64 all_at(u64 level)
{
	u64 sum = 0;

	for (u32 i = 0; i < in.nr_vms; i++)
		sum += at_level(&vm[i], &scratch[i], level);
	return sum;
}

static void the_level_is_right(void **state)
{
	u64 seed = 77, divided = 0;

	(void)state;
	for (int n = 0; n < 5000; n++) {
		u64 sum = 0, memory, known, low = 0, best, high;

		random_input(&seed);
		policy_decide(&in, &out);
		known = in.free;
		for (u32 i = 0; i < in.nr_vms; i++) {
			known += vm[i].resident;
			sum += out.vm[i].entitlement;
		}
		high = policy_thresholds(in.total).high + in.total - min(known, in.total);
		memory = in.total - min(high, in.total);
		for (u64 bit = BIT(62); bit; bit >>= 1)
			low += all_at(low + bit) <= memory ? bit : 0;
		best = all_at(low);
		if (best > memory) /* not even what all have at least */
			continue;
		/* Fractions of a page, of each, may be lost. */
		assert_true(sum <= best && sum + in.nr_vms >= best);
		divided += sum + in.nr_vms >= memory;
	}
	assert_true(divided > 1000);
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

/* The most that fits: 16 TiB, 64 VMs that could each use all of it, and the most shares. */
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
	/* Of a million and 63 shares the first has all but 63. */
	for (u32 i = 1; i < 64; i++)
		vm[i].shares = 1;
	decide();
	assert_in_range(out.vm[1].entitlement, one - 1, one + 1);
	assert_in_range(out.vm[0].entitlement, memory - 63 * (one + 1), memory - 62 * one);
}

/* --- closed loop: guests that want @want frames, drivers that move @speed pages a round --- */

struct guest {
	u64 want;
	u64 speed;
	bool asks;	/* to grow, when its balloon is in its way */
	u32 held_until; /* round */
};

static u64 moved; /* pages that balloons moved in the last round */
static u32 now;	  /* rounds */

/* GROW: memory at once, and no inflation for 2 s. */
static void ask(struct policy_vm *v, struct guest *g)
{
	v->grow = 0;
	if (g->asks && g->want > v->size - v->balloon && now >= g->held_until && v->responsive &&
	    v->balloon) {
		v->grow = min(g->want - (v->size - v->balloon), P(8));
		out.vm[v - vm].target = v->balloon - min(v->balloon, v->grow);
		g->held_until = now + 20;
	}
	v->hold = now < g->held_until;
}

static void round_of(struct guest *g)
{
	u64 held = 0;

	now++;

	moved = 0;
	for (u32 i = 0; i < in.nr_vms; i++) {
		struct policy_vm *v = &vm[i];
		u64 to = out.vm[i].target, step;

		v->target = to;
		if (v->responsive) {
			step = to > v->balloon ? to - v->balloon : v->balloon - to;
			step = min(step, g[i].speed);
			v->balloon = to > v->balloon ? v->balloon + step : v->balloon - step;
			moved += step;
		}
		v->resident = min(v->resident, v->size - v->balloon);
		held += v->resident;
	}
	for (u32 i = 0; i < in.nr_vms; i++) {
		struct policy_vm *v = &vm[i];
		u64 room = min(v->size - v->balloon, g[i].want);
		u64 take = room > v->resident ? room - v->resident : 0;

		v->waiting = take > in.total - held;
		take = min(min(take, in.total - held), g[i].speed);
		v->resident += take;
		v->faulted = take;
		held += take;
		ask(v, &g[i]);
		v->target = out.vm[i].target;
	}
	in.free = in.total - held;
	in.cap_yields = out.cap_yields;
	decide();
}

static void start_loop(u32 n, u64 mib)
{
	vms(n, mib);
	for (u32 i = 0; i < n; i++)
		vm[i].resident = 0;
	in.free = in.total;
	decide();
}

/* Twice the memory is asked for: after a while nothing moves, and nobody waits. */
static void overcommit_settles(void **state)
{
	struct guest one = { .want = P(512), .speed = P(16) }, g[4] = { one, one, one, one };
	u64 late = 0, waits = 0;

	(void)state;
	start_loop(4, 512);
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		if (i >= 700) {
			late += moved;
			for (u32 k = 0; k < 4; k++)
				waits += vm[k].waiting;
		}
	}
	assert_true(late < 300 * P(1)); /* less than 1 MiB of a GiB in each round */
	assert_int_equal(waits, 0);
	assert_true(in.free >= policy_thresholds(TOTAL).hard);
	for (u32 k = 0; k < 4; k++)
		assert_in_range(vm[k].resident, P(215), P(262));
}

/*
 * Whoever they are and whatever they want: with steady demand all is at rest after 30 s at most
 * (229 decisions in the slowest of these), nobody waits any more, or is below his min.
 */
static void random_scenes_come_to_rest(void **state)
{
	u64 seed = 5, ever = 0;

	(void)state;
	for (u32 scene = 0; scene < SCENES; scene++) {
		struct guest g[8];
		u32 n = 2 + (u32)(fake_random(&seed) % 7);

		start_loop(n, 1);
		in.tax = (u32)(fake_random(&seed) % 100);
		in.balloon_max = 65;
		in.beyond_balloon = false;
		for (u32 i = 0; i < n; i++) {
			vm[i].size = vm[i].max = P(64) + fake_random(&seed) % P(1000);
			vm[i].min = min(fake_random(&seed) % (TOTAL / 2 / n), vm[i].size);
			vm[i].shares = 100 + (u32)(fake_random(&seed) % 4000);
			vm[i].active_permille = (u32)(fake_random(&seed) % 1001);
			g[i] = (struct guest){ .want = fake_random(&seed) % (vm[i].size + 1),
					       .speed = P(4) + fake_random(&seed) % P(60) };
		}
		for (u32 i = 0; i < 400; i++) {
			round_of(g);
			ever += moved;
			for (u32 k = 0; i >= 300 && k < n; k++) {
				assert_int_equal(moved, 0);
				assert_false(vm[k].waiting);
				assert_true(vm[k].resident >= min(vm[k].min, g[k].want));
			}
		}
	}
	assert_true(ever > SCENES * P(64)); /* there was something to come to rest from */
}

/* Demand goes from one VM to the other: memory follows, both ways. */
static void memory_follows_demand(void **state)
{
	struct guest g[2] = { { P(700), P(16), true, 0 }, { P(100), P(16), true, 0 } };

	(void)state;
	start_loop(2, 800);
	for (int turn = 0; turn < 4; turn++) {
		u32 busy = turn & 1;

		g[busy].want = P(700);
		g[!busy].want = P(100);
		vm[busy].active_permille = 900;
		vm[!busy].active_permille = 50;
		for (int i = 0; i < 300; i++)
			round_of(g);
		assert_true(vm[busy].resident >= P(600));
	}
}

/* One driver is dead and holds all it can: the others keep their share and stay calm. */
static void a_stuck_vm_disturbs_nobody(void **state)
{
	struct guest one = { .want = P(512), .speed = P(16) }, g[3] = { one, one, one };
	u64 late = 0;

	(void)state;
	start_loop(3, 512);
	vm[0].responsive = false;
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		if (i >= 700)
			late += moved;
	}
	assert_true(late < 300 * P(1));
	/* What the stuck one holds is not shared out, and the free margin is kept. */
	assert_in_range(vm[1].resident, P(220), P(345));
	assert_true(vm[1].resident + P(8) > vm[2].resident &&
		    vm[2].resident + P(8) > vm[1].resident);
}

/*
 * A quiet VM at its cap beside one that waits: the waiting ends, nothing swings,
 * and once the other has ended the quiet one has its memory again.
 */
static void nobody_waits_for_a_cap(void **state)
{
	struct guest g[2] = { { P(800), P(16), false, 0 }, { P(200), P(16), false, 0 } };
	u64 late = 0, waits = 0, beyond = 0;

	(void)state;
	start_loop(2, 800);
	in.balloon_max = 50;
	in.beyond_balloon = false;
	vm[1].min = 0;
	vm[0].active_permille = 1000;
	vm[1].active_permille = 0;
	g[0].want = 0;
	g[1].want = P(600);
	for (int i = 0; i < 100; i++)
		round_of(g);
	g[0].want = P(800);
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		beyond += out.vm[1].reason == REASON_BEYOND;
		if (i >= 300) {
			late += moved;
			waits += vm[0].waiting + vm[1].waiting;
		}
	}
	assert_int_equal(waits, 0);
	assert_true(late < P(8));
	assert_true(beyond > 0);
	assert_true(vm[1].balloon > P(400));
	assert_true(out.cap_yields);
	g[0].want = 0;
	vm[0].resident = 0; /* it frees what it has */
	for (int i = 0; i < 100; i++)
		round_of(g);
	assert_int_equal(vm[1].balloon, 0);
	assert_false(out.cap_yields);
}

/* The load goes away: balloons empty themselves. */
static void plenty_gives_back(void **state)
{
	struct guest one = { .want = P(800), .speed = P(16) }, g[2] = { one, one };

	(void)state;
	start_loop(2, 800);
	for (int i = 0; i < 300; i++)
		round_of(g);
	assert_true(vm[0].balloon > P(200));
	in.nr_vms = 1; /* the other has ended */
	for (int i = 0; i < 100; i++)
		round_of(g);
	assert_int_equal(vm[0].balloon, 0);
	assert_int_equal(vm[0].resident, P(800));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds),
		cmocka_unit_test(states_have_hysteresis),
		cmocka_unit_test(batches_shrink_with_memory),
		cmocka_unit_test(plenty_asks_for_nothing),
		cmocka_unit_test(shares_divide),
		cmocka_unit_test(idle_tax),
		cmocka_unit_test(reasons),
		cmocka_unit_test(max_is_enforced_in_plenty),
		cmocka_unit_test(plenty_is_divided_anew),
		cmocka_unit_test(nobody_gives_for_nobody),
		cmocka_unit_test(small_differences_are_left),
		cmocka_unit_test(spare_memory_is_divided),
		cmocka_unit_test(the_cap),
		cmocka_unit_test(the_cap_yields),
		cmocka_unit_test(the_cap_stays),
		cmocka_unit_test(the_cap_comes_back),
		cmocka_unit_test(a_stuck_balloon),
		cmocka_unit_test(mechanisms_follow_the_plan),
		cmocka_unit_test(active_memory_does_not_fit),
		cmocka_unit_test(the_tax_leaves_a_part),
		cmocka_unit_test(a_hot_guest_grows_untaxed),
		cmocka_unit_test(a_guest_that_pages_is_not_taxed),
		cmocka_unit_test(properties),
		cmocka_unit_test(more_shares_never_less),
		cmocka_unit_test(the_level_is_right),
		cmocka_unit_test(no_vms),
		cmocka_unit_test(no_memory_and_no_shares),
		cmocka_unit_test(largest_machine),
		cmocka_unit_test(overcommit_settles),
		cmocka_unit_test(random_scenes_come_to_rest),
		cmocka_unit_test(memory_follows_demand),
		cmocka_unit_test(a_stuck_vm_disturbs_nobody),
		cmocka_unit_test(nobody_waits_for_a_cap),
		cmocka_unit_test(plenty_gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
