/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flaws of CPUs and firmware that cost interrupts and time, and what is done
 * about each.  Pure: what was read in, decisions out.
 */
#ifndef ARCH_QUIRKS_ERRATA_H
#define ARCH_QUIRKS_ERRATA_H

#include <arch/x86_64/quirks/vulns.h>

struct apic_facts {
	const struct cpu_id *cpu;
	u32 leaf1_ecx;
	u64 base;	/* IA32_APIC_BASE */
	u32 highest_id; /* of all CPUs */
	bool opted_out; /* the DMAR table asks for no x2APIC */
};

struct apic_choice {
	bool x2;
	const char *why; /* in words */
	bool deadline;	 /* TSC deadlines, else one-shot */
	u32 microcode;	 /* the revision that TSC deadlines need and that is not there; 0: none */
};

struct apic_choice errata_choose_apic(const struct apic_facts *f);

/*
 * What the MSR of AMD's C1E state (C0010055) becomes: on family 10h it stops the APIC's timer,
 * with nothing to wake an idle CPU.
 */
u64 errata_c1e(const struct cpu_id *c, u64 msr);

/* The VMX-preemption timer of this CPU does not count as it should. */
bool errata_preemption_timer(const struct cpu_id *c);

#endif
