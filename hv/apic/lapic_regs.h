/* SPDX-License-Identifier: BSD-2-Clause */
/* Between lapic*.c: the registers of the local APIC. SDM: "Local APIC Register Address Map". */
#ifndef HV_DEV_LAPIC_REGS_H
#define HV_DEV_LAPIC_REGS_H

#include <hv/base/atomic.h>
#include <hv/vm/vcpu.h>

/* Register offsets, as MMIO; MSR = 0x800 + offset / 16. */
enum {
	R_ID = 0x20,
	R_VERSION = 0x30,
	R_TPR = 0x80,
	R_APR = 0x90,
	R_PPR = 0xa0,
	R_EOI = 0xb0,
	R_RRD = 0xc0,
	R_LDR = 0xd0,
	R_DFR = 0xe0,
	R_SVR = 0xf0,
	R_ISR = 0x100,
	R_TMR = 0x180,
	R_IRR = 0x200,
	R_ESR = 0x280,
	R_ICR = 0x300,
	R_ICR_HI = 0x310,
	R_LVT_TIMER = 0x320,
	R_LVT_THERMAL = 0x330,
	R_LVT_PERF = 0x340,
	R_LVT_LINT0 = 0x350,
	R_LVT_LINT1 = 0x360,
	R_LVT_ERROR = 0x370,
	R_TIMER_INITIAL = 0x380,
	R_TIMER_CURRENT = 0x390,
	R_TIMER_DIVIDE = 0x3e0,
	R_SELF_IPI = 0x3f0,
	R_END = 0x400,
};

#define BASE_BSP BIT(8)
#define BASE_X2 BIT(10)
#define BASE_EN BIT(11)

#define SVR_ENABLE BIT(8)
#define SVR_FOCUS BIT(9) /* kept, and without a meaning: docs/cpus.md */
#define SVR_NO_EOI_BROADCAST BIT(12)

#define LVT_MASKED BIT(16)
#define LVT_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

#define ESR_SEND_VECTOR BIT(5)
#define ESR_RECEIVED_VECTOR BIT(6)
#define ESR_REGISTER BIT(7)

/* ICR and the I/O APIC's redirection entries alike */
#define ICR_MODE(low) ((u8)((low) >> 8 & 7))
#define ICR_LOGICAL BIT(11)
#define ICR_BUSY BIT(12)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define ICR_SHORTHAND(low) ((low) >> 18 & 3)
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

static inline u32 lapic_get(const struct lapic *a, u32 offset)
{
	return atomic_load(&a->regs[offset >> 4 & 63]);
}

static inline void lapic_put(struct lapic *a, u32 offset, u32 value)
{
	atomic_store(&a->regs[offset >> 4 & 63], value);
}

static inline bool lapic_is_x2(const struct lapic *a)
{
	return atomic_load(&a->base) & BASE_X2;
}

/* Switched on, and by software too: only then are interrupts accepted. */
static inline bool lapic_is_on(const struct lapic *a)
{
	return atomic_load(&a->base) & BASE_EN && lapic_get(a, R_SVR) & SVR_ENABLE;
}

static inline u32 lapic_timer_mode(const struct lapic *a)
{
	return LVT_MODE(lapic_get(a, R_LVT_TIMER));
}

static inline u32 lapic_id(const struct vcpu *v)
{
	return v->index;
}

/* SDM: "Deriving the Logical x2APIC ID from the Local x2APIC ID" */
static inline u32 lapic_x2_ldr(const struct vcpu *v)
{
	return (lapic_id(v) >> 4) << 16 | 1u << (lapic_id(v) & 15);
}

/* By the CPU that runs @v. */
void lapic_raise_self(struct vcpu *v, u8 vector);
void lapic_eoi(struct vcpu *v);
/* Any register of x2APIC mode, at @offset below R_END; false: #GP. */
bool lapic_x2_write(struct vcpu *v, u32 offset, u64 value);

#define MSR_TSC_DEADLINE 0x6e0

#endif
