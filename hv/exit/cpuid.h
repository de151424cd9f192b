/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPUID policy: what guests see of the CPU. Computed once from the host's. */
#ifndef HV_CPUID_H
#define HV_CPUID_H

#include <hv/base/types.h>

struct vcpu;

void cpuid_init(void);

/* CR4 bits that a guest may set. */
u64 cpuid_cr4_mask(void);

/* Bits of IA32_SPEC_CTRL that a guest may set; 0: it has no such MSR. */
u64 cpuid_spec_ctrl_mask(void);

/* IA32_ARCH_CAPABILITIES of guests; 0: no such MSR. */
u64 cpuid_arch_capabilities(void);
/* Bits of a physical address, as guests are told. */
unsigned int cpuid_phys_bits(void);

/* The answer for @v; every leaf has one. */
void cpuid_answer(struct vcpu *v, u32 leaf, u32 sub, u32 regs[4]);

#endif
