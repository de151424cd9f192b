/* SPDX-License-Identifier: BSD-2-Clause */
/* Facts from the firmware's ACPI tables. Read once, at boot. */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/pc/ioapic.h>
#include <arch/x86_64/pc/power.h>
#include <arch/x86_64/pc/watchdog.h>
#include <boot/boot_info.h>
#include <hv/base/platform.h>

struct acpi_info {
	u32 nr_cpus;
	u32 apic_ids[MAX_CPUS];
	u32 highest_apic_id;	 /* of all enabled CPUs, also those beyond MAX_CPUS */
	bool no_x2apic;		 /* the DMAR table asks us not to use x2APIC */
	u32 cpus_left_out;	 /* beyond MAX_CPUS */
	u32 cpus_disabled;	 /* present or pluggable, but we may not start them */
	struct serial_port uart; /* of SPCR or else DBG2; base 0: none */
	struct serial_port dbg2;
	u32 nr_ioapics;
	u32 ioapic[IOAPICS_MAX]; /* where they are */
	u64 hpet;		 /* its address; 0: none */
	u16 pm_timer_port;	 /* 0: none */
	u8 century;		 /* its index in the CMOS; 0: none */
	bool no_cmos;
	struct power_info power;
	struct watchdog watchdog;
};

/* Works without tables, too: then there is one CPU and no ACPI power off. */
void acpi_parse(const struct boot_info *bi, struct acpi_info *info);

/* acpi_uart.c: reads a table of @length bytes; leaves @port alone if it names no UART for us. */
void acpi_parse_spcr(const u8 *t, u32 length, struct serial_port *port);
void acpi_parse_dbg2(const u8 *t, u32 length, struct serial_port *port);

/* acpi_watchdog.c: the same. */
void acpi_parse_wdat(const u8 *t, u32 length, struct watchdog *w);

#endif
