/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_SMP_H
#define ARCH_CPU_SMP_H

#include <hv/base/types.h>

/*
 * Begins to start the other CPUs, all at once, and returns: they come up while
 * the boot CPU goes on, and each calls @entry on its own stack, never to
 * return; it may run guests only if its TSC is @in_step with the others.  CPUs that are not in the list, which a broadcast wakes as well,
 * stay parked in real mode.
 * They begin in @page, RAM below 640 KiB that is theirs from now on; 0: there is none.
 */
void smp_start(const u32 *apic_ids, u32 count, hpa_t page, void (*entry)(bool in_step));

/* For tests: the other CPUs have these ids more in their xAPICs than CPUID says of them. */
extern u32 smp_lift_ids;

/*
 * What is next, if it is time; returns when (TSC) to call again, UINT64_MAX
 * when all are up or given up, which the log says.  One CPU at a time.
 */
u64 smp_poll(u64 now);

#endif
