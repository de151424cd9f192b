/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated device accesses, by all kinds of instructions. */
#include <tests/unit/emulate/emulate_fixture.h>

/* --- plain accesses and sizes --- */

static void plain(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = APIC + COUNT;
	v->gpr[GPR_RAX] = UINT64_MAX;
	RUN("\x8b\x07", APIC + COUNT, false); /* mov eax, [rdi] */
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0x12345678);
	s->rsp = 0xabcdef;
	RUN("\x89\x27", APIC + COUNT, true); /* mov [rdi], esp */
	done(2);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0xabcdef);
	RUN("\x48\x8b\x27", APIC + COUNT, false); /* mov rsp, [rdi]: the APIC has no 64 bits */
	done(3);
	assert_int_equal(s->rsp, UINT64_MAX);
	RUN("\xc7\x07\x01\x02\x03\x04", APIC + COUNT, true);
	done(6);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x04030201);
	v->gpr[GPR_RCX] = 0x10;
	RUN("\x83\x4f\xf8\x08", APIC + COUNT, true); /* changed since: executes the new one */
	done(4);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x04030201);
	RUN("\x83\x0f\x08", APIC + COUNT, false); /* or [rdi], 8 */
	done(3);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x04030209);
	assert_int_equal(s->rflags, 2 | BIT(2));
	RUN("\x87\x0f", APIC + COUNT, true); /* xchg [rdi], ecx */
	done(2);
	assert_int_equal(v->gpr[GPR_RCX], 0x04030209);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x10);
}

/* Accesses for which the APIC has no register. */
static void odd_sizes(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = APIC + COUNT;
	v->gpr[GPR_RAX] = 0;
	RUN("\x8a\x07", APIC + COUNT, false);
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0xff);
	RUN("\x66\x89\x07", APIC + COUNT, true);
	done(3);
	RUN("\x88\x07", APIC + COUNT, true);
	done(2);
	RUN("\x48\x89\x07", APIC + COUNT, true);
	done(3);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	v->gpr[GPR_RDI]++;
	RUN("\x8b\x07", APIC + COUNT + 1, false); /* not aligned: 1, 2 and 1 bytes */
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
	RUN("\x89\x0f", APIC + COUNT + 1, true);
	done(2);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	/* and the bus itself, any size and place: ones outside of the device */
	for (u64 at = APIC - 9; at < APIC + 32; at++)
		for (u32 n = 1; n <= 8; n++) {
			u64 below = at < APIC ? min(APIC - at, (u64)n) * 8 : 0;
			u64 ones = below ? UINT64_MAX >> (64 - below) : 0;

			mmio_write(v, GPA(at), n, UINT64_MAX);
			assert_int_equal(mmio_read(v, GPA(at), n) & ones, ones);
			if (at >= APIC && (n != 4 || at & 3) && n < 5)
				assert_int_equal(mmio_read(v, GPA(at), n),
						 UINT64_MAX >> (64 - n * 8));
		}
	assert_int_equal(mmio_read(v, GPA(APIC + 0x30), 4), 0x1050014);
	/* 6 bytes: 4 that are a register, 2 that are not */
	assert_int_equal(mmio_read(v, GPA(APIC + 0x30), 6), 0xffff01050014);
	assert_null(mmio_find(v, GPA(APIC + PAGE_SIZE)));
	assert_null(mmio_find(v, GPA(APIC - 1)));
	assert_non_null(mmio_find(v, GPA(APIC + PAGE_SIZE - 1)));
}

static void no_device(void **state)
{
	(void)state;
	/* Where devices may be, an empty bus. */
	v->lapic.base |= BIT(10); /* x2APIC */
	v->gpr[GPR_RDI] = APIC + TPR;
	RUN("\x8b\x07", APIC + TPR, false);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
	setup(state);
	v->lapic.base &= ~BIT(11);
	v->gpr[GPR_RDI] = APIC + TPR;
	v->gpr[GPR_RAX] = 0;
	RUN("\x8b\x07", APIC + TPR, false);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
	assert_int_equal(vm->state, VM_RUNNING);
	setup(state);
	/* Other addresses have neither memory nor devices. */
	v->gpr[GPR_RDI] = 0xb0000000;
	RUN("\x8b\x07", 0xb0000000, false);
	stopped("no memory, no device");
	setup(state);
	{
		struct vmexit e = { .kind = EXIT_P2M_FAULT };

		e.fault.gpa = GPA(APIC);
		e.fault.exec = true;
		exit_dispatch(v, &e);
	}
	stopped("execution at fee00000");
}

static void unknown(void **state)
{
	(void)state;
	fake_log_clear();
	v->gpr[GPR_RDI] = APIC;
	RUN("\x0f\x11\x07\xde\xad\xbe\xef", APIC, true); /* movups [rdi], xmm0 */
	stopped("not emulated");
	assert_true(fake_log_has("bytes at rip: 0f 11 07 de ad be ef 00"));
	assert_true(fake_log_has("stopped at rip 400000"));
}

/* A process cannot end its VM. */
static void unknown_by_a_process(void **state)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT, .fault = { .gpa = GPA(APIC), .exec = true } };

	(void)state;
	fake_of(v)->state.seg[SEG_SS].attr = 0x60;
	map(CODE, CODE_GPA | 5);
	fake_log_clear();
	for (u32 i = 1; i <= 3; i++) {
		v->gpr[GPR_RDI] = APIC;
		fake_of(v)->exception = -1;
		RUN("\x0f\x11\x07", APIC, true); /* movups [rdi], xmm0 */
		assert_int_equal(fake_of(v)->exception, VEC_UD);
		assert_int_equal(vm->refused_insns, i);
		assert_int_equal(
			fake_log_has("write of the device at fee00000 by an instruction of a "
				     "process that is not emulated: #UD"),
			i == 1);
		fake_log_clear();
	}
	fake_of(v)->exception = -1;
	exit_dispatch(v, &e);
	assert_int_equal(fake_of(v)->exception, VEC_UD);
	assert_int_equal(vm->state, VM_RUNNING);
}

/* --- operands across a page or the device's end --- */

static void straddling(void **state)
{
	(void)state;
	/* the last two bytes of memory, the first two of the device; exits are told either way */
	poke(BEFORE_GPA + 0xffe, 0xbbaa, 2);
	v->gpr[GPR_RDI] = APIC - 2;
	for (u64 told = APIC - 4; told <= APIC; told += 4) {
		if (told < APIC)
			continue; /* an access to memory does not exit */
		RUN("\x8b\x07", told, false);
		done(2);
		assert_int_equal(v->gpr[GPR_RAX], 0xffffbbaa);
	}
	v->gpr[GPR_RAX] = 0x44332211;
	RUN("\x89\x07", APIC, true);
	done(2);
	assert_int_equal(peek(BEFORE_GPA + 0xffe, 2), 0x2211);
	/* the device's end, then memory; told exactly, or aligned as QEMU does */
	poke(AFTER_GPA, 0xddcc, 2);
	v->gpr[GPR_RDI] = APIC + 0xffe;
	RUN("\x8b\x07", APIC + 0xffe, false);
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0xddccffff);
	RUN("\x8b\x07", APIC + 0xffc, false);
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0xddccffff);
	RUN("\x83\x07\x01", APIC + 0xffe, false); /* add: carries into the memory */
	done(3);
	assert_int_equal(peek(AFTER_GPA, 2), 0xddcd);
	/* the second page absent, or not writable: a #PF at its start, and nothing is changed */
	map(APIC + PAGE_SIZE, 0);
	RUN("\x8b\x07", APIC + 0xffe, false);
	faulted(VEC_PF, APIC + PAGE_SIZE, 0);
	map(APIC + PAGE_SIZE, AFTER_GPA | 1);
	RUN("\x8b\x07", APIC + 0xffe, false);
	done(2);
	RUN("\x89\x07", APIC + 0xffe, true);
	faulted(VEC_PF, APIC + PAGE_SIZE, PF_PRESENT | PF_WRITE);
	assert_int_equal(peek(AFTER_GPA, 2), 0xddcd);
	/* a hole */
	map(APIC + PAGE_SIZE, 0xa0003);
	RUN("\x8b\x07", APIC + 0xffe, false);
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
}

/* The exit reports a read, and the instruction writes: the guest's tables decide. */
static void read_modify_write(void **state)
{
	(void)state;
	map(APIC, APIC | 1);
	v->gpr[GPR_RDI] = APIC + COUNT;
	RUN("\x83\x0f\x07", APIC + COUNT, false);
	faulted(VEC_PF, APIC + COUNT, PF_PRESENT | PF_WRITE);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	RUN("\x83\x3f\x07", APIC + COUNT, false); /* cmp does not */
	done(3);
}

/* --- fetching --- */

static void page_ends(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = APIC + COUNT;
	/* all of it before the end: the next page does not matter */
	code_at(CODE + 0xffe, "\x8b\x07", 2);
	AGAIN(APIC + COUNT, false);
	done(2);
	/* cut off at each place */
	for (u64 have = 1; have < 6; have++) {
		code_at(CODE + 0x1000 - have, "\xc7\x07\x01\x02\x03\x04", have);
		AGAIN(APIC + COUNT, true);
		faulted(VEC_PF, CODE + 0x1000, PF_FETCH);
	}
	/* a page that the guest may not execute, one of the user's, a reserved bit */
	map(CODE + PAGE_SIZE, DATA_GPA | 1 | BIT(63));
	AGAIN(APIC + COUNT, true);
	faulted(VEC_PF, CODE + 0x1000, PF_PRESENT | PF_FETCH);
	map(CODE + PAGE_SIZE, DATA_GPA | 5);
	s->cr4 |= BIT(20); /* SMEP */
	AGAIN(APIC + COUNT, true);
	faulted(VEC_PF, CODE + 0x1000, PF_PRESENT | PF_FETCH);
	s->seg[SEG_SS].attr = 0x60; /* and a user at a supervisor's */
	map(CODE + PAGE_SIZE, DATA_GPA | 1);
	AGAIN(APIC + COUNT, true);
	faulted(VEC_PF, CODE + 0xffb, PF_PRESENT | PF_USER | PF_FETCH);
	s->seg[SEG_SS].attr = 0;
	/* there: the rest, from memory that nobody has touched, is 00 */
	code_at(CODE + 0xffe, "\xc7\x07", 2);
	AGAIN(APIC + COUNT, true);
	done(6);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0);
	/* an address without memory; a table outside of memory */
	map(CODE + PAGE_SIZE, 0xa0001);
	AGAIN(APIC + COUNT, true);
	stopped("not in memory");
	setup(state);
	s->cr3 = 0xa0000;
	RUN("\x8b\x07", APIC + COUNT, false);
	stopped("not in memory");
}

static void too_long(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = APIC + COUNT;
	RUN("\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x8b\x07", APIC + COUNT,
	    false);
	faulted(VEC_GP, 0, 0);
}

/* 16 and 32-bit code: bases, and the limit of CS. */
static void segments(void **state)
{
	(void)state;
	s->efer = 0;
	s->cr0 = 1;
	s->seg[SEG_CS] = (struct guest_segment){ .base = 0x100000, .limit = 0xffff, .attr = 0x9b };
	s->seg[SEG_DS].base = APIC;
	s->seg[SEG_SS].base = APIC + 0x1000;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x10fffe), "\x8b\x07\x90", 3), HV_OK);
	s->rip = 0xfffe;
	v->gpr[GPR_RBX] = 0xdead0000 | COUNT;
	v->gpr[GPR_RAX] = UINT64_MAX;
	AGAIN(APIC + COUNT, false); /* mov ax, [bx] */
	done(2);
	assert_int_equal(v->gpr[GPR_RAX], UINT64_MAX);
	s->seg[SEG_CS].limit = 0xfffe;
	AGAIN(APIC + COUNT, false);
	faulted(VEC_GP, 0, 0);
	s->seg[SEG_CS].limit = 0xfff0;
	AGAIN(APIC + COUNT, false);
	faulted(VEC_GP, 0, 0);
	s->seg[SEG_CS].attr |= BIT(14); /* D: mov eax, [ebp - 0xc80] by SS */
	s->seg[SEG_CS].limit = UINT32_MAX;
	s->rip = 0x100;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x100100), "\x8b\x85\x80\xf3\xff\xff", 6),
			 HV_OK);
	v->gpr[GPR_RBP] = 0;
	AGAIN(APIC + COUNT, false);
	done(6);
	assert_int_equal(v->gpr[GPR_RAX], 0x12345678);
}

/* --- guests that change the instruction behind our back --- */

static void changed_meanwhile(void **state)
{
	(void)state;
	v->gpr[GPR_RDI] = APIC + COUNT;
	RUN("\x8b\x07", APIC + COUNT, true); /* a read now */
	nothing_happened();
	RUN("\x89\x07", APIC + COUNT, false);
	nothing_happened();
	v->gpr[GPR_RDI] = DATA; /* touches memory now */
	poke(DATA_GPA, 0x77, 8);
	RUN("\x89\x07", APIC + COUNT, true);
	nothing_happened();
	assert_int_equal(peek(DATA_GPA, 8), 0x77);
	v->gpr[GPR_RSI] = DATA;
	RUN("\xa5", APIC + COUNT, true);
	nothing_happened();
	RUN("\xaa", APIC + COUNT, false);
	nothing_happened();
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	/* A success in between starts the count anew; no success for long ends it. */
	for (int i = 0; i < 30000 && vm->state == VM_RUNNING; i++) {
		v->gpr[GPR_RDI] = i % 5000 ? DATA : APIC + COUNT;
		RUN("\x89\x07", APIC + COUNT, true);
	}
	assert_int_equal(vm->state, VM_RUNNING);
	v->gpr[GPR_RDI] = DATA;
	for (int i = 0; i < 10001 && vm->state == VM_RUNNING; i++)
		AGAIN(APIC + COUNT, true);
	stopped("not at rip");
}

/* Any bytes, registers, modes and tables: this VM may end, others must not be harmed. */
static void hostile(void **state)
{
	u64 seed = 77, emulated = 0, faults = 0, ended = 0;

	for (int round = 0; round < 60000; round++) {
		u64 r = fake_random(&seed), near[4] = { APIC, APIC + 0xff8, DATA, CODE + 0xff0 };
		u64 at = 0, was = 0;
		char bytes[16];

		for (int i = 0; i < 16; i++)
			bytes[i] = (char)(fake_random(&seed) >> 9);
		if (r & 1)
			memcpy(bytes + (r >> 1 & 1), r & 4 ? "\xf3\xa5" : "\x89\x07", 2);
		for (int i = 0; i < GPR_NR; i++)
			v->gpr[i] = fake_random(&seed) & 7 ?
					    near[fake_random(&seed) & 3] + (r >> 60) :
					    fake_random(&seed);
		s->rsp = APIC;
		s->rflags = fake_random(&seed) & 0xed7;
		s->seg[SEG_CS].attr = r >> 12 & 7 ? 0xa09b : (u32)r & 0xffff;
		s->seg[SEG_CS].limit = r >> 5 & 1 ? UINT32_MAX : (u32)fake_random(&seed);
		s->seg[SEG_SS].attr = r >> 24 & 15 ? 0 : 0x60;
		s->cr4 = 0x20 | (fake_random(&seed) & 0x300010);
		if (!(r >> 32 & 63)) { /* an entry of the tables, for a while */
			at = 0x300000 + (fake_random(&seed) & 0x5ff8);
			was = peek(at, 8);
			poke(at, fake_random(&seed), 8);
		}
		code_at(CODE + (r >> 16 & 3 ? 0 : 0xff4), bytes, 12);
		AGAIN(APIC + (fake_random(&seed) & (r >> 17 & 1 ? 0 : 0xfff)), r >> 18 & 1);
		if (at)
			poke(at, was, 8);
		emulated += v->advance != 0;
		faults += fake_of(v)->exception >= 0;
		assert_true(v->advance <= 15);
		assert_true(!v->advance || fake_of(v)->exception < 0);
		ended += vm->state != VM_RUNNING;
		if (vm->state != VM_RUNNING)
			vm->state = VM_RUNNING; /* revived, for the next round */
		if (!(round % 4096)) {
			fake_teardown(state);
			setup(state);
		}
	}
	print_message("%lu emulated, %lu faults, %lu ended\n", emulated, faults, ended);
	assert_true(emulated > 1000 && faults > 1000 && ended > 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain),
		T(odd_sizes),
		T(no_device),
		T(unknown),
		T(unknown_by_a_process),
		T(straddling),
		T(read_modify_write),
		T(page_ends),
		T(too_long),
		T(segments),
		T(changed_meanwhile),
		T(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
