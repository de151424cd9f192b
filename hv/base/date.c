/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The year is taken to begin in March, so that the leap day is its last; 400
 * years have 146,097 days.
 */
#include <hv/base/date.h>

#define DAY 86400
#define DAYS_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from March 1st of the year 0 */

static u32 month_days(u32 year, u32 month)
{
	bool leap = !(year % 4) && (year % 100 || !(year % 400));

	if (month == 2)
		return leap ? 29 : 28;
	return 30 + ((month + (month > 7)) & 1);
}

bool date_valid(const struct date *d)
{
	return d->year >= 1970 && d->year <= 9999 && d->month >= 1 && d->month <= 12 &&
	       d->day >= 1 && d->day <= month_days(d->year, d->month) && d->hour < 24 &&
	       d->minute < 60 && d->second < 60;
}

u64 date_to_seconds(const struct date *d)
{
	u32 month = (d->month + 9) % 12; /* since March */
	u32 year = d->year - (d->month <= 2);
	u64 days = year * 365UL + year / 4 - year / 100 + year / 400;

	days += (153 * month + 2) / 5 + d->day - 1;
	return (days - DAYS_TO_1970) * DAY + d->hour * 3600 + d->minute * 60 + d->second;
}

struct date date_of_seconds(u64 seconds)
{
	u32 rest = (u32)(seconds % DAY);
	u64 days = seconds / DAY + DAYS_TO_1970;
	u32 of_era = (u32)(days % DAYS_400_YEARS);
	/* Days without the leap days before them; the 400 years end with one. */
	u32 year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	u32 of_year = of_era - (year * 365 + year / 4 - year / 100);
	u32 month = (5 * of_year + 2) / 153;

	return (struct date){
		.year = (u32)(days / DAYS_400_YEARS) * 400 + year + (month >= 10),
		.month = (month + 2) % 12 + 1,
		.day = of_year - (153 * month + 2) / 5 + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};
}
