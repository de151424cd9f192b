/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns exit codes into struct vmexit, by table. Pure: it takes the VMCB, and returns the exit and
 * what is left to do. APM volume 2: "SVM Intercept Exit Codes".
 */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>

struct row {
	const char *name;
	enum vmexit_kind kind;
	/*
	 * Lengths without prefixes, for CPUs without NRIP save. A guest that puts prefixes before
	 * one of these instructions harms only itself.
	 */
	u8 length;
	enum svm_action action;
	void (*payload)(const struct vmcb *b, struct vmexit *e);
};

/* "IOIO Intercept": EXITINFO2 is the next RIP, with or without NRIP save. */
static void decode_io(const struct vmcb *b, struct vmexit *e)
{
	e->length = (u8)(b->exit_info2 - b->rip);
	e->io.size = b->exit_info1 >> 4 & 7;
	e->io.in = b->exit_info1 & IOIO_IN;
	e->io.string = b->exit_info1 & IOIO_STRING;
	e->io.port = (u16)(b->exit_info1 >> 16);
}

static void decode_msr(const struct vmcb *b, struct vmexit *e)
{
	e->kind = b->exit_info1 & 1 ? EXIT_WRMSR : EXIT_RDMSR;
}

/* "Nested versus Guest Page Faults, Fault Ordering" */
static void decode_npf(const struct vmcb *b, struct vmexit *e)
{
	e->fault.gpa = GPA(b->exit_info2);
	e->fault.write = b->exit_info1 & NPF_WRITE;
	e->fault.exec = b->exit_info1 & NPF_FETCH;
	e->fault.read = !e->fault.write && !e->fault.exec;
}

#define UNDEFINED(name, length)                                 \
	{                                                       \
		name, EXIT_UNDEFINED, length, SVM_PASS_UP, NULL \
	}

static const struct row rows[VMEXIT_TABLE_NR] = {
	[VMEXIT_READ_CR0] = { "read of CR0", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_READ_CR4] = { "read of CR4", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_READ_CR8] = { "read of CR8", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_WRITE_CR0] = { "write of CR0", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_WRITE_CR4] = { "write of CR4", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_WRITE_CR8] = { "write of CR8", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_CR0_SELECTIVE] = { "write of CR0", EXIT_NONE, 0, SVM_CR, NULL },
	[VMEXIT_EXCEPTION + VEC_DB] = { "#DB", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_TS] = { "#TS", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_NP] = { "#NP", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_SS] = { "#SS", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_GP] = { "#GP", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_PF] = { "#PF", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_AC] = { "#AC", EXIT_NONE, 0, SVM_EXCEPTION, NULL },
	[VMEXIT_EXCEPTION + VEC_MC] = { "#MC", EXIT_MACHINE_CHECK, 0, SVM_MACHINE_CHECK, NULL },
	[VMEXIT_INTR] = { "interrupt", EXIT_INTERRUPT, 0, SVM_HOST_EVENT, NULL },
	[VMEXIT_NMI] = { "NMI", EXIT_INTERRUPT, 0, SVM_HOST_EVENT, NULL },
	[VMEXIT_SMI] = { "SMI", EXIT_INTERRUPT, 0, SVM_HOST_EVENT, NULL },
	[VMEXIT_VINTR] = { "interrupt window", EXIT_INTERRUPT_WINDOW, 0, SVM_PASS_UP, NULL },
	[VMEXIT_RDPMC] = { "RDPMC", EXIT_FORBIDDEN, 0, SVM_PASS_UP, NULL },
	[VMEXIT_CPUID] = { "CPUID", EXIT_CPUID, 2, SVM_PASS_UP, NULL },
	[VMEXIT_IRET] = { "IRET", EXIT_NONE, 0, SVM_IRET, NULL },
	[VMEXIT_INVD] = { "INVD", EXIT_CACHE, 2, SVM_PASS_UP, NULL },
	[VMEXIT_PAUSE] = { "PAUSE", EXIT_PAUSE, 2, SVM_PASS_UP, NULL },
	[VMEXIT_HLT] = { "HLT", EXIT_HLT, 1, SVM_PASS_UP, NULL },
	[VMEXIT_INVLPGA] = UNDEFINED("INVLPGA", 3),
	[VMEXIT_IOIO] = { "I/O instruction", EXIT_IO, 0, SVM_PASS_UP, decode_io },
	[VMEXIT_MSR] = { "RDMSR or WRMSR", EXIT_RDMSR, 2, SVM_PASS_UP, decode_msr },
	[VMEXIT_SHUTDOWN] = { "triple fault", EXIT_SHUTDOWN, 0, SVM_PASS_UP, NULL },
	[VMEXIT_VMRUN] = UNDEFINED("VMRUN", 3),
	[VMEXIT_VMMCALL] = { "VMMCALL", EXIT_HYPERCALL, 3, SVM_PASS_UP, NULL },
	[VMEXIT_VMLOAD] = UNDEFINED("VMLOAD", 3),
	[VMEXIT_VMSAVE] = UNDEFINED("VMSAVE", 3),
	[VMEXIT_STGI] = UNDEFINED("STGI", 3),
	[VMEXIT_CLGI] = UNDEFINED("CLGI", 3),
	[VMEXIT_SKINIT] = UNDEFINED("SKINIT", 3),
	[VMEXIT_WBINVD] = { "WBINVD", EXIT_CACHE, 2, SVM_PASS_UP, NULL },
	[VMEXIT_MONITOR] = UNDEFINED("MONITOR", 3),
	[VMEXIT_MWAIT] = UNDEFINED("MWAIT", 3),
	[VMEXIT_MWAIT_ARMED] = UNDEFINED("MWAIT", 3),
	[VMEXIT_XSETBV] = { "XSETBV", EXIT_NONE, 3, SVM_XSETBV, NULL },
	[VMEXIT_RDPRU] = UNDEFINED("RDPRU", 3),
};

static const struct row npf = { "nested page fault", EXIT_P2M_FAULT, 0, SVM_PASS_UP, decode_npf };
static const struct row invalid = { "VMRUN refused", EXIT_ENTRY_FAILED, 0, SVM_INVALID, NULL };
static const struct row unknown = { "unknown", EXIT_UNKNOWN, 0, SVM_PASS_UP, NULL };

static const struct row *find(u32 code)
{
	if (likely(code < VMEXIT_TABLE_NR && rows[code].name))
		return &rows[code];
	return code == VMEXIT_NPF ? &npf : code == VMEXIT_INVALID ? &invalid : &unknown;
}

enum svm_action svm_decode(const struct vmcb *b, const struct svm_caps *caps, struct vmexit *e)
{
	const struct row *r = find((u32)b->exit_code);

	asm("" : "+r"(r)); /* a copy: gcc would compute the row's address for each field */
	e->kind = r->kind;
	e->length = r->length;
	e->cpl = b->cpl;
	if (caps->nrip && r->length && b->nrip)
		e->length = (u8)(b->nrip - b->rip);
	if (r->payload) {
		r->payload(b, e);
	} else if (unlikely(r->kind == EXIT_UNKNOWN || r->kind == EXIT_ENTRY_FAILED)) {
		e->raw.reason = b->exit_code;
		e->raw.info = b->exit_info1;
		e->raw.name = r->name;
	}
	return r->action;
}

/*
 * The vector of the interrupt during whose delivery the exit came, or -1. QEMU reports a virtual
 * interrupt as an exception.
 */
int svm_interrupt_again(u64 exit_int_info)
{
	u64 type = EVENT_TYPE(exit_int_info);
	int vector = exit_int_info & 0xff;

	if (!(exit_int_info & EVENT_VALID))
		return -1;
	return type == EVENT_INTR || (type == EVENT_EXCEPTION && vector > 31) ? vector : -1;
}

/*
 * The event during whose delivery the exit came, as we inject it to deliver it again; 0: none. INT
 * n, INT3 and INTO are none: RIP still points at them. APM: "EXITINTINFO Pseudo-Code"
 */
u64 svm_event_again(u64 exit_int_info)
{
	u64 vector = exit_int_info & 0xff;

	if (!(exit_int_info & EVENT_VALID) || EVENT_TYPE(exit_int_info) == EVENT_SOFT)
		return 0;
	if (EVENT_TYPE(exit_int_info) == EVENT_EXCEPTION && (vector == 3 || vector == 4))
		return 0;
	return exit_int_info;
}

static bool is_prefix(u8 byte)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26,
				       0x2e, 0x36, 0x3e, 0x64, 0x65 };

	for (size_t i = 0; i < sizeof(prefixes); i++)
		if (byte == prefixes[i])
			return true;
	return false;
}

/* MOV to or from a control register, LMSW and SMSW of a register, CLTS. */
bool svm_decode_cr(const u8 *bytes, size_t len, bool mode64, struct svm_cr_insn *out)
{
	u8 rex = 0, opcode, modrm;
	size_t at = 0;

	*out = (struct svm_cr_insn){ 0 };
	while (at < len && is_prefix(bytes[at]))
		out->narrow |= bytes[at++] == 0x66;
	if (mode64 && at < len && bytes[at] >> 4 == 4)
		rex = bytes[at++];
	if (at + 2 > len || bytes[at] != 0x0f)
		return false;
	opcode = bytes[at + 1];
	at += 2;
	if (opcode == 0x06) {
		*out = (struct svm_cr_insn){ CR_OP_CLTS, 0, (u8)at };
		return true;
	}
	if (at >= len)
		return false;
	modrm = bytes[at++];
	out->gpr = (u8)((modrm & 7) | (rex & 1) << 3);
	out->length = (u8)at;
	switch (opcode) {
	case 0x20:
		out->op = CR_OP_READ;
		return true;
	case 0x22:
		out->op = CR_OP_WRITE;
		return true;
	case 0x01:
		out->op = modrm >> 3 == (3 << 3 | 4) ? CR_OP_SMSW : CR_OP_LMSW;
		out->wide = rex & 8;
		return out->op == CR_OP_SMSW || modrm >> 3 == (3 << 3 | 6);
	default:
		return false;
	}
}
