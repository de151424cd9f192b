/* SPDX-License-Identifier: BSD-2-Clause */
/* Promises: min, tables and reserve of a VM, and unpromised frames. */
#include <tests/unit/mm/frames_fixture.h>

/* All of min, tables and reserve, or nothing. */
static void promised_at_once_or_not_at_all(void **state)
{
	struct frame_acct vm = { .owner = 1 };
	u32 f;

	(void)state;
	machine(16);
	assert_int_equal(frame_promise(&vm, 10, 3, 4), HV_ENOMEM); /* one too many */
	assert_int_equal(vm.min_promised + vm.tables_promised + vm.reserve, 0);
	assert_int_equal(frames_stats().reserved, 0);
	assert_int_equal(frame_promise(&vm, 10, 3, 3), HV_OK);
	assert_int_equal(vm.min_promised, 10);
	assert_int_equal(vm.tables_promised, 3);
	assert_int_equal(vm.reserve, 3);
	assert_int_equal(frames_stats().reserved, 16);
	assert_int_equal(frames_available(), 0);
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, 0, &f), HV_ENOMEM);
	assert_int_equal(frame_promise(&acct, 0, 0, 1), HV_ENOMEM);
	frame_reserve_drop(&vm);
	assert_int_equal(frames_available(), 16);
	assert_sum();
}

/* A min serves only guest memory, and the promise of tables only tables. */
static void each_promise_pays_for_its_own(void **state)
{
	struct frame_acct vm = { .owner = 1 };
	u32 f;

	(void)state;
	machine(8);
	assert_int_equal(frame_promise(&vm, 2, 1, 0), HV_OK);
	for (u64 i = 0; i < 5; i++)
		assert_int_equal(frame_alloc_guest(&acct, i, 0, 0, &f), HV_OK);
	assert_int_equal(frame_alloc_guest(&acct, 5, 0, 0, &f), HV_ENOMEM);
	assert_int_equal(frame_alloc_table(&vm, FRAME_USE_RESERVE, &f), HV_OK);
	assert_int_equal(frame_alloc_table(&vm, FRAME_USE_RESERVE, &f), HV_ENOMEM);
	assert_int_equal(vm.min_promised, 2);
	assert_int_equal(frame_alloc_guest(&vm, 0, 0, FRAME_USE_RESERVE, &f), HV_OK);
	assert_int_equal(frame_alloc_guest(&vm, 1, 0, FRAME_USE_RESERVE, &f), HV_OK);
	assert_int_equal(frame_alloc_guest(&vm, 2, 0, FRAME_USE_RESERVE, &f), HV_ENOMEM);
	assert_int_equal(frames_stats().reserved, 0);
	assert_sum();
}

/* Frames promised to one are not given to another. */
static void reserves_are_kept(void **state)
{
	struct frame_acct rich = { .owner = 1, .reserve_max = 10 };
	u32 f;

	(void)state;
	machine(16);
	frame_reserve_fill(&rich);
	assert_int_equal(rich.reserve, 10);
	assert_int_equal(frames_available(), 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(frame_alloc_guest(&acct, (u64)i, 0, FRAME_USE_RESERVE, &f), HV_OK);
	assert_int_equal(frame_alloc_guest(&acct, 6, 0, FRAME_USE_RESERVE, &f), HV_ENOMEM);
	assert_int_equal(frame_alloc_table(&acct, 0, &f), HV_ENOMEM);
	assert_int_equal(frame_alloc_hv(0, &f), HV_ENOMEM);
	assert_int_equal(frame_alloc_guest(&rich, 0, 0, 0, &f), HV_ENOMEM);
	for (u64 i = 0; i < 10; i++) {
		assert_int_equal(frame_alloc_guest(&rich, i, 0, FRAME_USE_RESERVE, &f), HV_OK);
		assert_int_equal(rich.reserve, 9 - i);
	}
	assert_int_equal(frame_alloc_guest(&rich, 10, 0, FRAME_USE_RESERVE, &f), HV_ENOMEM);
	assert_int_equal(frames_stats().reserved, 0);
	frame_reserve_drop(&rich);
	assert_sum();
}

/* A promised large block that does not exist in one piece uses up no promise. */
static void failed_alloc_keeps_the_reserve(void **state)
{
	struct frame_acct rich = { .owner = 1, .reserve_max = 1024 };
	u32 f;

	(void)state;
	machine(1024);
	frame_reserve_fill(&rich);
	assert_int_equal(
		frame_alloc_guest(&rich, 0, ORDER_2M, FRAME_USE_RESERVE | FRAME_CLEAN_ONLY, &f),
		HV_ENOMEM);
	assert_int_equal(rich.reserve, 1024);
	assert_int_equal(frames_stats().reserved, 1024);
}

/* Half of one VM's reserve goes to another VM that may have it; the sum stays promised. */
static void reserves_are_lent(void **state)
{
	struct frame_acct lender = { .owner = 1, .reserve_max = 9 }, other = { .owner = 2 };
	u32 f;

	(void)state;
	machine(16);
	frame_reserve_fill(&lender);
	acct.reserve_max = 20;
	assert_int_equal(frame_reserve_lend(&lender, &acct), 5);
	assert_int_equal(lender.reserve, 4);
	assert_int_equal(acct.reserve, 5);
	assert_int_equal(frames_stats().reserved, 9);
	assert_int_equal(frame_reserve_lend(&lender, &other), 0); /* ended: has no reserve */
	acct.reserve_max = 6;
	assert_int_equal(frame_reserve_lend(&lender, &acct), 1);
	assert_int_equal(frame_reserve_lend(&lender, &acct), 0);
	acct.reserve_max = 20;
	assert_int_equal(frame_reserve_lend(&lender, &acct), 2);
	assert_int_equal(frame_reserve_lend(&lender, &acct), 1);
	assert_int_equal(frame_reserve_lend(&lender, &acct), 0);
	assert_int_equal(frames_stats().reserved, 9);
	for (u64 i = 0; i < 7; i++)
		assert_int_equal(frame_alloc_guest(&other, i, 0, 0, &f), HV_OK);
	for (u64 i = 0; i < 9; i++)
		assert_int_equal(frame_alloc_guest(&acct, i, 0, FRAME_USE_RESERVE, &f), HV_OK);
	assert_int_equal(frames_stats().reserved, 0);
	assert_sum();
}

/* Frames that an operation frees go to its VM's reserve first. */
static void quarantine_refills_the_reserve(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 f[8];

	(void)state;
	machine(8);
	acct.reserve_max = 3;
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(frame_alloc_guest(&acct, i, 0, 0, &f[i]), HV_OK);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(frame_retire_guest(&acct, f[i], &b), HV_OK);
	quarantine_commit(&acct, &b, epoch_advance());
	assert_int_equal(acct.reserve, 3);
	fake_settle();
	assert_int_equal(frames_available(), 2);
	frame_reserve_drop(&acct);
	assert_int_equal(frames_available(), 5);
	assert_sum();
}

#define T(f) cmocka_unit_test_teardown(f, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(promised_at_once_or_not_at_all),
		T(each_promise_pays_for_its_own),
		T(reserves_are_kept),
		T(failed_alloc_keeps_the_reserve),
		T(reserves_are_lent),
		T(quarantine_refills_the_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
