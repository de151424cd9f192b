/* SPDX-License-Identifier: BSD-2-Clause */
/* Words, numbers, sizes and times of aerostat.conf. */
#include <tests/fake/fake.h>

#include <hv/config/text.h>

static void words(void **state)
{
	const char *s = " one\t\ttwo-is-long three \r";
	char word[6];

	(void)state;
	assert_true(config_next_word(&s, word, sizeof(word)));
	assert_string_equal(word, "one");
	assert_true(config_next_word(&s, word, sizeof(word)));
	assert_string_equal(word, "two-i"); /* cut, and the rest of it is skipped */
	assert_true(config_next_word(&s, word, sizeof(word)));
	assert_string_equal(word, "three");
	assert_false(config_next_word(&s, word, sizeof(word)));
	assert_string_equal(word, "");
	assert_false(config_next_word(&s, word, sizeof(word)));
}

static void numbers(void **state)
{
	const char *end;
	u64 n;

	(void)state;
	assert_true(config_parse_number("0", &n, &end));
	assert_int_equal(n, 0);
	assert_true(config_parse_number("12ab", &n, &end));
	assert_int_equal(n, 12);
	assert_string_equal(end, "ab");
	assert_true(config_parse_number("18446744073709551609", &n, &end));
	assert_int_equal(n, 18446744073709551609ul);
	assert_false(config_parse_number("99999999999999999999", &n, &end));
	assert_false(config_parse_number("", &n, &end));
	assert_false(config_parse_number("-1", &n, &end));
	assert_false(config_parse_number(" 1", &n, &end));
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64K", KIB(64) },
		{ "64k", KIB(64) },
		{ "3M", MIB(3) },
		{ "2g", GIB(2) },
		{ "1GiB", GIB(1) },
		{ "16777215G", 16777215UL << 30 },
		{ "17179869183G", 17179869183UL << 30 },
	};
	static const char *const bad[] = { "",
					   "M",
					   "-1",
					   "1.5G",
					   "1T",
					   "64MB",
					   "64 M",
					   "0x10",
					   "1Mi",
					   "1KK",
					   "17179869184G",
					   "18446744073709551616",
					   "99999999999999999999999" };
	u64 n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(config_parse_size(good[i].text, &n));
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_parse_size(bad[i], &n));
}

static void times(void **state)
{
	static const struct {
		const char *text;
		u64 ms;
	} good[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "1ms", 1 },
		{ "90s", 90000 },
		{ "5m", 300000 },
		{ "2h", 7200000 },
		{ "8760h", 31536000000 },
	};
	static const char *const bad[] = { "",
					   "s",
					   "90",
					   "9 s",
					   "1.5s",
					   "-1s",
					   "1d",
					   "1sm",
					   "1S",
					   "8761h",
					   "99999999999999999999s",
					   "18446744073709551615h" };
	u64 ms;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(config_parse_time(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		if (config_parse_time(bad[i], &ms))
			fail_msg("\"%s\" was taken as %lu ms", bad[i], ms);
}

static void an_error_is_cut(void **state)
{
	char text[CONFIG_ERROR_MAX + 1], long_one[CONFIG_ERROR_MAX * 2];

	(void)state;
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	text[CONFIG_ERROR_MAX] = '!';
	assert_false(config_error(text, "line %d: %s", 7, long_one));
	assert_int_equal(strncmp(text, "line 7: xxx", 11), 0);
	assert_int_equal(strlen(text), CONFIG_ERROR_MAX - 1);
	assert_int_equal(text[CONFIG_ERROR_MAX], '!');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words), cmocka_unit_test(numbers),	    cmocka_unit_test(sizes),
		cmocka_unit_test(times), cmocka_unit_test(an_error_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
