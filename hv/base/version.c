/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/version.h>

#ifndef VERSION
#define VERSION "development"
#endif

const char version_text[] = VERSION;

u64 version_number(const char *text)
{
	u64 number = 0;

	for (int part = 0; part < 3; part++) {
		u32 n = 0;

		if (part && *text++ != '.')
			return 0;
		if (*text < '0' || *text > '9')
			return 0;
		for (; *text >= '0' && *text <= '9'; text++) {
			n = n * 10 + (u32)(*text - '0');
			if (n > UINT16_MAX)
				return 0;
		}
		number = number << 16 | n;
	}
	return number;
}
