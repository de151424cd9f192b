/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CPU or an outer hypervisor says of the TSC's frequency.  Pure. */
#ifndef ARCH_TIME_TSC_SAID_H
#define ARCH_TIME_TSC_SAID_H

#include <arch/x86_64/quirks/vulns.h>

struct tsc_words {
	const struct cpu_id *cpu;
	u32 leaf15[3]; /* EAX, EBX, ECX; zeroes if there is no such leaf */
	u32 leaf16;    /* EAX: base frequency, MHz */
	u64 p0;	       /* AMD's MSR of P-state 0, or 0 */
};

/* kHz, if the crystal has its nominal frequency; 0: the CPU says nothing. */
u64 tsc_said(const struct tsc_words *w);

/* kHz of a kvmclock with this scale (Linux: struct pvclock_vcpu_time_info). */
u64 tsc_of_pvclock(u32 mul, s8 shift);

#endif
