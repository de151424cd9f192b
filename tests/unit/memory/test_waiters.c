/* SPDX-License-Identifier: BSD-2-Clause */
/* Several VMs wait for memory: who is furthest below its entitlement comes first. */
#include <tests/fake/guest.h>

#include <hv/memory/governor.h>
#include <hv/control/manage.h>
#include <hv/memory/admission.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>

#define VMS 4

static struct vm_config cfg[VMS];
static struct vm *vm[VMS];
static u64 memory;
static u64 touched[VMS]; /* the next page that it has not touched yet */

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(128), 1);
	memory = MIB(16);
	memset(touched, 0, sizeof(touched));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_machine_off();
	return 0;
}

static void start(u32 i, u64 entitlement)
{
	char name[] = { 'a' + (char)i, 0 };

	cfg[i] = guest_config(name);
	cfg[i].memory = cfg[i].max = memory;
	vm[i] = guest_start(&cfg[i]);
	vm[i]->entitlement = entitlement;
	touched[i] = 1024;
	/* The vCPU is off the ready list, as if it were on the CPU. */
	list_del(&vm[i]->vcpus[0]->ready);
	vm[i]->vcpus[0]->state = VCPU_RUNNING;
	vm[i]->vcpus[0]->started = fake.tsc;
}

/* Takes all free frames, to hand them out one by one. */
static u64 hoard(u32 *frame, u64 n)
{
	u64 have = 0;
	u32 f;

	while (!frame_alloc_hv(0, &f))
		if (have < n)
			frame[have++] = f;
	assert_int_equal(frames_available(), 0);
	return have;
}

/* It touches new pages, at most @max of them, until it has to wait; returns how many it got. */
static u64 run(u32 i, u64 max)
{
	struct vcpu *v = vm[i]->vcpus[0];
	u64 before = vm[i]->p2m.acct.resident;

	if (v->state == VCPU_READY) {
		list_del(&v->ready);
		v->state = VCPU_RUNNING;
		v->started = fake.tsc;
	}
	assert_int_equal(v->state, VCPU_RUNNING);
	while (max-- && v->next != VCPU_NO_MEMORY) {
		guest_touch(v, touched[i]);
		touched[i] += v->next != VCPU_NO_MEMORY;
	}
	if (v->next == VCPU_NO_MEMORY)
		sched_put(v);
	guest_check_promises();
	return vm[i]->p2m.acct.resident - before;
}

static bool waits(u32 i)
{
	return vm[i]->vcpus[0]->state == VCPU_NO_MEMORY;
}

static void give(u32 *frame, u64 n)
{
	while (n--)
		assert_int_equal(frame_free_hv(*frame++), HV_OK);
}

static void all_wait(u32 *frame, u64 n)
{
	assert_int_equal(hoard(frame, n), n);
	for (u32 i = 0; i < nr_vms; i++) {
		run(i, 10);
		assert_true(waits(i));
	}
}

/* Not the VM that asked first. */
static void furthest_below_is_served_first(void **state)
{
	u32 frame[200];

	(void)state;
	start(0, 1000);
	start(1, 1000);
	run(0, 900);
	run(1, 300);
	all_wait(frame, 200);
	give(frame, 100);
	memory_wake_waiters();
	assert_true(waits(0));
	assert_false(waits(1));
	assert_in_range(run(1, 1000), 90, 100);
	assert_true(waits(1));
}

/* The same part of an entitlement, not the same number of pages. */
static void by_the_part_that_it_has(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 2000);
	start(1, 100);
	run(0, 1500); /* 500 pages below, three quarters */
	run(1, 20);   /* 80 pages below, a fifth */
	all_wait(frame, 100);
	give(frame, 10);
	memory_wake_waiters();
	assert_true(waits(0));
	assert_false(waits(1));
}

/* A running VM does not take frames that others wait for, unless they are promised to it. */
static void runners_do_not_overtake(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 100);
	start(1, 1000);
	run(0, 200);
	run(1, 200);
	assert_int_equal(hoard(frame, 100), 100);
	run(1, 10);
	assert_true(waits(1));
	give(frame, 50);
	assert_int_equal(run(0, 10), 0);
	assert_true(waits(0));
	assert_false(waits(1)); /* and the VM that may have it has been woken */
	assert_in_range(run(1, 1000), 40, 50);
	/* A promise is still kept. */
	vm[0]->p2m.acct.min = vm[0]->p2m.acct.resident + 5;
	give(frame + 50, 40);
	frame_reserve_fill(&vm[0]->p2m.acct);
	memory_wake_waiters();
	assert_false(waits(0));
	assert_int_equal(run(0, 1000), 5);
}

static void equals_go_together(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 1000);
	start(1, 1000);
	run(0, 500);
	run(1, 505);
	all_wait(frame, 100);
	give(frame, 20);
	memory_wake_waiters();
	assert_false(waits(0));
	assert_false(waits(1));
}

/* A VM that is paused, or gone, cannot take its turn. */
static void who_cannot_run_holds_up_nobody(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 1000);
	start(1, 1000);
	run(0, 100);
	run(1, 800);
	all_wait(frame, 100);
	give(frame, 50);
	vm[0]->state = VM_PAUSED;
	memory_wake_waiters();
	assert_false(waits(1));
	assert_in_range(run(1, 1000), 40, 50);
}

/* A VM that no decision has seen yet must not wait for the first one. */
static void newcomers_first(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 1000);
	start(1, 0);
	run(0, 100);
	run(1, 100);
	all_wait(frame, 100);
	give(frame, 50);
	memory_wake_waiters();
	assert_true(waits(0));
	assert_false(waits(1));
}

/*
 * A storm: all VMs want all memory at once, memory comes in small pieces, and awake VMs run in the
 * order that is worst for the others. Each ends at its part.
 */
static void a_storm_ends_at_the_entitlements(void **state)
{
	static const u64 entitled[VMS] = { 400, 800, 1200, 1600 };
	static u32 frame[5000];
	u64 n = 0, total = 0, have = 0;

	(void)state;
	for (u32 i = 0; i < VMS; i++) {
		start(i, entitled[i]);
		total += entitled[i];
	}
	all_wait(frame, 5000);
	for (u32 i = 0; i < VMS; i++)
		have += vm[i]->p2m.acct.resident;
	while (n + 40 <= 5000 && have < total) {
		u64 before = have;

		give(frame + n, 40);
		n += 40;
		memory_wake_waiters();
		for (bool any = true; any;) {
			any = false;
			for (u32 i = 0; i < VMS; i++)
				if (!waits(i)) {
					have += run(i, 1000);
					any = true;
				}
		}
		for (u32 i = 0; i < VMS; i++)
			assert_true(waits(i));
		assert_true(have > before);
		/* On the way, too: no VM is ahead of the others by more than a turn and a piece. */
		for (u32 i = 0; i < VMS; i++)
			for (u32 k = 0; have > total / 4 && k < VMS; k++)
				assert_true(vm[i]->p2m.acct.resident * 1000 / entitled[i] <
					    vm[k]->p2m.acct.resident * 1000 / entitled[k] + 16 +
						    40 * 1000 / entitled[i]);
	}
	for (u32 i = 0; i < VMS; i++)
		assert_in_range(vm[i]->p2m.acct.resident, entitled[i] * 95 / 100 - 40,
				entitled[i] * 105 / 100 + 40);
}

/* The governor's decision counts. */
static void entitlements_are_the_governors(void **state)
{
	(void)state;
	start(0, 0);
	run(0, 100);
	fake.tsc += 1000 * 1000 * 1000UL;
	governor_tick(fake.tsc);
	assert_true(vm[0]->entitlement >= vm[0]->p2m.acct.resident);
}

/* The host has just the pages that are promised to two VMs: they get them, wherever they touch. */
static void promises_are_kept(void **state)
{
	u64 low = 0, high = MIB(120) >> PAGE_SHIFT, mine = MIB(30) >> PAGE_SHIFT;

	(void)state;
	memory = MIB(120);
	start(0, 1000);
	start(1, 1000);
	assert_int_equal(manage_min(vm[0], mine), HV_OK);
	while (low + 1 < high) {
		u64 middle = (low + high) / 2;

		*(manage_min(vm[1], middle) ? &high : &low) = middle;
	}
	assert_int_equal(manage_min(vm[1], low), HV_OK);
	assert_in_range(low, MIB(60) >> PAGE_SHIFT, MIB(98) >> PAGE_SHIFT);
	for (u32 i = 0; i < 2; i++)
		while (vm[i]->p2m.acct.resident < (i ? low : mine)) {
			run(i, 1);
			assert_false(waits(i));
		}
}

/*
 * One VM takes all that is free, a second touches a page in each 2 MiB, so that it needs a table
 * for each page: the third still gets its min.
 */
static void tables_do_not_take_a_min(void **state)
{
	u64 least = MIB(4) >> PAGE_SHIFT;

	(void)state;
	memory = MIB(160);
	start(0, 1000);
	start(1, 1000);
	start(2, 1000);
	assert_int_equal(manage_min(vm[2], least), HV_OK);
	run(0, 100000);
	assert_true(waits(0));
	for (touched[1] = 1024; touched[1] < MIB(160) >> PAGE_SHIFT && !waits(1); touched[1] += 511)
		run(1, 1);
	while (vm[2]->p2m.acct.resident < least) {
		run(2, 1);
		assert_false(waits(2));
	}
}

/* A VM whose images are still being copied counts: it already has its promises. */
static void a_vm_that_starts_counts(void **state)
{
	u64 most = MIB(100) >> PAGE_SHIFT;

	(void)state;
	start(0, 1000);
	start(1, 1000);
	vm[1]->cfg->min = MIB(16);
	vm[1]->state = VM_STARTING;
	assert_true(admission_allows_min(vm[0], most));
	assert_false(admission_allows_min(vm[0], most + (MIB(12) >> PAGE_SHIFT)));
	vm[1]->state = VM_ENDED;
	assert_true(admission_allows_min(vm[0], most + (MIB(12) >> PAGE_SHIFT)));
}

/* A min that is raised while another VM has the frames is promised as they come back. */
static void a_min_that_is_not_there_yet(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	memory = MIB(160);
	start(0, 1000);
	start(1, 1000);
	run(0, 100000);
	assert_true(waits(0));
	assert_int_equal(manage_min(vm[1], 1000), HV_OK);
	guest_check_promises();
	assert_in_range(vm[1]->p2m.acct.min_promised, 0, 10);
	for (u64 gfn = 1024; gfn < 1524; gfn++)
		assert_int_equal(p2m_report(&vm[0]->p2m, gfn, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm[0]->p2m, &b);
	frame_reserve_fill(&vm[1]->p2m.acct);
	guest_check_promises();
	assert_in_range(vm[1]->p2m.acct.min_promised, 490, 510);
	fake_settle();
	memory_wake_waiters();
	assert_int_equal(run(0, 10), 0);
	assert_in_range(run(1, 100000), 490, 510);
}

/* Without a driver, too: a VM at its max waits for its own guest, and others do not wait for it. */
static void max_is_a_bound(void **state)
{
	u64 most = MIB(4) >> PAGE_SHIFT, work = 0;
	struct frame_batch b = FRAME_BATCH_INIT;
	u8 byte = 1;

	(void)state;
	start(0, 1000);
	start(1, 100000);
	assert_int_equal(manage_max(vm[0], most), HV_OK);
	run(0, 100000);
	assert_true(waits(0));
	assert_int_equal(vm[0]->p2m.acct.resident, most);
	assert_true(fake_log_has("stands still at its max of 4 MiB"));
	assert_true(frames_available() > 1000);
	assert_int_equal(run(1, 10), 10);
	assert_int_equal(guest_write(&vm[0]->p2m, GPA(MIB(15)), &byte, 1), HV_ENOMEM);
	memory_wake_waiters();
	assert_true(waits(0));
	/* It gives some back. */
	assert_int_equal(p2m_report(&vm[0]->p2m, 1024, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm[0]->p2m, &b);
	memory_wake_waiters();
	assert_false(waits(0));
	run(0, 10);
	assert_int_equal(vm[0]->p2m.acct.resident, most);
}

/* A device that writes to guest memory waits for its turn as the guest does. */
static void devices_wait_for_their_turn(void **state)
{
	u32 frame[100];
	u8 byte = 1;

	(void)state;
	start(0, 100);
	start(1, 1000);
	run(0, 200);
	run(1, 200);
	assert_int_equal(hoard(frame, 100), 100);
	run(1, 10);
	assert_true(waits(1));
	give(frame, 50);
	assert_int_equal(guest_write(&vm[0]->p2m, GPA(MIB(15)), &byte, 1), HV_ENOMEM);
	/* Its reserve serves only its balloon. */
	vm[0]->p2m.acct.reserve_max = 10;
	frame_reserve_fill(&vm[0]->p2m.acct);
	assert_int_equal(guest_write(&vm[0]->p2m, GPA(MIB(15)), &byte, 1), HV_ENOMEM);
	atomic_store(&vm[0]->balloon.target, 1000);
	assert_int_equal(guest_write(&vm[0]->p2m, GPA(MIB(15)), &byte, 1), HV_OK);
	assert_int_equal(vm[0]->p2m.acct.reserve, 9);
}

/* A woken VM asks for memory again, as it would on a CPU. */
static bool said_within(u64 ms)
{
	fake_log_clear();
	for (u64 t = 0; t < ms; t += 100) {
		fake.tsc += 100 * FAKE_KHZ;
		governor_tick(fake.tsc);
		for (u32 i = 0; i < nr_vms; i++)
			if (atomic_load(&vm[i]->state) == VM_RUNNING && !waits(i))
				run(i, 10);
	}
	return fake_log_has("all VMs have waited for it for 10 s");
}

/* The log says it once, after 10 s; not if a VM could still give, or was paused by hand. */
static void a_standstill_is_named(void **state)
{
	u32 frame[100];

	(void)state;
	start(0, 1000);
	start(1, 1000);
	all_wait(frame, 100);
	assert_false(said_within(9900));
	give(frame, 1); /* one moves on */
	assert_false(said_within(9900));
	atomic_store(&vm[1]->state, VM_PAUSED);
	assert_true(said_within(300));
	assert_false(said_within(30000));
	atomic_store(&vm[0]->state, VM_PAUSED); /* no VM waits any more */
	assert_false(said_within(30000));
	atomic_store(&vm[0]->state, VM_RUNNING);
	assert_true(said_within(10300));
	atomic_store(&vm[1]->state, VM_RUNNING);
	give(frame + 1, 99); /* enough for the next 10 s, and one VM goes on */
	assert_false(said_within(1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(furthest_below_is_served_first, setup, teardown),
		cmocka_unit_test_setup_teardown(by_the_part_that_it_has, setup, teardown),
		cmocka_unit_test_setup_teardown(runners_do_not_overtake, setup, teardown),
		cmocka_unit_test_setup_teardown(equals_go_together, setup, teardown),
		cmocka_unit_test_setup_teardown(who_cannot_run_holds_up_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(newcomers_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_storm_ends_at_the_entitlements, setup, teardown),
		cmocka_unit_test_setup_teardown(entitlements_are_the_governors, setup, teardown),
		cmocka_unit_test_setup_teardown(a_standstill_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(promises_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_do_not_take_a_min, setup, teardown),
		cmocka_unit_test_setup_teardown(a_min_that_is_not_there_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(a_vm_that_starts_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(max_is_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(devices_wait_for_their_turn, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
