/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches for CPUs that leave them to us: state saved and loaded, refusals, and memory
 * without frames.
 */
#include <tests/fake/guest.h>

#include <hv/emulate/task.h>
#include <mm/guestmem.h>

#define GDT 0x200000UL
#define OLD_TSS 0x210fe0UL /* across two pages */
#define NEW_TSS 0x220000UL
#define OLD 0x18
#define NEW 0x20
#define CODE 0x08
#define DATA 0x10

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;
static struct guest_state s;
static struct task_fault f;

static void poke(u64 gpa, u64 value, u32 size)
{
	assert_int_equal(guest_write(&vm->p2m, GPA(gpa), &value, size), HV_OK);
}

static u32 peek(u64 gpa)
{
	u32 value = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &value, sizeof(value)), HV_OK);
	return value;
}

static u64 tss(u64 base, u32 limit, u32 attr)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)attr << 40;
}

static void describe(u16 selector, u64 d)
{
	poke(GDT + selector, d, 8);
}

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("tasks");
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	describe(0, 0);
	describe(CODE, 0x00cf9b000000ffff);
	describe(DATA, 0x00cf92000000ffff); /* not accessed yet */
	describe(OLD, tss(OLD_TSS, 0x67, 0x8b));
	describe(NEW, tss(NEW_TSS, 0x67, 0x89));
	for (u32 i = 0; i < 104; i += 4) {
		poke(OLD_TSS + i, 0xcccccccc, 4);
		poke(NEW_TSS + i, 0, 4);
	}
	poke(NEW_TSS + 0x20, 0x1234, 4);     /* EIP */
	poke(NEW_TSS + 0x24, 0xffffffff, 4); /* EFLAGS; only its existing bits */
	poke(NEW_TSS + 0x24, 0x246, 4);
	for (u32 i = 0; i < 8; i++)
		poke(NEW_TSS + 0x28 + i * 4, 0x1000 + i, 4);
	for (u32 i = 0; i < 6; i++)
		poke(NEW_TSS + 0x48 + i * 4, i == 1 ? CODE : DATA, 4);
	s = (struct guest_state){ .rip = 0x5000, .rsp = 0x6000, .rflags = 0x4002, .cr0 = 0x21 };
	s.gdtr_base = GDT;
	s.gdtr_limit = 0x27;
	for (u32 i = 0; i < SEG_NR; i++)
		s.seg[i] = (struct guest_segment){ DATA, UINT32_MAX, 0, 0xc093 };
	s.seg[SEG_CS] = (struct guest_segment){ CODE, UINT32_MAX, 0, 0xc09b };
	s.seg[SEG_LDTR] = (struct guest_segment){ .attr = 0x10000 };
	s.seg[SEG_TR] = (struct guest_segment){ OLD, 0x67, OLD_TSS, 0x8b };
	for (u32 i = 0; i < GPR_NR; i++)
		v->gpr[i] = 0x100 + i;
	fake_of(v)->state = s;
	return 0;
}

static int go(u16 selector, u8 source)
{
	struct task_switch t = { .selector = selector, .source = source, .advance = 7 };

	return task_switch(v, &t, &s, &f);
}

static u32 type_of(u16 selector)
{
	return peek(GDT + selector + 4) >> 8 & 0xf;
}

static void by_call_and_back(void **state)
{
	(void)state;
	assert_int_equal(go(NEW, TASK_CALL), HV_OK);
	assert_int_equal(f.vector, -1);
	assert_int_equal(peek(OLD_TSS + 0x20), 0x5007);
	assert_int_equal(peek(OLD_TSS + 0x24), 0x4002);
	assert_int_equal(peek(OLD_TSS + 0x28), 0x100);
	assert_int_equal(peek(OLD_TSS + 0x38), 0x6000); /* ESP */
	assert_int_equal(peek(OLD_TSS + 0x44), 0x107);
	assert_int_equal(peek(OLD_TSS + 0x4c), CODE);
	assert_int_equal(peek(OLD_TSS + 0x1c), 0xcccccccc); /* CR3 is not saved */
	assert_int_equal(peek(OLD_TSS + 0x60), 0xcccccccc); /* nor the LDT */
	assert_int_equal(peek(NEW_TSS) & 0xffff, OLD);
	assert_int_equal(s.rip, 0x1234);
	assert_int_equal(s.rflags, 0x4246); /* nested */
	assert_int_equal(s.rsp, 0x1004);
	assert_int_equal(v->gpr[GPR_RDI], 0x1007);
	assert_int_equal(s.seg[SEG_TR].selector, NEW);
	assert_int_equal(s.seg[SEG_TR].attr & 0xf, 11);
	assert_int_equal(s.seg[SEG_CS].attr, 0xc09b);
	assert_int_equal(s.seg[SEG_DS].attr, 0xc093);
	assert_true(s.cr0 & 8);
	assert_int_equal(type_of(DATA), 3); /* accessed */
	assert_int_equal(type_of(OLD), 11);
	assert_int_equal(type_of(NEW), 11);
	poke(OLD_TSS + 0x48, DATA, 4); /* as they were, and the rest zero */
	for (u32 i = 0x60; i < 0x68; i += 4)
		poke(OLD_TSS + i, 0, 4);
	assert_int_equal(go(OLD, TASK_IRET), HV_OK);
	assert_int_equal(s.rip, 0x5007);
	assert_int_equal(peek(NEW_TSS + 0x24), 0x246); /* NT is gone from the image */
	assert_int_equal(type_of(NEW), 9);
	assert_int_equal(type_of(OLD), 11);
	assert_int_equal(s.seg[SEG_TR].selector, OLD);
}

/* Nothing has changed. */
static void refused(int vector, u32 error)
{
	assert_int_equal(f.vector, vector);
	assert_int_equal(f.error, error);
	assert_int_equal(peek(OLD_TSS + 0x20), 0xcccccccc);
	assert_int_equal(s.rip, 0x5000);
	assert_int_equal(s.seg[SEG_TR].selector, OLD);
	assert_int_equal(vm->state, VM_RUNNING);
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(go(0x28, TASK_CALL), HV_EPERM); /* beyond the GDT */
	refused(VEC_GP, 0x28);
	describe(NEW, tss(NEW_TSS, 0x67, 0x09));
	assert_int_equal(go(NEW, TASK_JMP), HV_EPERM);
	refused(11, NEW);
	describe(NEW, tss(NEW_TSS, 0x66, 0x89));
	assert_int_equal(go(NEW, TASK_JMP), HV_EPERM);
	refused(10, NEW);
	describe(NEW, tss(NEW_TSS, 0x67, 0x81)); /* of 16 bits */
	assert_int_equal(go(NEW, TASK_JMP), HV_EINVAL);
	describe(NEW, tss(0xb00000, 0x67, 0x89) | 0xb0UL << 56); /* an address without memory */
	assert_int_equal(go(NEW, TASK_JMP), HV_EINVAL);
	refused(-1, f.error);
}

/* The new task begins with its fault; the old one is saved. */
static void faults_of_the_new_task(void **state)
{
	static const struct {
		u32 at, selector;
		int vector;
	} bad[] = {
		{ 0x4c, 0, 10 },     /* no CS */
		{ 0x4c, DATA, 10 },  /* not code */
		{ 0x50, 0, 10 },     /* no SS */
		{ 0x50, CODE, 10 },  /* not for a stack */
		{ 0x54, 0x7f8, 10 }, /* DS beyond the GDT */
		{ 0x54, NEW, 10 },   /* a system segment */
		{ 0x60, DATA, 10 },  /* an LDT that is invalid */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		setup(state);
		poke(NEW_TSS + bad[i].at, bad[i].selector, 4);
		assert_int_equal(go(NEW, TASK_CALL), HV_OK);
		assert_int_equal(f.vector, bad[i].vector);
		assert_int_equal(f.error, bad[i].selector);
		assert_int_equal(s.rip, 0x1234);
		assert_int_equal(s.seg[SEG_TR].selector, NEW);
		assert_int_equal(s.seg[SEG_CS].attr & 0x10000, 0); /* the task has a handler */
		assert_int_equal(peek(OLD_TSS + 0x20), 0x5007);
	}
	setup(state);
	poke(NEW_TSS + 0x64, 1, 4); /* the T flag */
	assert_int_equal(go(NEW, TASK_JMP), HV_OK);
	assert_true(f.trap);
	assert_int_equal(f.vector, VEC_DB);
}

/*
 * An exception through a gate: its error code is on the new stack, and the task goes on at its
 * instruction.
 */
static void with_an_error_code(void **state)
{
	struct task_switch t = { .selector = NEW,
				 .source = TASK_GATE,
				 .external = true,
				 .has_error = true,
				 .error = 0xabc };

	(void)state;
	poke(NEW_TSS + 0x38, 0x230004, 4);
	assert_int_equal(task_switch(v, &t, &s, &f), HV_OK);
	assert_int_equal(f.vector, -1);
	assert_int_equal(s.rsp, 0x230000);
	assert_int_equal(peek(0x230000), 0xabc);
	assert_int_equal(peek(OLD_TSS + 0x20), 0x5000);
	setup(state);
	poke(NEW_TSS + 0x54, 0x7f8, 4);
	assert_int_equal(task_switch(v, &t, &s, &f), HV_OK);
	assert_int_equal(f.error, 0x7f9); /* by an external event */
}

/* Memory without frames gets them before anything changes; then the switch is tried again. */
static void memory_on_its_way(void **state)
{
	u32 tries = 1;

	(void)state;
	s.seg[SEG_TR].base = 0x800fc0;
	describe(OLD, tss(0x800fc0, 0x67, 0x8b));
	while (go(NEW, TASK_CALL) == HV_EAGAIN) {
		assert_int_equal(s.rip, 0x5000);
		assert_int_equal(type_of(NEW), 9);
		assert_true(tries++ < 10);
	}
	assert_true(tries > 1);
	assert_int_equal(s.rip, 0x1234);
	assert_int_equal(peek(0x800fe0), 0x5007);
	assert_int_equal(peek(0x80100c), CODE);
}

/* Any bytes in a guest's tables: the switch ends, and touches no other memory. */
static void hostile(void **state)
{
	u64 seed = 7;

	for (u32 round = 0; round < 20000; round++) {
		u16 selector = (u16)(fake_random(&seed) % 0x40);
		u8 source = (u8)(fake_random(&seed) % 4);
		int err;

		if (round % 100 == 0)
			setup(state);
		s.gdtr_limit = fake_random(&seed) % 4 ? 0x3f : (u32)(fake_random(&seed) & 0xffff);
		s.cr0 = fake_random(&seed) % 8 ? 0x21 : 0x80000021;
		fake_of(v)->state = s;
		poke(GDT + fake_random(&seed) % 0x40, fake_random(&seed), 8);
		if (fake_random(&seed) % 2)
			describe(NEW, tss(NEW_TSS, 0x67, 0x89));
		poke(NEW_TSS + fake_random(&seed) % 100, fake_random(&seed), 4);
		err = go(selector, source);
		assert_true(err == HV_OK || err == HV_EPERM || err == HV_EAGAIN ||
			    err == HV_EINVAL);
		if (vm->state != VM_RUNNING)
			setup(state);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(by_call_and_back),   T(what_is_refused),   T(faults_of_the_new_task),
		T(with_an_error_code), T(memory_on_its_way), T(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
