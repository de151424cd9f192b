/* SPDX-License-Identifier: BSD-2-Clause */
/* Three VMs and a terminal that remembers its bytes; for test_{console,terminal,operator}.c. */
#ifndef TESTS_UNIT_TERMINAL_FIXTURE_H
#define TESTS_UNIT_TERMINAL_FIXTURE_H

#include <tests/fake/guest.h>

#include <hv/base/terminal.h>
#include <hv/control/operator.h>
#include <hv/vm/sched.h>

#define MS FAKE_KHZ
#define VMS 3
#define A "\x01"
#define RS '\036'

static char wire[1 << 20]; /* what the terminal got */
static size_t wire_len;
static struct vm_config cfg[VMS];

static inline void wire_send(const char *bytes, size_t n)
{
	assert_true(wire_len + n < sizeof(wire));
	memcpy(wire + wire_len, bytes, n);
	wire_len += n;
	wire[wire_len] = '\0';
}

static inline void wire_line(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n')
			wire_send("\r", 1);
		wire_send(s + i, 1);
	}
}

static struct log_sink sink = { .write = wire_line };

static inline void clear(void)
{
	wire_len = 0;
	wire[0] = '\0';
	fake_log_clear();
}

static inline void tick(u64 now)
{
	console_tick(now);
	operator_tick(now);
}

/* Lets @ms pass as the scheduler would: with a tick at each time that was asked for. */
static inline void pass(u64 ms)
{
	u64 end = fake.tsc + ms * MS;

	while (fake.tsc < end) {
		fake.tsc = max(fake.tsc + 1, min(sched_event, end));
		sched_event = UINT64_MAX;
		tick(fake.tsc);
	}
}

static inline int setup(void **state)
{
	static bool once;

	(void)state;
	guest_machine(MIB(128), 1);
	for (u32 i = 0; i < VMS; i++) {
		cfg[i] = guest_config((const char *[]){ "one", "two", "three" }[i]);
		guest_start(&cfg[i]);
	}
	if (!once) {
		log_add_sink(&sink);
		terminal_open(wire_send, &sink);
	}
	once = true;
	sched_event = UINT64_MAX;
	clear();
	return 0;
}

static inline int teardown(void **state)
{
	operator_stop();
	return fake_teardown(state);
}

static inline void type_n(const char *s, size_t n)
{
	operator_typed(s, n);
}

static inline void type(const char *s)
{
	type_n(s, strlen(s));
	pass(1);
}

static inline void says(u32 vm, const char *s)
{
	console_output(vms[vm], s, strlen(s));
}

/* Reads all input at the guest's UART. */
static inline const char *heard(u32 vm)
{
	static char text[UART_INPUT_MAX + 1];
	u32 n = 0;

	while (uart_in(vms[vm], UART_PORT + 5) & 1)
		text[n++] = (char)uart_in(vms[vm], UART_PORT);
	text[n] = '\0';
	return text;
}

static inline bool on_wire(const char *s)
{
	return strstr(wire, s);
}

static inline u32 count(const char *s)
{
	u32 n = 0;

	for (const char *p = wire; (p = strstr(p, s)); p++)
		n++;
	return n;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
