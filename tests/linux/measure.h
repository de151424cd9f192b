/* SPDX-License-Identifier: BSD-2-Clause */
/* What the inits of `make bench` have in common that measure beside KVM: disk.c and balloon.c. */
#ifndef TESTS_LINUX_MEASURE_H
#define TESTS_LINUX_MEASURE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <termios.h>

#define PORT_COUNT 0xf6 /* port of a hypervisor that counts exits by cause: tests/count.c */

/* Says why, as tools/bench looks for it, and powers off. */
static void fail(const char *format, ...)
{
	va_list args;

	printf("bench: FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(errno ? " (%m)\n" : "\n");
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
	exit(1);
}

#endif
