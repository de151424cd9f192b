/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed bytes go to the VM that has the terminal, or are keys of the hypervisor. */
#include <tests/unit/control/terminal_fixture.h>

#include <hv/control/manage.h>

static void keys_split_in_any_way(void **state)
{
	static const char typed[] = "zz" A "1ab" A "2cd" A "acd" A A "x\033[A\r" A "0zz" A A "z" A
				    "1q\xff" A "nr" A "ps" A "0";
	u64 seed = 42;

	(void)state;
	for (u32 round = 0; round < 400; round++) {
		for (size_t at = 0, n; at < sizeof(typed) - 1; at += n) {
			n = min(1 + fake_random(&seed) % (round % 40 + 1), sizeof(typed) - 1 - at);
			type_n(typed + at, n);
		}
		assert_false((terminal_borrower() != NULL));
		assert_string_equal(heard(0), "abq\xffs");
		assert_string_equal(heard(1), "cd\001cd\001x\033[A\rr");
		assert_string_equal(heard(2), "");
		pass(50);
		clear();
	}
}

static void who_can_be_chosen(void **state)
{
	(void)state;
	vm_end(vms[1], 0, "test");
	while (vms[1]->state != VM_ENDED)
		vm_background();
	clear();
	type(A "2");
	assert_false((terminal_borrower() != NULL));
	assert_true(on_wire("two does not run"));
	type(A "4" A "9");
	assert_true(on_wire("there is no VM 4"));
	assert_true(on_wire("there is no VM 9"));
	clear();
	type(A "n" A "n" A "n" A "p" A "0" A "p");
	wire[wire_len] = '\0';
	assert_int_equal(count("@console one:"), 2);
	assert_int_equal(count("@console three:"), 3);
	assert_int_equal(count("@console two:"), 0);
	clear();
	type(A "?");
	assert_true(on_wire("  1 one          running  16 MiB, resident 0, balloon 0\r\n"
			    "  2 two          ended    16 MiB"));
	assert_false(fake_log_has("running")); /* for the terminal alone */
	type(A "0");
	pass(20);
	clear();
	type("s?");
	assert_int_equal(count("  3 three "), 2);
	assert_true(on_wire("h ? these keys"));
	clear();
	type("1nx0\r");
	assert_string_equal(wire, ""); /* without Ctrl-a they mean nothing to us */
}

/* Messages to the operator come between two turns of the VM, and none is the VM's. */
static void words_for_the_operator(void **state)
{
	static const char *const typed[] = { A "?", A "x", A "k", A "9" };
	static const char *const told[] = { "Ctrl-a and then\r\n", "x again within 5 seconds",
					    "end VM one: k again within", "there is no VM 9\r\n" };

	(void)state;
	says(0, "# ");
	type(A "1");
	for (u32 i = 0; i < ARRAY_SIZE(typed); i++) {
		char *words, *turn;

		clear();
		type(typed[i]);
		words = strstr(wire, told[i]);
		turn = strstr(wire, "@console one: ");
		assert_int_equal(wire[0], RS);
		assert_non_null(words);
		assert_true(turn > words);
		assert_string_equal(strstr(turn, " [2]\r\n"), " [2]\r\n# ");
		type("n"); /* no */
		clear();
		says(0, "?");
		assert_string_equal(wire, "?");
		says(0, "\n# ");
	}
}

static void a_vm_ends(void **state)
{
	(void)state;
	type(A "1");
	says(0, "last words");
	vm_end(vms[0], 3, "test");
	type("lost");
	while (vms[0]->state != VM_ENDED)
		vm_background();
	clear();
	pass(10);
	assert_false((terminal_borrower() != NULL));
	assert_true(on_wire("vm one: ended with status 3 (test)\r\n@exit name=one status=3"));
	assert_true(on_wire("console: one has ended; the keyboard is the hypervisor's"));
	assert_false(on_wire("last words")); /* seen */
}

static void a_vm_reboots(void **state)
{
	(void)state;
	type(A "1old");
	fake.cpu = 0;
	vm_reboot(vms[0]);
	type("lost");
	assert_string_equal(heard(0), "old"); /* it may be taken apart right now */
	for (u32 i = 0; i < 100 && vms[0]->state != VM_RUNNING; i++) {
		vm_background();
		pass(50);
	}
	assert_int_equal(vms[0]->starts, 2);
	assert_true((terminal_borrower() != NULL));
	type("new");
	assert_string_equal(heard(0), "new");
	clear();
	says(0, "again\r\n");
	assert_string_equal(wire, "again\r\n");
}

static void first_at_boot(void **state)
{
	(void)state;
	vm_end(vms[2], 0, "test");
	while (vms[2]->state != VM_ENDED)
		vm_background();
	operator_begin(vms[2]);
	pass(100);
	assert_false(on_wire("@console")); /* not before it runs */
	assert_int_equal(vm_queue_start(vms[2]), HV_OK);
	vm_background();
	pass(10);
	assert_true(on_wire("@console three:"));
	type(A "0");
	pass(100);
	assert_false((terminal_borrower() != NULL)); /* once */
}

/* Pasted text waits in the port; but a guest that never reads does not lock the operator in. */
static void a_guest_is_not_ready(void **state)
{
	char paste[OPERATOR_TYPED_MAX];
	u32 taken = 0;

	(void)state;
	memset(paste, 'p', sizeof(paste));
	assert_true(operator_ready(fake.tsc)); /* the hypervisor always is */
	type(A "1");
	while (operator_ready(++fake.tsc)) {
		type_n(paste, sizeof(paste));
		taken += (u32)sizeof(paste);
	}
	assert_int_equal(taken, UART_INPUT_MAX);
	sched_event = UINT64_MAX;
	fake.tsc += 500 * MS;
	assert_false(operator_ready(fake.tsc));
	assert_int_equal(sched_event, fake.tsc + MS); /* looked at again */
	assert_int_equal(strlen(heard(0)), UART_INPUT_MAX);
	assert_false(uart_in(vms[0], UART_PORT + 5) & 2); /* no overrun */
	assert_true(operator_ready(fake.tsc));
	for (u32 i = 0; i < UART_INPUT_MAX - 10; i++)
		type_n("q", 1);
	assert_false(operator_ready(++fake.tsc));
	fake.tsc += 1001 * MS;
	assert_true(operator_ready(fake.tsc));
	fake.tsc += 1001 * MS;
	assert_true(operator_ready(fake.tsc)); /* and so it stays */
	type(A "0");
	assert_false((terminal_borrower() != NULL));
}

/* Keys go only to the VM that has the keyboard. */
static void a_vm_is_ended_by_two_keys(void **state)
{
	(void)state;
	type(A "k"
	       "k");
	assert_true(on_wire("Ctrl-a and its number first"));
	type(A "2" A "k");
	assert_true(on_wire("end VM two: k again within 5 seconds"));
	type("x"); /* a no, and no answer to another question */
	assert_int_equal(manage_host_end(), HOST_STAYS);
	assert_true(vm_alive(vms[1]));
	type(A "k");
	pass(5000);
	type("k"); /* too late */
	assert_string_equal(heard(1), "k");
	assert_true(vm_alive(vms[1]));
	type(A "k"
	       "k");
	assert_string_equal(heard(1), "");
	assert_false(vm_alive(vms[1]));
	assert_int_equal(vms[1]->exit_status, 0);
	assert_true(vm_alive(vms[0]) && vm_alive(vms[2]));
	assert_int_equal(manage_host_end(), HOST_STAYS);
}

static void off_is_asked_for_twice(void **state)
{
	(void)state;
	type(A "1" A "xn");
	assert_true(on_wire("x again within 5 seconds"));
	type("x"); /* it was a no: this is the guest's */
	assert_string_equal(heard(0), "x");
	type(A "x");
	pass(5000);
	type("x"); /* too late */
	assert_string_equal(heard(0), "x");
	type(A "x" A "n");
	type("x");
	assert_string_equal(heard(0), "x");
	assert_int_equal(manage_host_end(), HOST_STAYS);
	type(A "x" A "x");
	assert_int_equal(manage_host_end(), HOST_POWER_OFF);
	assert_string_equal(heard(0), "");
	assert_true(fake_log_has("host: power off, asked for by the console"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_split_in_any_way),  T(who_can_be_chosen),
		T(words_for_the_operator), T(a_vm_ends),
		T(a_vm_reboots),	   T(first_at_boot),
		T(a_guest_is_not_ready),   T(a_vm_is_ended_by_two_keys),
		T(off_is_asked_for_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
