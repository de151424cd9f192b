/* SPDX-License-Identifier: BSD-2-Clause */
/* Decisions about CPUs' flaws: real chips' values, and the three modes. */
#include <tests/fake/fake.h>

#include <arch/x86_64/quirks/vulns.h>

#define INTEL(m) .intel = true, .family = 6, .model = (m)
#define AMD(f, m) .amd = true, .family = (f), .model = (m)
#define EDX_2018 (SEVEN_EDX_SPEC_CTRL | SEVEN_EDX_STIBP | SEVEN_EDX_L1D_FLUSH | SEVEN_EDX_SSBD)
#define EDX_2019 (EDX_2018 | SEVEN_EDX_MD_CLEAR)

/* Before the first microcode, and with it. */
static const struct cpu_id haswell_old = { INTEL(0x3c), .smt = true };
static const struct cpu_id haswell = { INTEL(0x3c), .seven_edx = EDX_2019 };
static const struct cpu_id skylake = { INTEL(0x5e), .smt = true, .seven_edx = EDX_2019,
				       .seven_ebx = BIT(11) };
static const struct cpu_id cascade_lake = {
	INTEL(0x55),
	.stepping = 7,
	.smt = true,
	.seven_ebx = BIT(11),
	.seven_edx = EDX_2019 | SEVEN_EDX_ARCH_CAPS,
	.arch_caps = 0xab, /* RDCL_NO IBRS_ALL SKIP_L1DFL MDS_NO TSX_CTRL */
};
static const struct cpu_id ice_lake = {
	INTEL(0x6a), .smt = true, .seven_edx = EDX_2019 | SEVEN_EDX_ARCH_CAPS,
	.arch_caps = 0x16b, /* and PSCHANGE_MC_NO TAA_NO */
};
static const struct cpu_id alder_lake = {
	INTEL(0x97),
	.smt = true,
	.seven_edx = EDX_2019 | SEVEN_EDX_ARCH_CAPS,
	.seven2_edx = BIT(4),
	.arch_caps = 0x16b | ARCH_CAP_PBRSB_NO | ARCH_CAP_RFDS_CLEAR,
};
static const struct cpu_id goldmont = { INTEL(0x5c), .seven_edx = EDX_2018 };
static const struct cpu_id silvermont = { INTEL(0x37), .seven_edx = EDX_2019 };
static const struct cpu_id bochs = { INTEL(0x7e), .seven_edx = EDX_2018 | SEVEN_EDX_ARCH_CAPS,
				     .arch_caps = 0x1f };
static const struct cpu_id zen1 = { AMD(0x17, 1), .smt = true, .ext8_ebx = EXT8_EBX_IBPB };
static const struct cpu_id zen2 = { AMD(0x17, 0x31), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_IBRS |
								 EXT8_EBX_STIBP | EXT8_EBX_SSBD };
static const struct cpu_id zen3 = { AMD(0x19, 1), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_IBRS,
				    .ext21_eax = EXT21_EAX_VERW_CLEAR };
static const struct cpu_id zen4_new = { AMD(0x19, 0x11), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_IBRS,
					.ext21_eax = EXT21_EAX_AUTO_IBRS,
					.ext21_ecx = (u32)EXT21_ECX_TSA_NO };
static const struct cpu_id qemu_epyc = { AMD(0x17, 1) };

static struct mitigations decide(const struct cpu_id *c)
{
	struct mitigations m;

	vulns_decide(c, MITIGATE_AUTO, &m);
	return m;
}

static void l1tf(void **state)
{
	static const struct cpu_id nested = { INTEL(0x5e),
					      .seven_edx = EDX_2019 | SEVEN_EDX_ARCH_CAPS,
					      .arch_caps = ARCH_CAP_SKIP_L1DFL };
	static const struct cpu_id *const safe[] = { &cascade_lake, &ice_lake,	 &alder_lake,
						     &goldmont,	    &silvermont, &bochs,
						     &zen1,	    &zen3,	 &qemu_epyc };

	(void)state;
	assert_true(decide(&skylake).l1d_flush && !decide(&skylake).l1d_displace);
	assert_string_equal(decide(&skylake).l1tf, "L1D flushed before guest entries");
	assert_true(decide(&skylake).smt_open);
	assert_false(decide(&haswell).smt_open); /* no threads */
	assert_true(decide(&haswell_old).l1d_displace && !decide(&haswell_old).l1d_flush);
	assert_non_null(strstr(decide(&haswell_old).l1tf, "no microcode support"));
	assert_false(decide(&nested).l1d_flush || decide(&nested).l1d_displace);
	assert_non_null(strstr(decide(&nested).l1tf, "outer hypervisor"));
	for (size_t i = 0; i < ARRAY_SIZE(safe); i++) {
		assert_false(decide(safe[i]).l1d_flush || decide(safe[i]).l1d_displace);
		assert_string_equal(decide(safe[i]).l1tf, "not affected");
	}
}

static void buffers(void **state)
{
	struct cpu_id c = cascade_lake;

	(void)state;
	assert_true(decide(&skylake).verw && decide(&silvermont).verw);
	assert_string_equal(decide(&skylake).buffers, "VERW before guest entries and idle");
	assert_true(decide(&haswell_old).verw);
	assert_non_null(strstr(decide(&haswell_old).buffers, "no microcode support"));
	assert_non_null(strstr(decide(&bochs).buffers, "no microcode support"));
	assert_true(decide(&cascade_lake).verw); /* TAA */
	c.seven_ebx = 0;
	assert_true(decide(&c).verw); /* TSX may only be hidden */
	c.arch_caps |= ARCH_CAP_TAA_NO;
	assert_false(decide(&c).verw);
	assert_false(decide(&ice_lake).verw);
	assert_string_equal(decide(&ice_lake).buffers, "not affected");
	assert_true(decide(&alder_lake).verw); /* RFDS */
	c = alder_lake;
	c.arch_caps = (c.arch_caps & ~ARCH_CAP_RFDS_CLEAR) | ARCH_CAP_RFDS_NO;
	assert_false(decide(&c).verw);
	assert_true(decide(&goldmont).verw); /* not MDS, but RFDS */
	assert_false(decide(&zen1).verw || decide(&zen2).verw || decide(&qemu_epyc).verw);
	assert_true(decide(&zen3).verw); /* TSA */
	assert_false(decide(&zen4_new).verw);
}

static void itlb_multihit(void **state)
{
	static const struct cpu_id tremont_d = { INTEL(0x86) };

	(void)state;
	assert_true(decide(&haswell_old).no_exec_large && decide(&skylake).no_exec_large);
	assert_true(decide(&cascade_lake).no_exec_large && decide(&bochs).no_exec_large);
	assert_false(decide(&ice_lake).no_exec_large || decide(&alder_lake).no_exec_large);
	assert_false(decide(&goldmont).no_exec_large || decide(&tremont_d).no_exec_large);
	assert_false(decide(&zen1).no_exec_large || decide(&zen3).no_exec_large);
}

static void spectre_v2(void **state)
{
	struct mitigations m = decide(&haswell_old);
	struct cpu_id c = ice_lake;

	(void)state;
	assert_true(m.thunks && m.fill_rsb && !m.has_ibpb && !m.has_spec_ctrl);
	assert_int_equal(m.host_spec_ctrl, 0);
	m = decide(&skylake);
	assert_true(m.thunks && m.fill_rsb && m.has_ibpb && m.has_spec_ctrl && m.has_flush_cmd);
	assert_int_equal(m.host_spec_ctrl, 0);
	m = decide(&ice_lake); /* enhanced IBRS, but branch history is shared */
	assert_true(m.thunks && m.fill_rsb);
	assert_int_equal(m.host_spec_ctrl, SPEC_CTRL_IBRS);
	c.seven2_edx = BIT(4);
	m = decide(&c);
	assert_false(m.thunks);
	assert_int_equal(m.host_spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
	c.arch_caps |= ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO;
	m = decide(&c);
	assert_false(m.thunks || m.fill_rsb);
	assert_int_equal(m.host_spec_ctrl, SPEC_CTRL_IBRS);
	c.seven_edx &= ~(u32)SEVEN_EDX_SPEC_CTRL; /* a promise without the MSR is none */
	m = decide(&c);
	assert_true(m.thunks && m.fill_rsb);
	assert_int_equal(m.host_spec_ctrl, 0);
	m = decide(&zen1);
	assert_true(m.thunks && m.fill_rsb && m.has_ibpb && !m.has_spec_ctrl);
	m = decide(&zen2);
	assert_true(m.has_spec_ctrl && !m.auto_ibrs);
	m = decide(&zen4_new);
	assert_true(m.auto_ibrs && m.has_ibpb && !m.thunks && !m.fill_rsb);
	assert_int_equal(m.host_spec_ctrl, 0);
	m = decide(&qemu_epyc);
	assert_true(m.thunks && m.fill_rsb && !m.has_ibpb && !m.has_spec_ctrl && !m.has_flush_cmd);
}

/* Off: no mitigation, and the words say so for affected CPUs. */
static void off(void **state)
{
	struct mitigations m, none = { .off = true };

	(void)state;
	vulns_decide(&skylake, MITIGATE_OFF, &m);
	assert_non_null(strstr(m.l1tf, "AFFECTED"));
	assert_non_null(strstr(m.buffers, "AFFECTED"));
	assert_non_null(strstr(m.itlb, "AFFECTED"));
	none.l1tf = m.l1tf;
	none.buffers = m.buffers;
	none.itlb = m.itlb;
	assert_memory_equal(&m, &none, sizeof(m));
	vulns_decide(&zen4_new, MITIGATE_OFF, &m);
	assert_string_equal(m.l1tf, "not affected");
	assert_false(m.auto_ibrs);
}

/* Forced: everything, but never an MSR that the CPU lacks. */
static void force(void **state)
{
	static const struct cpu_id *const all[] = { &haswell_old, &haswell, &ice_lake, &goldmont,
						    &bochs,	  &zen1,    &zen4_new, &qemu_epyc };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct cpu_id *c = all[i];
		struct mitigations m;

		vulns_decide(c, MITIGATE_FORCE, &m);
		assert_true(m.verw && m.no_exec_large && m.thunks && m.fill_rsb && !m.off);
		assert_int_equal(m.l1d_flush, !!(c->seven_edx & SEVEN_EDX_L1D_FLUSH));
		assert_int_equal(m.l1d_displace, !m.l1d_flush);
		assert_int_equal(m.has_ibpb,
				 c->seven_edx & SEVEN_EDX_SPEC_CTRL || c->ext8_ebx & EXT8_EBX_IBPB);
		assert_true(!m.host_spec_ctrl || m.has_spec_ctrl);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(l1tf),		 cmocka_unit_test(buffers),
		cmocka_unit_test(itlb_multihit), cmocka_unit_test(spectre_v2),
		cmocka_unit_test(off),		 cmocka_unit_test(force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
