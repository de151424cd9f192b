/* SPDX-License-Identifier: BSD-2-Clause */
/* LOCK, UNLOCK, START and their batches, from a driver that may be hostile. */
#include <tests/unit/memory/balloon_fixture.h>

static void nothing_before_start(void **state)
{
	(void)state;
	vm->balloon.started = false;
	batch.entry[0] = page(1000);
	assert_int_equal(send(AERO_CALL_LOCK, 1, 0), AERO_ERR_STATE);
	assert_int_equal(send(AERO_CALL_UNLOCK, 1, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(v, AERO_CALL_POLL, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 10, 0, 0), AERO_ERR_STATE);
	assert_int_equal(vm->p2m.ballooned, 0);
}

static void start_negotiates(void **state)
{
	(void)state;
	assert_int_equal(guest_call(v, AERO_CALL_START, 2, ~0UL, 0), AERO_ERR_INVALID);
	assert_int_equal(v->gpr[GPR_RBX], AERO_ABI_VERSION);
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, AERO_FEATURE_2M | 1UL << 40, 0),
			 AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], AERO_FEATURE_2M);
	assert_int_equal(guest_call(v, AERO_CALL_START, 1UL << 32 | 1, 0, 0), AERO_ERR_INVALID);
}

static void batch_page_is_checked(void **state)
{
	u64 p = page(BATCH);
	const struct {
		u64 page, count, first;
		s64 want;
	} bad[] = {
		{ p + 1, 1, 0, AERO_ERR_INVALID },
		{ p + 8, 1, 0, AERO_ERR_INVALID },
		{ p, 0, 0, AERO_ERR_INVALID },
		{ p, 513, 0, AERO_ERR_INVALID },
		{ p, 1, 1, AERO_ERR_INVALID },
		{ p, 512, 512, AERO_ERR_INVALID },
		{ p, 1, 1UL << 63, AERO_ERR_INVALID },
		{ p, 1UL << 63, 0, AERO_ERR_INVALID },
		{ p, UINT64_MAX, UINT64_MAX - 1, AERO_ERR_INVALID },
		{ p, (1UL << 32) + 1, 0, AERO_ERR_INVALID },
		{ p, 1UL << 61, (1UL << 61) - 1, AERO_ERR_INVALID },
		{ page(PAGES), 1, 0, AERO_ERR_FAULT },
		{ page(PAGES - 1) + PAGE_SIZE, 512, 0, AERO_ERR_FAULT },
		{ page(0xa0), 1, 0, AERO_ERR_FAULT }, /* hole */
		{ ~PAGE_MASK, 512, 511, AERO_ERR_FAULT },
		{ 1UL << 63, 1, 0, AERO_ERR_FAULT },
		{ page(1UL << 40), 1, 0, AERO_ERR_FAULT },
	};
	struct snapshot s = snapshot_take(&vm->p2m);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			guest_call(v, AERO_CALL_LOCK, bad[i].page, bad[i].count, bad[i].first),
			bad[i].want);
		assert_int_equal(
			guest_call(v, AERO_CALL_UNLOCK, bad[i].page, bad[i].count, bad[i].first),
			bad[i].want);
	}
	snapshot_same(&vm->p2m, &s);
	assert_int_equal(lock1(page(2000)), AERO_OK);
	assert_int_equal(guest_call(v, AERO_CALL_LOCK, page(2000), 1, 0),
			 AERO_ERR_FAULT); /* ballooned */
}

static void malformed_entries_change_nothing(void **state)
{
	const struct {
		u64 entry, want;
	} bad[] = {
		{ page(1000) | 2, AERO_ENTRY_MALFORMED },
		{ page(1000) | 0x800, AERO_ENTRY_MALFORMED },
		{ page(1024) | 0x10, AERO_ENTRY_MALFORMED }, /* a status of the last call */
		{ page_2m(1025), AERO_ENTRY_MALFORMED },
		{ page_2m(1024 + 256), AERO_ENTRY_MALFORMED },
		{ page(PAGES), AERO_ENTRY_RANGE },
		{ page_2m(PAGES), AERO_ENTRY_RANGE },
		{ AERO_ENTRY_ADDR, AERO_ENTRY_RANGE },
		{ 1UL << 63, AERO_ENTRY_RANGE },
		{ 1UL << 63 | AERO_ENTRY_2M, AERO_ENTRY_RANGE },
		{ page(0xa0), AERO_ENTRY_RANGE },
		{ page(0xff), AERO_ENTRY_RANGE },
		{ page_2m(0), AERO_ENTRY_RANGE }, /* the hole below 1 MiB is in it */
		{ page(BATCH), AERO_ENTRY_BUSY },
		{ page_2m(BATCH), AERO_ENTRY_BUSY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(AERO_CALL_LOCK, bad[i].entry, bad[i].want);
	refused(AERO_CALL_UNLOCK, page(1000), AERO_ENTRY_STATE);
	refused(AERO_CALL_UNLOCK, page(PAGES), AERO_ENTRY_RANGE);
	refused(AERO_CALL_UNLOCK, page_2m(1025), AERO_ENTRY_MALFORMED);
	assert_int_equal(vm->balloon.refused, ARRAY_SIZE(bad) + 3);
	assert_int_equal(vm->p2m.ballooned, 0);
}

static void good_and_bad_in_one_batch(void **state)
{
	struct p2m_entry e;
	u64 flushes;

	(void)state;
	guest_touch(v, 1000);
	guest_touch(v, 1007);
	assert_int_equal(p2m_pin(&vm->p2m, 1007, &e), HV_OK);
	flushes = vm->p2m.flushes;
	batch.entry[0] = page(1000);
	batch.entry[1] = page(1000); /* twice */
	batch.entry[2] = page(1001);
	batch.entry[3] = page(PAGES + 5);
	batch.entry[4] = page_2m(2048);
	batch.entry[5] = page(2050); /* overlaps the one before */
	batch.entry[6] = page(1007); /* pinned */
	assert_int_equal(send(AERO_CALL_LOCK, 7, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], 7);
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_int_equal(status(1), AERO_ENTRY_STATE);
	assert_int_equal(status(2), AERO_ENTRY_OK);
	assert_int_equal(status(3), AERO_ENTRY_RANGE);
	assert_int_equal(status(4), AERO_ENTRY_OK);
	assert_int_equal(status(5), AERO_ENTRY_STATE);
	assert_int_equal(status(6), AERO_ENTRY_BUSY);
	assert_int_equal(vm->p2m.ballooned, 2 + 512);
	assert_int_equal(vm->balloon.locked, 2 + 512);
	assert_int_equal(vm->p2m.flushes, flushes + 1);
	assert_int_equal(guest_call(v, AERO_CALL_POLL, 0, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], 514);
}

static void only_first_to_count_is_looked_at(void **state)
{
	(void)state;
	for (u32 i = 0; i < 8; i++)
		batch.entry[i] = page(1000 + i);
	assert_int_equal(send(AERO_CALL_LOCK, 6, 4), AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], 6);
	assert_int_equal(vm->p2m.ballooned, 2);
	assert_int_equal(p2m_lookup(&vm->p2m, 1003).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&vm->p2m, 1006).kind, P2M_EMPTY);
	assert_int_equal(send(AERO_CALL_LOCK, 6, 0), AERO_OK);
	assert_int_equal(status(0), AERO_ENTRY_OK);
	assert_int_equal(status(4), AERO_ENTRY_STATE);
}

static void full_batch_and_back(void **state)
{
	(void)state;
	for (u32 i = 0; i < 512; i++)
		batch.entry[i] = page(1024 + i);
	assert_int_equal(send(AERO_CALL_LOCK, 512, 0), AERO_OK);
	assert_int_equal(vm->p2m.ballooned, 512);
	assert_int_equal(p2m_lookup(&vm->p2m, 1024).order, ORDER_2M); /* one entry for all pages */
	assert_int_equal(send(AERO_CALL_UNLOCK, 512, 0), AERO_OK);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(vm->balloon.locked, 512);
	assert_int_equal(vm->balloon.unlocked, 512);
	guest_touch(v, 1024);
	assert_int_equal(p2m_lookup(&vm->p2m, 1024).kind, P2M_MAPPED);
}

/* 24 entries of 2 MiB, each with a table; the 21st is a bad one. */
static void much_work(void)
{
	guest_machine(MIB(128), 1);
	cfg.memory = cfg.max = MIB(64);
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, ~0UL, 0), AERO_OK);
	for (u32 i = 0; i < 24; i++) {
		assert_int_equal(guest_write(&vm->p2m, GPA(page(2048 + 512 * i)), "x", 1), HV_OK);
		batch.entry[i] = page_2m(2048 + 512 * i);
	}
	batch.entry[20] |= 2;
}

static void much_work_is_done(void)
{
	assert_int_equal(v->gpr[GPR_RBX], 24);
	assert_int_equal(vm->p2m.ballooned, 23 * 512);
	for (u32 i = 0; i < 24; i++)
		assert_int_equal(status(i), i == 20 ? AERO_ENTRY_MALFORMED : AERO_ENTRY_OK);
}

/* A long batch stops when its slice is over, and goes on there. */
static void batch_is_bounded_and_goes_on(void **state)
{
	u64 first = 0;
	int calls = 0;
	s64 r;

	(void)state;
	much_work();
	do {
		r = send(AERO_CALL_LOCK, 24, first);
		assert_true(v->gpr[GPR_RBX] > first);
		assert_true(v->gpr[GPR_RBX] - first <= P2M_WORK_MAX / PT_ENTRIES);
		first = v->gpr[GPR_RBX];
		calls++;
	} while (r == AERO_AGAIN);
	assert_int_equal(r, AERO_OK);
	assert_int_equal(calls, 3);
	much_work_is_done();
}

/* The VM is on its CPU, with a slice, and no other has work. */
static void alone(void)
{
	list_del(&v->ready);
	v->state = VCPU_RUNNING;
	v->slice_end = UINT64_MAX;
	sched_event = UINT64_MAX;
	assert_true(vcpu_may_go_on(v));
}

static void batch_goes_on_within_its_slice(void **state)
{
	(void)state;
	much_work();
	alone();
	assert_int_equal(send(AERO_CALL_LOCK, 24, 0), AERO_OK);
	much_work_is_done();
}

static void nothing(struct vcpu *who)
{
	(void)who;
}

static void somebody_else(struct vcpu *who)
{
	static struct vm_config other;

	other = guest_config("other");
	guest_start(&other);
	sched_event = UINT64_MAX;
	fake.tsc += plat_tsc_khz(); /* it has run for a while, the other has not */
	(void)who;
}

static void interrupt(struct vcpu *who)
{
	who->pending = PENDING_IRQ;
}

static void paused(struct vcpu *who)
{
	who->vm->state = VM_PAUSED;
}

static void guest_timer(struct vcpu *who)
{
	who->lapic.deadline = fake.tsc;
}

static void host_timer(struct vcpu *who)
{
	(void)who;
	sched_event_at(fake.tsc);
}

/* Events that are due meanwhile do not wait for the whole batch. */
static void batch_gives_way(void **state)
{
	static void (*const reasons[])(struct vcpu *) = { nothing,     interrupt,  paused,
							  guest_timer, host_timer, somebody_else };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		much_work();
		alone();
		reasons[i](v);
		assert_int_equal(send(AERO_CALL_LOCK, 24, 0), i ? AERO_AGAIN : AERO_OK);
	}
}

static void start_resets_and_resumes(void **state)
{
	int calls = 0;

	(void)state;
	for (u32 n = 0; n < 4; n++) { /* every other page: no entry above 4 KiB */
		for (u32 i = 0; i < 512; i++)
			batch.entry[i] = page(1024 + n * 512 + i);
		for (u32 i = 0; i < 512; i += 2)
			batch.entry[i] = page(PAGES); /* refused */
		assert_int_equal(send(AERO_CALL_LOCK, 512, 0), AERO_OK);
	}
	assert_int_equal(vm->p2m.ballooned, 4 * 256);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0x40, 0, 0), AERO_OK);
	guest_machine(MIB(256), 1);
	cfg.memory = cfg.max = MIB(128);
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, 0, 0), AERO_OK);
	for (u32 n = 0; n < 20; n++) {
		struct frame_batch b = FRAME_BATCH_INIT;
		u64 work = 0;

		for (u32 i = 0; i < 512; i += 2)
			assert_int_equal(p2m_lock(&vm->p2m, 1024 + n * 512 + i, 0, &b, &work),
					 HV_OK);
		p2m_commit(&vm->p2m, &b);
	}
	while (guest_call(v, AERO_CALL_START, 1, 0, 0) == AERO_AGAIN) {
		assert_false(vm->balloon.started);
		assert_int_equal(lock1(page(1025)), AERO_ERR_STATE);
		calls++;
	}
	assert_true(calls >= 2);
	assert_true(vm->balloon.started);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(vm->balloon.doorbell.vector, 0);
	/* And the next START begins from the beginning. */
	assert_int_equal(lock1(page(600)), AERO_OK);
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, 0, 0), AERO_OK);
	assert_int_equal(vm->p2m.ballooned, 0);
	tables_check(&vm->p2m);
}

static void every_reply_has_target_and_hint(void **state)
{
	static const u64 calls[] = { AERO_CALL_START,  AERO_CALL_POLL,	AERO_CALL_LOCK,
				     AERO_CALL_UNLOCK, AERO_CALL_STATS, AERO_CALL_DOORBELL };

	(void)state;
	balloon_set_target(vm, 1234);
	vm->balloon.hint = 77;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		guest_call(v, calls[i], calls[i] == AERO_CALL_START ? 1 : page(BATCH), 1, 0);
		assert_int_equal(v->gpr[GPR_RCX], 1234);
		assert_int_equal(v->gpr[GPR_RDX], 77);
	}
	/* Errors too. */
	assert_int_equal(guest_call(v, AERO_CALL_LOCK, 1, 1, 0), AERO_ERR_INVALID);
	assert_int_equal(v->gpr[GPR_RCX], 1234);
}

/* No free frame: a driver that touches each page first still gets all pages into the balloon. */
static void inflation_without_a_free_frame(void **state)
{
	u32 f;

	(void)state;
	guest_machine(MIB(32), 1);
	cfg.reserve = KIB(64);
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, ~0UL, 0), AERO_OK);
	guest_touch(v, BATCH);
	while (!frame_alloc_hv(0, &f))
		;
	assert_int_equal(frames_available(), 0);
	balloon_set_target(vm, 3000);
	for (u64 gfn = 1024; gfn < 1024 + 2000; gfn += 8) {
		for (u64 i = 0; i < 8; i++) {
			guest_touch(v, gfn + i);
			assert_int_equal(p2m_lookup(&vm->p2m, gfn + i).kind, P2M_MAPPED);
			batch.entry[i] = page(gfn + i);
		}
		assert_int_equal(send(AERO_CALL_LOCK, 8, 0), AERO_OK);
		for (u32 i = 0; i < 8; i++)
			assert_int_equal(status(i), AERO_ENTRY_OK);
		fake_settle();
	}
	assert_int_equal(vm->p2m.ballooned, 2000);
	assert_int_equal(vm->waiting, 0);
	/* A VM whose balloon does not grow waits. */
	balloon_set_target(vm, 0);
	while (!frame_alloc_hv(0, &f))
		;
	guest_touch(v, 500);
	assert_int_equal(v->next, VCPU_NO_MEMORY);
	assert_true(fake_log_has("vm web: paused until memory comes back"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_before_start),
		T(start_negotiates),
		T(batch_page_is_checked),
		T(malformed_entries_change_nothing),
		T(good_and_bad_in_one_batch),
		T(only_first_to_count_is_looked_at),
		T(full_batch_and_back),
		T(batch_is_bounded_and_goes_on),
		T(batch_goes_on_within_its_slice),
		T(batch_gives_way),
		T(start_resets_and_resumes),
		T(every_reply_has_target_and_hint),
		T(inflation_without_a_free_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
