/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device accesses from the exit to the next entry: rights, page ends,
 * straddling, string instructions, and guests that change the instruction
 * meanwhile.  test_insn_cpu.c has what the instructions compute.
 */
#include <tests/fake/guest.h>

#include <hv/emulate/gwalk.h>
#include <hv/emulate/mmio.h>
#include <mm/guestmem.h>

#define CODE 0x400000UL /* linear; the page after it is absent */
#define CODE_GPA 0x200000UL
#define DATA 0x410000UL /* two pages of memory that nobody has touched */
#define DATA_GPA 0x800000UL
#define READ_ONLY 0x420000UL
#define USER 0x421000UL
#define ELSEWHERE 0x422000UL /* a hole */
#define APIC 0xfee00000UL
#define BEFORE_GPA 0x501000UL /* mapped just below and just above the APIC */
#define AFTER_GPA 0x500000UL
#define PT 0x303000UL
#define APIC_PT 0x305000UL
#define COUNT 0x380 /* the initial count: 32 bits that stay as they are written */
#define TPR 0x80

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;
static struct guest_state *s;

static void poke(u64 gpa, u64 value, size_t bytes)
{
	assert_int_equal(guest_write(&vm->p2m, GPA(gpa), &value, bytes), HV_OK);
}

static u64 peek(u64 gpa, size_t bytes)
{
	u64 value = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &value, bytes), HV_OK);
	return value;
}

static void map(u64 linear, u64 pte)
{
	poke((linear >= APIC - PAGE_SIZE ? APIC_PT : PT) + (linear >> 12 & 511) * 8, pte, 8);
}

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("one");
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	v->state = VCPU_RUNNING;
	s = &fake_of(v)->state;
	*s = (struct guest_state){ .rip = CODE,
				   .rflags = 2,
				   .cr0 = BIT(31) | BIT(16) | 1,
				   .cr3 = 0x300000,
				   .cr4 = 0x20,
				   .efer = 0xd00 };
	s->seg[SEG_CS].attr = 0xa09b;
	poke(0x300000, 0x301007, 8);
	poke(0x301000, 0x302007, 8);
	poke(0x302010, PT | 7, 8);
	poke(0x301018, 0x304007, 8);
	poke(0x304000 + (APIC >> 21 & 511) * 8, APIC_PT | 7, 8);
	poke(0x304000 + ((APIC - 1) >> 21 & 511) * 8, APIC_PT | 7, 8);
	map(CODE, CODE_GPA | 1);
	map(DATA, DATA_GPA | 3);
	map(DATA + PAGE_SIZE, (DATA_GPA + PAGE_SIZE) | 3);
	map(READ_ONLY, (DATA_GPA + 2 * PAGE_SIZE) | 1);
	map(USER, (DATA_GPA + 3 * PAGE_SIZE) | 7);
	map(ELSEWHERE, 0xa0003);
	map(APIC, APIC | 3);
	map(APIC - PAGE_SIZE, BEFORE_GPA | 3);
	map(APIC + PAGE_SIZE, AFTER_GPA | 3);
	lapic_mmio_write(v, COUNT, 0x12345678);
	return 0;
}

static void code_at(u64 linear, const char *bytes, size_t n)
{
	s->rip = linear;
	assert_int_equal(guest_write(&vm->p2m, GPA(linear - CODE + CODE_GPA), bytes, n), HV_OK);
}

/* One exit by the instruction @bytes at CODE. */
static void run_code(const char *bytes, size_t n, u64 gpa, bool write)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT };

	if (n)
		code_at(CODE, bytes, n);
	e.fault.gpa = GPA(gpa);
	e.fault.write = write;
	e.fault.read = !write;
	v->advance = 0;
	fake_of(v)->exception = -1;
	exit_dispatch(v, &e);
}
#define RUN(bytes, gpa, write) run_code(bytes, sizeof(bytes) - 1, gpa, write)
#define AGAIN(gpa, write) run_code(NULL, 0, gpa, write)

static void done(u8 length)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, -1);
	assert_int_equal(v->advance, length);
}

static void faulted(int vector, u64 linear, u32 error)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, vector);
	assert_int_equal(v->advance, 0);
	if (vector == VEC_PF)
		assert_int_equal(fake_of(v)->reg[GREG_CR2], linear);
	assert_int_equal(fake_of(v)->error, error);
}

static void nothing_happened(void)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, -1);
	assert_int_equal(v->advance, 0);
}

static void stopped(const char *why)
{
	assert_int_equal(vm->state, VM_ENDING);
	if (!strstr(vm->exit_reason, why))
		fail_msg("ended because: %s", vm->exit_reason);
}

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
	RUN("\x48\x8b\x27", APIC + COUNT, false); /* mov rsp, [rdi]: 64 bits, which it has not */
	done(3);
	assert_int_equal(s->rsp, UINT64_MAX);
	RUN("\xc7\x07\x01\x02\x03\x04", APIC + COUNT, true);
	done(6);
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x04030201);
	v->gpr[GPR_RCX] = 0x10;
	RUN("\x83\x4f\xf8\x08", APIC + COUNT, true); /* changed since: what it is now, is done */
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

/* What the APIC has no register for. */
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
	/* and the bus itself, any size and place: where the device is not, ones */
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
	/* Elsewhere there is nothing to look for. */
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

/* What a process does ends no VM. */
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
			continue; /* memory does not exit */
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
	/* the second page absent, or not writable: a #PF at its start, and nothing is done */
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

/* Told of a read, it writes in the end: the guest's tables decide. */
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
	/* where no memory is; where the table is not in memory */
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
	/* to where nothing is: gone */
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

/* No frame for the other side: it waits, and the device has not been read. */
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

/* Into the balloon: popped, as if the guest had touched it itself. */
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

/* A long one comes back from time to time, and counts. */
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
	/* a page that is absent in the middle: so far, and no further */
	map(APIC + PAGE_SIZE, 0);
	v->gpr[GPR_RDI] = APIC + 0xff0;
	v->gpr[GPR_RCX] = 10;
	AGAIN(APIC + 0xff0, true);
	faulted(VEC_PF, APIC + PAGE_SIZE, PF_WRITE);
	assert_int_equal(v->gpr[GPR_RCX], 6);
	assert_int_equal(v->gpr[GPR_RDI], APIC + PAGE_SIZE);
	/* 32-bit addresses clear the upper halves; nothing to do is done */
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
	/* Downwards, one, by a segment; and nothing at all. */
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
	/* The end of the VM in the middle: the rest goes nowhere. */
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
	/* Nobody is there, in each size; across two pages. */
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

/* A byte that is read from the port is gone: so the memory is looked at first. */
static void no_read_before_the_memory(void **state)
{
	(void)state;
	guest_port(v, UART + 4, 1, false, 0x10); /* what is sent comes back */
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

/* Another vCPU has changed the instruction: no port is touched, the CPU runs what is there. */
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
	/* They exit for their port before they get to a device by memory. */
	v->gpr[GPR_RSI] = v->gpr[GPR_RDI] = APIC + COUNT;
	RUN("\x6c", APIC + COUNT, true);
	nothing_happened();
	RUN("\x6e", APIC + COUNT, false);
	nothing_happened();
	assert_int_equal(lapic_mmio_read(v, COUNT), 0x12345678);
	OUTS("\x90", 0x77, 1);
	stopped("write of the port at 77 by an instruction that is not emulated");
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

/* Any bytes, registers, modes and tables: this VM may end, nothing else may happen. */
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
		T(to_memory),
		T(rights_of_the_other_side),
		T(waits_for_memory),
		T(ballooned),
		T(bounded),
		T(to_a_port),
		T(from_a_port),
		T(no_read_before_the_memory),
		T(another_port_instruction),
		T(changed_meanwhile),
		T(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
