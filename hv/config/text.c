/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/config/text.h>
#include <hv/base/string.h>

#define MAX_TIME (365UL * 86400 * 1000) /* milliseconds */

bool config_error(char error[CONFIG_ERROR_MAX], const char *fmt, ...)
{
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	str_vformat(error, CONFIG_ERROR_MAX, fmt, ap);
	__builtin_va_end(ap);
	return false;
}

bool config_parse_number(const char *s, u64 *v, const char **end)
{
	u64 n = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (u64)(*s - '0');
	}
	*v = n;
	*end = s;
	return true;
}

bool config_next_word(const char **s, char *word, size_t size)
{
	size_t n = 0;

	while (config_is_space(**s))
		(*s)++;
	for (; **s && !config_is_space(**s); (*s)++)
		if (n < size - 1)
			word[n++] = **s;
	word[n] = '\0';
	return n;
}

bool config_parse_size(const char *s, u64 *bytes)
{
	unsigned int shift = 0;
	const char *end;
	u64 n;

	if (!config_parse_number(s, &n, &end))
		return false;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		end++;
	if (shift && end[0] == 'i' && end[1] == 'B')
		end += 2;
	if (*end || n > UINT64_MAX >> shift)
		return false;
	*bytes = n << shift;
	return true;
}

bool config_parse_time(const char *s, u64 *ms)
{
	static const struct {
		char unit[3];
		u32 ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	const char *end;
	u64 n;

	if (!config_parse_number(s, &n, &end))
		return false;
	*ms = n;
	if (!n && !*end)
		return true;
	for (u32 i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(units[i].unit, end)) {
			*ms = n * units[i].ms;
			return n <= MAX_TIME / units[i].ms;
		}
	return false;
}
