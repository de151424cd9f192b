/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A: features that a driver probes and relies on, the interrupt, input, and lines on the
 * console.
 */
#include <tests/fake/guest.h>

#include <hv/vm/sched.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };
enum { FCR = IIR };
enum { RX = 1, TX = 2, LINE = 4, MODEM = 8 };
#define OUT2 8
#define LOOP 0x10
#define DLAB 0x80
#define NONE 0x01
#define MS (FAKE_KHZ)

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("tty");
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	fake_log_clear();
	return 0;
}

/* Through the port table, as a guest does. */
static u32 in(u32 reg)
{
	return (u32)guest_port(v, (u16)(UART_PORT + reg), 1, true, 0);
}

static void out(u32 reg, u32 value)
{
	guest_port(v, (u16)(UART_PORT + reg), 1, false, value);
}

static bool line(void)
{
	bool up = vm->ioapic.lines >> UART_PIN & 1;

	assert_int_equal(vm->ioapic.lines & ~(1u << UART_PIN), 0);
	assert_int_equal(up, vm->uart.line_up);
	return up;
}

static void type(const char *s)
{
	uart_input(vm, s, strlen(s));
}

static void plain_registers(void **state)
{
	(void)state;
	assert_int_equal(in(IIR), NONE);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	out(SCRATCH, 0x5a);
	assert_int_equal(in(SCRATCH), 0x5a);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f); /* no UUE, no sleep mode: not another chip */
	out(IER, 0);
	out(LCR, DLAB | 3);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 3);
	assert_int_equal(in(LCR), 3);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(DATA), 0);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	assert_false(fake_log_has("tty|"));
}

/* Linux: autoconfig() and autoconfig_16550a() of the 8250 driver. */
static void is_taken_for_a_16550a(void **state)
{
	(void)state;
	out(MCR, LOOP | OUT2 | 2);
	assert_int_equal(in(MSR)&0xf0, 0x90); /* DCD and CTS */
	out(MCR, LOOP | 4 | 1);
	assert_int_equal(in(MSR)&0xf0, 0x60); /* RI and DSR */
	out(MCR, 0);
	out(FCR, 1);
	assert_int_equal(in(IIR), 0xc1);
	out(FCR, 0x21); /* no 64 bytes either */
	assert_int_equal(in(IIR), 0xc1);
	out(LCR, 0xbf); /* no EFR behind IIR */
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0);
	out(FCR, 0);
	assert_int_equal(in(IIR), 0x01);
}

/* Linux: serial8250_do_startup(): the THRE test, and that of UART_BUG_TXEN. */
static void transmitter_says_that_it_is_empty(void **state)
{
	(void)state;
	out(MCR, OUT2);
	for (int i = 0; i < 2; i++) {
		out(IER, TX);
		assert_true(line());
		assert_int_equal(in(LSR)&0x60, 0x60);
		assert_int_equal(in(IIR), 0x02);
		assert_false(line()); /* reading it ends it */
		assert_int_equal(in(IIR), NONE);
		out(IER, 0);
	}
	/* And after each byte. */
	out(IER, TX);
	assert_int_equal(in(IIR), 0x02);
	out(IER, TX | RX); /* already on: says nothing new */
	assert_int_equal(in(IIR), NONE);
	for (int i = 0; i < 3; i++) {
		out(DATA, 'x');
		assert_true(line());
		assert_int_equal(in(IIR), 0x02);
		assert_int_equal(in(IIR), NONE);
		assert_false(line());
	}
	out(DATA, 'x');
	out(IER, 0); /* not enabled: no interrupt */
	assert_false(line());
	assert_int_equal(in(IIR), NONE);
	out(IER, TX);
	out(MCR, 0); /* OUT2 gates the line, not the register */
	assert_false(line());
	out(MCR, OUT2);
	assert_true(line());
	out(MCR, OUT2 | LOOP);
	assert_false(line());
}

static void receiver(void **state)
{
	char got[64];
	u32 n = 0;

	(void)state;
	type("abc");
	assert_int_equal(in(LSR), 0x61); /* polled */
	assert_int_equal(in(DATA), 'a');
	assert_false(line());
	out(MCR, OUT2);
	out(IER, RX);
	assert_true(line());
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(IIR), 0x04); /* lasts until it is read empty */
	assert_int_equal(in(DATA), 'b');
	assert_true(line());
	assert_int_equal(in(DATA), 'c');
	assert_false(line());
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0);
	/* With FIFOs: below the trigger level it is a timeout. */
	out(FCR, 0x81);
	type("1234567");
	assert_true(line());
	assert_int_equal(in(IIR), 0xcc);
	type("8");
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(DATA), '1');
	assert_int_equal(in(IIR), 0xcc);
	while (in(LSR)&1)
		got[n++] = (char)in(DATA);
	assert_int_equal(n, 7);
	assert_memory_equal(got, "2345678", 7);
	assert_false(line());
	/* Priorities: line status, data, transmitter, modem. */
	type("x");
	out(MCR, OUT2 | LOOP);
	out(MCR, OUT2); /* the modem's lines went and came */
	out(IER, 0x0f);
	assert_int_equal(in(IIR), 0xcc);
	assert_int_equal(in(DATA), 'x');
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);
	assert_true(line());
	assert_int_equal(in(MSR), 0xb3); /* CTS and DSR went and came; OUT2 held DCD */
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(IIR), 0xc1);
	assert_false(line());
}

static void pasted_text(void **state)
{
	char text[UART_INPUT_MAX + 100];
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < sizeof(text); i++)
		text[i] = (char)('!' + i % 90);
	out(MCR, OUT2);
	out(FCR, 1);
	uart_input(vm, text, 700);
	out(IER, RX | LINE);
	while (in(LSR)&1)
		assert_int_equal(in(DATA), text[n++]);
	assert_int_equal(n, 700);
	/* Too many bytes are an overrun, and the first ones stay. */
	uart_input(vm, text, sizeof(text));
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0xc4);
	for (n = 0; in(LSR)&1; n++)
		assert_int_equal(in(DATA), text[n]);
	assert_int_equal(n, UART_INPUT_MAX);
	/* FCR empties the FIFO, not the wire. */
	uart_input(vm, text, 40);
	out(FCR, 3);
	assert_int_equal(in(DATA), text[16]);
	out(FCR, 0);
	out(FCR, 2); /* without FIFOs there is one byte */
	assert_int_equal(in(DATA), text[18]);
	out(FCR, 4); /* the transmitter's is always empty */
	assert_int_equal(in(DATA), text[19]);
	vm->uart.tail = vm->uart.head;
	out(FCR, 3);
	assert_int_equal(in(LSR), 0x60);
}

static void loopback(void **state)
{
	(void)state;
	out(MCR, LOOP);
	out(DATA, 'q');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'q');
	assert_int_equal(in(LSR), 0x60);
	out(MCR, 0);
	console_flush(vm);
	assert_false(fake_log_has("tty|"));
	in(MSR);
	/* The ring indicator tells its end. */
	out(MCR, LOOP | 4);
	in(MSR);
	out(MCR, LOOP);
	assert_int_equal(in(MSR), 0x04);
	out(MCR, LOOP | 4);
	assert_int_equal(in(MSR), 0x40);
}

static void interrupt_reaches_the_guest(void **state)
{
	(void)state;
	lapic_mmio_write(v, 0xf0, 0x1ff);
	ioapic_mmio_write(v, 0, 4, 0x10 + 2 * UART_PIN);
	ioapic_mmio_write(v, 0x10, 4, 0x8000 | 0x34); /* level, to vCPU 0 */
	out(MCR, OUT2);
	out(IER, RX);
	assert_int_equal(lapic_pending(v), -1);
	type("ab");
	assert_int_equal(lapic_pending(v), 0x34);
	lapic_accept(v, 0x34);
	in(DATA);
	lapic_mmio_write(v, 0xb0, 0); /* one is left: again */
	assert_int_equal(lapic_pending(v), 0x34);
	lapic_accept(v, 0x34);
	in(DATA);
	lapic_mmio_write(v, 0xb0, 0);
	assert_int_equal(lapic_pending(v), -1);
}

static void say(const char *s)
{
	while (*s)
		out(DATA, (u8)*s++);
}

static void lines(void **state)
{
	(void)state;
	say("one\r\ntwo");
	assert_true(fake_log_has("tty| one\n"));
	assert_false(fake_log_has("two"));
	out(DATA, 0x1b);
	out(DATA, 0x80);
	say("\n");
	assert_true(fake_log_has("tty| two??\n"));
	for (u32 i = 0; i < CONSOLE_LINE_MAX + 1; i++)
		say("l");
	assert_int_equal(vm->console.length, 1); /* a long one is cut */
	vm_end(vm, 0, "test");
	assert_int_equal(vm->console.length, 0);
}

static void prompts(void **state)
{
	u64 start = fake.tsc;

	(void)state;
	sched_event = UINT64_MAX;
	say("login: ");
	assert_int_equal(sched_next_event(), start + 1000 * MS);
	fake.tsc += 999 * MS;
	console_tick(fake.tsc);
	assert_false(fake_log_has("login"));
	say("x"); /* it is still being written */
	fake.tsc += MS;
	sched_event = UINT64_MAX;
	console_tick(fake.tsc);
	assert_false(fake_log_has("login"));
	assert_int_equal(sched_next_event(), fake.tsc + 999 * MS);
	fake.tsc += 999 * MS;
	console_tick(fake.tsc);
	assert_true(fake_log_has("tty|+login: x\n"));
	sched_event = UINT64_MAX;
	console_tick(fake.tsc); /* and then no more ticks */
	assert_int_equal(sched_next_event(), UINT64_MAX);
	/* Sooner if the guest listens, or begins to. */
	say("$ ");
	out(IER, RX);
	assert_int_equal(sched_next_event(), fake.tsc + 100 * MS);
	fake.tsc += 100 * MS;
	console_tick(fake.tsc);
	assert_true(fake_log_has("tty|+$ \n"));
}

static void fresh_at_start(void **state)
{
	(void)state;
	out(MCR, OUT2);
	out(IER, 0x0f);
	out(LCR, DLAB);
	type("old");
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_false(line());
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IER) | in(LCR) | in(MCR), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain_registers),
		T(is_taken_for_a_16550a),
		T(transmitter_says_that_it_is_empty),
		T(receiver),
		T(pasted_text),
		T(loopback),
		T(interrupt_reaches_the_guest),
		T(lines),
		T(prompts),
		T(fresh_at_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
