/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel tells programs and not its modules, passed to the driver, again and again. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aeroctl.h"

/* The driver forgets it after ten seconds. */
#define PERIOD 5
#define PERIOD_MAX 9

/* The number that follows @key in @text. */
static bool number_after(const char *text, const char *key, uint64_t *value)
{
	const char *at = strstr(text, key);
	uint64_t n = 0;
	bool any = false;

	if (!at)
		return false;
	for (at += strlen(key); *at == ' '; at++)
		;
	for (; *at >= '0' && *at <= '9' && n < UINT64_MAX / 16; at++) {
		n = n * 10 + (uint64_t)(*at - '0');
		any = true;
	}
	*value = n;
	return any;
}

bool parse_pressure(const char *text, struct aero_pressure *p)
{
	const char *full = strstr(text, "full ");

	return !strncmp(text, "some ", 5) && full && number_after(text, "total=", &p->stall_some) &&
	       number_after(full, "total=", &p->stall_full);
}

bool parse_meminfo(const char *text, struct aero_pressure *p)
{
	uint64_t total, unused;

	if (!number_after(text, "\nSwapTotal:", &total) ||
	    !number_after(text, "\nSwapFree:", &unused))
		return false;
	p->swap_total = total / 4;
	p->swap_free = unused / 4;
	return true;
}

/* A whole file of /proc; false: it is not there. */
static bool read_file(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = 0;
	return n > 0;
}

static int pass_once(void)
{
	struct aero_pressure p = { 0 };
	char text[8192];
	int error;

	/* Without CONFIG_PSI, or switched off: reading fails, and it stays 0, not known. */
	if (read_file("/proc/pressure/memory", text, sizeof(text)) && !parse_pressure(text, &p))
		return wrong(FAILED, "/proc/pressure/memory is not what it was; please report it");
	if (!read_file("/proc/meminfo", text, sizeof(text)) || !parse_meminfo(text, &p))
		return wrong(FAILED, "/proc/meminfo cannot be read; is /proc mounted?");
	error = device_pressure(&p);
	return error ? no_device(error) : DONE;
}

int command_pressure(int argc, char **argv)
{
	uint64_t seconds = PERIOD;
	int err;

	if (argc && !parse_number(argv[0], 0, PERIOD_MAX, &seconds))
		return wrong(USAGE,
			     "pressure is told every 1 to %d seconds, or once with 0, not \"%s\"",
			     PERIOD_MAX, argv[0]);
	do {
		const struct timespec period = { .tv_sec = (time_t)seconds };

		err = pass_once();
		if (!err && seconds)
			nanosleep(&period, NULL);
	} while (!err && seconds);
	return err;
}
