/* SPDX-License-Identifier: BSD-2-Clause */
/* A line "disk = ..." of aerostat.conf. */
#include <hv/base/string.h>
#include <hv/config/text.h>

#define SIZE_MAX_DISK GIB(64)
#define LATENCY_MAX 10000000 /* microseconds */
#define EXAMPLE "write for example disk = root.img cow 64M, or disk = blank 512M latency=5ms"

static bool parse_latency(const char *s, struct disk_config *d, char *error)
{
	size_t n = strlen(s);
	char digits[CONFIG_NAME_MAX];
	u64 us;

	/* Microseconds are written as milliseconds are, and are a thousandth of them. */
	if (n > 2 && n < sizeof(digits) && !strcmp(s + n - 2, "us")) {
		str_copy(digits, s, sizeof(digits));
		digits[n - 2] = 'm';
		if (!config_parse_time(digits, &us))
			us = UINT64_MAX;
	} else if (config_parse_time(s, &us)) {
		us *= 1000;
	} else {
		us = UINT64_MAX;
	}
	if (us > LATENCY_MAX)
		return config_error(error,
				    "\"%s\" is not a latency of a disk; from 0 to 10s is possible, "
				    "write for example latency=5ms or latency=200us",
				    s);
	d->latency_us = (u32)us;
	return true;
}

static bool parse_size(const char *s, struct disk_config *d, char *error)
{
	if (!config_parse_size(s, &d->writable) || !d->writable || d->writable & PAGE_MASK ||
	    d->writable > SIZE_MAX_DISK)
		return config_error(
			error,
			"\"%s\" is not the size of a disk; 4K to 64G, in steps of 4K, are "
			"possible",
			s);
	return true;
}

static bool parse_word(const char *word, const char **rest, struct disk_config *d, char *error)
{
	if (d->host) {
		d->read_only = true;
		return !strcmp(word, "ro") ||
		       config_error(error,
				    "\"%s\" is not understood after disk = %s; a disk of the host "
				    "can be written unless ro follows",
				    word, d->file);
	}
	if (!strncmp(word, "latency=", 8))
		return parse_latency(word + 8, d, error);
	if (!strcmp(word, "ro") && !d->blank && !d->writable)
		return true;
	if (!strcmp(word, "cow") && !d->blank && !d->writable) {
		const char *after = *rest;
		char size[CONFIG_NAME_MAX];

		d->writable = UINT64_MAX; /* as much as the file */
		if (!config_next_word(&after, size, sizeof(size)) || size[0] < '0' || size[0] > '9')
			return true;
		*rest = after;
		return parse_size(size, d, error);
	}
	return config_error(error, "\"%s\" is not understood after disk = %s; " EXAMPLE, word,
			    d->blank ? "blank SIZE" : "FILE");
}

bool disk_parse(const char *text, struct disk_config *d, char error[CONFIG_ERROR_MAX])
{
	char word[CONFIG_TEXT_MAX];

	*d = (struct disk_config){ 0 };
	config_next_word(&text, d->file, sizeof(d->file));
	if (!strcmp(d->file, "blank")) {
		d->blank = true;
		d->file[0] = '\0';
		if (!config_next_word(&text, word, sizeof(word)))
			return config_error(error, "a blank disk needs a size; " EXAMPLE);
		if (!parse_size(word, d, error))
			return false;
	}
	d->host = !strncmp(d->file, "part:", 5) || !strncmp(d->file, "disk:", 5);
	while (config_next_word(&text, word, sizeof(word)))
		if (!parse_word(word, &text, d, error))
			return false;
	return true;
}
