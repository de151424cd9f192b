/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs that a guest reads and writes. */
#include <tests/unit/exit/exit_fixture.h>

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

/* Linux reads them on AMD's CPUs without a CPUID bit; other vendors' CPUs do not have them. */
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
	assert_true(msr(true, 0xc0000080, 0x901)); /* a guest cannot write LMA */
	assert_int_equal(fake_of(v)->state.efer, 0xd01);
	assert_false(msr(true, 0xc0000080, 0x801));  /* LME under paging */
	assert_false(msr(true, 0xc0000080, 0x1d01)); /* SVME */
	assert_false(msr(true, 0xc0000080, 1UL << 63));
	fake_of(v)->state.cr0 = 1;
	fake_of(v)->state.efer = 0;
	assert_true(msr(true, 0xc0000080, 0x100));
}

/* IA32_SPEC_CTRL: the bits that CPUID shows, one value for each vCPU; capabilities: as offered. */
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(msrs),
		T(performance_msrs_of_amd),
		T(efer),
		T(speculation_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
