/* SPDX-License-Identifier: BSD-2-Clause */
/* Dates: against the C library, and invalid ones. */
#include <tests/fake/fake.h>

#include <hv/base/date.h>
#include <time.h>

static void dates_of_the_calendar(void **state)
{
	u64 seed = 1;

	(void)state;
	/* Against the C library: each day of 1970 to 2410, and then some. */
	for (u64 s = 0; s < 440UL * 366 * 86400;
	     s += s < 440UL * 365 * 86400 ? 86400 : fake_random(&seed) % 86400) {
		time_t t = (time_t)(s + s % 86399);
		struct tm tm;
		struct date d = date_of_seconds((u64)t);

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(d.year, tm.tm_year + 1900);
		assert_int_equal(d.month, tm.tm_mon + 1);
		assert_int_equal(d.day, tm.tm_mday);
		assert_int_equal(d.hour, tm.tm_hour);
		assert_int_equal(d.minute, tm.tm_min);
		assert_int_equal(d.second, tm.tm_sec);
		assert_true(date_valid(&d));
		assert_int_equal(date_to_seconds(&d), t);
	}
}

static void dates_that_are_none(void **state)
{
	static const struct date bad[] = {
		{ 1969, 12, 31, 0, 0, 0 }, { 10000, 1, 1, 0, 0, 0 }, { 2023, 0, 1, 0, 0, 0 },
		{ 2023, 13, 1, 0, 0, 0 },  { 2023, 1, 0, 0, 0, 0 },  { 2023, 1, 32, 0, 0, 0 },
		{ 2023, 2, 29, 0, 0, 0 },  { 2100, 2, 29, 0, 0, 0 }, { 2023, 4, 31, 0, 0, 0 },
		{ 2023, 6, 31, 0, 0, 0 },  { 2023, 9, 31, 0, 0, 0 }, { 2023, 11, 31, 0, 0, 0 },
		{ 2023, 1, 1, 24, 0, 0 },  { 2023, 1, 1, 0, 60, 0 }, { 2023, 1, 1, 0, 0, 60 },
	};
	static const struct date good[] = {
		{ 1970, 1, 1, 0, 0, 0 },   { 2000, 2, 29, 0, 0, 0 }, { 2023, 7, 31, 0, 0, 0 },
		{ 2023, 8, 31, 0, 0, 0 },  { 2023, 3, 31, 0, 0, 0 }, { 2023, 12, 31, 23, 59, 59 },
		{ 2023, 10, 31, 0, 0, 0 }, { 2023, 5, 31, 0, 0, 0 }, { 9999, 12, 31, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(date_valid(&bad[i]));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(date_valid(&good[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_of_the_calendar),
		cmocka_unit_test(dates_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
