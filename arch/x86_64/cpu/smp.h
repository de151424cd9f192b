/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_SMP_H
#define ARCH_CPU_SMP_H

#include <hv/base/types.h>

/*
 * Begins to start the other CPUs, all at once, and returns: they come up while the boot CPU goes
 * on. Each calls @entry on its own stack, and @entry never returns; a CPU may run guests only if
 * its TSC is @in_step with the others. The broadcast also wakes CPUs that are not in the list; they
 * stay parked in real mode. All begin in @page, RAM below 640 KiB that nobody else uses from now
 * on; 0: there is none.
 */
void smp_start(const u32 *apic_ids, u32 count, hpa_t page, void (*entry)(bool in_step));

/* For tests: the ids in the other CPUs' xAPICs are larger than CPUID's by this number. */
extern u32 smp_lift_ids;

/*
 * Takes the next step of the start, if it is time. Returns the TSC at which to call again;
 * UINT64_MAX when all CPUs are up or given up, which the log says. One CPU at a time.
 */
u64 smp_poll(u64 now);

#endif
