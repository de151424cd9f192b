/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU with page tables of its own, code to emulate, and devices. */
#ifndef TESTS_UNIT_EMULATE_EMULATE_FIXTURE_H
#define TESTS_UNIT_EMULATE_EMULATE_FIXTURE_H

#include <tests/fake/guest.h>

#include <hv/emulate/gwalk.h>
#include <hv/emulate/mmio.h>
#include <mm/guestmem.h>

#define CODE 0x400000UL /* linear; the page after it is absent */
#define CODE_GPA 0x200000UL
#define DATA 0x410000UL /* two pages of memory without frames */
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

static inline void poke(u64 gpa, u64 value, size_t bytes)
{
	assert_int_equal(guest_write(&vm->p2m, GPA(gpa), &value, bytes), HV_OK);
}

static inline u64 peek(u64 gpa, size_t bytes)
{
	u64 value = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &value, bytes), HV_OK);
	return value;
}

static inline void map(u64 linear, u64 pte)
{
	poke((linear >= APIC - PAGE_SIZE ? APIC_PT : PT) + (linear >> 12 & 511) * 8, pte, 8);
}

static inline int setup(void **state)
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

static inline void code_at(u64 linear, const char *bytes, size_t n)
{
	s->rip = linear;
	assert_int_equal(guest_write(&vm->p2m, GPA(linear - CODE + CODE_GPA), bytes, n), HV_OK);
}

/* One exit by the instruction @bytes at CODE. */
static inline void run_code(const char *bytes, size_t n, u64 gpa, bool write)
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

static inline void done(u8 length)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, -1);
	assert_int_equal(v->advance, length);
}

static inline void faulted(int vector, u64 linear, u32 error)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, vector);
	assert_int_equal(v->advance, 0);
	if (vector == VEC_PF)
		assert_int_equal(fake_of(v)->reg[GREG_CR2], linear);
	assert_int_equal(fake_of(v)->error, error);
}

static inline void nothing_happened(void)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(fake_of(v)->exception, -1);
	assert_int_equal(v->advance, 0);
}

static inline void stopped(const char *why)
{
	assert_int_equal(vm->state, VM_ENDING);
	if (!strstr(vm->exit_reason, why))
		fail_msg("ended because: %s", vm->exit_reason);
}

#endif
