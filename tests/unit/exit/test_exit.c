/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits that are not hypercalls: ports, faults, and unknown ones. */
#include <tests/unit/exit/exit_fixture.h>

static void port(u16 number, u8 size, bool in, u64 rax)
{
	v->advance = 0;
	guest_port(v, number, size, in, rax);
}

static void ports(void **state)
{
	(void)state;
	port(0x80, 1, true, 0x1122334455667788);
	assert_int_equal(v->gpr[GPR_RAX], 0x11223344556677ff); /* no device: all ones */
	port(0x80, 2, true, 0x1122334455667788);
	assert_int_equal(v->gpr[GPR_RAX], 0x112233445566ffff);
	port(0x80, 4, true, 0x1122334455667788);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff); /* as the CPU does */
	port(0x80, 1, false, 1);
	assert_int_equal(v->advance, 1);
	port(0x3fd, 1, true, 0);
	assert_int_equal(v->gpr[GPR_RAX] & 0x60, 0x60);
	fake_log_clear();
	for (const char *c = "hi\033[2J\x80\n"; *c; c++)
		port(0x3f8, 1, false, (u8)*c);
	assert_string_equal(fake.log, "one| hi?\n"); /* no escapes from a guest */
	fake_log_clear();
	for (int i = 0; i < 500; i++)
		port(0x3f8, 1, false, 'x');
	assert_true(fake_log_has("one|+xxx"));
	assert_int_equal(vm->state, VM_RUNNING);
}

static void exit_port(void **state)
{
	(void)state;
	port(0xf4, 4, false, 0x1234567f);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(vm->exit_status, 0x7f);
	assert_int_equal(other->state, VM_RUNNING);
	port(0xf4, 1, false, 3); /* the first word counts */
	assert_int_equal(vm->exit_status, 0x7f);
}

static void power_off(void **state)
{
	(void)state;
	port(0x604, 2, false, 0x1c00);
	assert_int_equal(vm->state, VM_RUNNING);
	port(0x604, 2, false, 0x2000);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(vm->exit_status, 0);
}

/* Unknown means: this VM stops, with a dump; the other goes on. */
static void unknown_exits_stop_that_vm(void **state)
{
	static const enum vmexit_kind kinds[] = { EXIT_UNKNOWN, EXIT_ENTRY_FAILED,
						  EXIT_MACHINE_CHECK, EXIT_SHUTDOWN };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct vmexit e = { .kind = kinds[i], .length = 2, .raw = { 0x77, 0x88, "odd" } };

		setup(state);
		fake_log_clear();
		exit_dispatch(v, &e);
		assert_int_equal(vm->state, VM_ENDING);
		assert_int_equal(vm->exit_status, VM_STATUS_CRASHED);
		assert_int_equal(v->advance, 0); /* RIP stays, for the dump */
		assert_true(fake_log_has("stopped at rip"));
		assert_int_equal(other->state, VM_RUNNING);
	}
}

/* Calibration by the ACPI timer finds the frequency that CPUID tells, after hours, too. */
static void pm_timer(void **state)
{
	u64 start = fake.tsc;

	(void)state;
	vm->tsc_offset = 0 - start;
	for (u64 s = 1; s <= 100000; s *= 10) {
		fake.tsc = start + s * 1000 * FAKE_KHZ;
		port(0x608, 4, true, 0);
		assert_int_equal(v->gpr[GPR_RAX], (u32)(s * 3579545));
		for (u16 i = 0; i < 4; i++) { /* bytes of it */
			port(0x608 + i, 1, true, 0);
			assert_int_equal(v->gpr[GPR_RAX], (u8)(s * 3579545 >> i * 8));
		}
	}
	fake.tsc += FAKE_KHZ / 2; /* half a millisecond more */
	port(0x608, 4, true, 0);
	assert_int_equal(v->gpr[GPR_RAX], (u32)(100000ul * 3579545 + 1789));
	port(0x608, 4, false, 0); /* read only */
	port(0x608, 4, true, 0);
	assert_int_equal(v->gpr[GPR_RAX], (u32)(100000ul * 3579545 + 1789));
}

/* Code in a large page on a CPU with the iTLB multihit flaw. */
static void code_in_a_large_page(void **state)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT, .fault = { .gpa = GPA(MIB(4)) } };
	u64 flush_gen;

	while (frame_scrub_one())
		;
	ept_format.large_no_exec = true;
	guest_touch(v, 1024);
	assert_int_equal(p2m_lookup(&vm->p2m, 1024).order, ORDER_2M);
	flush_gen = vm->p2m.flush_gen;
	e.fault.exec = true;
	exit_dispatch(v, &e);
	assert_int_equal(p2m_lookup(&vm->p2m, 1024).order, ORDER_4K);
	assert_int_equal(vm->exec_splits, 1);
	assert_true(vm->p2m.flush_gen > flush_gen);
	assert_int_equal(vm->state, VM_RUNNING);
	flush_gen = vm->p2m.flush_gen;
	exit_dispatch(v, &e); /* another vCPU was faster */
	assert_int_equal(vm->exec_splits, 1);
	assert_int_equal(vm->p2m.flush_gen, flush_gen);
	assert_int_equal(vm->state, VM_RUNNING);
	ept_format.large_no_exec = false;
	setup(state);
	while (frame_scrub_one())
		;
	guest_touch(v, 1024);
	exit_dispatch(v, &e); /* nothing to split for */
	assert_int_equal(p2m_lookup(&vm->p2m, 1024).order, ORDER_2M);
}

static void faults(void **state)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT };
	int level;

	(void)state;
	guest_touch(v, 1000);
	assert_int_equal(p2m_lookup(&vm->p2m, 1000).kind, P2M_MAPPED);
	assert_int_equal(vm->faults, 1);
	guest_touch(v, 1000); /* another vCPU was faster */
	assert_int_equal(vm->faults, 1);
	assert_int_equal(vm->state, VM_RUNNING);
	*tables_entry(&vm->p2m, 1000, &level) &= ~vm->p2m.fmt->write;
	e.fault.gpa = GPA(1000UL << PAGE_SHIFT);
	e.fault.read = true;
	exit_dispatch(v, &e);
	assert_int_equal(vm->state, VM_RUNNING);
	guest_touch(v, 1000);
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(strstr(vm->exit_reason, "read-only"));
	setup(state);
	guest_touch(v, 0xb0000); /* neither memory nor where devices are */
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(strstr(vm->exit_reason, "no memory, no device"));
	setup(state);
	guest_touch(v, 1UL << 36);
	assert_int_equal(vm->state, VM_ENDING);
}

/* For all exits: a process has not executed instructions that only a kernel may execute. */
static void processes_are_refused(void **state)
{
	static const enum vmexit_kind kinds[] = { EXIT_RDMSR, EXIT_WRMSR, EXIT_HLT, EXIT_CR8,
						  EXIT_CACHE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) * 3; i++) {
		struct vmexit e = { .kind = kinds[i / 3], .length = 2, .cpl = 1 + i % 3 };
		u64 before[GPR_NR];

		if (e.kind == EXIT_CR8)
			e.cr8.write = true;
		v->gpr[GPR_RAX] = 1;
		v->gpr[GPR_RCX] = 0x1b;
		memcpy(before, v->gpr, sizeof(before));
		fake_of(v)->exception = -1;
		exit_dispatch(v, &e);
		assert_int_equal(fake_of(v)->exception, VEC_GP);
		assert_int_equal(v->advance, 0);
		assert_memory_equal(before, v->gpr, sizeof(before));
		assert_false(v->halted);
		assert_int_equal(lapic_tpr(v), 0);
	}
}

static void apic_by_mmio(void **state)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT };

	(void)state;
	fake_of(v)->state = (struct guest_state){ .cr0 = 1, .rip = 0x200000 };
	fake_of(v)->state.seg[SEG_CS] =
		(struct guest_segment){ .limit = UINT32_MAX, .attr = 0xc09b };
	assert_int_equal(guest_write(&vm->p2m, GPA(0x200000), "\x89\x0f\x8b\x17\x0f\x11\x07", 7),
			 HV_OK);
	e.fault.gpa = GPA(0xfee00080);
	e.fault.write = true;
	v->gpr[GPR_RDI] = 0xfee00080;
	v->gpr[GPR_RCX] = 0xffffffff00000050;
	exit_dispatch(v, &e); /* mov [edi], ecx */
	assert_int_equal(lapic_tpr(v), 0x50);
	assert_int_equal(v->advance, 2);
	fake_of(v)->state.rip += 2;
	e.fault.write = false;
	v->gpr[GPR_RDX] = UINT64_MAX;
	exit_dispatch(v, &e); /* mov edx, [edi] */
	assert_int_equal(v->gpr[GPR_RDX], 0x50);
	fake_of(v)->state.rip += 2;
	e.fault.write = true;
	exit_dispatch(v, &e); /* movups [edi], xmm0: not one of ours */
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(other->state, VM_RUNNING);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ports),
		T(exit_port),
		T(power_off),
		T(unknown_exits_stop_that_vm),
		T(pm_timer),
		T(faults),
		T(code_in_a_large_page),
		T(processes_are_refused),
		T(apic_by_mmio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
