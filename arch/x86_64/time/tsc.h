/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_TIME_TSC_H
#define ARCH_TIME_TSC_H

#include <hv/base/types.h>

/*
 * Finds the TSC frequency: measured against the ACPI PM timer (@pm_port, 0 if
 * there is none) or the PIT, and taken from CPUID where that agrees.
 */
void tsc_init(u16 pm_port);

/* TSC at our entry point, and how much of it the measuring in tsc_init() took. */
extern u64 boot_tsc, tsc_calibration;

#endif
