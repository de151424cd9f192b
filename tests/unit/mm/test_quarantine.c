/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the last mapping and the free lists. */
#include <tests/unit/mm/frames_fixture.h>

/* Nothing leaves before the slowest CPU has passed; older before younger. */
static void quarantine_waits_for_every_cpu(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 before, e1, e2;
	u32 f[2];

	(void)state;
	machine(64);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(frame_alloc_guest(&acct, i, 0, 0, &f[i]), HV_OK);
	before = epoch_now();
	frame_retire_guest(&acct, f[0], &b);
	e1 = epoch_advance();
	quarantine_commit(&acct, &b, e1);
	assert_int_equal(b.first, FRAME_NONE);
	frame_retire_guest(&acct, f[1], &b);
	e2 = epoch_advance();
	quarantine_commit(&acct, &b, e2);
	assert_int_equal(frames_stats().quarantine, 2);

	assert_int_equal(quarantine_drain(64), 0);
	epoch_quiescent(0, e2);
	assert_int_equal(quarantine_drain(64), 0); /* CPU 1 has not passed */
	epoch_quiescent(1, before);
	assert_int_equal(quarantine_drain(64), 0);
	epoch_quiescent(1, e1);
	assert_int_equal(quarantine_drain(64), 1);
	assert_int_equal(frame_get(f[1])->state, FRAME_QUARANTINE);
	epoch_idle_enter(1); /* an idle CPU holds nothing */
	assert_int_equal(quarantine_drain(64), 1);
	assert_int_equal(quarantine_drain(64), 0);
	epoch_idle_leave(1);
	assert_int_equal(epoch_safe(), e2);
	assert_int_equal(frames_stats().quarantine, 0);
	assert_int_equal(frames_stats().free_clean, 0); /* dirty, not clean */
	assert_sum();
}

/* "Again" if quarantined frames will suffice; "no memory" if they will not. */
static void again_only_while_in_quarantine(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 f, g;

	(void)state;
	machine(1);
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, 0, &f), HV_OK);
	assert_int_equal(frame_alloc_guest(&acct, 1, 0, 0, &g), HV_ENOMEM);
	frame_retire_guest(&acct, f, &b);
	quarantine_commit(&acct, &b, epoch_advance());
	assert_int_equal(frame_alloc_guest(&acct, 1, 0, 0, &g), HV_EAGAIN);
	fake_settle();
	assert_int_equal(frame_alloc_guest(&acct, 1, 0, 0, &g), HV_OK);
}

static void drain_is_bounded(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 f;

	(void)state;
	machine(100);
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(frame_alloc_guest(&acct, i, 0, 0, &f), HV_OK);
		frame_retire_guest(&acct, f, &b);
	}
	assert_int_equal(b.frames, 100);
	quarantine_commit(&acct, &b, epoch_advance());
	epoch_quiescent(0, epoch_now());
	epoch_quiescent(1, epoch_now());
	assert_int_equal(quarantine_drain(64), 64);
	assert_int_equal(quarantine_drain(64), 36);
}

/* The epoch in a record has 32 bits; the counter may pass them. */
static void epochs_wrap_in_the_record(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 f;

	(void)state;
	machine(8);
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, 0, &f), HV_OK);
	frame_retire_guest(&acct, f, &b);
	epoch_quiescent(0, epoch_now());
	quarantine_commit(&acct, &b, (u64)(u32)epoch_now() + 1);
	assert_int_equal(quarantine_drain(8), 0);
	epoch_advance();
	fake_settle();
	assert_int_equal(frame_get(f)->state == FRAME_QUARANTINE, false);
}

#define T(f) cmocka_unit_test_teardown(f, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(quarantine_waits_for_every_cpu),
		T(again_only_while_in_quarantine),
		T(drain_is_bounded),
		T(epochs_wrap_in_the_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
