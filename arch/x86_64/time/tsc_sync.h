/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts the TSCs of all CPUs in step with the boot CPU's. */
#ifndef ARCH_TIME_TSC_SYNC_H
#define ARCH_TIME_TSC_SYNC_H

#include <arch/x86_64/cpu/percpu.h>

/* The states of a CPU, in order; only the measuring CPU changes them after WAITS. */
enum { TSC_SYNC_ABSENT, TSC_SYNC_WAITS, TSC_SYNC_IN_STEP, TSC_SYNC_WARPS };

/*
 * Boot CPU, before any code that reads the TSC twice: takes back the ticks that firmware has added
 * to it, and returns their number.
 */
s64 tsc_sync_boot(void);

/* Another CPU comes up: waits until it has been measured.  False: guests must not run there. */
bool tsc_sync_join(struct cpu *c);

/* Measures @c, which waits, from a CPU that is in step; false: call again soon. */
bool tsc_sync_measure(struct cpu *c);

/*
 * The CPU that tsc_sync_measure() has begun with and not finished; 0: none. Call it for this one
 * first.
 */
u32 tsc_sync_busy(void);

/* A CPU @c that comes later is not measured, and must not run guests. Returns its state. */
u32 tsc_sync_close(struct cpu *c);

/* For tests: the other CPUs' TSCs start this many ticks ahead or behind, in turns. */
extern s64 tsc_sync_skew;

#endif
