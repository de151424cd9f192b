/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM of a few vCPUs, and their APICs' registers by xAPIC and x2APIC. */
#ifndef TESTS_UNIT_APIC_LAPIC_FIXTURE_H
#define TESTS_UNIT_APIC_LAPIC_FIXTURE_H

#include <tests/fake/guest.h>

#define CPUS 6

enum {
	ID = 0x20,
	VERSION_ = 0x30,
	TPR = 0x80,
	PPR = 0xa0,
	EOI = 0xb0,
	LDR = 0xd0,
	DFR = 0xe0,
	SVR = 0xf0,
	ISR = 0x100,
	TMR = 0x180,
	IRR = 0x200,
	ESR = 0x280,
	ICR = 0x300,
	ICR_HI = 0x310,
	LVT_TIMER = 0x320,
	LVT_THERMAL = 0x330,
	LVT_LINT0 = 0x350,
	LVT_LINT1 = 0x360,
	LVT_ERROR = 0x370,
	INITIAL = 0x380,
	CURRENT = 0x390,
	DIVIDE = 0x3e0,
};
#define X2 0xc00UL
#define TSC_DEADLINE 0x6e0
#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;

static inline int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("smp");
	vm = guest_start_smp(&cfg, CPUS);
	v = vm->vcpus[0];
	return 0;
}

static inline u32 rd(u32 offset)
{
	return lapic_mmio_read(v, offset);
}

static inline void wr(u32 offset, u32 value)
{
	lapic_mmio_write(v, offset, value);
}

static inline void x2apic(struct vcpu *c)
{
	assert_true(lapic_base_write(c, c->lapic.base | X2));
}

/* Returns the vCPUs that have @vector, as a mask, and clears it there. */
static inline u32 who_got(u8 vector)
{
	u32 mask = 0;

	for (u32 i = 0; i < CPUS; i++) {
		u32 *w = &vm->vcpus[i]->lapic.irr[vector / 32];

		mask |= (*w >> (vector % 32) & 1) << i;
		*w &= ~(1u << (vector % 32));
	}
	return mask;
}

static inline u32 ipi(u32 dest, u32 low)
{
	wr(ICR_HI, dest << 24);
	wr(ICR, low);
	assert_int_equal(rd(ICR) & 0x1000, 0); /* idle again */
	return who_got((u8)low);
}

#endif
