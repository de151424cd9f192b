/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's I/O APIC: registers, edges, levels and their end. */
#include <tests/fake/guest.h>

#define CPUS 4
#define PIN 5

enum { SELECT = 0x00, WINDOW = 0x10, EOI_REGISTER = 0x40 };
#define LEVEL 0x8000u
#define MASKED 0x10000u
#define REMOTE_IRR 0x4000u
#define LOGICAL 0x800u
#define NMI 0x400u
#define LAPIC_EOI 0xb0
#define LAPIC_TMR 0x180
#define LAPIC_SVR 0xf0

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("lines");
	vm = guest_start_smp(&cfg, CPUS);
	v = vm->vcpus[0];
	return 0;
}

static u32 rd(u32 index)
{
	ioapic_mmio_write(v, SELECT, 4, index);
	return (u32)ioapic_mmio_read(v, WINDOW, 4);
}

static void wr(u32 index, u32 value)
{
	ioapic_mmio_write(v, SELECT, 4, index);
	ioapic_mmio_write(v, WINDOW, 4, value);
}

static void route(u32 pin, u32 low, u32 dest)
{
	wr(0x11 + pin * 2, dest << 24);
	wr(0x10 + pin * 2, low);
}

static u32 entry(u32 pin)
{
	return rd(0x10 + pin * 2);
}

/* Returns the vCPUs that have @vector in IRR, as a mask, and clears it there. */
static u32 taken(u8 vector)
{
	u32 mask = 0;

	for (u32 i = 0; i < CPUS; i++)
		if (vm->vcpus[i]->lapic.irr[vector / 32] >> (vector % 32) & 1) {
			lapic_accept(vm->vcpus[i], vector);
			mask |= 1u << i;
		}
	return mask;
}

static void end(u32 cpu)
{
	lapic_mmio_write(vm->vcpus[cpu], LAPIC_EOI, 0);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(rd(1), 0x00170020);
	assert_int_equal(rd(0), 0);
	wr(0, 0xffffffff);
	assert_int_equal(rd(0), 0x0f000000);
	assert_int_equal(rd(2), 0x0f000000);
	wr(1, 0);
	wr(2, 0);
	assert_int_equal(rd(1), 0x00170020);
	assert_int_equal(rd(2), 0x0f000000);
	for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(entry(pin), MASKED);
		route(pin, 0xffffffff, 0xff);
		assert_int_equal(entry(pin), 0x1afff); /* without status and remote IRR */
		assert_int_equal(rd(0x11 + pin * 2), 0xff000000);
	}
	/* Behind the table there are no entries, and writes there change nothing. */
	for (u32 i = 0; i < 0x100; i++)
		if (i > 2 && (i < 0x10 || i >= 0x10 + 2 * IOAPIC_PINS)) {
			wr(i, 0x41);
			assert_int_equal(rd(i), 0);
		}
	assert_int_equal(vm->ioapic.lines, 0);
	ioapic_mmio_write(v, SELECT, 4, 0xffffff01); /* eight bits */
	assert_int_equal(ioapic_mmio_read(v, SELECT, 4), 1);
	assert_int_equal(ioapic_mmio_read(v, WINDOW, 1), 0x20);
	assert_int_equal(ioapic_mmio_read(v, WINDOW, 2), 0x20);
	assert_int_equal(ioapic_mmio_read(v, WINDOW, 8), 0x170020);
	assert_int_equal(ioapic_mmio_read(v, 0x20, 4), 0);
	assert_int_equal(ioapic_mmio_read(v, 0xffc, 4), 0);
	ioapic_mmio_write(v, SELECT, 4, 0);
	ioapic_mmio_write(v, WINDOW, 1, 0); /* the datasheet: 32 bits at a time */
	assert_int_equal(rd(0), 0x0f000000);
	assert_panics(ioapic_set_line(vm, IOAPIC_PINS, true));
}

static void edges(void **state)
{
	(void)state;
	route(PIN, 0x41, 2);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(lapic_mmio_read(vm->vcpus[2], LAPIC_TMR + 0x20), 0);
	assert_int_equal(taken(0x41), 1 << 2);
	assert_true(vm->vcpus[2]->pending & PENDING_IRQ);
	ioapic_set_line(vm, PIN, true); /* still up: no edge */
	end(2);
	assert_int_equal(taken(0x41), 0);
	assert_int_equal(entry(PIN), 0x41);
	ioapic_set_line(vm, PIN, false);
	assert_int_equal(taken(0x41), 0);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x41), 1 << 2);
	ioapic_set_line(vm, PIN, false);
	/* At a masked pin it is lost. */
	route(PIN, 0x41 | MASKED, 2);
	ioapic_set_line(vm, PIN, true);
	route(PIN, 0x41, 2);
	assert_int_equal(taken(0x41), 0);
	/* Other pins do not change. */
	ioapic_set_line(vm, PIN + 1, true);
	ioapic_set_line(vm, PIN - 1, true);
	assert_int_equal(taken(0x41), 0);
}

static void levels(void **state)
{
	(void)state;
	route(PIN, 0x51 | LEVEL, 1);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	assert_int_equal(lapic_mmio_read(vm->vcpus[1], LAPIC_TMR + 0x20), 1 << 17);
	assert_int_equal(taken(0x51), 1 << 1);
	/* Up and down while it is in service: nothing before the EOI. */
	ioapic_set_line(vm, PIN, false);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x51), 0);
	end(1); /* still up: it comes again, at once and only once */
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	assert_int_equal(taken(0x51), 1 << 1);
	ioapic_set_line(vm, PIN, false);
	end(1);
	assert_int_equal(entry(PIN), 0x51 | LEVEL);
	assert_int_equal(taken(0x51), 0);
	end(1);
	assert_int_equal(taken(0x51), 0);
	/* A level at a masked pin waits. */
	route(PIN, 0x51 | LEVEL | MASKED, 1);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x51), 0);
	route(PIN, 0x51 | LEVEL, 1);
	assert_int_equal(taken(0x51), 1 << 1);
	/* Masked in service, as Linux does: it stays quiet until unmasked. */
	route(PIN, 0x51 | LEVEL | MASKED, 1);
	end(1);
	assert_int_equal(entry(PIN), 0x51 | LEVEL | MASKED);
	assert_int_equal(taken(0x51), 0);
	route(PIN, 0x51 | LEVEL, 1);
	assert_int_equal(taken(0x51), 1 << 1);
	/* A write of the value that was read: remote IRR is read-only. */
	wr(0x10 + PIN * 2, entry(PIN));
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	assert_int_equal(taken(0x51), 0);
	ioapic_set_line(vm, PIN, false);
	end(1);
}

/* Clearing remote IRR without an EOI: by the register, or by a turn to edge and back. */
static void forgotten_ends(void **state)
{
	(void)state;
	route(PIN, 0x51 | LEVEL, 1);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x51), 1 << 1);
	ioapic_mmio_write(v, EOI_REGISTER, 4, 0x52); /* another's */
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	ioapic_set_line(vm, PIN, false);
	ioapic_mmio_write(v, EOI_REGISTER, 4, 0x51);
	assert_int_equal(entry(PIN), 0x51 | LEVEL);
	ioapic_set_line(vm, PIN, true);
	ioapic_set_line(vm, PIN, false);
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	wr(0x10 + PIN * 2, 0x51 | MASKED);
	assert_int_equal(entry(PIN), 0x51 | MASKED);
	wr(0x10 + PIN * 2, 0x51 | LEVEL);
	assert_int_equal(entry(PIN), 0x51 | LEVEL);
}

/* SDM: "Signaling Interrupt Servicing Completion": with SVR bit 12 the guest does it itself. */
static void directed_eoi(void **state)
{
	(void)state;
	lapic_mmio_write(vm->vcpus[1], LAPIC_SVR, 0x11ff);
	assert_int_equal(lapic_mmio_read(vm->vcpus[1], LAPIC_SVR), 0x11ff);
	route(PIN, 0x51 | LEVEL, 1);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x51), 1 << 1);
	end(1);
	assert_int_equal(lapic_mmio_read(vm->vcpus[1], 0x120), 0);
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	assert_int_equal(taken(0x51), 0);
	ioapic_mmio_write(v, EOI_REGISTER, 4, 0x51);
	assert_int_equal(taken(0x51), 1 << 1);
}

/* The EOI of an edge does not end a level with the same vector. */
static void ends_of_edges(void **state)
{
	(void)state;
	route(PIN, 0x51 | LEVEL, 1);
	route(PIN + 1, 0x51, 2);
	ioapic_set_line(vm, PIN, true);
	ioapic_set_line(vm, PIN + 1, true);
	assert_int_equal(taken(0x51), 1 << 1 | 1 << 2);
	end(2);
	assert_int_equal(entry(PIN), 0x51 | LEVEL | REMOTE_IRR);
	end(1);
	assert_int_equal(taken(0x51), 1 << 1);
	/* Two levels with one vector end together. */
	route(PIN + 1, 0x51 | LEVEL, 2);
	assert_int_equal(taken(0x51), 1 << 2);
	ioapic_set_line(vm, PIN, false);
	ioapic_set_line(vm, PIN + 1, false);
	end(2);
	assert_int_equal(entry(PIN) | entry(PIN + 1), 0x51 | LEVEL);
}

static void destinations(void **state)
{
	(void)state;
	for (u32 i = 0; i < CPUS; i++)
		lapic_mmio_write(vm->vcpus[i], 0xd0, 1u << (24 + i));
	route(PIN, 0x61, 0xff);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x61), 0xf);
	ioapic_set_line(vm, PIN, false);
	route(PIN, 0x62 | LOGICAL, 0x6);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x62), 0x6);
	ioapic_set_line(vm, PIN, false);
	for (u32 i = 0; i < 2 * CPUS; i++)
		end(i % CPUS);
	/* Lowest priority: one of them, a level too. */
	lapic_mmio_write(vm->vcpus[1], 0x80, 0x20);
	route(PIN, 0x63 | LOGICAL | LEVEL | 0x100, 0x6);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(taken(0x63), 0x4);
	assert_int_equal(entry(PIN), 0x63 | LOGICAL | LEVEL | 0x100 | REMOTE_IRR);
	ioapic_set_line(vm, PIN, false);
	end(2);
	/* No destination: the interrupt is not in flight, and goes when there is a destination. */
	route(PIN, 0x64 | LEVEL, 9);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(entry(PIN), 0x64 | LEVEL);
	wr(0x11 + PIN * 2, 3u << 24);
	assert_int_equal(taken(0x64), 1 << 3);
	ioapic_set_line(vm, PIN, false);
	end(3);
	/* The first EOI ends a broadcast level. */
	route(PIN, 0x65 | LEVEL, 0xff);
	ioapic_set_line(vm, PIN, true);
	ioapic_set_line(vm, PIN, false);
	assert_int_equal(taken(0x65), 0xf);
	end(0);
	assert_int_equal(entry(PIN), 0x65 | LEVEL);
	for (u32 i = 1; i < CPUS; i++)
		end(i);
}

static void other_modes(void **state)
{
	struct vcpu *t = vm->vcpus[1];

	(void)state;
	t->pending = 0;
	route(PIN, NMI | LEVEL, 1); /* an edge, whatever the entry's trigger mode */
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(t->pending, PENDING_NMI);
	assert_int_equal(entry(PIN), NMI | LEVEL);
	t->pending = 0;
	wr(0x10 + PIN * 2, NMI | LEVEL);
	assert_int_equal(t->pending, 0);
	ioapic_set_line(vm, PIN, false);
	/* SMI, reserved modes, ExtINT: no vCPU takes them. */
	for (u32 mode = 2; mode < 8; mode++) {
		if (mode == 4 || mode == 5)
			continue;
		route(PIN, 0x41 | mode << 8, 1);
		ioapic_set_line(vm, PIN, true);
		ioapic_set_line(vm, PIN, false);
	}
	assert_int_equal(t->pending, 0);
	assert_int_equal(taken(0x41), 0);
	/* An illegal vector is an error of the receiver, and nothing hangs. */
	route(PIN, 0x0f | LEVEL, 1);
	ioapic_set_line(vm, PIN, true);
	assert_int_equal(entry(PIN), 0x0f | LEVEL);
	lapic_mmio_write(t, 0x280, 0);
	assert_int_equal(lapic_mmio_read(t, 0x280), 0x40);
}

/* A VM that starts again finds it as after reset. */
static void fresh_at_start(void **state)
{
	(void)state;
	route(PIN, 0x51 | LEVEL, 1);
	ioapic_set_line(vm, PIN, true);
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->ioapic.lines, 0);
	assert_int_equal(entry(PIN), MASKED);
	assert_int_equal(lapic_pending(vm->vcpus[1]), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registers),	   T(edges),	    T(levels),
		T(forgotten_ends), T(directed_eoi), T(ends_of_edges),
		T(destinations),   T(other_modes),  T(fresh_at_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
