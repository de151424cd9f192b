/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts the TSCs of all CPUs in step with the boot CPU's. */
#ifndef ARCH_TIME_TSC_SYNC_H
#define ARCH_TIME_TSC_SYNC_H

#include <arch/x86_64/cpu/percpu.h>

/* A CPU's way; only the CPU that measures takes it from WAITS on. */
enum { TSC_SYNC_ABSENT, TSC_SYNC_WAITS, TSC_SYNC_IN_STEP, TSC_SYNC_WARPS };

/*
 * Boot CPU, first of all that reads the TSC twice: takes back what firmware has added to it.
 * Returns what that was, in ticks.
 */
s64 tsc_sync_boot(void);

/* Another CPU comes up: waits until it has been measured.  False: guests must not run there. */
bool tsc_sync_join(struct cpu *c);

/* Measures @c, which waits, from a CPU that is in step; false: call again soon. */
bool tsc_sync_measure(struct cpu *c);

/* The one that it has been called for and has not finished with; 0: none. It goes first. */
u32 tsc_sync_busy(void);

/* If @c comes after this it is not measured, and must not run guests. Returns where it is now. */
u32 tsc_sync_close(struct cpu *c);

/* For tests: the other CPUs come up with TSCs so far ahead and behind, in turns. Ticks. */
extern s64 tsc_sync_skew;

#endif
