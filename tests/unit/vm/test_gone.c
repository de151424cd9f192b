/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests that will do nothing more: panicked or halted. */
#include <tests/fake/guest.h>

#include <guest-driver/aerostat_abi.h>
#include <hv/dev/console.h>
#include <hv/control/status.h>
#include <hv/exit/io.h>
#include <hv/vm/sched.h>

#define IF BIT(9)

static struct vm_config cfg;
static struct vm *vm;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("one");
	cfg.vcpus = 2;
	vm = guest_start(&cfg);
	fake_log_clear();
	return 0;
}

static void halt(struct vcpu *v, u64 rflags)
{
	struct vmexit e = { .kind = EXIT_HLT, .length = 1 };

	backend->set_reg(v, GREG_RFLAGS, rflags | 2);
	exit_dispatch(v, &e);
}

static void all_halt_with_interrupts_off(void **state)
{
	(void)state;
	vm->vcpus[1]->state = VCPU_READY; /* started */
	halt(vm->vcpus[0], 0);
	assert_string_equal(status_vm_word(vm), "running"); /* the other may send it an NMI */
	halt(vm->vcpus[1], IF);
	assert_string_equal(status_vm_word(vm), "running"); /* an interrupt wakes it */
	assert_false(fake_log_has("stands still"));
	halt(vm->vcpus[1], 0);
	assert_string_equal(status_vm_word(vm), "halted");
	assert_true(fake_log_has("vm one: stands still for ever: all its vCPUs have halted"));
}

/* A vCPU that was never started does nothing, either. */
static void the_only_one_halts(void **state)
{
	(void)state;
	halt(vm->vcpus[0], 0);
	assert_int_equal(status_vm_state(vm), AERO_VM_HALTED);
	assert_int_equal(vm_pause(vm), HV_OK);
	assert_string_equal(status_vm_word(vm), "paused");
}

static void an_nmi_wakes(void **state)
{
	struct vcpu *v = vm->vcpus[0];

	(void)state;
	halt(v, 0);
	atomic_or(&v->pending, (u32)PENDING_NMI);
	v->state = VCPU_RUNNING;
	v->slice_end = UINT64_MAX;
	vcpu_execute(v);
	assert_int_equal(status_vm_state(vm), AERO_VM_RUNNING);
}

static void panic_device(void **state)
{
	struct vcpu *v = vm->vcpus[0];

	(void)state;
	assert_int_equal(guest_port(v, PORT_PANIC, 1, true, 0), 3); /* events that it knows */
	guest_port(v, PORT_PANIC, 1, false, 2);
	assert_true(fake_log_has("vm one: its kernel has panicked, and starts its crash kernel"));
	assert_int_equal(status_vm_state(vm), AERO_VM_RUNNING);
	guest_port(v, PORT_PANIC, 1, false, 1);
	assert_true(fake_log_has("vm one: its kernel has panicked (by its panic device)"));
	assert_string_equal(status_vm_word(vm), "panicked");
	fake_log_clear();
	guest_port(v, PORT_PANIC, 1, false, 1);
	assert_false(fake_log_has("panicked")); /* said once */
	vm_reboot(vm);
	assert_string_equal(status_vm_word(vm), "starting");
}

static void says(const char *text)
{
	console_output(vm, text, strlen(text));
}

static void panic_on_the_console(void **state)
{
	(void)state;
	says("Kernel panic - not syncing: VFS\n");
	assert_int_equal(status_vm_state(vm), AERO_VM_RUNNING); /* it is no Linux */
	vm->is_linux = true;
	says("it says: Kernel panic - not syncing: VFS\r\n");
	says("[    1.234567] Kernel panic\r\n[");
	says("\n[   1.0\n");
	assert_int_equal(status_vm_state(vm), AERO_VM_RUNNING);
	says("[    1.234567] Kernel panic - not syn");
	says("cing: VFS: Unable to mount root fs\r\n");
	assert_int_equal(status_vm_state(vm), AERO_VM_PANICKED);
	assert_true(fake_log_has("vm one: its kernel has panicked (as its console says)"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_halt_with_interrupts_off),
		T(the_only_one_halts),
		T(an_nmi_wakes),
		T(panic_device),
		T(panic_on_the_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
