/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts between vCPUs, messages and pins: their destinations. */
#include <tests/unit/apic/lapic_fixture.h>

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
	assert_int_equal(ipi(0xff, 0x843), 0x3f); /* SDM: all ones means all CPUs */
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
	ap->pending = 0; /* the target has seen INIT and is about to be OFF: the SIPI counts */
	ipi(2, 0x69a);
	assert_int_equal(ap->pending, PENDING_SIPI);
	ap->pending = 0;
	ipi(2, 0x69b); /* and a second one does not */
	assert_int_equal(ap->pending, 0);
	assert_int_equal(ap->lapic.sipi_vector, 0x9a);
	lapic_raise(ap, 0x33);
	x2apic(ap);
	lapic_reset(ap, true); /* INIT keeps the mode and resets the rest */
	assert_int_equal(ap->lapic.base & X2, X2);
	assert_int_equal(lapic_pending(ap), -1);
	assert_int_equal(ap->lapic.sipi_vector, 0x9a);
}

/* --- destinations ----------------------------------------------------------------------- */

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
	wr(SVR, 0xff); /* a vCPU that takes none is not chosen */
	assert_int_equal(ipi(0xff, 0x142), 0x04);
	assert_int_equal(ipi(0, 0xc0142), 0x04); /* all but self */
	for (u32 i = 0; i < CPUS; i++)
		lapic_mmio_write(vm->vcpus[i], SVR, 0xff);
	assert_int_equal(ipi(0xff, 0x142), 0);
}

/* Eight bits of destination, and receivers in both modes. */
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ipis_of_xapic),   T(ipis_of_x2apic), T(nmi_init_sipi), T(lowest_priority),
		T(narrow_messages), T(local_pins),     T(trigger_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
