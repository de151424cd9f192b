/* SPDX-License-Identifier: BSD-2-Clause */
/* at = TIME ACTION [VM] [VALUE]. */
#include <tests/unit/config/config_fixture.h>

static void taken(void **state)
{
	(void)state;
	assert_true(
		parse("[host]\nat = 90s stop b\nat=500ms   target\ta  64M ; a comment\n"
		      "at = 0s status\n" VM "[vm b]\nmemory = 32M\nkernel = k\n"
		      "[host]\nat = 2h stop a 3\nat = 1m target b policy\nat = 3h shares b 7\n"));
	assert_int_equal(c.nr_timed, 6);
	assert_int_equal(c.timed[0].at_ms, 90000);
	assert_int_equal(c.timed[0].kind, AT_STOP);
	assert_int_equal(c.timed[0].vm_id, 1);
	assert_int_equal(c.timed[0].value, 0);
	assert_int_equal(c.timed[1].at_ms, 500);
	assert_int_equal(c.timed[1].kind, AT_TARGET);
	assert_int_equal(c.timed[1].vm_id, 0);
	assert_int_equal(c.timed[1].value, MIB(64));
	assert_false(c.timed[1].by_policy);
	assert_int_equal(c.timed[2].kind, AT_STATUS);
	assert_int_equal(c.timed[3].value, 3);
	assert_true(c.timed[4].by_policy);
	assert_int_equal(c.timed[5].value, 7);
}

static const struct {
	const char *text, *words;
} bad[] = {
	{ "at =", "at has no value" },
	{ "at = soon status", "\"soon\" is not a time; write for example at = 90s status" },
	{ "at = 90 status", "\"90\" is not a time" },
	{ "at = 90s", "\"\" is no action; there are status, " },
	{ "at = 90s explode a", "\"explode\" is no action; there are status, " },
	{ "at = 90s stop", "stop needs the name of a VM; write for example at = 90s stop web1" },
	{ "at = 90s stop b", "line 2: there is no VM \"b\"; a section [vm b] is missing" },
	{ "at = 90s stop a 256", "a status is a number from 0 to 255, not \"256\"" },
	{ "at = 90s stop a 1K", "a status is a number from 0 to 255, not \"1K\"" },
	{ "at = 90s stop a 1 2", "\"2\" is too much: write at = TIME stop web1" },
	{ "at = 90s shutdown", "shutdown needs the name of a VM; write for example" },
	{ "at = 90s shutdown a 1", "\"1\" is too much: write at = TIME shutdown web1" },
	{ "at = 90s status a", "\"a\" is too much: write at = TIME status" },
	{ "at = 90s pause a 3", "\"3\" is too much: write at = TIME pause web1" },
	{ "at = 90s target a", "target needs a value; write for example at = 90s target web1 64M" },
	{ "at = 90s target a 64MB",
	  "target takes a size, a multiple of 4K, or \"policy\", not \"64MB\"" },
	{ "at = 90s min a policy", "min takes a size, a multiple of 4K, not \"policy\"" },
	{ "at = 90s max a 4097", "max takes a size" },
	{ "at = 90s min a 65M", "min is more than the memory of VM a; write 65536K or less" },
	{ "at = 90s shares a 0", "shares are a number from 1 to 1000000, not \"0\"" },
	{ "at = 90s shares a 1000001", "shares are a number" },
	{ "at = 90s shares a many", "shares are a number" },
	{ "at = 9000h status", "is not a time" },
	{ "at = 90s stop a234567890123456789012345678901234567890", "stop needs the name of a VM" },
};

static void not_taken(void **state)
{
	char text[4096];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[host]\n%s\n" VM, bad[i].text);
		refused(text, bad[i].words);
		assert_non_null(strstr(error, "line 2: "));
	}
}

static void no_more_than_32(void **state)
{
	char text[4096] = "[host]\n";

	(void)state;
	for (u32 i = 0; i < MAX_TIMED; i++)
		strcat(text, "at = 1s audit\n");
	strcat(text, VM);
	assert_true(parse(text));
	strcat(text, "[host]\nat = 1s audit\n");
	refused(text, "too many lines \"at\"; at most 32 are allowed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken),
		cmocka_unit_test(not_taken),
		cmocka_unit_test(no_more_than_32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
