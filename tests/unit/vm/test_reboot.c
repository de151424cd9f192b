/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM that resets itself: its state afterwards, and calls of others in between. */
#include <tests/fake/guest.h>

#include <guest-driver/aerostat_abi.h>
#include <hv/exit/io.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>
#include <mm/epoch.h>

#define SECOND (1000 * FAKE_KHZ)

static struct vm_config cfg, other_cfg;
static struct vm *vm, *other;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("one");
	cfg.vcpus = 2;
	other_cfg = guest_config("two");
	other_cfg.control = true;
	vm = guest_start(&cfg);
	other = guest_start(&other_cfg);
	fake.tsc += 10 * SECOND;
	return 0;
}

static void reset_by(struct vcpu *v)
{
	guest_port(v, PORT_RESET, 1, false, RESET_VALUE);
}

/* The host's work, for as long as there is any and no time needs to pass. */
static void work(void)
{
	for (int i = 0; vm_background(); i++) {
		assert_true(i < 100);
		fake_settle();
	}
}

static u32 state_as_seen(void)
{
	struct aero_vm_info info;

	assert_int_equal(guest_call(other->vcpus[0], AERO_CALL_VM_INFO, 0, 0x200000, 0), AERO_OK);
	assert_int_equal(guest_read(&other->p2m, GPA(0x200000), &info, sizeof(info)), HV_OK);
	return info.state;
}

static void comes_back_as_new(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 units = 0, was = fake.tsc, word;

	(void)state;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x300000), "old life", 8), HV_OK);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, 0x400, ORDER_4K, &b, &units), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
	vm->vcpus[0]->gpr[GPR_RBP] = 0x1234;
	reset_by(vm->vcpus[1]);
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(fake_log_has("vm one: reboots"));
	assert_false(vm_all_ended());
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->starts, 2);
	assert_false(vm->again);
	assert_int_equal(fake.tsc, was); /* it ran for long enough: at once */
	assert_int_equal(vm->tsc_offset, 0 - fake.tsc);
	assert_int_equal(guest_read(&vm->p2m, GPA(0x300000), &word, 8), HV_OK);
	assert_int_equal(word, 0);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(vm->vcpus[0]->gpr[GPR_RBP], 0);
	assert_int_equal(vm->vcpus[0]->state, VCPU_READY);
	assert_int_equal(vm->vcpus[1]->state, VCPU_OFF);
	assert_int_equal(other->starts, 1);
	assert_false(fake_log_has("one: ended"));
	tables_check(&vm->p2m);
	/* And ends like any other. */
	vm_end(vm, 3, "test");
	work();
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->exit_status, 3);
}

/* INIT sends the boot CPU to its firmware; another one waits, with the state after INIT. */
static void by_init(void **state)
{
	struct vcpu *v = vm->vcpus[0], *ap = vm->vcpus[1];
	struct lapic_message m = { .dest = 0, .mode = DM_SIPI, .vector = 8 };

	(void)state;
	lapic_send(vm, &m); /* to one that runs */
	assert_int_equal(v->pending & PENDING_SIPI, 0);
	m.mode = DM_INIT;
	m.dest = 1;
	lapic_send(vm, &m);
	ap->slice_end = UINT64_MAX;
	vcpu_execute(ap);
	assert_int_equal(fake_of(ap)->inits, 1);
	assert_int_equal(fake_of(ap)->state.cr0, 0x60000010);
	assert_int_equal(ap->next, VCPU_OFF);
	ap->next = VCPU_READY;
	assert_int_equal(vm->state, VM_RUNNING);
	m.dest = 0;
	lapic_send(vm, &m);
	v->slice_end = UINT64_MAX;
	vcpu_execute(v);
	assert_int_equal(fake_of(v)->inits, 0);
	assert_true(fake_log_has("vm one: reboots"));
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->starts, 2);
}

/* As Linux does it under hardware-reduced ACPI without UEFI. */
static void by_the_reset_vector(void **state)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT,
			    .fault = { .gpa = GPA(0xffff0), .exec = true } };

	(void)state;
	exit_dispatch(vm->vcpus[0], &e);
	assert_true(vm->again);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->starts, 2);
	/* Only execution, and only there. */
	e.fault.gpa = GPA(0xfffe0);
	exit_dispatch(vm->vcpus[0], &e);
	assert_false(vm->again);
	work();
	assert_int_equal(vm->state, VM_ENDED);
	assert_true(strstr(vm->exit_reason, "execution at fffe0"));
	fake.tsc += SECOND;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	e.fault.gpa = GPA(0xffff0);
	e.fault.exec = false;
	e.fault.write = true;
	exit_dispatch(vm->vcpus[0], &e);
	assert_false(vm->again);
}

/* While a vCPU is on a CPU, here the one that resets, its VM is not taken apart. */
static void waits_for_its_vcpus(void **state)
{
	struct vcpu *v = vm->vcpus[0];

	(void)state;
	list_del(&v->ready);
	v->state = VCPU_RUNNING;
	v->cpu = 0;
	v->started = fake.tsc;
	reset_by(v);
	for (int i = 0; i < 10; i++)
		vm_background();
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(vm->p2m.acct.resident > 0);
	sched_put(v);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->starts, 2);
}

/* The first end of a VM counts. */
static void the_first_counts(void **state)
{
	(void)state;
	vm_end(vm, 5, "test");
	reset_by(vm->vcpus[0]);
	work();
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->exit_status, 5);
	assert_false(vm->again);
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	fake.tsc += SECOND;
	reset_by(vm->vcpus[0]);
	vm_end(vm, 6, "too late");
	reset_by(vm->vcpus[1]); /* the other vCPU, at the same time */
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->starts, 3);
	assert_int_equal(vm->exit_status, 0);
}

static void not_while_it_is_off(void **state)
{
	static const u32 off[] = { VM_NONE, VM_QUEUED, VM_ENDING, VM_ENDED };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		atomic_store(&vm->state, off[i]);
		vm_reboot(vm);
		assert_int_equal(vm->state, off[i]);
		assert_false(vm->again);
	}
	atomic_store(&vm->state, VM_RUNNING);
}

/* Management sees a VM that starts, and can neither start, pause nor stop it twice. */
static void management_meanwhile(void **state)
{
	static const u64 calls[] = { AERO_CALL_PAUSE, AERO_CALL_RESUME, AERO_CALL_RESTART };

	(void)state;
	fake.tsc = 0 - vm->tsc_offset + SECOND / 10;
	reset_by(vm->vcpus[0]);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(vm->state, round ? VM_QUEUED : VM_ENDING);
		assert_int_equal(state_as_seen(), AERO_VM_STARTING);
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
			assert_int_equal(guest_call(other->vcpus[0], calls[i], 0, 0, 0),
					 AERO_ERR_STATE);
		work();
	}
	fake.tsc += SECOND;
	work();
	assert_int_equal(state_as_seen(), AERO_VM_RUNNING);
	assert_int_equal(guest_call(other->vcpus[0], AERO_CALL_STOP, 0, 0, 0), AERO_OK);
	work();
	assert_int_equal(state_as_seen(), AERO_VM_ENDED);
	assert_int_equal(vm->starts, 2);
}

/* Reboots the VM, and has VM two stop it after @steps pieces of the background's work. */
static void stop_after(int steps)
{
	fake.tsc = 0 - vm->tsc_offset + SECOND / 10;
	reset_by(vm->vcpus[0]);
	for (int i = 0; i < steps; i++)
		work();
	assert_int_equal(state_as_seen(), AERO_VM_STARTING);
	assert_int_equal(guest_call(other->vcpus[0], AERO_CALL_STOP, 0, 7, 0), AERO_OK);
	work();
	assert_int_equal(state_as_seen(), AERO_VM_ENDED);
	assert_int_equal(vm->exit_status, 7);
	assert_string_equal(vm->exit_reason, "stopped by VM two");
	assert_false(vm->again);
	assert_int_equal(vm->p2m.acct.min_promised + vm->p2m.acct.reserve, 0);
	assert_int_equal(guest_call(other->vcpus[0], AERO_CALL_STOP, 0, 0, 0), AERO_ERR_STATE);
	fake.tsc += 100 * SECOND;
	work();
	assert_int_equal(state_as_seen(), AERO_VM_ENDED);
}

static void stopped_while_it_is_off(void **state)
{
	(void)state;
	stop_after(0); /* it is being taken apart */
	assert_int_equal(guest_call(other->vcpus[0], AERO_CALL_RESTART, 0, 0, 0), AERO_OK);
	work();
	assert_int_equal(state_as_seen(), AERO_VM_RUNNING);
	stop_after(1); /* it waits for its next start */
}

/* A stop that waited does not outlive the VM's own end. */
static void stopped_as_it_ends(void **state)
{
	(void)state;
	vm_end(vm, 3, "by itself");
	assert_int_equal(vm_stop(vm, 7, "too late"), HV_OK);
	while (vm->state != VM_ENDED) /* and not once more: it is started at once */
		vm_background();
	assert_int_equal(vm->exit_status, 3);
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
}

/* At most one start a second, whatever the VM does, and none loses frames. */
static void reboots_in_a_loop(void **state)
{
	struct frame_stats before, after;
	u64 from;

	(void)state;
	reset_by(vm->vcpus[0]);
	work();
	before = frames_stats();
	from = fake.tsc;
	vm->starts = 0;
	while (fake.tsc < from + 100 * SECOND) {
		if (vm->state == VM_RUNNING)
			reset_by(vm->vcpus[0]);
		sched_event = UINT64_MAX; /* as the scheduler does before it works */
		work();
		assert_true(vm->state == VM_QUEUED || vm->state == VM_RUNNING);
		assert_true(vm->starts <= 8); /* the pause grows: 1 s, 2 s, 4 s ... */
		if (vm->state == VM_QUEUED) {
			u64 next = sched_next_event();

			/* The host is told when: no CPU looks for it all the time. */
			assert_in_range(next, fake.tsc + 1, fake.tsc + 64 * SECOND);
			fake.tsc = next;
		}
	}
	assert_in_range(vm->starts, 5, 7);
	fake.tsc += 64 * SECOND;
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	after = frames_stats();
	assert_int_equal(after.guest, before.guest);
	assert_int_equal(after.table, before.table);
	assert_int_equal(after.hv, before.hv);
	assert_int_equal(after.reserved, before.reserved);
	tables_check(&vm->p2m);
	tables_check(&other->p2m);
}

/* No other VM gets its promised frames while it is off before a restart. */
static void stays_admitted(void **state)
{
	static struct vm_config third;

	(void)state;
	vm_end(vm, 0, "test");
	work();
	cfg.vcpus = 1;
	cfg.memory = cfg.max = cfg.min = MIB(40);
	vm->pages = cfg.memory >> PAGE_SHIFT;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	third = guest_config("three");
	third.memory = third.max = third.min = MIB(30);
	assert_int_equal(vm_create(2, &third), HV_OK);
	reset_by(vm->vcpus[0]); /* less than a second old: it waits */
	work();
	assert_int_equal(vm->state, VM_QUEUED);
	assert_int_equal(vm_queue_start(vms[2]), HV_OK);
	work();
	assert_int_equal(vms[2]->state, VM_ENDED);
	assert_string_equal(vms[2]->exit_reason, "not admitted");
	fake.tsc += SECOND;
	work();
	assert_int_equal(vm->state, VM_RUNNING);
	/* After its end they do. */
	vm_end(vm, 0, "test");
	work();
	assert_int_equal(vm_queue_start(vms[2]), HV_OK);
	work();
	assert_int_equal(vms[2]->state, VM_RUNNING);
}

/* No room for it any more: it ends, and can be started when there is some. */
static void not_admitted_again(void **state)
{
	(void)state;
	cfg.min = MIB(65);
	reset_by(vm->vcpus[0]);
	work();
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->exit_status, VM_STATUS_CRASHED);
	assert_false(vm->again);
	assert_int_equal(state_as_seen(), AERO_VM_ENDED);
	cfg.min = 0;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
}

/* It waits for memory as a start does, ten seconds; then it ends. */
static void no_memory_to_come_back(void **state)
{
	static u32 taken[MIB(64) >> PAGE_SHIFT];
	static struct frame_acct others; /* frames that are promised to nobody */
	struct frame_batch batch = FRAME_BATCH_INIT;
	u32 n = 0;
	u64 from = fake.tsc;

	(void)state;
	reset_by(vm->vcpus[0]);
	vm_background(); /* taken apart, not started */
	assert_int_equal(vm->state, VM_QUEUED);
	fake_settle();
	while (!frame_alloc_guest(&others, n, 0, 0, &taken[n]))
		n++;
	while (vm->state != VM_ENDED) {
		vm_background();
		fake_settle();
		fake.tsc += SECOND / 100;
		assert_true(fake.tsc < from + 12 * SECOND);
	}
	assert_true(fake.tsc > from + 10 * SECOND - SECOND / 10);
	assert_string_equal(vm->exit_reason, "not started: no memory");
	assert_int_equal(vm->exit_status, VM_STATUS_CRASHED);
	assert_false(vm->again);
	assert_int_equal(vm->p2m.acct.tables + vm->p2m.acct.resident, 0);
	while (n)
		assert_int_equal(frame_retire_guest(&others, taken[--n], &batch), HV_OK);
	quarantine_commit(&others, &batch, epoch_now());
	fake_settle();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	work();
	assert_int_equal(vm->state, VM_RUNNING);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(comes_back_as_new),	   T(by_init),
		T(by_the_reset_vector),	   T(waits_for_its_vcpus),
		T(the_first_counts),	   T(not_while_it_is_off),
		T(management_meanwhile),   T(stopped_while_it_is_off),
		T(stopped_as_it_ends),	   T(reboots_in_a_loop),
		T(stays_admitted),	   T(not_admitted_again),
		T(no_memory_to_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
