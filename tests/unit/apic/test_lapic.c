/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's local APIC: registers, modes, priorities, errors. */
#include <tests/unit/apic/lapic_fixture.h>

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

/* --- APICs that are off, and errors ------------------------------------------------------ */

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
	assert_int_equal(lapic_pending(v), 0x41); /* pending interrupts stay */
	assert_false(lapic_accept_vector(v, 0x61, false));
	assert_int_equal(ipi(0, 0x61), 0);
	assert_int_equal(rd(IRR + 0x30), 0);
	v->pending = 0;
	ipi(0, 0x400); /* NMI, INIT and SIPI still come */
	assert_int_equal(v->pending, PENDING_NMI);
	assert_int_equal(ipi(2, 0x61), 1 << 2); /* and it may send IPIs */
	wr(SVR, 0x1ff);
	assert_int_equal(rd(LVT_TIMER), 0x51 | MASKED);
	wr(LVT_TIMER, 0x51);
	assert_int_equal(rd(LVT_TIMER), 0x51);
}

/* Off by IA32_APIC_BASE: takes no interrupts, and is as after reset when it comes back. */
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
	/* An xAPIC's destination differs from an x2APIC's. */
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
	/* Its own vector is illegal: only ESR changes. */
	lapic_accept(v, 0xee);
	wr(EOI, 0);
	wr(LVT_ERROR, 0x07);
	ipi(1, 0x0f);
	assert_int_equal(esr(), 0x60);
	assert_int_equal(lapic_pending(v), -1);
	/* The other CPUs have got no interrupt. */
	for (u32 i = 1; i < CPUS; i++)
		assert_int_equal(vm->vcpus[i]->lapic.errors, 0);
}

static void reserved_bits_of_x2apic(void **state)
{
	/* register, bits that it takes, bits that it does not */
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
	assert_int_equal(f->tpr_exit, 0); /* the waiting one waits for the EOI of the other */
	f->cr8 = 5;
	wr(EOI, 0);
	enter_once();
	assert_int_equal(f->interrupt, 0x65);
	assert_int_equal(f->interrupts, 2);
	assert_int_equal(f->tpr_exit, 0);
	wr(EOI, 0);
	/* A value written to the register is in CR8, too; only the register has the lower half. */
	wr(TPR, 0x8c);
	assert_int_equal(f->cr8, 8);
	assert_int_equal(rd(TPR), 0x8c);
	f->cr8 = 9;
	assert_int_equal(rd(TPR), 0x90);
	assert_true(lapic_base_write(v, v->lapic.base & ~X2));
	assert_int_equal(f->cr8, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reset_state),	     T(priorities),
		T(task_priority),    T(priority_by_cr8),
		T(x2apic_registers), T(base_transitions),
		T(off_by_software),  T(off_by_base),
		T(errors),	     T(reserved_bits_of_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
