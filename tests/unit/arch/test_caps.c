/* SPDX-License-Identifier: BSD-2-Clause */
/* What VT-x must have: each missing bit has its own message. */
#include <tests/fake/fake.h>

#include <arch/x86_64/vmx/vmx.h>

/* A CPU that allows all controls and requires few. */
static struct vmx_msrs good(void)
{
	return (struct vmx_msrs){
		.basic = 0x12 | VMX_BASIC_TRUE,
		.pin = 0xffffffff00000016,
		.cpu = 0xffffffff04006172,
		.exit = 0xffffffff00036dfb,
		.entry = 0xffffffff000011fb,
		.misc = 5,
		.cpu2 = 0xffffffff00000000,
		.ept_vpid = 0x00000f0106734141,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0x3727ff,
	};
}

static void a_good_cpu(void **state)
{
	struct vmx_msrs m = good();
	struct vmx_caps c;

	(void)state;
	assert_null(vmx_caps_check(&m, &c));
	assert_int_equal(c.revision, 0x12);
	assert_int_equal(c.timer_shift, 5);
	assert_true(c.ept_ad);
	assert_int_equal(c.pin & 0x16, 0x16); /* what must be 1 is 1 */
	assert_int_equal(c.cpu & (u32)m.cpu, (u32)m.cpu);
	assert_true(c.cpu & CPU_SECONDARY);
	assert_int_equal(c.cpu & (CPU_INTERRUPT_WINDOW | CPU_NMI_WINDOW),
			 0); /* needed, but off now */
	assert_int_equal(c.cpu & (CPU_CR3_LOAD | CPU_CR3_STORE), 0);
	assert_true(c.cpu2 & CPU2_EPT && c.cpu2 & CPU2_UNRESTRICTED && c.cpu2 & CPU2_VPID);
	assert_int_equal(c.cpu2 & CPU2_XSAVES, 0); /* not asked for */
	assert_true(c.cpu2 & CPU2_PLE);		   /* nice to have */
	m.cpu2 &= ~(CPU2_PLE << 32);
	assert_null(vmx_caps_check(&m, &c));
	assert_int_equal(c.cpu2 & CPU2_PLE, 0);
	/* With the shadow of the TPR, CR8 does not exit; without it it must. */
	assert_int_equal(c.cpu & (CPU_CR8_LOAD | CPU_CR8_STORE | CPU_TPR_SHADOW), CPU_TPR_SHADOW);
	m.cpu &= ~(CPU_TPR_SHADOW << 32);
	assert_null(vmx_caps_check(&m, &c));
	assert_int_equal(c.cpu & (CPU_CR8_LOAD | CPU_CR8_STORE | CPU_TPR_SHADOW),
			 CPU_CR8_LOAD | CPU_CR8_STORE);
	/* Before TRUE MSRs, CR3 exits were forced: then they are on. */
	m.cpu |= CPU_CR3_LOAD | CPU_CR3_STORE;
	assert_null(vmx_caps_check(&m, &c));
	assert_true(c.cpu & CPU_CR3_LOAD);
}

static void never_more_than_allowed(void **state)
{
	u64 seed = 1;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct vmx_msrs m = good();
		struct vmx_caps c;

		/* Random capabilities; bits that must be 1 may be 1. */
		m.cpu2 &= fake_random(&seed) | 0xffffffff;
		m.cpu &= fake_random(&seed) | fake_random(&seed) | 0xffffffff | m.cpu << 32;
		if (vmx_caps_check(&m, &c))
			continue;
		assert_int_equal(c.cpu2 & ~(u32)(m.cpu2 >> 32), 0);
		assert_int_equal(c.cpu & ~(u32)(m.cpu >> 32), 0);
	}
}

struct lack {
	size_t msr;
	u64 bit;
	const char *words;
};
#define PIN offsetof(struct vmx_msrs, pin)
#define CPU offsetof(struct vmx_msrs, cpu)
#define CPU2 offsetof(struct vmx_msrs, cpu2)
#define EXIT offsetof(struct vmx_msrs, exit)
#define ENTRY offsetof(struct vmx_msrs, entry)
#define EPT offsetof(struct vmx_msrs, ept_vpid)

static const struct lack lacks[] = {
	{ PIN, PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting" },
	{ PIN, PIN_NMI, "NMI exiting" },
	{ PIN, PIN_VIRTUAL_NMI, "virtual NMIs" },
	{ CPU, CPU_SECONDARY, "secondary controls, and so EPT" },
	{ CPU, CPU_MSR_BITMAPS, "MSR bitmaps" },
	{ CPU, CPU_TSC_OFFSET, "TSC offsetting" },
	{ CPU, CPU_HLT, "HLT exiting" },
	{ CPU, CPU_CR8_LOAD, "CR8-load" },
	{ CPU, CPU_CR8_STORE, "CR8-store" },
	{ CPU, CPU_UNCONDITIONAL_IO, "I/O exiting" },
	{ CPU, CPU_MWAIT, "MWAIT" },
	{ CPU, CPU_MONITOR, "MONITOR" },
	{ CPU, CPU_INTERRUPT_WINDOW, "interrupt-window" },
	{ CPU, CPU_NMI_WINDOW, "NMI-window" },
	{ CPU2, CPU2_EPT, "EPT (second-level page tables)" },
	{ CPU2, CPU2_UNRESTRICTED, "unrestricted guest" },
	{ CPU2, CPU2_VPID, "VPID" },
	{ EXIT, EXIT_HOST_64, "64-bit host" },
	{ EXIT, EXIT_ACK_INTERRUPT, "acknowledge interrupt" },
	{ EXIT, EXIT_SAVE_PAT, "saving PAT" },
	{ EXIT, EXIT_LOAD_PAT, "loading PAT" },
	{ EXIT, EXIT_SAVE_EFER, "saving EFER" },
	{ EXIT, EXIT_LOAD_EFER, "loading EFER" },
	{ EXIT, EXIT_SAVE_DEBUG, "saving debug" },
	{ ENTRY, ENTRY_LOAD_PAT, "loading PAT at entry" },
	{ ENTRY, ENTRY_LOAD_EFER, "loading EFER at entry" },
	{ ENTRY, ENTRY_LOAD_DEBUG, "loading debug controls at entry" },
	{ EPT, EPT_CAP_WALK4 >> 32 | (u64)EPT_CAP_WALK4, "four levels" },
	{ EPT, EPT_CAP_WB, "write-back" },
	{ EPT, EPT_CAP_2M, "2 MiB pages" },
	{ EPT, EPT_CAP_INVEPT, "INVEPT" },
	{ EPT, EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL, "INVEPT" },
};

/* Without it the APIC's timer ends a run. */
static void preemption_timer(void **state)
{
	struct vmx_msrs m = good();
	struct vmx_caps caps;

	(void)state;
	assert_null(vmx_caps_check(&m, &caps));
	assert_true(caps.pin & PIN_PREEMPTION_TIMER);
	m.pin &= ~((u64)PIN_PREEMPTION_TIMER << 32 | PIN_PREEMPTION_TIMER);
	assert_null(vmx_caps_check(&m, &caps));
	assert_false(caps.pin & PIN_PREEMPTION_TIMER);
}

static void each_missing_bit_has_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lacks); i++) {
		struct vmx_msrs m = good();
		u64 *msr = (u64 *)((char *)&m + lacks[i].msr);
		struct vmx_caps c;
		const char *said;

		*msr &= ~(lacks[i].msr == EPT ? lacks[i].bit : lacks[i].bit << 32);
		said = vmx_caps_check(&m, &c);
		if (!said || !strstr(said, lacks[i].words))
			fail_msg("without \"%s\" it says \"%s\"", lacks[i].words,
				 said ? said : "all is well");
	}
}

/* Penryn: VT-x, but no secondary controls' EPT. The message names the most important feature. */
static void vtx_without_ept(void **state)
{
	struct vmx_msrs m = good();
	struct vmx_caps c;

	(void)state;
	m.cpu2 = 0x41UL << 32;
	m.ept_vpid = 0;
	assert_true(strstr(vmx_caps_check(&m, &c), "EPT"));
	memset(&m, 0, sizeof(m));
	assert_non_null(vmx_caps_check(&m, &c));
}

/* IA32_FEATURE_CONTROL: 1 locked, 2 inside SMX, 4 outside. Other bits must not change. */
static void feature_control(void **state)
{
	u64 want;

	(void)state;
	assert_null(vmx_feature_control(0, &want));
	assert_int_equal(want, 5);
	assert_null(vmx_feature_control(0x40000, &want)); /* unlocked, with SGX's bit */
	assert_int_equal(want, 0x40005);
	assert_null(vmx_feature_control(5, &want));
	assert_int_equal(want, 5);
	assert_null(vmx_feature_control(0x100007, &want));
	assert_int_equal(want, 0x100007);
	assert_non_null(strstr(vmx_feature_control(1, &want), "locked VT-x off: enable"));
	assert_int_equal(want, 1);
	assert_non_null(strstr(vmx_feature_control(3, &want), "trusted launch"));
	assert_int_equal(want, 3);
}

/* The table's functions are not called here. */
#define UNUSED(name)                                                                  \
	void name(struct vcpu *v, struct vmexit *e, u64 qualification)                \
	{                                                                             \
		fail_msg(#name " of %p %p %lx", (void *)v, (void *)e, qualification); \
	}
UNUSED(vmx_decode_exception)
UNUSED(vmx_decode_interrupt)
UNUSED(vmx_decode_io)
UNUSED(vmx_decode_ept)
UNUSED(vmx_decode_task_switch)
UNUSED(vmx_decode_xsetbv)
UNUSED(vmx_cr_exit)

/* No instruction may end its VM only because a CPU has it: each that a CPU may report has a row. */
static void instructions_that_exit(void **state)
{
	/* SDM, "VMX Basic Exit Reasons": by an instruction, and not one that guests have */
	static const u8 undefined[] = { 11, 19, 20, 21, 22, 23, 24, 25, 26, 27, 36, 39, 50, 53,
					58, 59, 60, 63, 64, 65, 67, 68, 69, 70, 76, 77, 78, 79 };
	static const u8 guests_have[] = { 10, 12, 13, 18, 28, 30, 31, 32, 40, 54, 55 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(undefined); i++) {
		const struct vmx_reason *r = &vmx_reasons[undefined[i]];

		if (!r->name || r->kind != EXIT_UNDEFINED)
			fail_msg("exit reason %u", undefined[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(guests_have); i++) {
		const struct vmx_reason *r = &vmx_reasons[guests_have[i]];

		if (!r->name || r->kind == EXIT_UNKNOWN || !r->length)
			fail_msg("exit reason %u", guests_have[i]);
	}
	assert_int_equal(vmx_reasons[VMX_REASON_RDPMC].kind, EXIT_FORBIDDEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_cpu),
		cmocka_unit_test(never_more_than_allowed),
		cmocka_unit_test(each_missing_bit_has_words),
		cmocka_unit_test(preemption_timer),
		cmocka_unit_test(vtx_without_ept),
		cmocka_unit_test(feature_control),
		cmocka_unit_test(instructions_that_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
