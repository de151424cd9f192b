/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_POWER_H
#define ARCH_CPU_POWER_H

#include <hv/base/types.h>

/* A register anywhere. ACPI: "Generic Address Structure". */
enum power_space { POWER_MEMORY = 0, POWER_PORT = 1, POWER_PCI = 2 };
struct power_reg {
	u64 address;	     /* 0: there is none */
	u8 space;	     /* enum power_space */
	volatile u8 *mapped; /* where memory is, once power_map() ran */
};

/* ACPI: "PM1 Control Registers", "Hardware-reduced ACPI", "Reset Register", the \_S5 package. */
struct power_info {
	bool has_s5;
	u8 s5_type_a, s5_type_b;
	struct power_reg pm1a_control, pm1b_control;  /* 16 bits */
	u16 smi_command;			      /* port, 0: always in ACPI mode */
	u8 acpi_enable;				      /* what to write there */
	struct power_reg sleep_control, sleep_status; /* 8 bits; hardware-reduced */
	struct power_reg reset;			      /* 8 bits */
	u8 reset_value;
	bool no_i8042;
};

void power_init(const struct power_info *info);

/* Maps those registers that are memory. Once, when the final page tables are in use. */
void power_map(void);

/* Tries every way to power the machine off; returns if none works. */
void power_try_off(void);
/* Ends Bochs, by a port that nothing else has. */
void power_end_bochs(void);

#endif
