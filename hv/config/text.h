/* SPDX-License-Identifier: BSD-2-Clause */
/* Words and values of aerostat.conf: what its parsers share. */
#ifndef HV_CONFIG_TEXT_H
#define HV_CONFIG_TEXT_H

#include <hv/config/config.h>

static inline bool config_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Writes the message; returns false. */
bool config_error(char error[CONFIG_ERROR_MAX], const char *fmt, ...) __printf(2, 3);

/* The next word of *@s into @word, cut to @size; false at the end. */
bool config_next_word(const char **s, char *word, size_t size);

/* Digits at @s, up to *@end. false: there are none, or too many. */
bool config_parse_number(const char *s, u64 *v, const char **end);

/* "90s", "500ms", "5m", "2h", "0" -> milliseconds, at most a year. false: not a time. */
bool config_parse_time(const char *s, u64 *ms);

/* "64M" -> bytes. false: not a size. */
bool config_parse_size(const char *s, u64 *bytes);

/* disk_parse.c: takes "FILE cow 64M latency=5ms"; false: @error says what to write. */
bool disk_parse(const char *text, struct disk_config *d, char error[CONFIG_ERROR_MAX]);

/* timed_parse.c: takes "90s ACTION [VM] [VALUE]"; as above. */
bool timed_parse(const char *text, struct timed_action *a, char error[CONFIG_ERROR_MAX]);

/* Finds the VM that @a names, and checks the value against it; as above. */
bool timed_resolve(struct timed_action *a, const struct config *c, char error[CONFIG_ERROR_MAX]);

#endif
