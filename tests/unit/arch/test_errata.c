/* SPDX-License-Identifier: BSD-2-Clause */
/* Decisions about flaws of CPUs and firmware. */
#include <tests/fake/fake.h>

#include <arch/x86_64/quirks/errata.h>
#include <arch/x86_64/cpu/regs.h>

#define X2APIC BIT(21)
#define DEADLINE BIT(24)
#define LEFT_ON (0xfee00000 | APIC_BASE_EN | APIC_BASE_EXTD)
#define AS_USUAL (0xfee00000 | APIC_BASE_EN)

static const struct cpu_id plain = { .intel = true, .family = 6, .model = 0x2a };
static const struct cpu_id nested = {
	.intel = true, .family = 6, .model = 0x2a, .hypervisor = true
};

static bool x2(const struct cpu_id *c, u64 leaf1, u64 base, u32 highest, bool opted_out)
{
	struct apic_facts f = { c, (u32)leaf1, base, highest, opted_out };

	return errata_choose_apic(&f).x2;
}

static void x2apic(void **state)
{
	(void)state;
	/* On a real machine only if it is on already, or if ids need it. */
	assert_false(x2(&plain, X2APIC, AS_USUAL, 7, false));
	assert_false(x2(&plain, X2APIC, AS_USUAL, 254, false));
	assert_true(x2(&plain, X2APIC, AS_USUAL, 255, false));
	assert_true(x2(&plain, X2APIC, LEFT_ON, 7, false));
	/* The firmware's wish goes before ids, but there is no way back. */
	assert_false(x2(&plain, X2APIC, AS_USUAL, 300, true));
	assert_true(x2(&plain, X2APIC, LEFT_ON, 7, true));
	/* MSRs are cheaper than an emulated page. */
	assert_true(x2(&nested, X2APIC, AS_USUAL, 7, false));
	assert_false(x2(&nested, X2APIC, AS_USUAL, 7, true));
	/* There is none. */
	assert_false(x2(&plain, 0, AS_USUAL, 300, false));
	assert_false(x2(&nested, 0, AS_USUAL, 7, false));
}

static struct apic_choice timer(u64 leaf1, u32 model, u32 stepping, u32 microcode, bool hypervisor)
{
	struct cpu_id c = { .intel = true,
			    .hypervisor = hypervisor,
			    .family = 6,
			    .model = model,
			    .stepping = stepping,
			    .microcode = microcode };
	struct apic_facts f = { &c, (u32)leaf1, AS_USUAL, 7, false };

	return errata_choose_apic(&f);
}

static void deadline(void **state)
{
	struct cpu_id amd = { .amd = true, .family = 0x1a, .model = 0x3c };
	struct apic_facts f = { &amd, DEADLINE, AS_USUAL, 7, false };

	(void)state;
	/* Haswell: any stepping, from 0x22 on. */
	assert_false(timer(DEADLINE, 0x3c, 3, 0x21, false).deadline);
	assert_int_equal(timer(DEADLINE, 0x3c, 3, 0x21, false).microcode, 0x22);
	assert_true(timer(DEADLINE, 0x3c, 3, 0x22, false).deadline);
	assert_int_equal(timer(DEADLINE, 0x3c, 3, 0x22, false).microcode, 0);
	/* Each stepping has its own revision; steppings that are not in the list are good. */
	assert_false(timer(DEADLINE, 0x55, 3, 0x01000135, false).deadline);
	assert_false(timer(DEADLINE, 0x55, 4, 0x02000013, false).deadline);
	assert_true(timer(DEADLINE, 0x55, 4, 0x02000014, false).deadline);
	assert_true(timer(DEADLINE, 0x55, 7, 1, false).deadline);
	assert_true(timer(DEADLINE, 0x2a, 7, 1, false).deadline);
	/* An outer hypervisor handles it; and a CPU without deadline mode needs no microcode. */
	assert_true(timer(DEADLINE, 0x3c, 3, 0, true).deadline);
	assert_false(timer(0, 0x3c, 3, 0, false).deadline);
	assert_int_equal(timer(0, 0x3c, 3, 0, false).microcode, 0);
	/* AMD has models of these numbers, too. */
	assert_true(errata_choose_apic(&f).deadline);
}

static void preemption_timer(void **state)
{
	struct cpu_id c = { .intel = true, .signature = 0x20652 };

	(void)state;
	assert_true(errata_preemption_timer(&c));
	c.hypervisor = true; /* it has another */
	assert_false(errata_preemption_timer(&c));
	c = (struct cpu_id){ .intel = true, .signature = 0x306a8 | 0xc000 };
	assert_true(errata_preemption_timer(&c));
	c.signature = 0x306a9;
	assert_false(errata_preemption_timer(&c));
	c = (struct cpu_id){ .amd = true, .signature = 0x20652 };
	assert_false(errata_preemption_timer(&c));
}

static void c1e(void **state)
{
	struct cpu_id c = { .amd = true, .family = 0x10 };

	(void)state;
	assert_int_equal(errata_c1e(&c, 0x18000814), 0x814);
	assert_int_equal(errata_c1e(&c, 0x10000000), 0);
	assert_int_equal(errata_c1e(&c, 0x814), 0x814);
	c.hypervisor = true;
	assert_int_equal(errata_c1e(&c, 0x18000814), 0x18000814);
	c = (struct cpu_id){ .amd = true, .family = 0x15 };
	assert_int_equal(errata_c1e(&c, 0x18000814), 0x18000814);
	c = (struct cpu_id){ .intel = true, .family = 6, .model = 0x10 };
	assert_int_equal(errata_c1e(&c, 0x18000814), 0x18000814);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x2apic),
		cmocka_unit_test(deadline),
		cmocka_unit_test(preemption_timer),
		cmocka_unit_test(c1e),
	};

	return cmocka_run_group_tests_name("errata", tests, NULL, NULL);
}
