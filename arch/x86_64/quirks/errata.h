/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flaws of CPUs and firmware that lose interrupts or spoil timers, and what we do about each. Pure:
 * it takes what others have read, and returns decisions.
 */
#ifndef ARCH_QUIRKS_ERRATA_H
#define ARCH_QUIRKS_ERRATA_H

#include <arch/x86_64/quirks/vulns.h>

struct apic_facts {
	const struct cpu_id *cpu;
	u32 leaf1_ecx;
	u64 base;	/* IA32_APIC_BASE */
	u32 highest_id; /* of all CPUs */
	bool opted_out; /* the DMAR table asks us not to use x2APIC */
};

struct apic_choice {
	bool x2;
	const char *why; /* in words */
	bool deadline;	 /* TSC deadlines, else one-shot */
	u32 microcode;	 /* the revision that TSC deadlines need and the CPU lacks; 0: none */
};

struct apic_choice errata_choose_apic(const struct apic_facts *f);

/*
 * The new value of AMD's C1E MSR (C0010055): on family 10h the C1E state stops the APIC's timer, so
 * that nothing wakes an idle CPU.
 */
u64 errata_c1e(const struct cpu_id *c, u64 msr);

/* True: this CPU's VMX-preemption timer counts at a wrong rate. */
bool errata_preemption_timer(const struct cpu_id *c);

#endif
