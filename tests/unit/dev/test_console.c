/* SPDX-License-Identifier: BSD-2-Clause */
/* Output of VMs becomes lines of the log, or goes to the terminal if the VM has it. */
#include <tests/unit/control/terminal_fixture.h>

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
	assert_string_equal(wire, "one|+login: \r\n");
	pass(3000);
	says(0, "root");
	pass(1100);
	says(0, "\r\n# ");
	pass(1100);
	assert_string_equal(wire, "one|+login: \r\none|+root\r\none| \r\none|+# \r\n");
}

/* The bytes of a VM, from its lines on the wire: pieces that go on are put together. */
static const char *said_by_one(void)
{
	static char text[4096];
	size_t n = 0;

	for (char *p = wire, *end; (end = strstr(p, "\r\n")); p = end + 2) {
		assert_memory_equal(p, "one|", 4);
		assert_true(p[4] == ' ' || p[4] == '+');
		memcpy(text + n, p + 5, (size_t)(end - p - 5));
		n += (size_t)(end - p - 5);
		if (p[4] == ' ')
			text[n++] = '\n';
	}
	text[n] = '\0';
	return text;
}

/* The log has all bytes of a guest, for any pauses and any length of lines. */
static void pauses_and_long_lines_change_no_byte(void **state)
{
	char said[2048];
	u64 seed = 3;
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < sizeof(said) - 2; i++)
		said[i] = fake_random(&seed) % (i < 700 ? 10 : 500) ? (char)('a' + i % 26) : '\n';
	said[sizeof(said) - 2] = '\n';
	said[sizeof(said) - 1] = '\0';
	while (said[n]) {
		u32 m = min(1 + (u32)(fake_random(&seed) % 100), (u32)strlen(said + n));

		console_output(vms[0], said + n, m);
		n += m;
		pass(fake_random(&seed) % 2 ? 1100 : 10);
	}
	assert_string_equal(said_by_one(), said);
	assert_true(on_wire("one|+"));
}

/*
 * A VM that ends in the middle of a line ends that line, shown or not; the next output is another
 * line.
 */
static void the_end_ends_a_line(void **state)
{
	(void)state;
	says(0, "panic: no");
	pass(1100);
	console_flush(vms[0]);
	says(0, "booting");
	console_flush(vms[0]);
	console_flush(vms[0]);
	assert_string_equal(wire, "one|+panic: no\r\none| \r\none| booting\r\n");
	clear();
	for (u32 i = 0; i < CONSOLE_LINE_MAX + 1; i++)
		says(0, "x");
	says(0, "\n");
	for (u32 i = 0; i < CONSOLE_LINE_MAX; i++)
		says(0, "y");
	console_flush(vms[0]);
	assert_int_equal(count("one|+"), 1);
	assert_true(on_wire("xx\r\none| x\r\none| yyy"));
}

static void has_the_terminal(void **state)
{
	const char *odd = "\033[2J\xc3\xa4\r\0\xff\n\tx";

	(void)state;
	says(0, "# ");
	pass(1100);
	clear();
	type(A "1");
	assert_true((terminal_borrower() != NULL));
	assert_string_equal(wire, "@console one: Ctrl-a 0 goes back to the hypervisor, Ctrl-a ? "
				  "shows all keys [2]\r\n# ");
	clear();
	console_output(vms[0], odd, 12);
	assert_int_equal(wire_len, 12);
	assert_memory_equal(wire, odd, 12);
	says(1, "noise\n");
	log_line("noise, too");
	pass(2000);
	assert_int_equal(wire_len, 12); /* no other VM; and bytes that were seen are not logged */
	assert_false(fake_log_has("one|"));
	assert_true(fake_log_has("two| noise\n"));
	/* The turn is over, and a guest cannot fake that message. */
	console_output(vms[0], "a\036b", 3);
	assert_memory_equal(wire + 12, "ab", 3);
	clear();
	type(A "0");
	assert_false((terminal_borrower() != NULL));
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

/* The VM's present line comes with the terminal, even if it was shown before. */
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
			    "Ctrl-a ? shows all keys [2]\r\n$ ");
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

static char other[64];

static u32 other_input(struct vm *vm, const char *bytes, size_t n)
{
	assert_ptr_equal(vm, vms[0]);
	strncat(other, bytes, n);
	return 100;
}

/* A VM may have several consoles; input goes to the last one that it listens on. */
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
	type("lost"); /* there is no device yet */
	assert_string_equal(heard(0), "");
	uart_reset(vms[0]);
	type("fresh");
	assert_string_equal(heard(0), "fresh");
}

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
		if (round % 8 && !(terminal_borrower() != NULL))
			pass(1);
		for (char *p = fake.log; *p; p++)
			assert_true((*p >= ' ' && *p < 0x7f) || *p == '\n' || *p == '\t');
		fake_log_clear();
		if (round % 16 == 8) { /* at most one end of a turn, and only by us */
			u32 ends = 0;

			for (size_t i = 0; i < wire_len; i++)
				ends += wire[i] == RS;
			assert_true(ends <= 1);
			wire_len = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_without_escapes),
		T(a_prompt_is_shown_once),
		T(pauses_and_long_lines_change_no_byte),
		T(the_end_ends_a_line),
		T(has_the_terminal),
		T(prompt_comes_again),
		T(another_device),
		T(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
