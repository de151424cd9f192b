/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest at its devices: random accesses to local APICs, I/O APIC, UART and clock from all
 * vCPUs, and lines and input from outside. After each step the invariants are checked; after each
 * round all devices are made quiet, and then must work as after a start.
 */
#include <tests/fake/guest.h>

#include <hv/apic/lapic_regs.h>
#include <pthread.h>
#include <sched.h>

#define CPUS 4
#define ROUNDS 150
#define STEPS 2000

static struct vm_config cfg;
static struct vm *vm;
static u64 seed;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("hostile");
	cfg.vcpus = CPUS;
	vm = guest_start(&cfg);
	fake.wall_us = 1700000000UL * 1000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake.wall_us = 0;
	fake_machine_off();
	return 0;
}

static u64 roll(u64 below)
{
	return (fake_random(&seed) * 0x2545f4914f6cdd1d >> 24) %
	       below; /* its low bits follow each other */
}

/* Values; valid ones more often than by chance. */
static u64 some_value(void)
{
	u64 bits = fake_random(&seed) * 0x2545f4914f6cdd1d;

	switch (roll(6)) {
	case 0:
		return 0;
	case 1:
		return roll(0x100);
	case 2:
		return roll(0x100) | (bits & 0xecf00);
	case 3:
		return 1UL << roll(64);
	case 4:
		return (u32)bits;
	default:
		return bits;
	}
}

/* --- steps ------------------------------------------------------------------------------ */

static void port(struct vcpu *v, u16 number, bool in)
{
	u8 size = (u8)(1u << roll(3));

	guest_port(v, number, size, in, some_value());
}

static void local_apic(struct vcpu *v)
{
	u64 value, msr = roll(8) ? 0x800 + roll(0x40) : 0x6e0;
	u32 offset = (u32)(roll(8) ? roll(0x40) << 4 : roll(0x1100));

	if (lapic_is_x2(&v->lapic)) {
		if (roll(2))
			lapic_msr_read(v, (u32)msr, &value);
		else
			lapic_msr_write(v, (u32)msr, some_value() >> roll(40));
	} else if (msr == 0x6e0) {
		lapic_msr_write(v, (u32)msr, fake.tsc + vm->tsc_offset + roll(1UL << 20));
	} else if (!(v->lapic.base & BASE_EN)) {
		assert_false(lapic_msr_write(v, (u32)msr, 0)); /* and nothing is at its address */
	} else if (roll(2)) {
		lapic_mmio_read(v, offset);
	} else {
		lapic_mmio_write(v, offset, (u32)some_value());
	}
}

static void io_apic(struct vcpu *v)
{
	static const u64 offsets[] = { 0, 0, 0x10, 0x10, 0x10, 0x40, 4, 0xffc };
	u64 offset = offsets[roll(ARRAY_SIZE(offsets))];
	u32 size = 1u << roll(4);

	if (roll(3) == 0)
		ioapic_mmio_read(v, offset, size);
	else if (offset == 0)
		ioapic_mmio_write(v, offset, 4, roll(8) ? 0x10 + roll(48) : some_value());
	else
		ioapic_mmio_write(v, offset, roll(4) ? 4 : size, some_value());
}

static void switch_on(struct vcpu *v)
{
	lapic_base_write(v, v->lapic.base | BASE_EN);
	if (lapic_is_x2(&v->lapic))
		lapic_msr_write(v, 0x80f, 0x1ff);
	else
		lapic_mmio_write(v, R_SVR, 0x1ff);
}

/* As deliver() does before an entry. */
static void deliver(struct vcpu *v)
{
	u32 pending = atomic_swap(&v->pending, 0u);
	int vector;

	if (pending & PENDING_INIT)
		lapic_reset(v, true);
	lapic_timer_check(v, fake.tsc);
	vector = lapic_pending(v);
	if (vector < 0)
		return;
	assert_true((vector & 0xf0) > (int)(lapic_ppr(&v->lapic) & 0xf0));
	lapic_accept(v, (u8)vector);
	assert_int_equal(lapic_ppr(&v->lapic) & 0xf0, vector & 0xf0);
	if (!roll(8))
		lapic_give_back(v, (u8)vector);
}

static void step(void)
{
	struct vcpu *v = vm->vcpus[roll(CPUS)];
	char text[8];

	switch (roll(16)) {
	case 0 ... 3:
		local_apic(v);
		break;
	case 4 ... 6:
		io_apic(v);
		break;
	case 7 ... 8:
		port(v, (u16)(UART_PORT + roll(8)), roll(2));
		break;
	case 9:
		port(v, (u16)(RTC_PORT + roll(2)), roll(2));
		break;
	case 10 ... 11:
		ioapic_set_line(vm, (u32)(UART_PIN + 1 + roll(IOAPIC_PINS - UART_PIN - 1)),
				roll(2));
		break;
	case 12:
		memset(text, (int)roll(256), sizeof(text));
		uart_input(vm, text, roll(sizeof(text)));
		break;
	case 13:
		fake.tsc += roll(1UL << roll(30));
		console_tick(fake.tsc);
		break;
	case 14:
		if (!roll(4))
			lapic_base_write(v, v->lapic.base ^ (roll(4) << 10));
		else if (!roll(4))
			lapic_pulse_lint(v, (u32)roll(2));
		else
			switch_on(v);
		break;
	default:
		deliver(v);
	}
}

/* --- invariants ---------------------------------------------------------------------- */

static u32 word(const struct lapic *a, u32 reg, u32 i)
{
	return lapic_get(a, reg + i * 16);
}

static void check_lapic(struct vcpu *v)
{
	const struct lapic *a = &v->lapic;
	u64 mode = a->base & (BASE_EN | BASE_X2);

	assert_int_not_equal(mode, BASE_X2);
	assert_int_equal(a->base >> 12, LAPIC_DEFAULT_BASE >> 12);
	assert_int_equal(a->irr[0] & 0xffff, 0);
	assert_int_equal(word(a, R_ISR, 0) & 0xffff, 0);
	assert_int_equal(word(a, R_TMR, 0) & 0xffff, 0);
	if (!mode)
		for (u32 i = 0; i < 8; i++)
			assert_int_equal(a->irr[i] | word(a, R_ISR, i), 0);
	if (!lapic_is_on(a))
		for (u32 r = R_LVT_TIMER; r <= R_LVT_ERROR; r += 16)
			assert_true(lapic_get(a, r) & LVT_MASKED);
	assert_int_equal((a->errors | lapic_get(a, R_ESR)) & ~0xe0u, 0);
	/* A timer must not keep the host busy. */
	if (a->period)
		assert_true(a->period >= FAKE_KHZ / 20);
	if (!mode)
		assert_int_equal(a->deadline, LAPIC_NO_DEADLINE);
}

static void check_all(void)
{
	const struct uart *u = &vm->uart;

	for (u32 i = 0; i < CPUS; i++)
		check_lapic(vm->vcpus[i]);
	for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 e = vm->ioapic.entry[pin];

		assert_int_equal(e & ~(0xffUL << 56 | 0x1efffUL | 0x4000), 0);
		if (e & 0x4000) /* remote IRR: a level that was accepted */
			assert_true(e & ICR_LEVEL && ICR_MODE(e) <= DM_LOWEST);
	}
	assert_int_equal(vm->ioapic.lines >> UART_PIN & 1, u->line_up);
	assert_true(u->head - u->tail <= UART_INPUT_MAX && vm->console.length <= CONSOLE_LINE_MAX);
	if (u->line_up)
		assert_true(u->ier && u->mcr & 8 && !(u->mcr & 0x10));
	if (!(u->msr_delta | u->thr_interrupt | u->overrun) && u->head == u->tail)
		assert_false(u->line_up);
	/* All locks must be free. */
	assert_int_equal(vm->ioapic.lock.held | u->lock.held | vm->console.lock.held, 0);
	assert_int_equal(atomic_load(&vm->state), VM_RUNNING);
}

/* --- and then there is quiet ---------------------------------------------------------------- */

static void ioapic_entry(u32 pin, u32 low, u32 high)
{
	ioapic_mmio_write(vm->vcpus[0], 0, 4, 0x11 + 2 * pin);
	ioapic_mmio_write(vm->vcpus[0], 0x10, 4, high);
	ioapic_mmio_write(vm->vcpus[0], 0, 4, 0x10 + 2 * pin);
	ioapic_mmio_write(vm->vcpus[0], 0x10, 4, low);
}

static void write_lapic(struct vcpu *v, u32 reg, u32 value)
{
	if (lapic_is_x2(&v->lapic))
		assert_true(lapic_msr_write(v, 0x800 + (reg >> 4), value));
	else
		lapic_mmio_write(v, reg, value);
}

/* As a kernel does that takes the machine over: all sources off, all interrupts ended. */
static void quiesce(void)
{
	port(vm->vcpus[0], UART_PORT, true); /* any access: the line is what the registers say */
	vm->vcpus[0]->gpr[GPR_RAX] = 0;
	uart_out(vm, UART_PORT + 3, 0);
	uart_out(vm, UART_PORT + 1, 0);
	for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
		if (pin != UART_PIN)
			ioapic_set_line(vm, pin, false);
		ioapic_entry(pin, LVT_MASKED, 0);
	}
	for (u32 i = 0; i < CPUS; i++) {
		struct vcpu *v = vm->vcpus[i];
		int vector, n = 0;

		switch_on(v);
		write_lapic(v, R_LVT_TIMER, LVT_MASKED);
		write_lapic(v, R_LVT_ERROR, LVT_MASKED);
		write_lapic(v, R_TIMER_INITIAL, 0);
		write_lapic(v, R_TPR, 0);
		for (n = 0; n < 512; n++) {
			vector = lapic_pending(v);
			if (vector >= 0)
				lapic_accept(v, (u8)vector);
			write_lapic(v, R_EOI, 0);
		}
		v->pending = 0;
	}
	assert_int_equal(vm->ioapic.lines, 0);
}

static void nothing_comes(void)
{
	fake.tsc += 1UL << 33;
	console_tick(fake.tsc);
	for (u32 i = 0; i < CPUS; i++) {
		struct vcpu *v = vm->vcpus[i];

		lapic_timer_check(v, fake.tsc);
		assert_int_equal(lapic_pending(v), -1);
		assert_int_equal(lapic_ppr(&v->lapic), 0);
		for (u32 w = 0; w < 8; w++)
			assert_int_equal(v->lapic.irr[w] | word(&v->lapic, R_ISR, w), 0);
	}
}

/* Each pin to some vCPU: a level comes once per EOI, and ends with its line. */
static void everything_works(void)
{
	for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
		struct vcpu *v = vm->vcpus[pin % CPUS];
		u8 vector = (u8)(0x30 + pin);

		if (pin == UART_PIN)
			continue;
		ioapic_entry(pin, vector | ICR_LEVEL, v->index << 24);
		ioapic_set_line(vm, pin, true);
		assert_int_equal(lapic_pending(v), vector);
		lapic_accept(v, vector);
		assert_int_equal(lapic_pending(v), -1);
		write_lapic(v, R_EOI, 0);
		assert_int_equal(lapic_pending(v), vector);
		lapic_accept(v, vector);
		ioapic_set_line(vm, pin, false);
		write_lapic(v, R_EOI, 0);
		assert_int_equal(lapic_pending(v), -1);
		assert_int_equal(vm->ioapic.entry[pin] & 0x4000, 0);
		ioapic_entry(pin, LVT_MASKED, 0);
	}
}

static void random_accesses(void **state)
{
	(void)state;
	for (u32 round = 0; round < ROUNDS; round++) {
		seed = 0x9e3779b97f4a7c15UL * (round + 1);
		for (u32 i = 0; i < STEPS; i++) {
			step();
			check_all();
		}
		quiesce();
		nothing_comes();
		everything_works();
		check_all();
	}
}

/* --- two CPUs at once ------------------------------------------------------------------------- */

#define EDGES 100000
#define LEVEL_PIN 9
#define LEVEL_VECTOR 0x61
#define EDGE_VECTOR 0x71

static u32 levels_served, edges_served, device_done;

/* One CPU plays a device: it raises an interrupt after the guest has handled the one before. */
static void *device(void *arg)
{
	for (u32 i = 1; i <= EDGES; i++) {
		ioapic_set_line(vm, LEVEL_PIN, true);
		lapic_raise(vm->vcpus[1], EDGE_VECTOR);
		while (atomic_load_seq(&levels_served) < i || atomic_load_seq(&edges_served) < i)
			sched_yield();
	}
	atomic_store_seq(&device_done, 1u);
	return arg;
}

/* The other CPU plays the guest, which looks only at interrupts: none may be lost. */
static void no_interrupt_is_lost(void **state)
{
	struct vcpu *v = vm->vcpus[1];
	u64 idle = 0;
	pthread_t t;

	(void)state;
	levels_served = edges_served = device_done = 0;
	switch_on(v);
	ioapic_entry(LEVEL_PIN, LEVEL_VECTOR | ICR_LEVEL, 1u << 24);
	assert_int_equal(pthread_create(&t, NULL, device, NULL), 0);
	while (!atomic_load_seq(&device_done)) {
		int vector;

		if (!atomic_swap(&v->pending, 0u)) {
			sched_yield();
			assert_true(++idle < 100000000); /* it hangs: one was lost */
			continue;
		}
		idle = 0;
		vector = lapic_pending(v);
		if (vector < 0)
			continue;
		lapic_accept(v, (u8)vector);
		if (vector == LEVEL_VECTOR) {
			ioapic_set_line(vm, LEVEL_PIN, false);
			atomic_add(&levels_served, 1);
		} else {
			assert_int_equal(vector, EDGE_VECTOR);
			atomic_add(&edges_served, 1);
		}
		lapic_mmio_write(v, R_EOI, 0);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(levels_served, EDGES);
	assert_int_equal(edges_served, EDGES);
	assert_int_equal(lapic_pending(v), -1);
	assert_int_equal(vm->ioapic.entry[LEVEL_PIN] & 0x4000, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(random_accesses), T(no_interrupt_is_lost) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
