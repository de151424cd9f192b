/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fake/fake.h>

#include <hv/base/version.h>

static void numbers(void **state)
{
	(void)state;
	assert_string_equal(version_text, "1.2.3+unit"); /* tests/unit/unit.mk */
	assert_int_equal(version_number(version_text), 0x100020003);
	assert_int_equal(version_number("0.2.0"), 0x20000);
	assert_int_equal(version_number("0.2.0+f4d2955-dirty"), 0x20000);
	assert_int_equal(version_number("10.20.65535"), 0xa0014ffff);
}

static void what_is_no_version_is_0(void **state)
{
	static const char *const bad[] = {
		"",	  "development", "1",	      "1.2",	   "1.2.",
		"1..3",	  ".1.2",	 "1.2.65536", "65536.1.1", "99999999999.0.0",
		"-1.0.0", "v1.2.3"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(version_number(bad[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_is_no_version_is_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
