/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID as a guest sees it. */
#include <tests/unit/exit/exit_fixture.h>

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

static const u32 intel[][6] = {
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

static void on_intel(void)
{
	memcpy(fake_cpu.cpuid, intel, sizeof(intel));
	fake_cpu.nr_cpuid = ARRAY_SIZE(intel);
	cpuid_init();
}

static void cpuid_by_policy(void **state)
{
	(void)state;
	on_intel();
	cpuid(1, 0);
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 5, 0);		/* VMX */
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 3, 0);		/* MONITOR */
	assert_int_equal(v->gpr[GPR_RCX] & 1u << 31, 1u << 31); /* the hypervisor bit */
	assert_int_equal(v->gpr[GPR_RCX] & 1 << 21, 1 << 21);	/* x2APIC */
	cpuid(0xd, 1);
	assert_int_equal(v->gpr[GPR_RAX], 7); /* XSAVEOPT, XSAVEC, XGETBV(1); not XSAVES */
	assert_int_equal(v->gpr[GPR_RBX], 0x340);
	assert_int_equal(v->gpr[GPR_RCX] | v->gpr[GPR_RDX], 0); /* IA32_XSS is 0 */
	cpuid(0x15, 0); /* the crystal that feeds the TSC and the APIC's timer */
	assert_int_equal(v->gpr[GPR_RAX], 1);
	assert_int_equal(v->gpr[GPR_RBX], 1);
	assert_int_equal(v->gpr[GPR_RCX], FAKE_KHZ * 1000);
	cpuid(0, 0);
	assert_int_equal(v->gpr[GPR_RAX], 0x15);
	cpuid(6, 0);
	assert_int_equal(v->gpr[GPR_RAX], 1 << 2); /* ARAT, and no other bit of the host */
	assert_int_equal(v->gpr[GPR_RBX] | v->gpr[GPR_RCX] | v->gpr[GPR_RDX], 0);
	fake_cpu.cpuid[4][3] = 0x380; /* but not its parts: Bochs with AVX-512 */
	cpuid_init();
	cpuid(0xd, 1);
	assert_int_equal(v->gpr[GPR_RAX], 5);
	assert_int_equal(v->gpr[GPR_RBX], 0);
}

/* The host's extended leaves, and those of a hypervisor. */
static void high_leaves_by_policy(void **state)
{
	(void)state;
	on_intel();
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
	for (u64 leaf = 0; leaf < 1UL << 32; leaf += 0x10001) /* each leaf has an answer */
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cpuid_by_policy),
		T(high_leaves_by_policy),
		T(no_frequency_leaf_on_amd),
		T(cpuid_without_apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
