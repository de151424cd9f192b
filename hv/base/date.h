/* SPDX-License-Identifier: BSD-2-Clause */
/* Dates of the Gregorian calendar and seconds since 1970, both in UTC. */
#ifndef HV_BASE_DATE_H
#define HV_BASE_DATE_H

#include <hv/base/types.h>

struct date {
	u32 year, month, day; /* 1970 up, 1 to 12, 1 to 31 */
	u32 hour, minute, second;
};

bool date_valid(const struct date *d);
/* Of a valid date. */
u64 date_to_seconds(const struct date *d);
struct date date_of_seconds(u64 seconds);

static inline u32 bcd_to_binary(u32 b)
{
	return (b >> 4) * 10 + (b & 15);
}

static inline u8 binary_to_bcd(u32 n)
{
	return (u8)(n / 10 << 4 | n % 10);
}

#endif
