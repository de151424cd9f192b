/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has the keyboard, what reaches the terminal, and what is said later. */
#include <tests/fake/guest.h>

#include <hv/control/manage.h>
#include <hv/vm/sched.h>

#define MS FAKE_KHZ
#define VMS 3
#define A "\x01"
#define RS '\036'

static char wire[1 << 20]; /* what the terminal got */
static size_t wire_len;
static struct vm_config cfg[VMS];

static void wire_send(const char *bytes, size_t n)
{
	assert_true(wire_len + n < sizeof(wire));
	memcpy(wire + wire_len, bytes, n);
	wire_len += n;
	wire[wire_len] = '\0';
}

static void wire_line(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n')
			wire_send("\r", 1);
		wire_send(s + i, 1);
	}
}

static struct log_sink sink = { .write = wire_line };

static void clear(void)
{
	wire_len = 0;
	wire[0] = '\0';
	fake_log_clear();
}

/* Lets @ms pass as the scheduler would: a tick whenever one was asked for. */
static void pass(u64 ms)
{
	u64 end = fake.tsc + ms * MS;

	while (fake.tsc < end) {
		fake.tsc = max(fake.tsc + 1, min(sched_event, end));
		sched_event = UINT64_MAX;
		console_tick(fake.tsc);
	}
}

static int setup(void **state)
{
	static bool once;

	(void)state;
	guest_machine(MIB(128), 1);
	for (u32 i = 0; i < VMS; i++) {
		cfg[i] = guest_config((const char *[]){ "one", "two", "three" }[i]);
		guest_start(&cfg[i]);
	}
	if (!once) {
		log_add_sink(&sink);
		console_open(wire_send, &sink);
	}
	once = true;
	sched_event = UINT64_MAX;
	clear();
	return 0;
}

static int teardown(void **state)
{
	console_stop();
	return fake_teardown(state);
}

static void type_n(const char *s, size_t n)
{
	console_typed(s, n);
}

static void type(const char *s)
{
	type_n(s, strlen(s));
	pass(1);
}

static void says(u32 vm, const char *s)
{
	console_output(vms[vm], s, strlen(s));
}

/* What the guest reads at its UART, all of it. */
static const char *heard(u32 vm)
{
	static char text[UART_INPUT_MAX + 1];
	u32 n = 0;

	while (uart_in(vms[vm], UART_PORT + 5) & 1)
		text[n++] = (char)uart_in(vms[vm], UART_PORT);
	text[n] = '\0';
	return text;
}

static bool on_wire(const char *s)
{
	return strstr(wire, s);
}

static u32 count(const char *s)
{
	u32 n = 0;

	for (const char *p = wire; (p = strstr(p, s)); p++)
		n++;
	return n;
}

/* --- what VMs say --------------------------------------------------------------------- */

static void lines_without_escapes(void **state)
{
	(void)state;
	says(0, "\033[1;34mbin\033[m  \033[6netc\033]0;title\007\r\n");
	assert_string_equal(wire, "one| bin  etc?]0;title?\r\n");
	clear();
	says(0, "\033\033[A");
	says(0, "\033[12");
	says(0, "\n\033[");
	says(0, "\nok\n");
	assert_string_equal(wire, "one| ?\r\none| \r\none| ok\r\n"); /* a line always ends */
}

static void a_prompt_is_shown_once(void **state)
{
	(void)state;
	says(0, "login: ");
	pass(1100);
	assert_string_equal(wire, "one| login: \r\n");
	pass(3000);
	says(0, "root");
	pass(1100);
	says(0, "\r\n# ");
	pass(1100);
	assert_string_equal(wire, "one| login: \r\none| root\r\none| \r\none| # \r\n");
}

/* --- focus ------------------------------------------------------------------------------- */

static void has_the_terminal(void **state)
{
	const char *odd = "\033[2J\xc3\xa4\r\0\xff\n\tx";

	(void)state;
	says(0, "# ");
	pass(1100);
	clear();
	type(A "1");
	assert_true(console_lent());
	assert_string_equal(wire, "@console one: Ctrl-a 0 goes back to the hypervisor, Ctrl-a ? "
				  "shows all keys\r\n# ");
	clear();
	console_output(vms[0], odd, 12);
	assert_int_equal(wire_len, 12);
	assert_memory_equal(wire, odd, 12);
	says(1, "noise\n");
	log_line("noise, too");
	pass(2000);
	assert_int_equal(wire_len, 12); /* nobody else; and nothing is logged of what was seen */
	assert_false(fake_log_has("one|"));
	assert_true(fake_log_has("two| noise\n"));
	/* Over, and a guest cannot say so itself. */
	console_output(vms[0], "a\036b", 3);
	assert_memory_equal(wire + 12, "ab", 3);
	clear();
	type(A "0");
	assert_false(console_lent());
	pass(20);
	assert_int_equal(wire[0], RS);
	assert_true(on_wire("\033[0m\r\ntwo| noise\r\n"));
	assert_true(strstr(strchr(wire, RS), "noise, too\r\n["));
	assert_true(on_wire("] console: one; the keyboard is the hypervisor's"));
	clear();
	says(0, "live\n");
	assert_string_equal(wire, "one| live\r\n"); /* the rest of a line: its beginning was seen */
	assert_string_equal(heard(0), "");
}

/* The line that a VM is at comes with the terminal, whoever saw it before. */
static void prompt_comes_again(void **state)
{
	(void)state;
	type(A "2");
	says(1, "booting\r\n\033[1m$ \033[6n");
	type(A "1");
	clear();
	type(A "2");
	assert_string_equal(strchr(wire, '@'),
			    "@console two: Ctrl-a 0 goes back to the hypervisor, "
			    "Ctrl-a ? shows all keys\r\n$ ");
	clear();
	pass(3000); /* it does not become a line, too */
	says(0, "half");
	type(A "1");
	assert_true(on_wire("shows all keys\r\nhalf"));
	type(A "0");
	pass(1100);
	assert_false(on_wire("two| $"));
	assert_false(on_wire("one| half"));
}

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
		assert_false(console_lent());
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
	assert_false(console_lent());
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
	assert_string_equal(wire, ""); /* without Ctrl-a they are nothing to us */
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
	assert_false(console_lent());
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
	assert_true(console_lent());
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
	console_begin(vms[2]);
	pass(100);
	assert_false(on_wire("@console")); /* not before it runs */
	assert_int_equal(vm_queue_start(vms[2]), HV_OK);
	vm_background();
	pass(10);
	assert_true(on_wire("@console three:"));
	type(A "0");
	pass(100);
	assert_false(console_lent()); /* once */
}

static char other[64];

static u32 other_input(struct vm *vm, const char *bytes, size_t n)
{
	assert_ptr_equal(vm, vms[0]);
	strncat(other, bytes, n);
	return 100;
}

/* A VM may have several consoles; the last that it listens on is it. */
static void another_device(void **state)
{
	(void)state;
	type(A "1polled");
	assert_string_equal(heard(0), "polled");
	uart_out(vms[0], UART_PORT + 1, 1);
	type("uart");
	assert_string_equal(heard(0), "uart");
	console_listen(vms[0], other_input);
	type("other");
	assert_string_equal(heard(0), "");
	assert_string_equal(other, "other");
	console_reset(vms[0]);
	type("fresh");
	assert_string_equal(heard(0), "fresh");
}

/* Pasted text waits in the port; but a guest that never reads does not lock anybody in. */
static void a_guest_is_not_ready(void **state)
{
	char paste[CONSOLE_TYPED_MAX];
	u32 taken = 0;

	(void)state;
	memset(paste, 'p', sizeof(paste));
	assert_true(console_ready(fake.tsc)); /* the hypervisor always is */
	type(A "1");
	while (console_ready(++fake.tsc)) {
		type_n(paste, sizeof(paste));
		taken += (u32)sizeof(paste);
	}
	assert_int_equal(taken, UART_INPUT_MAX);
	sched_event = UINT64_MAX;
	fake.tsc += 500 * MS;
	assert_false(console_ready(fake.tsc));
	assert_int_equal(sched_event, fake.tsc + MS); /* looked at again */
	assert_int_equal(strlen(heard(0)), UART_INPUT_MAX);
	assert_false(uart_in(vms[0], UART_PORT + 5) & 2); /* no overrun */
	assert_true(console_ready(fake.tsc));
	for (u32 i = 0; i < UART_INPUT_MAX - 10; i++)
		type_n("q", 1);
	assert_false(console_ready(++fake.tsc));
	fake.tsc += 1001 * MS;
	assert_true(console_ready(fake.tsc));
	fake.tsc += 1001 * MS;
	assert_true(console_ready(fake.tsc)); /* and so it stays */
	type(A "0");
	assert_false(console_lent());
}

/* --- what was missed ----------------------------------------------------------------------- */

/* Lines "line N" on the wire, which must be consecutive from @from and whole. */
static u32 lines_from(u32 from)
{
	char text[40];
	u32 n = from;

	for (char *p = strchr(wire, RS); p; p = strstr(p + 1, "line ")) {
		if (*p == RS)
			continue;
		snprintf(text, sizeof(text), "line %u of many\r\n", n++);
		assert_memory_equal(p, text, strlen(text));
	}
	return n - from;
}

static void missed_lines_in_pieces(void **state)
{
	size_t before;

	(void)state;
	type(A "1");
	for (u32 i = 0; i < 100; i++)
		log_raw("line %u of many", i);
	clear();
	console_typed(A "0", 2);
	console_tick(fake.tsc);
	before = wire_len;
	assert_in_range(lines_from(0), 1, 20); /* a slow port must not hold the host */
	log_raw("line 100 of many");
	assert_int_equal(wire_len, before); /* in its turn */
	pass(100);
	assert_true(on_wire("console: one; the keyboard"));
	assert_int_equal(count("line 100 of many\r\n"), 1);
	log_raw("live");
	assert_string_equal(wire + wire_len - 6, "live\r\n");
	assert_false(on_wire("left out"));
}

static void the_ring_is_too_small(void **state)
{
	u32 left_out, shown;

	(void)state;
	type(A "1");
	clear();
	for (u32 i = 0; i < 5000; i++)
		log_raw("line %u of many", i);
	type(A "0");
	pass(1000);
	assert_non_null(strstr(wire, "... "));
	left_out = (u32)atoi(strstr(wire, "... ") + 4);
	assert_true(on_wire(" lines left out\r\nline "));
	shown = lines_from(left_out);
	assert_int_equal(left_out + shown, 5000);
	assert_in_range(shown, 500, 1000); /* 16 KiB */
	assert_int_equal(count("left out"), 1);
}

/* Somebody logs faster than the port can show. */
static void the_ring_overtakes(void **state)
{
	u32 next = 0, total = 0;

	(void)state;
	type(A "1");
	clear();
	for (u32 i = 0; i < 10; i++)
		log_raw("line %u of many", next++);
	console_typed(A "0", 2);
	for (u32 round = 0; round < 3; round++) {
		console_tick(fake.tsc);
		for (u32 i = 0; i < 1500; i++)
			log_raw("line %u of many", next++);
	}
	pass(1000);
	for (char *p = wire; (p = strstr(p, "line ")); p++)
		total++;
	for (char *p = wire; (p = strstr(p, "... ")); p++)
		total += (u32)atoi(p + 4);
	assert_int_equal(count("left out"), 3);
	/* The line that the hypervisor has the keyboard was among those left out. */
	assert_int_equal(total, next + 1);
}

static void the_host_ends(void **state)
{
	(void)state;
	type(A "1");
	for (u32 i = 0; i < 200; i++)
		log_raw("line %u of many", i);
	clear();
	console_stop();
	assert_int_equal(lines_from(0), 200);
	log_raw("@halt status=0");
	assert_string_equal(wire + wire_len - 16, "@halt status=0\r\n");
}

/* --- hostile ---------------------------------------------------------------------------------- */

static void anything(void **state)
{
	char bytes[300];
	u64 seed = 7;

	(void)state;
	for (u32 round = 0; round < 20000; round++) {
		u32 vm = (u32)(fake_random(&seed) % VMS),
		    n = (u32)(fake_random(&seed) % sizeof(bytes));

		for (u32 i = 0; i < n; i++) {
			u64 r = fake_random(&seed);

			bytes[i] = r % 4 ? (char)(r >> 8) : "\033[\n\036@;m\001"[(r >> 8) % 8];
		}
		if (round % 8)
			console_output(vms[vm], bytes, n);
		else /* no question about power within reach */
			type_n(round % 16 ? A "0" : A "1", 2);
		assert_true(vms[vm]->console.length <= CONSOLE_LINE_MAX);
		assert_int_equal(vms[vm]->console.lock.held, 0);
		if (round % 8 && !console_lent())
			pass(1);
		for (char *p = fake.log; *p; p++)
			assert_true((*p >= ' ' && *p < 0x7f) || *p == '\n' || *p == '\t');
		fake_log_clear();
		if (round % 16 == 8) { /* one turn over at most, and only by us */
			u32 ends = 0;

			for (size_t i = 0; i < wire_len; i++)
				ends += wire[i] == RS;
			assert_true(ends <= 1);
			wire_len = 0;
		}
	}
}

/* --- the end ------------------------------------------------------------------------------------ */

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

/* Who has the keyboard, and nobody else. */
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

/* The last one: a lock that was burst stays so. */
static void a_panic_takes_the_terminal(void **state)
{
	(void)state;
	type(A "1");
	log_raw("missed");
	clear();
	log_bust_lock();
	assert_string_equal(wire, "\036\033[0m\r\r\n");
	clear();
	log_raw("*** CPU 0: ");
	says(0, "and on and on");
	assert_string_equal(wire, "*** CPU 0: \r\n");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_without_escapes),
		T(a_prompt_is_shown_once),
		T(has_the_terminal),
		T(prompt_comes_again),
		T(keys_split_in_any_way),
		T(who_can_be_chosen),
		T(a_vm_ends),
		T(a_vm_reboots),
		T(first_at_boot),
		T(another_device),
		T(a_guest_is_not_ready),
		T(missed_lines_in_pieces),
		T(the_ring_is_too_small),
		T(the_ring_overtakes),
		T(the_host_ends),
		T(anything),
		T(a_vm_is_ended_by_two_keys),
		T(off_is_asked_for_twice),
		T(a_panic_takes_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
