/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done about the CPU's flaws (vulns.h), and its microcode. */
#ifndef ARCH_CPU_MITIGATE_H
#define ARCH_CPU_MITIGATE_H

#include <arch/x86_64/quirks/vulns.h>

/*
 * Boot CPU, once, before a back end is probed and while it is alone: decides,
 * says so, and takes out of our code what is not needed.  @apic_ids: of all
 * CPUs.  HV_ENOMEM.
 */
int mitigate_init(enum mitigate_mode mode, const u32 *apic_ids, u32 nr);

/* Each CPU, before it runs guests. HV_ENODEV, logged: it lacks what the boot CPU has. */
int mitigate_cpu_init(void);

extern struct mitigations mitigations;

/* CPUID for struct cpu_backend: without the controls that guests are not to have. */
void mitigate_host_cpuid(u32 leaf, u32 sub, u32 regs[4]);

/* IA32_ARCH_CAPABILITIES for guests; 0: they have no such MSR. */
u64 mitigate_guest_arch_caps(void);

/*
 * A vCPU is about to be loaded on this CPU, whose GS is ours.  @run: of its VM (struct vm): a
 * VM that is started again is another one, on every CPU, though its record is the same.
 */
void mitigate_vm_load(u64 run);

/* Call mitigate_entry() right before an entry if this is set. @spec_ctrl: the guest's. */
extern bool mitigate_entries;
void mitigate_entry(u32 spec_ctrl);

/* This CPU is about to sleep. */
void mitigate_idle(void);

#endif
