/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's local APIC: priorities, timer, IPIs, and the x2APIC register table. */
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

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("smp");
	vm = guest_start_smp(&cfg, CPUS);
	v = vm->vcpus[0];
	return 0;
}

static u32 rd(u32 offset)
{
	return lapic_mmio_read(v, offset);
}

static void wr(u32 offset, u32 value)
{
	lapic_mmio_write(v, offset, value);
}

static void x2apic(struct vcpu *c)
{
	assert_true(lapic_base_write(c, c->lapic.base | X2));
}

static void reset_state(void **state)
{
	(void)state;
	lapic_reset(v, false);
	assert_int_equal(v->lapic.base, 0xfee00900);
	assert_int_equal(vm->vcpus[1]->lapic.base, 0xfee00800);
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(DFR), 0xffffffff);
	assert_int_equal(rd(LVT_TIMER), MASKED);
	assert_int_equal(lapic_mmio_read(vm->vcpus[3], ID), 3u << 24);
	assert_int_equal(rd(VERSION_) >> 16, 0x105); /* EOI broadcasts can be suppressed */
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(rd(0x1000), 0);
	wr(0x384, 5); /* not a register */
	assert_int_equal(rd(INITIAL), 0);
}

static void priorities(void **state)
{
	(void)state;
	lapic_raise(v, 0x31);
	lapic_raise(v, 0x85);
	assert_int_equal(rd(IRR + 0x10), 1u << 17);
	assert_int_equal(lapic_pending(v), 0x85);
	lapic_accept(v, 0x85);
	assert_int_equal(rd(ISR + 0x40), 1u << 5);
	assert_int_equal(rd(PPR), 0x80);
	assert_int_equal(lapic_pending(v), -1); /* class 3 waits for class 8 */
	lapic_raise(v, 0x8f);
	assert_int_equal(lapic_pending(v), -1); /* the same class waits, too */
	lapic_raise(v, 0x91);
	assert_int_equal(lapic_pending(v), 0x91);
	lapic_accept(v, 0x91);
	v->pending = 0;
	wr(EOI, 0); /* ends 0x91 */
	assert_true(v->pending & PENDING_IRQ);
	assert_int_equal(rd(PPR), 0x80);
	wr(EOI, 0); /* ends 0x85 */
	assert_int_equal(lapic_pending(v), 0x8f);
	lapic_accept(v, 0x8f);
	wr(EOI, 0);
	assert_int_equal(lapic_pending(v), 0x31);
	lapic_accept(v, 0x31);
	wr(EOI, 0);
	wr(EOI, 0); /* one too many does no harm */
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(rd(PPR), 0);
}

static void task_priority(void **state)
{
	struct vmexit e = { .kind = EXIT_CR8, .length = 4 };

	(void)state;
	lapic_raise(v, 0x45);
	wr(TPR, 0x4f);
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(rd(PPR), 0x4f);
	v->pending = 0;
	wr(TPR, 0x3f);
	assert_true(v->pending & PENDING_IRQ);
	assert_int_equal(lapic_pending(v), 0x45);
	/* CR8 is the upper half of it. */
	e.cr8.write = true;
	e.cr8.gpr = GPR_RCX;
	v->gpr[GPR_RCX] = 9;
	exit_dispatch(v, &e);
	assert_int_equal(rd(TPR), 0x90);
	assert_int_equal(v->advance, 4);
	e.cr8.write = false;
	e.cr8.gpr = GPR_RDX;
	exit_dispatch(v, &e);
	assert_int_equal(v->gpr[GPR_RDX], 9);
	e.cr8.write = true;
	v->gpr[GPR_RDX] = 16;
	exit_dispatch(v, &e);
	assert_int_equal(fake_of(v)->exception, VEC_GP);
	assert_int_equal(rd(TPR), 0x90);
}

static void one_shot_timer(void **state)
{
	static const struct {
		u32 code;
		u64 divisor;
	} d[] = { { 0, 2 },  { 1, 4 },	{ 2, 8 },    { 3, 16 },
		  { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };

	(void)state;
	wr(LVT_TIMER, 0x50);
	for (size_t i = 0; i < ARRAY_SIZE(d); i++) {
		u64 start = fake.tsc;

		wr(DIVIDE, d[i].code);
		wr(INITIAL, 1000);
		assert_int_equal(rd(CURRENT), 1000);
		fake.tsc = start + 600 * d[i].divisor;
		assert_int_equal(rd(CURRENT), 400);
		lapic_timer_check(v, start + 1000 * d[i].divisor - 1);
		assert_int_equal(lapic_pending(v), -1);
		fake.tsc = start + 1000 * d[i].divisor;
		lapic_timer_check(v, fake.tsc);
		assert_int_equal(lapic_pending(v), 0x50);
		assert_int_equal(rd(CURRENT), 0);
		lapic_accept(v, 0x50);
		wr(EOI, 0);
		lapic_timer_check(v, fake.tsc + 1000000); /* only once */
		assert_int_equal(lapic_pending(v), -1);
	}
	wr(INITIAL, 1000);
	wr(INITIAL, 0); /* stops it */
	lapic_timer_check(v, fake.tsc + (1UL << 40));
	assert_int_equal(lapic_pending(v), -1);
	/* Masked, or the APIC is off by software: it runs out, and nobody hears. */
	wr(LVT_TIMER, 0x50 | MASKED);
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1000);
	wr(LVT_TIMER, 0x50);
	wr(SVR, 0xff);
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1000);
	assert_int_equal(lapic_pending(v), -1);
}

static void periodic_timer(void **state)
{
	u64 start = fake.tsc, period = 1000000;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, (u32)period);
	for (u64 n = 1; n < 10; n++) {
		lapic_timer_check(v, start + n * period);
		assert_int_equal(lapic_pending(v), 0x60);
		lapic_accept(v, 0x60);
		wr(EOI, 0);
		assert_int_equal(v->lapic.deadline, start + (n + 1) * period);
	}
	/* Missed ones come as one, and the phase is kept. */
	lapic_timer_check(v, start + 1000 * period + 5);
	assert_int_equal(v->lapic.deadline, start + 1001 * period);
	/* A period that only keeps the host busy is stretched. */
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 1);
	assert_true(v->lapic.deadline - fake.tsc >= FAKE_KHZ / 20);
	/* The mode of deadlines disarms. */
	wr(LVT_TIMER, 0x60 | DEADLINE);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

/* Between one-shot and periodic the timer goes on; the mode counts when it has run out. */
static void mode_of_a_running_timer(void **state)
{
	u64 start = fake.tsc, period = 1000000;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, (u32)period);
	fake.tsc += period / 4;
	wr(LVT_TIMER, 0x60);
	assert_int_equal(rd(CURRENT), period * 3 / 4);
	lapic_timer_check(v, start + period);
	assert_int_equal(lapic_pending(v), 0x60);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	/* It has run out: nothing begins anew by a change of the mode alone. */
	fake.tsc = start + 2 * period;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_int_equal(rd(CURRENT), 0);
	wr(LVT_TIMER, 0x60);
	wr(INITIAL, (u32)period);
	start = fake.tsc;
	fake.tsc += period / 4;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	for (u64 n = 1; n < 4; n++) {
		assert_int_equal(v->lapic.deadline, start + n * period);
		lapic_timer_check(v, start + n * period);
	}
	/* From and to deadlines it does not. */
	wr(LVT_TIMER, 0x60 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + v->tsc_offset + 500));
	wr(LVT_TIMER, 0x60);
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_int_equal(v->lapic.tsc_deadline, 0);
}

static void tsc_deadline_timer(void **state)
{
	u64 value, guest_now;

	(void)state;
	fake.tsc += 1000;
	guest_now = fake.tsc + vm->tsc_offset;
	assert_true(
		lapic_msr_write(v, TSC_DEADLINE, guest_now + 500)); /* not in that mode: ignored */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	wr(LVT_TIMER, 0x70 | DEADLINE);
	wr(INITIAL, 1000); /* has no effect in this mode */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, guest_now + 500));
	assert_int_equal(v->lapic.deadline, fake.tsc + 500);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, guest_now + 500);
	lapic_timer_check(v, fake.tsc + 499);
	assert_int_equal(lapic_pending(v), -1);
	lapic_timer_check(v, fake.tsc + 500);
	assert_int_equal(lapic_pending(v), 0x70);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	lapic_accept(v, 0x70);
	wr(EOI, 0);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, guest_now - 1)); /* past: at once */
	assert_int_equal(lapic_pending(v), 0x70);
	lapic_accept(v, 0x70);
	wr(EOI, 0);
	assert_true(
		lapic_msr_write(v, TSC_DEADLINE, ~0UL)); /* for ever, not wrapped into the past */
	assert_int_equal(lapic_pending(v), -1);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, 0));
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

/* Which vCPUs have @vector, as a mask; and forgets it. */
static u32 who_got(u8 vector)
{
	u32 mask = 0;

	for (u32 i = 0; i < CPUS; i++) {
		u32 *w = &vm->vcpus[i]->lapic.irr[vector / 32];

		mask |= (*w >> (vector % 32) & 1) << i;
		*w &= ~(1u << (vector % 32));
	}
	return mask;
}

static u32 ipi(u32 dest, u32 low)
{
	wr(ICR_HI, dest << 24);
	wr(ICR, low);
	assert_int_equal(rd(ICR) & 0x1000, 0); /* idle again */
	return who_got((u8)low);
}

static void ipis_of_xapic(void **state)
{
	(void)state;
	assert_int_equal(ipi(2, 0x41), 1 << 2);
	assert_int_equal(ipi(9, 0x41), 0);
	assert_int_equal(ipi(0xff, 0x41), 0x3f);
	assert_int_equal(ipi(0, 0x40041), 1 << 0); /* self */
	assert_int_equal(ipi(3, 0x80041), 0x3f);   /* all */
	assert_int_equal(ipi(0, 0xc0041), 0x3e);   /* all but self */
	assert_int_equal(ipi(1, 0x0f), 0);	   /* no such vectors */
	/* Logical, flat. */
	for (u32 i = 0; i < CPUS; i++)
		lapic_mmio_write(vm->vcpus[i], LDR, 1u << (24 + i));
	assert_int_equal(ipi(0x05, 0x842), 0x05);
	assert_int_equal(ipi(0xff, 0x842), 0x3f);
	assert_int_equal(ipi(0x06, 0x942), 0x02); /* lowest priority: one of them */
	/* Logical, cluster: 0 1 2 in cluster 1, 3 4 5 in cluster 2. */
	for (u32 i = 0; i < CPUS; i++) {
		lapic_mmio_write(vm->vcpus[i], DFR, 0x0fffffff);
		lapic_mmio_write(vm->vcpus[i], LDR, ((1 + i / 3) << 4 | 1u << (i % 3)) << 24);
	}
	assert_int_equal(ipi(0x15, 0x843), 0x05);
	assert_int_equal(ipi(0x23, 0x843), 0x18);
	assert_int_equal(ipi(0x33, 0x843), 0);
	assert_int_equal(ipi(0xff, 0x843), 0x3f); /* SDM: all ones is everybody */
}

static void ipis_of_x2apic(void **state)
{
	u64 value;

	(void)state;
	for (u32 i = 0; i < CPUS; i++)
		x2apic(vm->vcpus[i]);
	assert_true(lapic_msr_read(vm->vcpus[5], 0x80d, &value));
	assert_int_equal(value, 1 << 5);
	assert_true(lapic_msr_read(vm->vcpus[5], 0x802, &value));
	assert_int_equal(value, 5);
	assert_true(lapic_msr_write(v, 0x830, 4UL << 32 | 0x44));
	assert_int_equal(who_got(0x44), 1 << 4);
	assert_true(lapic_msr_write(v, 0x830, 0xffffffffUL << 32 | 0x44));
	assert_int_equal(who_got(0x44), 0x3f);
	assert_true(lapic_msr_write(v, 0x830, 0x2aUL << 32 | 0x844));
	assert_int_equal(who_got(0x44), 0x2a);
	assert_true(lapic_msr_write(v, 0x830, 0x1002aUL << 32 | 0x844)); /* another cluster */
	assert_int_equal(who_got(0x44), 0);
	assert_true(
		lapic_msr_write(v, 0x830, 0xffffffffUL << 32 | 0x844)); /* broadcast, logical too */
	assert_int_equal(who_got(0x44), 0x3f);
	assert_true(lapic_msr_write(v, 0x83f, 0x45)); /* self IPI */
	assert_int_equal(who_got(0x45), 1);
	assert_true(lapic_msr_read(v, 0x830, &value));
	assert_int_equal(value, 0xffffffffUL << 32 | 0x844);
}

static void nmi_init_sipi(void **state)
{
	struct vcpu *ap = vm->vcpus[2];

	(void)state;
	ipi(2, 0x400);
	assert_int_equal(ap->pending, PENDING_NMI);
	ap->pending = 0;
	ipi(2, 0x601); /* a CPU waits for a SIPI after reset */
	assert_int_equal(ap->pending, PENDING_SIPI);
	ap->pending = 0;
	ap->state = VCPU_RUNNING;
	ipi(2, 0x602); /* and takes no second one */
	assert_int_equal(ap->pending, 0);
	assert_int_equal(ap->lapic.sipi_vector, 1);
	ipi(2, 0x8500); /* INIT level de-assert: nothing */
	assert_int_equal(ap->pending, 0);
	ipi(2, 0x4500);
	assert_int_equal(ap->pending, PENDING_INIT);
	ap->pending = 0; /* the target has seen INIT and is on its way to OFF: the SIPI counts */
	ipi(2, 0x69a);
	assert_int_equal(ap->pending, PENDING_SIPI);
	ap->pending = 0;
	ipi(2, 0x69b); /* and a second one does not */
	assert_int_equal(ap->pending, 0);
	assert_int_equal(ap->lapic.sipi_vector, 0x9a);
	lapic_raise(ap, 0x33);
	x2apic(ap);
	lapic_reset(ap, true); /* INIT keeps the mode and forgets the rest */
	assert_int_equal(ap->lapic.base & X2, X2);
	assert_int_equal(lapic_pending(ap), -1);
	assert_int_equal(ap->lapic.sipi_vector, 0x9a);
}

/* SDM: "x2APIC Register Address Space" */
static void x2apic_registers(void **state)
{
	static const char *const readable =
		"02 03 08 0a 0d 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f "
		"20 21 22 23 24 25 26 27 28 30 32 33 34 35 36 37 38 39 3e ";
	static const char *const writable = "08 0b 0f 28 30 32 33 34 35 36 37 38 3e 3f ";
	u64 value;

	(void)state;
	for (u32 msr = 0x800; msr < 0x900; msr++) { /* not in this mode: #GP, all of them */
		assert_false(lapic_msr_read(v, msr, &value));
		assert_false(lapic_msr_write(v, msr, 0));
	}
	x2apic(v);
	for (u32 i = 0; i < 0x100; i++) {
		char hex[4];

		snprintf(hex, sizeof(hex), "%02x ", i);
		assert_int_equal(lapic_msr_read(v, 0x800 + i, &value),
				 strstr(readable, hex) != NULL);
		assert_int_equal(lapic_msr_write(v, 0x800 + i, 0), strstr(writable, hex) != NULL);
		if (i != 0x30)
			assert_false(lapic_msr_write(v, 0x800 + i, 1UL << 32));
	}
}

static void base_transitions(void **state)
{
	u64 base = 0xfee00000;

	(void)state;
	assert_false(lapic_base_write(v, base | 0x400)); /* X2 without EN */
	assert_false(lapic_base_write(v, base | 0x801)); /* reserved */
	assert_false(lapic_base_write(v, base | 1UL << 40 | 0x800));
	assert_false(lapic_base_write(v, 0xfed00800)); /* does not move */
	assert_true(lapic_base_write(v, base | 0xc00));
	assert_int_equal(v->lapic.base & 0x100, 0x100);	 /* BSP is not writable */
	assert_false(lapic_base_write(v, base | 0x800)); /* not straight back */
	assert_true(lapic_base_write(v, base));		 /* off */
	assert_false(lapic_base_write(v, base | 0xc00)); /* not in one step */
	assert_true(lapic_base_write(v, base | 0x800));
	assert_false(lapic_base_write(vm->vcpus[1], UINT64_MAX));
}

/* --- what is off, what is wrong ------------------------------------------------------ */

/* SDM: "Local APIC State After It Has Been Software Disabled" */
static void off_by_software(void **state)
{
	(void)state;
	wr(LVT_TIMER, 0x50);
	wr(LVT_LINT1, 0x400);
	lapic_raise(v, 0x41);
	wr(SVR, 0xff);
	assert_int_equal(rd(LVT_TIMER), 0x50 | MASKED);
	assert_int_equal(rd(LVT_LINT1), 0x400 | MASKED);
	wr(LVT_TIMER, 0x51); /* cannot be unmasked */
	assert_int_equal(rd(LVT_TIMER), 0x51 | MASKED);
	assert_int_equal(lapic_pending(v), 0x41); /* what it has stays */
	assert_false(lapic_accept_vector(v, 0x61, false));
	assert_int_equal(ipi(0, 0x61), 0);
	assert_int_equal(rd(IRR + 0x30), 0);
	v->pending = 0;
	ipi(0, 0x400); /* NMI, INIT and SIPI come all the same */
	assert_int_equal(v->pending, PENDING_NMI);
	assert_int_equal(ipi(2, 0x61), 1 << 2); /* and it may send */
	wr(SVR, 0x1ff);
	assert_int_equal(rd(LVT_TIMER), 0x51 | MASKED);
	wr(LVT_TIMER, 0x51);
	assert_int_equal(rd(LVT_TIMER), 0x51);
}

/* Off by IA32_APIC_BASE: deaf, and as after reset when it comes back. */
static void off_by_base(void **state)
{
	u64 base = v->lapic.base;

	(void)state;
	wr(LVT_TIMER, 0x50);
	wr(INITIAL, 1000);
	wr(TPR, 0x20);
	lapic_raise(v, 0x41);
	assert_true(lapic_base_write(v, base & ~X2));
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
	v->pending = 0;
	assert_false(lapic_accept_vector(v, 0x61, false));
	assert_false(lapic_send(vm, &(struct lapic_message){ .dest = 0, .mode = DM_NMI }));
	assert_false(lapic_pulse_lint(v, 1));
	assert_int_equal(v->pending, 0);
	assert_true(lapic_base_write(v, base));
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(rd(TPR), 0);
	assert_int_equal(rd(SVR), 0xff);
	/* An xAPIC's destination is not the x2APIC's. */
	wr(ICR_HI, 0x05000000);
	x2apic(v);
	assert_int_equal(rd(0x310), 0);
}

static u32 esr(void)
{
	wr(ESR, 0);
	return rd(ESR);
}

static void errors(void **state)
{
	(void)state;
	wr(LVT_ERROR, 0xee);
	assert_int_equal(esr(), 0);
	assert_int_equal(ipi(1, 0x0f), 0);
	assert_int_equal(rd(ESR), 0); /* seen only once it is written */
	assert_int_equal(lapic_pending(v), 0xee);
	lapic_accept(v, 0xee);
	wr(EOI, 0);
	ipi(1, 0x01); /* no news */
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(esr(), 0x20);
	assert_int_equal(esr(), 0);
	/* A register that is not there, read and written. */
	rd(0x40);
	assert_int_equal(lapic_pending(v), 0xee);
	assert_int_equal(esr(), 0x80);
	wr(0x3f0, 0x41);
	assert_int_equal(rd(IRR + 0x20), 0);
	assert_int_equal(esr(), 0x80);
	rd(0x1000);
	assert_int_equal(esr(), 0x80);
	wr(VERSION_, 1); /* read-only is not "not there" */
	rd(EOI);
	assert_int_equal(esr(), 0);
	/* An illegal vector that arrives: by the I/O APIC, by the timer. */
	lapic_accept(v, 0xee);
	wr(EOI, 0);
	assert_false(lapic_send(vm, &(struct lapic_message){ .dest = 0, .vector = 15 }));
	assert_int_equal(lapic_pending(v), 0xee);
	assert_int_equal(esr(), 0x40);
	wr(LVT_TIMER, 0x05);
	wr(INITIAL, 1);
	lapic_timer_check(v, fake.tsc + 100);
	assert_int_equal(esr(), 0x40);
	/* Its own vector is illegal: noted, and no more. */
	lapic_accept(v, 0xee);
	wr(EOI, 0);
	wr(LVT_ERROR, 0x07);
	ipi(1, 0x0f);
	assert_int_equal(esr(), 0x60);
	assert_int_equal(lapic_pending(v), -1);
	/* The other CPUs have seen nothing of it. */
	for (u32 i = 1; i < CPUS; i++)
		assert_int_equal(vm->vcpus[i]->lapic.errors, 0);
}

static void reserved_bits_of_x2apic(void **state)
{
	/* register, what it takes, what it does not */
	static const struct {
		u32 msr, good, bad;
	} r[] = { { 0x808, 0xff, 0x100 },	{ 0x80b, 0, 1 },
		  { 0x80f, 0x13ff, 0x400 },	{ 0x828, 0, 1 },
		  { 0x830, 0xcc441, 0x100041 }, { 0x830, 0xcd441, 0x2041 },
		  { 0x832, 0x710ff, 0x80000 },	{ 0x833, 0x117ff, 0x800 },
		  { 0x835, 0x1f7ff, 0x800 },	{ 0x837, 0x110ff, 0x400 },
		  { 0x83e, 0xb, 0x4 },		{ 0x83f, 0xff, 0x100 } };
	u64 value;

	(void)state;
	x2apic(v);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		assert_true(lapic_msr_write(v, r[i].msr, r[i].good));
		assert_false(lapic_msr_write(v, r[i].msr, r[i].bad));
	}
	assert_true(lapic_msr_read(v, 0x835, &value));
	assert_int_equal(value, 0x1a7ff); /* delivery status and remote IRR are read-only */
	assert_true(lapic_msr_read(v, 0x830, &value));
	assert_int_equal(value & 0x1000, 0);
	assert_true(lapic_msr_write(v, 0x83f, 3));
	assert_true(lapic_msr_write(v, 0x828, 0));
	assert_true(lapic_msr_read(v, 0x828, &value));
	assert_int_equal(value, 0x20);
}

/* --- CR8, which a guest writes without an exit --------------------------------------------- */

static void enter_once(void)
{
	fake_cpu.on_run = NULL;
	fake_cpu.played = fake_cpu.scripted = 0;
	v->slice_end = fake.tsc + 1; /* the script is empty: the slice ends */
	vcpu_execute(v);
}

static void priority_by_cr8(void **state)
{
	struct fake_vcpu *f = fake_of(v);

	(void)state;
	f->cr8 = 7;
	assert_int_equal(rd(TPR), 0x70);
	assert_int_equal(rd(PPR), 0x70);
	lapic_raise(v, 0x65);
	enter_once();
	assert_int_equal(f->interrupts, 0);
	assert_int_equal(f->tpr_exit, 6); /* as soon as it is below 6 */
	lapic_raise(v, 0x95);
	enter_once();
	assert_int_equal(f->interrupt, 0x95);
	assert_int_equal(f->tpr_exit, 0); /* the one that waits, waits for the other's end */
	f->cr8 = 5;
	wr(EOI, 0);
	enter_once();
	assert_int_equal(f->interrupt, 0x65);
	assert_int_equal(f->interrupts, 2);
	assert_int_equal(f->tpr_exit, 0);
	wr(EOI, 0);
	/* What is written to the register is in CR8; its lower half is the register's own. */
	wr(TPR, 0x8c);
	assert_int_equal(f->cr8, 8);
	assert_int_equal(rd(TPR), 0x8c);
	f->cr8 = 9;
	assert_int_equal(rd(TPR), 0x90);
	assert_true(lapic_base_write(v, v->lapic.base & ~X2));
	assert_int_equal(f->cr8, 0);
}

/* --- who gets it ----------------------------------------------------------------------- */

static void lowest_priority(void **state)
{
	(void)state;
	assert_int_equal(ipi(0xff, 0x142), 0x01); /* equals: the first */
	wr(TPR, 0x30);
	assert_int_equal(ipi(0xff, 0x142), 0x02);
	lapic_raise(vm->vcpus[1], 0x81); /* in service counts like the task's priority */
	lapic_accept(vm->vcpus[1], 0x81);
	for (u32 i = 2; i < CPUS; i++)
		lapic_mmio_write(vm->vcpus[i], TPR, 0x70);
	assert_int_equal(ipi(0xff, 0x142), 0x01);
	wr(SVR, 0xff); /* who takes none is not asked */
	assert_int_equal(ipi(0xff, 0x142), 0x04);
	assert_int_equal(ipi(0, 0xc0142), 0x04); /* all but self */
	for (u32 i = 0; i < CPUS; i++)
		lapic_mmio_write(vm->vcpus[i], SVR, 0xff);
	assert_int_equal(ipi(0xff, 0x142), 0);
}

/* Eight bits of destination, and listeners in both modes. */
static void narrow_messages(void **state)
{
	struct lapic_message m = { .vector = 0x42, .dest = 3 };

	(void)state;
	for (u32 i = 3; i < CPUS; i++)
		x2apic(vm->vcpus[i]);
	for (u32 i = 0; i < 3; i++)
		lapic_mmio_write(vm->vcpus[i], LDR, 1u << (24 + i));
	assert_true(lapic_send(vm, &m));
	assert_int_equal(who_got(0x42), 1 << 3);
	m.dest = 0xff;
	assert_true(lapic_send(vm, &m));
	assert_int_equal(who_got(0x42), 0x3f);
	m.logical = true;
	m.dest = 0x2a; /* flat bits, and bits of cluster 0 */
	assert_true(lapic_send(vm, &m));
	assert_int_equal(who_got(0x42), 0x2a);
	m.dest = 0x40;
	assert_false(lapic_send(vm, &m));
	/* A wide destination is not cut down to eight bits. */
	m.wide = true;
	m.dest = 0x102;
	assert_false(lapic_send(vm, &m));
	m.dest = 0xff;
	m.logical = false;
	assert_false(lapic_send(vm, &m));
	assert_int_equal(who_got(0x42), 0);
}

static void local_pins(void **state)
{
	(void)state;
	v->pending = 0;
	assert_false(lapic_pulse_lint(v, 0)); /* masked */
	wr(LVT_LINT0, 0x43);
	assert_true(lapic_pulse_lint(v, 0));
	assert_int_equal(who_got(0x43), 1);
	v->pending = 0;
	wr(LVT_LINT1, 0x400);
	assert_true(lapic_pulse_lint(v, 1));
	assert_int_equal(v->pending, PENDING_NMI);
	v->pending = 0;
	for (u32 mode = 2; mode < 8; mode++)
		if (mode != 4 && mode != 5) {
			wr(LVT_LINT1, mode << 8 | 0x44);
			assert_false(lapic_pulse_lint(v, 1));
		}
	assert_int_equal(v->pending, 0);
	wr(LVT_LINT1, 0x500);
	assert_true(lapic_pulse_lint(v, 1));
	assert_int_equal(v->pending, PENDING_INIT);
}

static void trigger_mode(void **state)
{
	(void)state;
	lapic_accept_vector(v, 0x45, true);
	assert_int_equal(rd(TMR + 0x20), 1 << 5);
	lapic_accept_vector(v, 0x46, false);
	assert_int_equal(rd(TMR + 0x20), 1 << 5);
	assert_int_equal(rd(IRR + 0x20), 3 << 5);
	lapic_accept(v, 0x46);
	lapic_give_back(v, 0x46);
	lapic_accept_vector(v, 0x45, false); /* the last one to come decides */
	assert_int_equal(rd(TMR + 0x20), 0);
	lapic_accept_vector(v, 0x45, true);
	lapic_accept(v, 0x45);
	lapic_give_back(v, 0x45); /* nothing is lost by that */
	assert_int_equal(rd(TMR + 0x20), 1 << 5);
	assert_int_equal(rd(IRR + 0x20), 3 << 5);
}

/* --- the timer, more closely ------------------------------------------------------------ */

static void divide_on_the_fly(void **state)
{
	u64 start = fake.tsc;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, 1000000);
	fake.tsc = start + 400000;
	wr(DIVIDE, 0); /* by 2: the 600000 left take twice as long */
	assert_int_equal(rd(CURRENT), 600000);
	assert_int_equal(v->lapic.deadline, start + 400000 + 1200000);
	fake.tsc = v->lapic.deadline;
	lapic_timer_check(v, fake.tsc);
	assert_int_equal(v->lapic.deadline, fake.tsc + 2000000);
	wr(INITIAL, 0);
	wr(DIVIDE, 11); /* and does not start one that stands */
	assert_int_equal(v->lapic.deadline, LAPIC_NO_DEADLINE);
}

static void counts_that_are_overdue(void **state)
{
	u64 start = fake.tsc, value;

	(void)state;
	wr(LVT_TIMER, 0x60 | PERIODIC);
	wr(DIVIDE, 11);
	wr(INITIAL, 1000000);
	fake.tsc = start + 3250000; /* nobody has looked since */
	assert_int_equal(rd(CURRENT), 750000);
	wr(INITIAL, 500000); /* what was due comes all the same */
	assert_int_equal(who_got(0x60), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 500000);
	fake.tsc += 500000;
	wr(LVT_TIMER, 0x61 | PERIODIC | MASKED); /* masked a moment too late */
	assert_int_equal(who_got(0x60), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 500000); /* and goes on */
	/* The count never shows more than was written, however short the period was. */
	wr(INITIAL, 5);
	assert_int_equal(rd(CURRENT), 5);
	wr(INITIAL, 0);
	/* The MSR reads zero outside its mode, and once it is due. */
	wr(LVT_TIMER, 0x62 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	wr(LVT_TIMER, 0x62);
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	wr(LVT_TIMER, 0x62 | DEADLINE);
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	fake.tsc += 10;
	assert_true(lapic_msr_read(v, TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
	assert_int_equal(who_got(0x62), 1);
	/* One deadline follows another that has just passed: both come. */
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 10));
	fake.tsc += 10;
	assert_true(lapic_msr_write(v, TSC_DEADLINE, fake.tsc + vm->tsc_offset + 1000));
	assert_int_equal(who_got(0x62), 1);
	assert_int_equal(v->lapic.deadline, fake.tsc + 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reset_state),
		T(priorities),
		T(task_priority),
		T(one_shot_timer),
		T(periodic_timer),
		T(mode_of_a_running_timer),
		T(priority_by_cr8),
		T(tsc_deadline_timer),
		T(ipis_of_xapic),
		T(ipis_of_x2apic),
		T(nmi_init_sipi),
		T(x2apic_registers),
		T(base_transitions),
		T(off_by_software),
		T(off_by_base),
		T(errors),
		T(reserved_bits_of_x2apic),
		T(lowest_priority),
		T(narrow_messages),
		T(local_pins),
		T(trigger_mode),
		T(divide_on_the_fly),
		T(counts_that_are_overdue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
