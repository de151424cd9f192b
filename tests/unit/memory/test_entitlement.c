/* SPDX-License-Identifier: BSD-2-Clause */
/* Entitlements: by shares and tax, by example; by property; and against their definition. */
#include <tests/unit/memory/policy_fixture.h>

/* Equal in everything except shares: entitlements are in proportion to shares. */
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

/* More memory is active than the host has: no balloon helps; the decision names a VM. */
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
	/* As short of memory, but idle: balloons suffice. */
	for (u32 i = 0; i < 3; i++)
		vm[i].active_permille = 600;
	decide();
	assert_int_equal(out.culprit, POLICY_NOBODY);
	assert_int_equal(out.vm[1].mechanism, MECHANISM_BALLOON);
}

/* At most the taxed part of idle memory goes to others, whatever they want. */
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

/* All its memory is active: more memory would be active, too, and is not taxed as idle. */
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

/*
 * The VM waits for its disk, and so touches little: its own figures count, as far as its shares go.
 */
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
	/* The published figure stays the sampled one. */
	assert_int_equal(out.active, vm[0].resident * 20 / 1000 + vm[1].resident * 160 / 1000);
	/*
	 * A guest that lies gets no more than that; with two such guests the result is as without a
	 * tax.
	 */
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

/* Random input, as a configuration and a machine can give it. */
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

/* The least memory of the VM, whatever its shares. */
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
	if (held(v)) { /* it keeps its memory */
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
			/* Except requests and clamped values. */
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
	assert_true(fits > 5000); /* there was memory to divide */
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
 * The level against its definition, found by bisection from the decision alone: no other level
 * gives out more of the memory.
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
		if (best > memory) /* not even the least memory of all */
			continue;
		/* A fraction of a page of each VM may be lost. */
		assert_true(sum <= best && sum + in.nr_vms >= best);
		divided += sum + in.nr_vms >= memory;
	}
	assert_true(divided > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_divide),
		cmocka_unit_test(idle_tax),
		cmocka_unit_test(active_memory_does_not_fit),
		cmocka_unit_test(the_tax_leaves_a_part),
		cmocka_unit_test(a_hot_guest_grows_untaxed),
		cmocka_unit_test(a_guest_that_pages_is_not_taxed),
		cmocka_unit_test(properties),
		cmocka_unit_test(more_shares_never_less),
		cmocka_unit_test(the_level_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
