/* SPDX-License-Identifier: BSD-2-Clause */
/* SVM without a CPU: required and optional features, VMRUN's checks, lengths of instructions. */
#include <tests/fake/fake.h>

#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>

/* Nothing but nested paging. */
static const struct svm_cpuid bare = { .svm = true, .ebx = 16, .edx = 1, .phys_bits = 40 };

static void caps(void **state)
{
	struct svm_cpuid c = bare;
	struct svm_caps s;

	(void)state;
	assert_null(svm_caps_check(&c, &s)); /* nothing else is needed */
	assert_false(s.nrip || s.decode_assists || s.clean_bits || s.flush_by_asid ||
		     s.pause_filter || s.pause_threshold || s.fsgsbase);
	c.edx = 0xffffffff;
	c.seven_ebx = 1;
	assert_null(svm_caps_check(&c, &s)); /* and all of it is used */
	assert_true(s.nrip && s.decode_assists && s.clean_bits && s.flush_by_asid &&
		    s.pause_filter && s.pause_threshold && s.fsgsbase);
	c.edx &= ~1u;
	assert_non_null(strstr(svm_caps_check(&c, &s), "lacks nested paging"));
	c = bare;
	c.svm = false;
	assert_non_null(strstr(svm_caps_check(&c, &s), "no SVM"));
	c = bare;
	c.ebx = 1;
	assert_non_null(strstr(svm_caps_check(&c, &s), "address space identifiers"));
}

/* Only the firmware's setup can change "locked off"; "off" alone we change ourselves. */
static void locked_off(void **state)
{
	struct svm_cpuid c = bare;
	struct svm_caps s;

	(void)state;
	c.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
	assert_non_null(strstr(svm_caps_check(&c, &s), "locked SVM off: enable \"SVM Mode\""));
	c.vm_cr = VM_CR_SVMDIS;
	assert_null(svm_caps_check(&c, &s));
	c.vm_cr = VM_CR_LOCK;
	assert_null(svm_caps_check(&c, &s));
}

static struct vmcb good(void)
{
	struct vmcb b = { .intercept2 = INTERCEPT2_ALL_SVM, .asid = 1, .efer = EFER_SVME };

	b.g_pat = 0x0606060606060606;
	b.cr0 = 0x60000010;
	b.iopm_pa = 0x10000;
	b.msrpm_pa = 0x20000;
	b.nested_cr3 = 0x30000;
	return b;
}

#define LONG(b) ((b)->efer |= EFER_LME | EFER_LMA, (b)->cr0 |= CR0_PG | CR0_PE, (b)->cr4 |= CR4_PAE)

/* Each of VMRUN's checks, broken alone, is named. */
static void consistency_checks(void **state)
{
	const struct svm_caps s = { .nr_asids = 16, .phys_bits = 40 };
	struct vmcb b = good();

	(void)state;
	assert_null(svm_vmcb_check(&b, &s));
	LONG(&b);
	assert_null(svm_vmcb_check(&b, &s));
#define WRONG(change, words)                                                           \
	do {                                                                           \
		const char *said;                                                      \
		b = good();                                                            \
		change;                                                                \
		said = svm_vmcb_check(&b, &s);                                         \
		if (!said || !strstr(said, words))                                     \
			fail_msg("%s: it says \"%s\"", #change, said ? said : "fine"); \
	} while (0)
	WRONG(b.efer = 0, "EFER.SVME");
	WRONG(b.efer |= BIT(9), "reserved bit of EFER");
	WRONG(b.cr0 = CR0_NW, "CR0.NW");
	WRONG(b.cr0 |= BIT(32), "CR0 has bits");
	WRONG(b.cr3 = BIT(40), "CR3");
	WRONG(b.cr4 = BIT(63), "CR4");
	WRONG(b.dr6 = BIT(32), "DR6");
	WRONG(b.dr7 = BIT(32), "DR7");
	WRONG(LONG(&b); b.cr4 = 0, "PAE is clear");
	WRONG(LONG(&b); b.cr0 &= ~CR0_PE, "PE is clear");
	WRONG(LONG(&b); b.seg[VMCB_CS].attr = VMCB_SEG_L | VMCB_SEG_DB, "CS.L and CS.D");
	WRONG(b.intercept2 &= ~INTERCEPT2_VMRUN, "VMRUN is not intercepted");
	WRONG(b.iopm_pa = BIT(40) - 0x2000, "I/O permission map");
	WRONG(b.msrpm_pa = 0x20001, "MSR permission map");
	WRONG(b.asid = 0, "host's");
	WRONG(b.asid = 16, "ASID");
	WRONG(b.event_inj = EVENT(1UL, 3), "event");
	WRONG(b.event_inj = EVENT(EVENT_EXCEPTION, 2UL), "event");
	WRONG(b.nested_cr3 = BIT(41), "nested page table");
	WRONG(b.g_pat = 2, "PAT");
#undef WRONG
}

static struct vmexit decode(struct vmcb *b, bool nrip)
{
	const struct svm_caps s = { .nrip = nrip };
	struct vmexit e = { 0 };

	svm_decode(b, &s, &e);
	return e;
}

/* With NRIP save the CPU's length counts, prefixes included; without it the opcode's length. */
static void lengths(void **state)
{
	struct vmcb b = { .exit_code = VMEXIT_CPUID, .rip = 0x1000, .nrip = 0x1003 };

	(void)state;
	assert_int_equal(decode(&b, false).length, 2);
	assert_int_equal(decode(&b, true).length, 3);
	b.exit_code = VMEXIT_VMMCALL;
	b.nrip = 0;
	assert_int_equal(decode(&b, false).length, 3);
	assert_int_equal(decode(&b, true).length, 3); /* it says nothing */
	b.exit_code = VMEXIT_IOIO;
	b.exit_info1 = 0x3f8u << 16 | BIT(4) | BIT(0);
	b.exit_info2 = 0x1002; /* on every CPU */
	assert_int_equal(decode(&b, false).length, 2);
	assert_int_equal(decode(&b, false).io.port, 0x3f8);
	assert_int_equal(decode(&b, false).io.size, 1);
	assert_true(decode(&b, false).io.in);
	b.exit_code = 0x1234;
	assert_int_equal(decode(&b, false).kind, EXIT_UNKNOWN);
	b.exit_code = UINT64_MAX;
	assert_int_equal(decode(&b, false).kind, EXIT_ENTRY_FAILED);
	b.exit_code = VMEXIT_INVALID; /* as QEMU has it */
	assert_int_equal(decode(&b, false).kind, EXIT_ENTRY_FAILED);
}

/* Moves to and from control registers, for CPUs without decode assists. */
static void control_registers(void **state)
{
	static const u8 mov_cr4_r9[] = { 0x41, 0x0f, 0x22, 0xe1 },
			mov_rax_cr8[] = { 0x44, 0x0f, 0x20, 0xc0 }, clts[] = { 0x66, 0x0f, 0x06 },
			lmsw_cx[] = { 0x0f, 0x01, 0xf1 }, invlpg[] = { 0x0f, 0x01, 0x38 },
			smsw_r9[] = { 0x49, 0x0f, 0x01, 0xe1 },
			smsw_ax[] = { 0x66, 0x0f, 0x01, 0xe0 },
			smsw_memory[] = { 0x0f, 0x01, 0x20 };
	struct svm_cr_insn i;

	(void)state;
	assert_true(svm_decode_cr(mov_cr4_r9, 4, true, &i));
	assert_int_equal(i.op, CR_OP_WRITE);
	assert_int_equal(i.gpr, 9);
	assert_int_equal(i.length, 4);
	assert_false(svm_decode_cr(mov_cr4_r9, 4, false, &i)); /* no REX: INC */
	assert_false(svm_decode_cr(mov_cr4_r9, 3, true, &i));  /* the rest was not there */
	assert_true(svm_decode_cr(mov_rax_cr8, 4, true, &i));
	assert_int_equal(i.op, CR_OP_READ);
	assert_int_equal(i.gpr, 0);
	assert_true(svm_decode_cr(clts, 3, false, &i));
	assert_int_equal(i.op, CR_OP_CLTS);
	assert_int_equal(i.length, 3);
	assert_true(svm_decode_cr(lmsw_cx, 3, false, &i));
	assert_int_equal(i.op, CR_OP_LMSW);
	assert_int_equal(i.gpr, 1);
	assert_false(svm_decode_cr(invlpg, 3, true, &i));
	assert_true(svm_decode_cr(smsw_r9, 4, true, &i));
	assert_int_equal(i.op, CR_OP_SMSW);
	assert_int_equal(i.gpr, 9);
	assert_true(i.wide && !i.narrow);
	assert_true(svm_decode_cr(smsw_ax, 4, true, &i));
	assert_true(i.narrow && !i.wide);
	assert_false(svm_decode_cr(smsw_memory, 3, true, &i));
}

static void events_again(void **state)
{
	(void)state;
	assert_int_equal(svm_event_again(0x30), 0); /* not valid */
	assert_int_equal(svm_event_again(EVENT(EVENT_INTR, 0x30UL)), EVENT(EVENT_INTR, 0x30UL));
	assert_int_equal(svm_event_again(EVENT(EVENT_SOFT, 0x80UL)), 0);
	assert_int_equal(svm_event_again(EVENT(EVENT_EXCEPTION, 3UL)), 0); /* RIP is at INT3 */
	assert_int_equal(svm_event_again(EVENT(EVENT_EXCEPTION, 14UL)),
			 EVENT(EVENT_EXCEPTION, 14UL));
	/* The local APIC delivers an interrupt anew, also one that QEMU took from V_IRQ. */
	assert_int_equal(svm_interrupt_again(0x30), -1);
	assert_int_equal(svm_interrupt_again(EVENT(EVENT_INTR, 0x30UL)), 0x30);
	assert_int_equal(svm_interrupt_again(EVENT(EVENT_EXCEPTION, 0xefUL)), 0xef);
	assert_int_equal(svm_interrupt_again(EVENT(EVENT_EXCEPTION, 31UL)), -1);
	assert_int_equal(svm_interrupt_again(EVENT(EVENT_NMI, 2UL)), -1);
	assert_int_equal(svm_interrupt_again(EVENT(EVENT_SOFT, 0x80UL)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caps),
		cmocka_unit_test(locked_off),
		cmocka_unit_test(consistency_checks),
		cmocka_unit_test(lengths),
		cmocka_unit_test(control_registers),
		cmocka_unit_test(events_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
