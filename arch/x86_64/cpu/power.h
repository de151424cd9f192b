/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_POWER_H
#define ARCH_CPU_POWER_H

#include <hv/base/types.h>

/* ACPI: "PM1 Control Registers" and the \_S5 package; ports are 0 where absent. */
struct power_info {
	u16 pm1a_control, pm1b_control;
	u8 s5_type_a, s5_type_b;
};

void power_init(const struct power_info *info);

/* Tries every way to end the machine; returns where none works. */
void power_try_off(void);
/* The one way that only Bochs hears. */
void power_end_bochs(void);

#endif
