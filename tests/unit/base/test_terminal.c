/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM has the terminal; afterwards it shows the lines that it has missed. */
#include <tests/unit/control/terminal_fixture.h>

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
	operator_typed(A "0", 2);
	tick(fake.tsc);
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

/* A CPU logs faster than the port can show. */
static void the_ring_overtakes(void **state)
{
	u32 next = 0, total = 0;

	(void)state;
	type(A "1");
	clear();
	for (u32 i = 0; i < 10; i++)
		log_raw("line %u of many", next++);
	operator_typed(A "0", 2);
	for (u32 round = 0; round < 3; round++) {
		tick(fake.tsc);
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
	operator_stop();
	assert_int_equal(lines_from(0), 200);
	log_raw("@halt status=0");
	assert_string_equal(wire + wire_len - 16, "@halt status=0\r\n");
}

/* The last test: a lock that was broken stays so. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(missed_lines_in_pieces), T(the_ring_is_too_small),	  T(the_ring_overtakes),
		T(the_host_ends),	   T(a_panic_takes_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
