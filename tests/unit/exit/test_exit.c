/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits that are not hypercalls: ports, MSRs, CPUID, faults, and what nobody knows. */
#include <tests/fake/guest.h>

#include <guest-driver/aerostat_abi.h>
#include <hv/exit/cpuid.h>
#include <mm/guestmem.h>

static struct vm_config cfg, other_cfg;
static struct vm *vm, *other;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("one");
	other_cfg = guest_config("two");
	vm = guest_start(&cfg);
	other = guest_start(&other_cfg);
	v = vm->vcpus[0];
	return 0;
}

static void port(u16 number, u8 size, bool in, u64 rax)
{
	v->advance = 0;
	guest_port(v, number, size, in, rax);
}

static void ports(void **state)
{
	(void)state;
	port(0x80, 1, true, 0x1122334455667788);
	assert_int_equal(v->gpr[GPR_RAX], 0x11223344556677ff); /* nobody there: all ones */
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

static bool msr(bool write, u32 number, u64 value)
{
	struct vmexit e = { .kind = write ? EXIT_WRMSR : EXIT_RDMSR, .length = 2 };

	fake_of(v)->exception = -1;
	v->gpr[GPR_RCX] = 0xdead00000000 | number; /* the upper half does not count */
	v->gpr[GPR_RAX] = 0xdead00000000 | (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	v->advance = 0;
	exit_dispatch(v, &e);
	assert_int_equal(v->advance, fake_of(v)->exception == VEC_GP ? 0 : 2);
	return fake_of(v)->exception != VEC_GP;
}

static u64 msr_value(void)
{
	assert_true(v->gpr[GPR_RAX] <= UINT32_MAX && v->gpr[GPR_RDX] <= UINT32_MAX);
	return v->gpr[GPR_RDX] << 32 | v->gpr[GPR_RAX];
}

static void msrs(void **state)
{
	static const u32 gp[] = { 0,	      1,	  0x3a,	     0xc1,
				  0x186,      0x345,	  0x480,     0x48b,
				  0x570,      0xd90,	  0x10a,     0xc0000100 + 0x1000,
				  0xc0010114, 0xc0010117, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(gp); i++) {
		assert_false(msr(false, gp[i], 0));
		assert_false(msr(true, gp[i], 0));
	}
	assert_true(msr(false, 0x1b, 0));
	assert_int_equal(msr_value(), 0xfee00900);
	assert_true(msr(false, 0x10, 0));
	assert_int_equal(msr_value(), fake.tsc + vm->tsc_offset);
	assert_true(msr(true, 0xc001001f, BIT(46)));
	assert_true(msr(false, 0xc001001f, 0));
	assert_int_equal(msr_value(), 0);
	assert_true(msr(false, 0xc0010015, 0)); /* HWCR: the TSC is invariant */
	assert_int_equal(msr_value(), BIT(24));
	assert_false(msr(true, 0x1b, UINT64_MAX));
	assert_true(msr(true, 0x277, 0x0007040600070406));
	assert_int_equal(fake_of(v)->reg[GREG_PAT], 0x0007040600070406);
	for (u64 t = 0; t < 256; t++)
		assert_int_equal(msr(true, 0x277, t << 24), t <= 7 && t != 2 && t != 3);
}

/* Linux asks AMD's CPUs for them unasked; on another vendor's there is nothing. */
static void performance_msrs_of_amd(void **state)
{
	struct cpu_backend amd = *backend;

	(void)state;
	amd.vendor = "AuthenticAMD";
	for (u32 number = 0xc0010000; number <= 0xc0010008; number++) {
		backend = &fake_backend;
		assert_false(msr(false, number, 0));
		assert_false(msr(true, number, 0));
		backend = &amd;
		assert_int_equal(msr(true, number, UINT64_MAX), number < 0xc0010008);
		assert_int_equal(msr(false, number, 0), number < 0xc0010008);
		if (number < 0xc0010008)
			assert_int_equal(msr_value(), 0);
	}
	assert_true(msr(true, 0xc0010055, 1));
	assert_true(msr(false, 0xc0010055, 0));
	assert_int_equal(msr_value(), 0);
	backend = &fake_backend;
	assert_false(msr(false, 0xc0010055, 0));
}

static void efer(void **state)
{
	(void)state;
	fake_of(v)->state.cr0 = 0x80000001;
	fake_of(v)->state.efer = 0x500;
	assert_true(msr(true, 0xc0000080, 0x901)); /* LMA is not the guest's to write */
	assert_int_equal(fake_of(v)->state.efer, 0xd01);
	assert_false(msr(true, 0xc0000080, 0x801));  /* LME under paging */
	assert_false(msr(true, 0xc0000080, 0x1d01)); /* SVME */
	assert_false(msr(true, 0xc0000080, 1UL << 63));
	fake_of(v)->state.cr0 = 1;
	fake_of(v)->state.efer = 0;
	assert_true(msr(true, 0xc0000080, 0x100));
}

static void cpuid(u32 leaf, u32 sub)
{
	struct vmexit e = { .kind = EXIT_CPUID, .length = 2 };

	v->gpr[GPR_RAX] = leaf;
	v->gpr[GPR_RCX] = sub;
	exit_dispatch(v, &e);
	for (u32 r = GPR_RAX; r <= GPR_RBX; r++)
		assert_true(v->gpr[r] <= UINT32_MAX);
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

/* AMD's CPUs have no leaf for it, and Linux reads none there. */
static void no_frequency_leaf_on_amd(void **state)
{
	static const u32 host[][6] = { { 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65 } };

	(void)state;
	memcpy(fake_cpu.cpuid, host, sizeof(host));
	fake_cpu.nr_cpuid = ARRAY_SIZE(host);
	cpuid_init();
	cpuid(0, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0xd);
	cpuid(0x15, 0);
	assert_int_equal(v->gpr[GPR_RAX] | v->gpr[GPR_RBX] | v->gpr[GPR_RCX], 0);
}

static void cpuid_by_policy(void **state)
{
	static const u32 host[][6] = {
		{ 0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
		{ 1, 0, 0x306c3, 0x08100800, 0xffffffff, 0xffffffff },
		{ 6, 0, 0xf7, 2, 9, 0 },
		{ 7, 0, 2, 0xffffffff, 0xffffffff, 0xffffffff },
		{ 0xd, 1, 0xff, 0x340, 0x1800, 1 },
		{ 0xd, 2, 0x100, 0x240, 0, 0 },
		{ 0x80000000, 0, 0x8000001f, 0, 0, 0 },
		{ 0x80000001, 0, 0, 0, 0xffffffff, 0xffffffff },
		{ 0x80000008, 0, 0x00303934, 0, 0, 0 }, /* 57 bits, by LA57 */
		{ 0x8000000a, 0, 1, 0x8000, 0, 0xff },
	};

	(void)state;
	memcpy(fake_cpu.cpuid, host, sizeof(host));
	fake_cpu.nr_cpuid = ARRAY_SIZE(host);
	cpuid_init();
	cpuid(1, 0);
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 5, 0);		/* VMX */
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 3, 0);		/* MONITOR */
	assert_int_equal(v->gpr[GPR_RCX] & 1u << 31, 1u << 31); /* a hypervisor is there */
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 21, 1 << 21);	/* x2APIC */
	cpuid(0xd, 1);
	assert_int_equal(v->gpr[GPR_RAX], 7); /* XSAVEOPT, XSAVEC, XGETBV(1); not XSAVES */
	assert_int_equal(v->gpr[GPR_RBX], 0x340);
	assert_int_equal(v->gpr[GPR_RCX] | v->gpr[GPR_RDX], 0); /* nothing in IA32_XSS */
	cpuid(0x15, 0); /* the crystal that feeds the TSC and the APIC's timer */
	assert_int_equal(v->gpr[GPR_RAX], 1);
	assert_int_equal(v->gpr[GPR_RBX], 1);
	assert_int_equal(v->gpr[GPR_RCX], FAKE_KHZ * 1000);
	cpuid(0, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0x15);
	cpuid(6, 0);
	assert_int_equal(v->gpr[GPR_RAX], 1 << 2); /* ARAT, and nothing of the host's */
	assert_int_equal(v->gpr[GPR_RBX] | v->gpr[GPR_RCX] | v->gpr[GPR_RDX], 0);
	fake_cpu.cpuid[4][3] = 0x380; /* not what it is made of: Bochs with AVX-512 */
	cpuid_init();
	cpuid(0xd, 1);
	assert_int_equal(v->gpr[GPR_RAX], 5);
	assert_int_equal(v->gpr[GPR_RBX], 0);
	cpuid(0x80000001, 0);
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 2, 0); /* SVM */
	cpuid(0x8000000a, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0);
	cpuid(0x80000000, 0);
	assert_true(v->gpr[GPR_RAX] <= 0x80000008);
	cpuid(0x40000000, 0);
	assert_int_equal(v->gpr[GPR_RBX], AERO_SIGNATURE_EBX);
	assert_int_equal(v->gpr[GPR_RCX], AERO_SIGNATURE_ECX);
	assert_int_equal(v->gpr[GPR_RDX], AERO_SIGNATURE_EDX);
	cpuid(0x40000001, 0);
	assert_int_equal(v->gpr[GPR_RAX], AERO_ABI_VERSION);
	assert_int_equal(v->gpr[GPR_RBX] & AERO_FEATURE_MANAGE, 0);
	assert_int_equal(v->gpr[GPR_RDX], AERO_BATCH_MAX);
	cpuid(0x80000008, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0x3034); /* without LA57 they are 48 */
	fake_cpu.cpuid[8][2] = 0x2028;
	cpuid_init();
	cpuid(0x80000008, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0x2028);
	for (u64 leaf = 0; leaf < 1UL << 32; leaf += 0x10001) /* each has an answer */
		cpuid((u32)leaf, (u32)leaf);
	assert_int_equal(cpuid_cr4_mask() & 1 << 13, 0); /* VMXE */
}

static void cpuid_without_apic(void **state)
{
	static const u32 host[][6] = {
		{ 0, 0, 0x16, 0x68747541, 0x444d4163, 0x69746e65 },
		{ 1, 0, 0x306c3, 0, 0, 0x200 },
		{ 0x80000000, 0, 0x8000001f, 0, 0, 0 },
		{ 0x80000001, 0, 0, 0, 0, 0x200 },
	};
	u64 base = 0xfee00900;

	(void)state;
	memcpy(fake_cpu.cpuid, host, sizeof(host));
	fake_cpu.nr_cpuid = ARRAY_SIZE(host);
	cpuid_init();
	for (u64 on = 0; on < 2; on++) {
		assert_true(msr(true, 0x1b, base & ~(u64)(on ? 0 : BIT(11))));
		cpuid(1, 0);
		assert_int_equal(v->gpr[GPR_RDX] >> 9 & 1, on);
		cpuid(0x80000001, 0);
		assert_int_equal(v->gpr[GPR_RDX] >> 9 & 1, on);
	}
}

/* IA32_SPEC_CTRL: the bits that CPUID tells of, each vCPU its own; capabilities: as offered. */
static void speculation_msrs(void **state)
{
	u32 host[][6] = {
		{ 0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
		{ 7, 0, 2, 0, 0, BIT(26) | BIT(29) },
		{ 0x80000008, 0, 0x3027, 0, 0, 0 },
	};

	(void)state;
	memcpy(fake_cpu.cpuid, host, sizeof(host));
	fake_cpu.nr_cpuid = ARRAY_SIZE(host);
	cpuid_init();
	cpuid(7, 0);
	assert_int_equal(v->gpr[GPR_RDX], BIT(26)); /* the host has no capabilities to show */
	assert_false(msr(false, 0x10a, 0));
	assert_true(msr(true, 0x48, 1));
	assert_int_equal(v->spec_ctrl, 1);
	assert_true(msr(false, 0x48, 0));
	assert_int_equal(msr_value(), 1);
	assert_int_equal(other->vcpus[0]->spec_ctrl, 0);
	assert_false(msr(true, 0x48, 2)); /* STIBP, SSBD: not there */
	assert_false(msr(true, 0x48, 4));
	assert_false(msr(true, 0x48, BIT(32)));
	assert_int_equal(v->spec_ctrl, 1);
	fake_cpu.arch_capabilities = 0x6b;
	cpuid_init();
	cpuid(7, 0);
	assert_int_equal(v->gpr[GPR_RDX], BIT(26) | BIT(29));
	assert_true(msr(false, 0x10a, 0));
	assert_int_equal(msr_value(), 0x6b);
	assert_false(msr(true, 0x10a, 0));
	/* AMD's bits */
	fake_cpu.cpuid[1][5] = 0;
	fake_cpu.cpuid[2][3] = 0xffffffff;
	cpuid_init();
	cpuid(0x80000008, 0);
	assert_int_equal(v->gpr[GPR_RBX] & BIT(25), 0); /* VIRT_SSBD has an MSR of its own */
	assert_int_equal(v->gpr[GPR_RBX] & BIT(12), BIT(12));
	assert_true(msr(true, 0x48, 7));
	assert_false(msr(true, 0x48, 0x80));
	/* Neither */
	fake_cpu.cpuid[2][3] = 0;
	fake_cpu.arch_capabilities = 0;
	cpuid_init();
	assert_false(msr(false, 0x48, 0));
	assert_false(msr(true, 0x48, 0));
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

/* Whatever the CPU reports: what a kernel alone may execute, a process has not executed. */
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
		T(msrs),
		T(performance_msrs_of_amd),
		T(efer),
		T(cpuid_by_policy),
		T(pm_timer),
		T(no_frequency_leaf_on_amd),
		T(cpuid_without_apic),
		T(faults),
		T(speculation_msrs),
		T(code_in_a_large_page),
		T(processes_are_refused),
		T(apic_by_mmio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
