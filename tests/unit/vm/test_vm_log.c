/* SPDX-License-Identifier: BSD-2-Clause */
/* The log lines that a guest can cause, and their limit. */
#include <tests/fake/virtio.h>

#include <guest-driver/aerostat_abi.h>
#include <hv/base/log.h>
#include <hv/dev/virtio_rng.h>

#define SECOND (1000 * FAKE_KHZ)
#define NO_BALLOON "gets no balloon"

static struct vm_config cfg, other_cfg;
static struct vm *vm, *other;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("loud");
	cfg.vcpus = 4;
	cfg.balloon = BALLOON_NONE;
	cfg.nr_disks = 1; /* or there would be no bus */
	cfg.disk[0] = (struct disk_config){ .blank = true, .writable = MIB(1) };
	other_cfg = guest_config("other");
	other_cfg.balloon = BALLOON_NONE;
	vm = guest_start(&cfg);
	other = guest_start(&other_cfg);
	fake.tsc += 60 * SECOND;
	fake_log_clear();
	return 0;
}

static s64 start_call(struct vm *of)
{
	return guest_call(of->vcpus[0], AERO_CALL_START, AERO_ABI_VERSION, 0, 0);
}

/* The number of lines that @times calls of START make, all at the same time. */
static u64 lines_of(struct vm *of, u32 times)
{
	u64 before = log_lines();

	while (times--)
		assert_int_equal(start_call(of), AERO_ERR_STATE);
	return log_lines() - before;
}

static void a_burst_then_silence(void **state)
{
	(void)state;
	assert_int_equal(lines_of(vm, 2000), VM_LOG_BURST);
	assert_true(fake_log_has("vm loud: its driver aerostat " NO_BALLOON));
	assert_false(fake_log_has("left out"));
	fake.tsc += VM_LOG_EVERY_MS * FAKE_KHZ - 1;
	assert_int_equal(lines_of(vm, 1), 0);
	fake.tsc += 1;
	assert_int_equal(lines_of(vm, 1), 1);
	assert_true(fake_log_has(" configuration; 1981 left out before\n"));
	assert_int_equal(lines_of(vm, 1), 0);
	assert_int_equal(vm->log.left_out, 1);
}

static void the_neighbour_has_its_own(void **state)
{
	(void)state;
	lines_of(vm, 100);
	assert_int_equal(lines_of(other, 3), 3);
	assert_false(fake_log_has("vm other: 1"));
}

/* Two lines a second in the long run, however the guest spreads its calls. */
static void the_long_run(void **state)
{
	u64 before = log_lines(), seconds = 100;

	(void)state;
	for (u64 ms = 0; ms < seconds * 1000; ms += 7) {
		fake.tsc += 7 * FAKE_KHZ;
		start_call(vm);
	}
	assert_in_range(log_lines() - before, 2 * seconds, VM_LOG_BURST + 2 * seconds + 1);
	/* A VM that was quiet for long has a burst, and no more. */
	fake.tsc += 3600 * SECOND;
	assert_int_equal(lines_of(vm, 2000), VM_LOG_BURST);
}

static void what_was_left_out_is_said_at_the_end(void **state)
{
	(void)state;
	lines_of(vm, 27);
	vm_end(vm, 0, "test");
	assert_true(fake_log_has("vm loud: 7 lines left out\n"));
	assert_true(fake_log_has("vm loud: ended with status 0 (test)"));
	vm_end(other, 0, "test");
	assert_false(fake_log_has("vm other: 0"));
}

/* A driver that damages its queue, resets the device, and does it again. */
static void a_device_broken_in_a_loop(void **state)
{
	struct vio rng = { .v = vm->vcpus[0], .slot = SLOT_RNG, .rings = MIB(2) };
	u64 before = log_lines();

	(void)state;
	virtio_plug(&vm->bus->slot[SLOT_RNG], &virtio_rng, vm, SLOT_RNG, NULL);
	for (int i = 0; i < 2000; i++) {
		vio_write(&rng, VIO_STATUS, 0);
		vio_write(&rng, VIO_QUEUE_SEL, 0);
		vio_write(&rng, VIO_QUEUE_NUM, 3);
		vio_write(&rng, VIO_QUEUE_READY, 1);
		assert_true(vio_read(&rng, VIO_STATUS) & 0x40);
	}
	assert_int_equal(log_lines() - before, VM_LOG_BURST);
	assert_int_equal(vm->log.left_out, 2000 - VM_LOG_BURST);
}

static void shutdown_by(struct vcpu *v)
{
	struct vmexit e = { .kind = EXIT_SHUTDOWN };

	exit_dispatch(v, &e);
}

/* All its vCPUs run into the same fault: one dump, which no limit cuts. */
static void one_dump_a_run(void **state)
{
	u64 before;

	(void)state;
	lines_of(vm, 100);
	before = log_lines();
	vm->state = VM_RUNNING;
	assert_true(vcpu_dump(vm->vcpus[1]));
	assert_true(fake_log_has("vm loud: vCPU 1 stopped at rip"));
	assert_true(log_lines() - before > 10);
	before = log_lines();
	assert_false(vcpu_dump(vm->vcpus[2]));
	assert_int_equal(log_lines(), before);
	shutdown_by(vm->vcpus[3]);
	assert_int_equal(vm->state, VM_ENDING);
	assert_false(fake_log_has("vCPU 3 stopped"));
}

/* One vCPU resets the VM, the others crash at that moment, and so again after each start. */
static void no_dump_of_a_reboot(void **state)
{
	u64 before;

	(void)state;
	vm_reboot(vm);
	before = log_lines();
	for (u32 i = 1; i < vm->nr_vcpus; i++)
		shutdown_by(vm->vcpus[i]);
	assert_int_equal(log_lines(), before);
	for (int i = 0; i < 100 && vm->state != VM_RUNNING; i++) {
		vm_background();
		fake_settle();
	}
	assert_int_equal(vm->state, VM_RUNNING);
	shutdown_by(vm->vcpus[1]); /* a run of its own */
	assert_true(fake_log_has("vm loud: vCPU 1 stopped at rip"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_burst_then_silence),
		T(the_neighbour_has_its_own),
		T(the_long_run),
		T(what_was_left_out_is_said_at_the_end),
		T(a_device_broken_in_a_loop),
		T(one_dump_a_run),
		T(no_dump_of_a_reboot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
