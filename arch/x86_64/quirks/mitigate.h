/* SPDX-License-Identifier: BSD-2-Clause */
/* Carries out the mitigations of the CPU's flaws (vulns.h), and reports its microcode. */
#ifndef ARCH_CPU_MITIGATE_H
#define ARCH_CPU_MITIGATE_H

#include <arch/x86_64/quirks/vulns.h>

/*
 * Decides, logs the decisions, and removes mitigations that this CPU does not need from our code.
 * @apic_ids: of all CPUs. Boot CPU, once, before a back end is probed and before other CPUs run.
 * HV_ENOMEM.
 */
int mitigate_init(enum mitigate_mode mode, const u32 *apic_ids, u32 nr);

/*
 * Each CPU, before it runs guests. HV_ENODEV, logged: it lacks mitigations that the boot CPU has.
 */
int mitigate_cpu_init(void);

extern struct mitigations mitigations;

/* CPUID for struct cpu_backend: hides the controls that guests may not use. */
void mitigate_host_cpuid(u32 leaf, u32 sub, u32 regs[4]);

/* IA32_ARCH_CAPABILITIES for guests; 0: they have no such MSR. */
u64 mitigate_guest_arch_caps(void);

/*
 * A vCPU is about to be loaded on this CPU, whose GS is ours. @run: of its VM (struct vm). A VM
 * that is started again counts as another one, on every CPU, though its record is the same.
 */
void mitigate_vm_load(u64 run);

/* Call mitigate_entry() right before an entry if this is set. @spec_ctrl: the guest's. */
extern bool mitigate_entries;
void mitigate_entry(u32 spec_ctrl);

/* This CPU is about to sleep. */
void mitigate_idle(void);

#endif
