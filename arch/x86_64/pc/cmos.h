/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_CMOS_H
#define ARCH_CPU_CMOS_H

#include <hv/base/types.h>

/*
 * Reads date and time from the machine's CMOS clock, once; plat_wall_time_us()
 * goes on from there.  @century: the index of that register (ACPI: "FADT"), or
 * 0.  After tsc_init().
 */
void cmos_init(u8 century);

/* The PC's gate for NMIs from outside of the CPU. */
void cmos_hold_nmi(bool hold);

#endif
