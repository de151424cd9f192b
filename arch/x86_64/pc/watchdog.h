/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's watchdog, as far as its firmware says how to stop it: one that
 * was left running resets the machine after minutes.
 */
#ifndef ARCH_PC_WATCHDOG_H
#define ARCH_PC_WATCHDOG_H

#include <arch/x86_64/pc/power.h>

#define WATCHDOG_STEPS 4

/* What to write to stop it. */
struct watchdog_step {
	struct power_reg reg;
	u8 bytes;      /* 1, 2, 4 */
	bool preserve; /* the bits outside of @mask */
	u32 value, mask;
};

struct watchdog {
	const char *table; /* that names it; NULL: none does */
	u32 nr;
	struct watchdog_step step[WATCHDOG_STEPS];
};

/* Stops it, and says so, or that it cannot. Once, on the final page tables. */
void watchdog_stop(const struct watchdog *w);

#endif
