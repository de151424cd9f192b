/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_POWER_H
#define ARCH_CPU_POWER_H

#include <hv/base/types.h>

/*
 * A register in memory, in ports or in PCI configuration space. ACPI: "Generic Address Structure".
 */
enum power_space { POWER_MEMORY = 0, POWER_PORT = 1, POWER_PCI = 2 };
struct power_reg {
	u64 address;	     /* 0: there is none */
	u8 space;	     /* enum power_space */
	volatile u8 *mapped; /* its mapping, if it is in memory; set by power_map() */
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

/* Maps the registers that are in memory. Once, when the final page tables are in use. */
void power_map(void);

/* Tries all ways to power the machine off; returns if none works. */
void power_try_off(void);
/* Ends Bochs, by a port that no other machine has. */
void power_end_bochs(void);

#endif
