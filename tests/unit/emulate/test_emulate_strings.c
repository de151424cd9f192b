/* SPDX-License-Identifier: BSD-2-Clause */
/* String instructions between devices, memory and ports. */
#include <tests/unit/emulate/emulate_fixture.h>

/* --- strings --- */

#define REP_MOVSD "\xf3\xa5"
#define REP_STOSD "\xf3\xab"

static void to_memory(void **state)
{
	(void)state;
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = DATA + 8;
	v->gpr[GPR_RCX] = 1;
	RUN(REP_MOVSD, APIC + COUNT, false); /* onto memory that is not backed yet */
	nothing_happened();
	assert_int_equal(p2m_lookup(&vm->p2m, DATA_GPA >> 12).kind, P2M_MAPPED);
	AGAIN(APIC + COUNT, false);
	done(2);
	assert_int_equal(peek(DATA_GPA + 8, 8), 0x12345678);
	assert_int_equal(v->gpr[GPR_RSI], APIC + COUNT + 4);
	assert_int_equal(v->gpr[GPR_RDI], DATA + 12);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	/* an element across two pages of memory */
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = DATA + 0xffe;
	RUN("\xa5", APIC + COUNT, false);
	nothing_happened();
	AGAIN(APIC + COUNT, false);
	done(1);
	assert_int_equal(peek(DATA_GPA + 0xffe, 4), 0x12345678);
	/* and back, from memory to the device, downwards */
	v->gpr[GPR_RSI] = DATA + 0xffe;
	v->gpr[GPR_RDI] = APIC + 0x380;
	s->rflags |= BIT(10);
	RUN("\xa5", APIC + 0x380, true);
	done(1);
	assert_int_equal(lapic_mmio_read(v, 0x380), 0x12345678);
	assert_int_equal(v->gpr[GPR_RSI], DATA + 0xffa);
	assert_int_equal(v->gpr[GPR_RDI], APIC + 0x37c);
	/* device to device */
	v->gpr[GPR_RSI] = APIC + 0x380;
	v->gpr[GPR_RDI] = APIC + 0x310;
	lapic_mmio_write(v, 0x310, 0);
	RUN("\xa5", APIC + 0x310, true);
	done(1);
	assert_int_equal(lapic_mmio_read(v, 0x310), 0x12000000);
}

static void rights_of_the_other_side(void **state)
{
	(void)state;
	v->gpr[GPR_RCX] = 1;
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = READ_ONLY + 4;
	RUN(REP_MOVSD, APIC + COUNT, false);
	faulted(VEC_PF, READ_ONLY + 4, PF_PRESENT | PF_WRITE);
	v->gpr[GPR_RDI] = CODE + 0x1ffc;
	AGAIN(APIC + COUNT, false);
	faulted(VEC_PF, CODE + 0x1ffc, PF_WRITE);
	v->gpr[GPR_RDI] = USER;
	s->cr4 |= BIT(21); /* SMAP */
	AGAIN(APIC + COUNT, false);
	faulted(VEC_PF, USER, PF_PRESENT | PF_WRITE);
	v->gpr[GPR_RDI] = 0x1234567812345678;
	AGAIN(APIC + COUNT, false);
	faulted(VEC_GP, 0, 0);
	v->gpr[GPR_RDI] = USER;
	s->rflags |= BIT(18);
	AGAIN(APIC + COUNT, false);
	nothing_happened(); /* backed */
	AGAIN(APIC + COUNT, false);
	done(2);
	/* to an address without a device: lost */
	v->gpr[GPR_RCX] = 1;
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = ELSEWHERE;
	AGAIN(APIC + COUNT, false);
	done(2);
	/* from there: ones */
	v->gpr[GPR_RCX] = 1;
	v->gpr[GPR_RSI] = ELSEWHERE;
	v->gpr[GPR_RDI] = APIC + COUNT;
	AGAIN(APIC + COUNT, true);
	done(2);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0xffffffff);
}

/* No frame for the memory side: the vCPU waits, and the device has not been read. */
static void waits_for_memory(void **state)
{
	struct p2m_entry e;

	(void)state;
	code_at(CODE, "\xa5", 1);
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = DATA;
	fake_alloc_fail_at(0);
	AGAIN(APIC + COUNT, false);
	assert_true(fake_alloc.failed);
	fake_alloc_off();
	assert_int_equal(v->advance, 0);
	assert_int_equal(v->gpr[GPR_RDI], DATA);
	assert_int_equal(v->next, VCPU_NO_MEMORY);
	e = p2m_lookup(&vm->p2m, DATA_GPA >> 12);
	assert_int_equal(e.kind, P2M_EMPTY);
}

/* Into the balloon: popped, as by a touch of the guest. */
static void ballooned(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;

	(void)state;
	poke(DATA_GPA, 1, 1);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_prepare(&vm->p2m, 0), HV_OK);
	{
		u64 work = 0;

		assert_int_equal(p2m_lock(&vm->p2m, DATA_GPA >> 12, ORDER_4K, &b, &work), HV_OK);
	}
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
	v->gpr[GPR_RSI] = APIC + COUNT;
	v->gpr[GPR_RDI] = DATA;
	RUN("\xa5", APIC + COUNT, false);
	nothing_happened();
	assert_int_equal(vm->balloon.popped, 1);
	AGAIN(APIC + COUNT, false);
	done(1);
	assert_int_equal(peek(DATA_GPA, 4), 0x12345678);
}

/* A long one stops from time to time, and its counter goes on. */
static void bounded(void **state)
{
	u32 exits = 0;

	(void)state;
	v->gpr[GPR_RAX] = 0x5a;
	v->gpr[GPR_RDI] = APIC + 0x310;
	v->gpr[GPR_RCX] = 300;
	code_at(CODE, REP_STOSD, 2);
	do {
		u64 before = v->gpr[GPR_RCX];

		AGAIN(v->gpr[GPR_RDI], true);
		assert_int_equal(vm->state, VM_RUNNING);
		assert_int_equal(v->gpr[GPR_RDI], APIC + 0x310 + 4 * (300 - v->gpr[GPR_RCX]));
		assert_in_range(before - v->gpr[GPR_RCX], 1, 64);
		exits++;
	} while (!v->advance);
	done(2);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	assert_int_equal(exits, 5);
	/* a page in the middle is absent: the string stops there */
	map(APIC + PAGE_SIZE, 0);
	v->gpr[GPR_RDI] = APIC + 0xff0;
	v->gpr[GPR_RCX] = 10;
	AGAIN(APIC + 0xff0, true);
	faulted(VEC_PF, APIC + PAGE_SIZE, PF_WRITE);
	assert_int_equal(v->gpr[GPR_RCX], 6);
	assert_int_equal(v->gpr[GPR_RDI], APIC + PAGE_SIZE);
	/* 32-bit addresses clear the upper halves; a count of 0 does nothing */
	v->gpr[GPR_RDI] = 0xffffffff00000000 | (APIC + 0x300);
	v->gpr[GPR_RCX] = 0xffffffff00000001;
	RUN("\x67\xf3\xab", APIC + 0x300, true);
	done(3);
	assert_int_equal(v->gpr[GPR_RDI], APIC + 0x304);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	RUN("\xf3\xab", APIC + 0x300, true);
	done(2);
	assert_int_equal(v->gpr[GPR_RDI], APIC + 0x304);
}

/* --- INS and OUTS --- */

#define UART 0x3f8
#define LSR (UART + 5)

/* One exit by INS or OUTS at CODE. */
static void run_port(const char *bytes, size_t n, u16 port, u8 size, bool in)
{
	struct vmexit e = { .kind = EXIT_IO, .length = (u8)n };

	if (n)
		code_at(CODE, bytes, n);
	e.io.port = port;
	e.io.size = size;
	e.io.in = in;
	e.io.string = true;
	v->advance = 0;
	fake_of(v)->exception = -1;
	exit_dispatch(v, &e);
}
#define OUTS(bytes, port, size) run_port(bytes, sizeof(bytes) - 1, port, size, false)
#define INS(bytes, port, size) run_port(bytes, sizeof(bytes) - 1, port, size, true)

static void to_a_port(void **state)
{
	char text[160];
	u32 exits = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 140, "the end\n", 8);
	guest_write(&vm->p2m, GPA(DATA_GPA + 0xfe0), text, sizeof(text)); /* across two pages */
	v->gpr[GPR_RSI] = DATA + 0xfe0;
	v->gpr[GPR_RCX] = 148;
	fake_log_clear();
	do {
		OUTS("\xf3\x6e", UART, 1);
		assert_int_equal(v->gpr[GPR_RSI], DATA + 0xfe0 + 148 - v->gpr[GPR_RCX]);
		exits++;
	} while (!v->advance);
	done(2);
	assert_int_equal(exits, 3); /* of 64 at most */
	assert_int_equal(v->gpr[GPR_RCX], 0);
	assert_true(fake_log_has("xxxxxxxxthe end"));
	/* Downwards, one element, by a segment; and a count of 0. */
	fake_of(v)->state.seg[SEG_GS].base = DATA;
	s->rflags |= BIT(10);
	v->gpr[GPR_RSI] = 0xfe0 + 146;
	v->gpr[GPR_RCX] = 7;
	fake_log_clear();
	OUTS("\x65\x6e", UART, 1);
	done(2);
	assert_int_equal(v->gpr[GPR_RSI], 0xfe0 + 145);
	assert_int_equal(v->gpr[GPR_RCX], 7);
	OUTS("\x65\x6e", UART, 1);
	guest_port(v, UART, 1, false, '\n');
	assert_true(fake_log_has("dn"));
	v->gpr[GPR_RCX] = 0;
	OUTS("\xf3\x6e", UART, 1);
	done(2);
	assert_int_equal(v->gpr[GPR_RSI], 0xfe0 + 144);
	/* The VM ends in the middle: the rest is dropped. */
	s->rflags = 2;
	v->gpr[GPR_RSI] = DATA;
	v->gpr[GPR_RCX] = 5;
	poke(DATA_GPA, 0x2b2a, 8);
	OUTS("\xf3\x6e", 0xf4, 1);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(vm->exit_status, 0x2a);
}

static void from_a_port(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = DATA + 2;
	v->gpr[GPR_RCX] = 3;
	INS("\xf3\x6c", LSR, 1); /* onto memory that is not backed yet */
	nothing_happened();
	assert_int_equal(v->gpr[GPR_RCX], 3);
	INS("\xf3\x6c", LSR, 1);
	done(2);
	assert_int_equal(peek(DATA_GPA, 8), 0x6060600000);
	assert_int_equal(v->gpr[GPR_RDI], DATA + 5);
	/* A port without a device, in each size; across two pages. */
	v->gpr[GPR_RDI] = DATA + 0xffe;
	INS("\x6d", 0x1000, 4);
	nothing_happened();
	INS("\x6d", 0x1000, 4);
	done(1);
	assert_int_equal(peek(DATA_GPA + 0xffc, 8), 0xffffffff0000);
	v->gpr[GPR_RDI] = DATA + 16;
	INS("\x66\x6d", 0x1000, 2);
	done(2);
	assert_int_equal(peek(DATA_GPA + 16, 8), 0xffff);
	assert_int_equal(v->gpr[GPR_RDI], DATA + 18);
}

/* A byte that is read from the port is gone, so the memory is checked first. */
static void no_read_before_the_memory(void **state)
{
	(void)state;
	guest_port(v, UART + 4, 1, false, 0x10); /* sent bytes come back */
	guest_port(v, UART, 1, false, 'u');
	v->gpr[GPR_RDI] = READ_ONLY;
	INS("\x6c", UART, 1);
	faulted(VEC_PF, READ_ONLY, PF_PRESENT | PF_WRITE);
	v->gpr[GPR_RDI] = CODE + 0x1000;
	v->gpr[GPR_RCX] = 1;
	INS("\xf3\x6c", UART, 1);
	faulted(VEC_PF, CODE + 0x1000, PF_WRITE);
	v->gpr[GPR_RDI] = 0x1234567812345678;
	INS("\x6c", UART, 1);
	faulted(VEC_GP, 0, 0);
	v->gpr[GPR_RSI] = CODE + 0x1000;
	OUTS("\x6e", UART, 1);
	faulted(VEC_PF, CODE + 0x1000, 0);
	v->gpr[GPR_RDI] = DATA;
	INS("\x6c", UART, 1);
	nothing_happened();
	INS("\x6c", UART, 1);
	done(1);
	assert_int_equal(peek(DATA_GPA, 8), 'u');
}

/* Another vCPU has changed the instruction: no port is touched, the CPU runs the new one. */
static void another_port_instruction(void **state)
{
	(void)state;
	v->gpr[GPR_RSI] = v->gpr[GPR_RDI] = DATA;
	poke(DATA_GPA, 42, 8);
	INS("\x6e", 0xf4, 1);
	nothing_happened();
	OUTS("\x6c", 0xf4, 1);
	nothing_happened();
	OUTS("\x6f", 0xf4, 1);
	nothing_happened();
	OUTS("\xa4", 0xf4, 1);
	nothing_happened();
	/* INS and OUTS exit for their port before they access a device in memory. */
	v->gpr[GPR_RSI] = v->gpr[GPR_RDI] = APIC + COUNT;
	RUN("\x6c", APIC + COUNT, true);
	nothing_happened();
	RUN("\x6e", APIC + COUNT, false);
	nothing_happened();
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	OUTS("\x90", 0x77, 1);
	stopped("write of the port at 77 by an instruction that is not emulated");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(to_memory),
		T(rights_of_the_other_side),
		T(waits_for_memory),
		T(ballooned),
		T(bounded),
		T(to_a_port),
		T(from_a_port),
		T(no_read_before_the_memory),
		T(another_port_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
