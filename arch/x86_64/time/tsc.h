/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_TIME_TSC_H
#define ARCH_TIME_TSC_H

#include <hv/base/types.h>

/*
 * Finds the TSC frequency: an outer hypervisor's word, or measured against the ACPI PM timer
 * (@pm_port, 0 if there is none), the HPET or the PIT, and taken from CPUID where that agrees.
 */
void tsc_init(u16 pm_port);

/*
 * Measures it again, by all the time since then.  What was begun with the frequency before must
 * not be mixed with the new one: call it before VMs start.
 */
void tsc_refine(void);

/* The same for VMs that start later, once, after a second; returns when (TSC) to call again. */
u64 tsc_tick(u64 now);

/* TSC at our entry point, and how much of it the measuring in tsc_init() took. */
extern u64 boot_tsc, tsc_calibration;

#endif
