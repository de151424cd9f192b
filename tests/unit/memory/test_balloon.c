/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports of a balloon's driver, and drivers that are silent or stuck. */
#include <tests/unit/memory/balloon_fixture.h>

static s64 report1(u64 entry)
{
	batch.entry[0] = entry;
	return send(AERO_CALL_REPORT, 1, 0);
}

/* The frames go, the pages stay the guest's, and reading them is no pop. */
static void report(void **state)
{
	u64 resident, word = 7;
	struct p2m_entry e;

	(void)state;
	assert_int_equal(guest_write(&vm->p2m, GPA(page(BATCH)), "", 1), HV_OK);
	for (u64 gfn = 2048; gfn < 2051; gfn++)
		assert_int_equal(guest_write(&vm->p2m, GPA(page(gfn)), "secret", 6), HV_OK);
	resident = vm->p2m.acct.resident;
	assert_int_equal(report1(page(2049)), AERO_OK);
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_true(vm->p2m.acct.resident < resident);
	assert_int_equal(p2m_lookup(&vm->p2m, 2049).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&vm->p2m, 2050).kind, P2M_MAPPED);
	assert_int_equal(report1(page(2049)), AERO_OK); /* no frame there: no error */
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_int_equal(report1(page_2m(2048)), AERO_OK);
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_int_equal(vm->balloon.reported, resident - vm->p2m.acct.resident);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(p2m_lookup(&vm->p2m, 2050).order, ORDER_2M); /* no table left */
	fake_settle();
	guest_touch(v, 2050);
	assert_int_equal(p2m_lookup(&vm->p2m, 2050).kind, P2M_MAPPED);
	assert_int_equal(guest_read(&vm->p2m, GPA(page(2050)), &word, sizeof(word)), HV_OK);
	assert_int_equal(word, 0);
	assert_int_equal(vm->balloon.popped, 0);
	/* And refused reports. */
	assert_int_equal(p2m_pin(&vm->p2m, 2050, &e), HV_OK);
	refused(AERO_CALL_REPORT, page(2050), AERO_ENTRY_BUSY);
	refused(AERO_CALL_REPORT, page_2m(2048), AERO_ENTRY_BUSY);
	assert_int_equal(p2m_unpin(&e), HV_OK);
	assert_int_equal(lock1(page(1024)), AERO_OK);
	refused(AERO_CALL_REPORT, page(1024), AERO_ENTRY_STATE);
	refused(AERO_CALL_REPORT, page_2m(1024), AERO_ENTRY_STATE);
	refused(AERO_CALL_REPORT, page(PAGES), AERO_ENTRY_RANGE);
	refused(AERO_CALL_REPORT, page(0xa0), AERO_ENTRY_RANGE);
	refused(AERO_CALL_REPORT, page(BATCH), AERO_ENTRY_BUSY);
	refused(AERO_CALL_REPORT, page_2m(2049), AERO_ENTRY_MALFORMED);
	vm->balloon.started = false;
	assert_int_equal(report1(page(1030)), AERO_ERR_STATE);
}

static void popped_page(void **state)
{
	u8 byte = 1;

	(void)state;
	assert_int_equal(lock1(page_2m(2048)), AERO_OK);
	guest_touch(v, 2050);
	assert_int_equal(p2m_lookup(&vm->p2m, 2050).kind, P2M_MAPPED);
	assert_int_equal(guest_read(&vm->p2m, GPA(page(2050)), &byte, 1), HV_OK);
	assert_int_equal(byte, 0);
	assert_int_equal(vm->balloon.popped, 1);
	assert_int_equal(vm->p2m.ballooned, 511);
	assert_true(fake_log_has("touched a page that is in its balloon"));
	fake_log_clear();
	guest_touch(v, 2051);
	assert_int_equal(vm->balloon.popped, 2);
	assert_false(fake_log_has("touched a page"));
	assert_int_equal(vm->state, VM_RUNNING);
	batch.entry[0] = page_2m(2048);
	assert_int_equal(send(AERO_CALL_UNLOCK, 1, 0), AERO_OK);
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_int_equal(vm->p2m.ballooned, 0);
}

/*
 * The log names the driver once when it stops and once when it calls again, not each time its VM
 * waits.
 */
static void silent_driver(void **state)
{
	const char *gone = "has been silent for 3 s", *back = "answers again";

	(void)state;
	governor_tick(fake.tsc);
	fake_log_clear();
	fake.tsc += 2900 * FAKE_KHZ;
	governor_tick(fake.tsc);
	assert_false(fake_log_has(gone));
	/* A driver whose VM waits for memory is not silent. */
	atomic_store(&vm->waiting, 1u);
	fake.tsc += 2900 * FAKE_KHZ;
	governor_tick(fake.tsc);
	atomic_store(&vm->waiting, 0u);
	assert_false(fake_log_has(gone));
	fake.tsc += 3100 * FAKE_KHZ;
	governor_tick(fake.tsc);
	assert_true(fake_log_has(gone));
	fake_log_clear();
	for (int i = 0; i < 4; i++) {
		atomic_store(&vm->waiting, i % 2u);
		fake.tsc += 200 * FAKE_KHZ;
		governor_tick(fake.tsc);
	}
	atomic_store(&vm->waiting, 0u);
	assert_false(fake_log_has(gone) || fake_log_has(back));
	guest_call(v, AERO_CALL_POLL, 0, 0, 0);
	fake.tsc += 200 * FAKE_KHZ;
	governor_tick(fake.tsc);
	assert_true(fake_log_has(back));
}

/* Time passes and the guest does nothing. */
static void stand_still(u64 ms)
{
	for (u64 t = 0; t < ms; t += 100) {
		fake.tsc += 100 * FAKE_KHZ;
		governor_tick(fake.tsc);
	}
}

/* A driver of a paused VM is not silent; afterwards its time begins anew. */
static void nobody_blames_the_paused(void **state)
{
	(void)state;
	governor_tick(fake.tsc);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	fake_log_clear();
	assert_int_equal(vm_pause(vm), HV_OK);
	stand_still(20000);
	assert_int_equal(governor_last(vm).reason, REASON_MANUAL);
	assert_int_equal(manage_target(vm, BALLOON_BY_POLICY), HV_OK);
	stand_still(1000);
	assert_int_equal(governor_last(vm).reason, REASON_SILENT); /* it is not shared out */
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	assert_int_equal(vm_resume(vm), HV_OK);
	stand_still(2900);
	assert_false(fake_log_has("silent") || fake_log_has("answers again"));
	assert_false(fake_log_has("stuck"));
	stand_still(200);
	assert_true(fake_log_has("has been silent for 3 s"));
	stand_still(20000); /* a silent driver is not called stuck, too */
	assert_false(fake_log_has("stuck"));
}

/* A VM whose driver has not started, or not again after a reboot, is not stuck. */
static void nobody_blames_who_has_no_driver(void **state)
{
	(void)state;
	governor_tick(fake.tsc);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	for (int times = 0; times < 2; times++) {
		vm->balloon.started = false;
		fake_log_clear();
		stand_still(20000);
		assert_int_equal(guest_call(v, AERO_CALL_START, AERO_ABI_VERSION, ~0UL, 0),
				 AERO_OK);
		stand_still(2900);
		assert_false(fake_log_has("silent") || fake_log_has("stuck"));
		for (u64 t = 0; t < 12000; t += 100) {
			guest_call(v, AERO_CALL_POLL, 0, 0, 0);
			stand_still(100);
		}
		assert_true(fake_log_has(
			"stuck")); /* and a driver that came late has its ten seconds */
	}
	vm->balloon.started = false;
	fake_log_clear();
	stand_still(5000);
	assert_false(fake_log_has("moves again"));
}

static void pass_time(u64 ms)
{
	for (u64 t = 0; t < ms; t += 100) {
		guest_call(v, AERO_CALL_POLL, 0, 0, 0);
		fake.tsc += 100 * FAKE_KHZ;
		governor_tick(fake.tsc);
	}
}

/* A target set by hand kills no program; when the danger is over it is as it was set. */
static void grow_against_the_hand(void **state)
{
	(void)state;
	governor_tick(fake.tsc);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	assert_int_equal(lock1(page_2m(2048)), AERO_OK); /* all that it could reach */
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 100, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], 100);
	assert_int_equal(v->gpr[GPR_RCX], 412);
	pass_time(1900);
	assert_int_equal(vm->balloon.target, 412);
	pass_time(200);
	assert_int_equal(vm->balloon.target, 2048);
	assert_int_equal(vm->balloon.manual, 2048);
}

/* A VM that asks for one page again and again must still give memory. */
static void grow_in_a_loop_is_stuck(void **state)
{
	(void)state;
	governor_tick(fake.tsc);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	assert_int_equal(lock1(page_2m(2048)), AERO_OK);
	fake_log_clear();
	for (u64 t = 0; t < 14000; t += 100) {
		guest_call(v, AERO_CALL_GROW, 1, 0, 0);
		fake.tsc += 100 * FAKE_KHZ;
		governor_tick(fake.tsc);
	}
	assert_true(fake_log_has("has stood at 2 of"));
	fake_log_clear();
	assert_int_equal(lock1(page_2m(2560)), AERO_OK);
	pass_time(100);
	assert_true(fake_log_has("moves again"));
}

/* A lower target set by hand replaces the former one at once. */
static void lowered_by_hand_is_not_stuck(void **state)
{
	(void)state;
	host_config->policy_ms = 8000;
	governor_tick(fake.tsc);
	assert_int_equal(lock1(page_2m(2048)), AERO_OK);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	fake_log_clear();
	pass_time(9000);
	assert_int_equal(manage_target(vm, 512), HV_OK);
	pass_time(30000);
	assert_false(fake_log_has("stuck"));
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	pass_time(30000);
	assert_true(fake_log_has("has stood at 2 of 8 MiB"));
	assert_int_equal(manage_target(vm, 512), HV_OK);
	fake_log_clear();
	pass_time(9000);
	assert_true(fake_log_has("asked for no more than it has, 2 of 2 MiB"));
	assert_false(fake_log_has("moves again"));
}

/* A decision that was made before the guest asked does not change the answer to it. */
static void late_decisions_yield(void **state)
{
	(void)state;
	balloon_set_target(vm, 512);
	balloon_move_target(vm, 1000, 2048);
	assert_int_equal(vm->balloon.target, 512);
	balloon_move_target(vm, 512, 2048);
	assert_int_equal(vm->balloon.target, 2048);
}

/* The driver answers, and gives nothing: the log says so once, and once when it gives again. */
static void stuck_driver(void **state)
{
	const char *stands = "has stood at 0 of 8 MiB for 10 s: stuck", *moves = "moves again";

	(void)state;
	governor_tick(fake.tsc);
	assert_int_equal(manage_target(vm, 2048), HV_OK);
	fake_log_clear();
	pass_time(9800);
	assert_false(fake_log_has(stands));
	atomic_store(&vm->waiting, 1u); /* waiting for memory is no fault of its driver */
	pass_time(5000);
	atomic_store(&vm->waiting, 0u);
	assert_false(fake_log_has(stands));
	pass_time(10200);
	assert_true(fake_log_has(stands));
	assert_false(fake_log_has("silent"));
	fake_log_clear();
	pass_time(3000);
	assert_false(fake_log_has(stands) || fake_log_has(moves));
	assert_int_equal(lock1(page(2000)), AERO_OK);
	pass_time(100);
	assert_true(fake_log_has(moves));
	/* Nearly the target is enough: a driver may count in larger pages. */
	fake_log_clear();
	assert_int_equal(manage_target(vm, 1 + vm->pages / 64), HV_OK);
	pass_time(20000);
	assert_false(fake_log_has("stuck"));
}

/*
 * A VM that waits although it should give, with its reserve used up: at once none of its memory is
 * shared out; it is not called stuck.
 */
static void exhausted(void **state)
{
	struct frame_acct kept = vm->p2m.acct;

	(void)state;
	while (frame_alloc_pages(0))
		; /* the host has nothing left */
	governor_tick(fake.tsc);
	for (int waits = 0; waits < 2; waits++)
		for (int empty = 0; empty < 2; empty++) {
			fake_log_clear();
			balloon_set_target(vm, 2048);
			atomic_store(&vm->waiting, (u32)waits);
			vm->p2m.acct.reserve = empty ? 0 : 4096;
			vm->p2m.acct.reserve_max = vm->p2m.acct.reserve;
			guest_call(v, AERO_CALL_POLL, 0, 0, 0);
			fake.tsc += 100 * FAKE_KHZ;
			governor_tick(fake.tsc);
			assert_int_equal(governor_last(vm).reason == REASON_STUCK, waits && empty);
			assert_false(fake_log_has("stuck"));
		}
	vm->p2m.acct = kept;
	atomic_store(&vm->waiting, 0u);
}

/* At most half of a reserve is lent, even if another VM uses its reserve up again and again. */
static void lends_half(void **state)
{
	static struct vm_config c[2];
	struct vm *lender, *needy;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		c[i] = guest_config(i ? "needy" : "lender");
		c[i].reserve = 64 * PAGE_SIZE;
	}
	lender = guest_start(&c[0]);
	needy = guest_start(&c[1]);
	while (frame_alloc_pages(0))
		; /* the host has nothing left */
	atomic_store(&needy->waiting, 1u);
	for (int times = 0; times < 8; times++) {
		balloon_set_target(needy, 2048);
		balloon_set_target(lender, 0);
		needy->p2m.acct.reserve = 0;
		fake.tsc += 100 * FAKE_KHZ;
		governor_tick(fake.tsc);
	}
	assert_int_equal(lender->p2m.acct.reserve, 32);
	needy->p2m.acct.reserve = 128 - 32; /* the part that it has not used */
	atomic_store(&needy->waiting, 0u);
}

static void say(struct aero_stats s)
{
	assert_int_equal(guest_write(&vm->p2m, GPA(page(BATCH)), &s, sizeof(s)), HV_OK);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, page(BATCH), 0, 0), AERO_OK);
}

static bool pages_in(void)
{
	return fake.tsc < vm->balloon.paging_until;
}

/* Swap-ins and refaults make it a VM that pages, for 10 s, if they are more than a few. */
static void paging(void **state)
{
	(void)state;
	say((struct aero_stats){ .swap_in = 1000000 }); /* since it booted */
	assert_false(pages_in());
	fake.tsc += 1000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 1000015 });
	assert_false(pages_in());
	fake.tsc += 1000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 1000015,
				 .major_faults = 99999 }); /* of programs that start */
	assert_false(pages_in());
	fake.tsc += 1000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 1000025, .refaults = 7 });
	assert_true(pages_in());
	fake.tsc += 9999 * FAKE_KHZ;
	assert_true(pages_in());
	fake.tsc += FAKE_KHZ;
	assert_false(pages_in());
	/* A few faults in a long time are few, and old reports give no rate. */
	say((struct aero_stats){ .swap_in = 1000032 });
	fake.tsc += 4000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 1000032 + 60 });
	assert_false(pages_in());
	fake.tsc += 10000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 2000000 });
	assert_false(pages_in());
	/* It has booted again; then a few at once, twice in a millisecond. */
	fake.tsc += 1000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 5 });
	assert_false(pages_in());
	say((struct aero_stats){ .swap_in = 20 });
	assert_false(pages_in());
	say((struct aero_stats){ .swap_in = UINT64_MAX });
	assert_false(pages_in());
	fake.tsc += 1000 * FAKE_KHZ;
	say((struct aero_stats){ .swap_in = 100 });
	assert_true(pages_in());
}

/* The memory that the guest says it can spare, against the memory that samples see idle. */
static void disagreement(void **state)
{
	(void)state;
	vm->active = PAGES / 4;
	assert_int_equal(balloon_disagreement(vm), 0); /* it has said nothing */
	say((struct aero_stats){ .available = PAGES * 3 / 4 });
	assert_int_equal(balloon_disagreement(vm), 0);
	say((struct aero_stats){ .available = PAGES });
	assert_int_equal(balloon_disagreement(vm), 250);
	say((struct aero_stats){ .available = 0 });
	assert_int_equal(balloon_disagreement(vm), -750);
	vm->active = 0;
	assert_int_equal(balloon_disagreement(vm), -1000);
	say((struct aero_stats){ .available = UINT64_MAX });
	assert_int_equal(balloon_disagreement(vm), 0);
	/* Memory in the balloon does not count as spare. */
	assert_int_equal(lock1(page(2000)), AERO_OK);
	vm->active = PAGES - 1;
	say((struct aero_stats){ .available = 0 });
	assert_int_equal(balloon_disagreement(vm), 0);
	vm->active = PAGES; /* an estimate: it may be more than fits */
	assert_int_equal(balloon_disagreement(vm), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(report),
		T(popped_page),
		T(silent_driver),
		T(nobody_blames_the_paused),
		T(nobody_blames_who_has_no_driver),
		T(lowered_by_hand_is_not_stuck),
		T(grow_against_the_hand),
		T(grow_in_a_loop_is_stuck),
		T(late_decisions_yield),
		T(stuck_driver),
		T(exhausted),
		T(lends_half),
		T(paging),
		T(disagreement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
