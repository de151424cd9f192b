/* SPDX-License-Identifier: BSD-2-Clause */
/* A text for the parser of aerostat.conf, and its message if it refuses the text. */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include <tests/fake/fake.h>

#include <hv/config/text.h>

static struct config c;
static char error[CONFIG_ERROR_MAX];

static inline bool parse_n(const char *text, size_t len)
{
	/* A copy of exactly this size: a read one byte too far is noticed. */
	char *copy = calloc(1, len);
	bool ok;

	memcpy(copy, text, len);
	memset(error, 0x55, sizeof(error));
	ok = config_parse(copy, len, &c, error);
	free(copy);
	return ok;
}

static inline bool parse(const char *text)
{
	return parse_n(text, strlen(text));
}

#define VM "[vm a]\nmemory = 64M\nkernel = k\n"

static inline void refused(const char *text, const char *words)
{
	assert_false(parse(text));
	if (strncmp(error, "aerostat.conf: line ", 20) || !strstr(error, words))
		fail_msg("\"%s\" lacks \"%s\"", error, words);
}

#endif
