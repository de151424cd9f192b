/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops the machine's watchdog, if its firmware says how: a watchdog that runs on resets the
 * machine after minutes.
 */
#ifndef ARCH_PC_WATCHDOG_H
#define ARCH_PC_WATCHDOG_H

#include <arch/x86_64/pc/power.h>

#define WATCHDOG_STEPS 4

/* The write that stops it. */
struct watchdog_step {
	struct power_reg reg;
	u8 bytes;      /* 1, 2, 4 */
	bool preserve; /* keep the bits outside of @mask */
	u32 value, mask;
};

struct watchdog {
	const char *table; /* the table that names it; NULL: none does */
	u32 nr;
	struct watchdog_step step[WATCHDOG_STEPS];
};

/* Stops it, and logs that it did or that it cannot. Once, on the final page tables. */
void watchdog_stop(const struct watchdog *w);

#endif
