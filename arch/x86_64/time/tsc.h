/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_TIME_TSC_H
#define ARCH_TIME_TSC_H

#include <hv/base/types.h>

/*
 * Finds the TSC frequency: asks an outer hypervisor, or measures against the ACPI PM timer
 * (@pm_port, 0 if there is none), the HPET or the PIT, and takes CPUID's figure if it agrees.
 */
void tsc_init(u16 pm_port);

/*
 * Measures it again, over all the time since tsc_init(). VMs must not see the frequency change:
 * call it before they start.
 */
void tsc_refine(void);

/* The same for VMs that start later, once, after 1 s. Returns the TSC at which to call again. */
u64 tsc_tick(u64 now);

/* The TSC at our entry point, and the ticks that measuring in tsc_init() took. */
extern u64 boot_tsc, tsc_calibration;

#endif
