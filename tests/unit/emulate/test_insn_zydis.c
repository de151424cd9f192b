/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder against Zydis, a disassembler library: on random bytes, on the code of this process
 * and its libraries, and on device accesses as compilers write them. If Zydis sees one of our
 * forms, our decoder must see the same, field by field; and no other instruction. FUZZ=n: n million
 * random instructions.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <tests/fake/fake.h>

#include <Zydis/Zydis.h>
#include <hv/base/err.h>
#include <hv/emulate/insn.h>
#include <hv/vm/vcpu.h>
#include <link.h>

static const struct {
	ZydisMnemonic mnemonic;
	enum insn_op op;
} ops[] = {
	{ ZYDIS_MNEMONIC_ADD, INSN_ADD },     { ZYDIS_MNEMONIC_OR, INSN_OR },
	{ ZYDIS_MNEMONIC_ADC, INSN_ADC },     { ZYDIS_MNEMONIC_SBB, INSN_SBB },
	{ ZYDIS_MNEMONIC_AND, INSN_AND },     { ZYDIS_MNEMONIC_SUB, INSN_SUB },
	{ ZYDIS_MNEMONIC_XOR, INSN_XOR },     { ZYDIS_MNEMONIC_CMP, INSN_CMP },
	{ ZYDIS_MNEMONIC_TEST, INSN_TEST },   { ZYDIS_MNEMONIC_NOT, INSN_NOT },
	{ ZYDIS_MNEMONIC_NEG, INSN_NEG },     { ZYDIS_MNEMONIC_INC, INSN_INC },
	{ ZYDIS_MNEMONIC_DEC, INSN_DEC },     { ZYDIS_MNEMONIC_BT, INSN_BT },
	{ ZYDIS_MNEMONIC_BTS, INSN_BTS },     { ZYDIS_MNEMONIC_BTR, INSN_BTR },
	{ ZYDIS_MNEMONIC_BTC, INSN_BTC },     { ZYDIS_MNEMONIC_XCHG, INSN_XCHG },
	{ ZYDIS_MNEMONIC_MOV, INSN_MOV },     { ZYDIS_MNEMONIC_MOVZX, INSN_MOVZX },
	{ ZYDIS_MNEMONIC_MOVSX, INSN_MOVSX }, { ZYDIS_MNEMONIC_MOVSXD, INSN_MOVSX },
	{ ZYDIS_MNEMONIC_MOVSB, INSN_MOVS },  { ZYDIS_MNEMONIC_MOVSW, INSN_MOVS },
	{ ZYDIS_MNEMONIC_MOVSD, INSN_MOVS },  { ZYDIS_MNEMONIC_MOVSQ, INSN_MOVS },
	{ ZYDIS_MNEMONIC_STOSB, INSN_STOS },  { ZYDIS_MNEMONIC_STOSW, INSN_STOS },
	{ ZYDIS_MNEMONIC_STOSD, INSN_STOS },  { ZYDIS_MNEMONIC_STOSQ, INSN_STOS },
	{ ZYDIS_MNEMONIC_LODSB, INSN_LODS },  { ZYDIS_MNEMONIC_LODSW, INSN_LODS },
	{ ZYDIS_MNEMONIC_LODSD, INSN_LODS },  { ZYDIS_MNEMONIC_LODSQ, INSN_LODS },
	{ ZYDIS_MNEMONIC_INSB, INSN_INS },    { ZYDIS_MNEMONIC_INSW, INSN_INS },
	{ ZYDIS_MNEMONIC_INSD, INSN_INS },    { ZYDIS_MNEMONIC_OUTSB, INSN_OUTS },
	{ ZYDIS_MNEMONIC_OUTSW, INSN_OUTS },  { ZYDIS_MNEMONIC_OUTSD, INSN_OUTS },
};

static ZydisDecoder decoders[3];
static u64 accepted[3][INSN_OUTS + 1];

static enum insn_op op_of(const ZydisDecodedInstruction *z)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].mnemonic == z->mnemonic)
			return ops[i].op;
	return INSN_UNKNOWN;
}

/* Number of a general register; *@high for AH to BH. INSN_NO_REG: none. */
static u8 gpr(ZydisRegister r, bool *high)
{
	*high = false;
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return INSN_RIP;
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15B) {
		int n = r - ZYDIS_REGISTER_AL; /* AL CL DL BL AH CH DH BH SPL ... R15B */

		*high = n >= 4 && n < 8;
		return (u8)(n < 4 ? n : n - 4);
	}
	switch (ZydisRegisterGetClass(r)) {
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return (u8)ZydisRegisterGetId(r);
	default:
		return INSN_NO_REG;
	}
}

static u8 segment_of(ZydisRegister r)
{
	switch (r) {
	case ZYDIS_REGISTER_ES:
		return SEG_ES;
	case ZYDIS_REGISTER_CS:
		return SEG_CS;
	case ZYDIS_REGISTER_SS:
		return SEG_SS;
	case ZYDIS_REGISTER_FS:
		return SEG_FS;
	case ZYDIS_REGISTER_GS:
		return SEG_GS;
	default:
		return SEG_DS;
	}
}

static bool has_rep(const ZydisDecodedInstruction *z)
{
	for (int i = 0; i < z->raw.prefix_count; i++)
		if (z->raw.prefixes[i].value == 0xf2 || z->raw.prefixes[i].value == 0xf3)
			return true;
	return false;
}

/* Second names of an opcode, that no assembler writes; and where Intel and AMD differ. */
static bool is_odd(const ZydisDecodedInstruction *z)
{
	if (z->mnemonic == ZYDIS_MNEMONIC_MOVSXD && z->operand_width == 16)
		return true;
	if (z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return false;
	return z->opcode == 0x82 || ((z->opcode & 0xfe) == 0xf6 && z->raw.modrm.reg == 1);
}

/* Converts Zydis's result to ours. False: not one of the forms that we promise. */
static bool promised(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o,
		     struct insn *want)
{
	const ZydisDecodedOperand *mem = NULL, *other = NULL;
	bool high;

	*want = (struct insn){ .op = (u8)op_of(z), .length = z->length };
	if (!want->op || is_odd(z) || z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return false;
	if (want->op >= INSN_MOVS) {
		u8 low = z->opcode & 0xfe;

		if (z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) /* movsd of SSE2 */
			return false;
		assert_true(low == 0xa4 || low == 0xaa || low == 0xac || low == 0x6c ||
			    low == 0x6e);
		mem = &o[want->op == INSN_STOS || want->op == INSN_INS ? 0 : 1];
		want->repeat = has_rep(z);
		want->to_register = want->op == INSN_LODS || want->op == INSN_OUTS;
	} else {
		for (int i = 0; i < z->operand_count_visible; i++)
			if (o[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				mem = &o[i];
			else
				other = &o[i];
		want->to_register = mem == &o[1] && want->op != INSN_TEST && want->op != INSN_XCHG;
	}
	if (!mem)
		return false;
	want->size = want->reg_size = (u8)(mem->size / 8);
	want->address_size = z->address_width / 8;
	want->segment = segment_of(mem->mem.segment);
	want->base = gpr(mem->mem.base, &high);
	want->index = gpr(mem->mem.index, &high);
	want->shift = want->index == INSN_NO_REG ? 0 : (u8)__builtin_ctz(mem->mem.scale | 16);
	want->displacement = mem->mem.disp.has_displacement ? mem->mem.disp.value : 0;
	/*
	 * Its issue 592, in 4.0.0: with 0x67 it takes REX.B for a base R13 where there is
	 * none.  test_insn_cpu.c asks the CPU.
	 */
	if (mem->mem.base == ZYDIS_REGISTER_R13D && z->raw.sib.base == 5 && !z->raw.modrm.mod) {
		want->base = INSN_NO_REG;
		want->displacement = z->raw.disp.value;
	}
	if (want->op >= INSN_MOVS) {
		want->base = INSN_NO_REG;
	} else if (other && other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		want->has_immediate = true;
		want->immediate = other->imm.value.u;
	} else if (other) {
		want->reg = gpr(other->reg.value, &want->high);
		want->reg_size = (u8)(other->size / 8);
		if (want->reg == INSN_NO_REG) /* a segment register */
			return false;
		if (want->op >= INSN_BT && want->op <= INSN_BTC)
			return false;
	}
	return true;
}

static u64 low(u64 value, u8 size)
{
	return value & UINT64_MAX >> (64 - size * 8);
}

static bool same(const struct insn *a, const struct insn *b, int mode)
{
	u8 significant = a->op >= INSN_BT && a->op <= INSN_BTC ? 1 : a->size;
	u8 flat = mode == INSN_64 ? SEG_FS : 0; /* below it, bases are 0 and limits none */

	return a->length == b->length && a->op == b->op && a->size == b->size && a->reg == b->reg &&
	       a->reg_size == b->reg_size && a->high == b->high &&
	       a->to_register == b->to_register && a->has_immediate == b->has_immediate &&
	       low(a->immediate, significant) == low(b->immediate, significant) &&
	       a->repeat == b->repeat && a->address_size == b->address_size &&
	       (a->op == INSN_STOS || a->op == INSN_INS || a->segment == b->segment ||
		(a->segment < flat && b->segment < flat)) &&
	       a->base == b->base && a->index == b->index &&
	       (a->index == INSN_NO_REG || a->shift == b->shift) &&
	       low((u64)a->displacement, a->address_size) ==
		       low((u64)b->displacement, a->address_size);
}

static void show(const char *who, const struct insn *i)
{
	print_message(
		"%s: op %u length %u size %u reg %u/%u%s to %d base %u index %u<<%u disp %lx address %u segment %u imm %d %lx rep %d\n",
		who, i->op, i->length, i->size, i->reg, i->reg_size, i->high ? "h" : "",
		i->to_register, i->base, i->index, i->shift, (u64)i->displacement, i->address_size,
		i->segment, i->has_immediate, i->immediate, i->repeat);
}

static void disagree(const char *what, const u8 *bytes, int mode, const struct insn *ours,
		     const struct insn *zydis)
{
	for (int i = 0; i < INSN_MAX; i++)
		print_message("%02x ", bytes[i]);
	print_message("in mode %d\n", mode);
	show("ours ", ours);
	show("zydis", zydis);
	fail_msg("%s", what);
}

/* One instruction, 15 readable bytes; returns its length by Zydis, or 0. */
static u8 compare(const u8 *bytes, int mode)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction z = { 0 };
	struct insn ours, want = { 0 }, cut;
	bool known = ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(&decoders[mode], bytes, INSN_MAX, &z, operands));
	bool ought = known && promised(&z, operands, &want);
	int err = insn_decode(bytes, INSN_MAX, (enum insn_mode)mode, &ours);

	if (ought != !err)
		disagree(ought ? "promised, but refused" : "accepted, but not promised", bytes,
			 mode, &ours, &want);
	if (ought) {
		if (!same(&ours, &want, mode))
			disagree("decoded differently", bytes, mode, &ours, &want);
		assert_int_equal(insn_decode(bytes, z.length, (enum insn_mode)mode, &cut), HV_OK);
		assert_int_equal(insn_decode(bytes, z.length - 1u, (enum insn_mode)mode, &cut),
				 HV_EFAULT);
		accepted[mode][ours.op]++;
	}
	return known ? z.length : 0;
}

static int setup(void **state)
{
	(void)state;
	ZydisDecoderInit(&decoders[INSN_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&decoders[INSN_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[INSN_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	memset(accepted, 0, sizeof(accepted));
	return 0;
}

static u64 seed = 88172645463325252UL;

/* Half of them any bytes, half near instructions that we know. */
static void random_instruction(u8 *bytes)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64,
				       0x65, 0xf0, 0xf2, 0xf3, 0x48, 0x44, 0x4f };
	static const u8 opcodes[] = { 0x6c, 0x6d, 0x6e, 0x6f, 0x63, 0x80, 0x81, 0x82, 0x83,
				      0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0xa0,
				      0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad,
				      0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff };
	static const u8 second[] = { 0xb6, 0xb7, 0xbe, 0xbf, 0xba };
	u64 r = fake_random(&seed), at = 0;

	for (int i = 0; i < INSN_MAX; i++)
		bytes[i] = (u8)(fake_random(&seed) >> 8);
	if (r & 1)
		return;
	for (u64 n = r >> 1 & 3; n; n--)
		bytes[at++] = prefixes[fake_random(&seed) % sizeof(prefixes)];
	if (r & 8)
		bytes[at++] = 0x40 | (r >> 4 & 15);
	if (r >> 8 & 1) {
		bytes[at++] = opcodes[fake_random(&seed) % sizeof(opcodes)];
	} else if (r >> 9 & 1) {
		bytes[at++] = fake_random(&seed) & 0x3b; /* arithmetic */
	} else if (r >> 10 & 1) {
		bytes[at++] = 0x0f;
		bytes[at++] = second[fake_random(&seed) % sizeof(second)];
	}
	if (r >> 11 & 1)
		bytes[at] &= 0xbf; /* mostly memory, not a register */
}

static void random_bytes(void **state)
{
	const char *fuzz = getenv("FUZZ");
	u64 n = fuzz ? strtoul(fuzz, NULL, 10) * 1000000 : 500000;

	(void)state;
	for (u64 i = 0; i < n; i++) {
		u8 *bytes = malloc(INSN_MAX); /* the sanitizer watches its end */

		random_instruction(bytes);
		for (int mode = INSN_16; mode <= INSN_64; mode++)
			compare(bytes, mode);
		free(bytes);
	}
	for (int mode = INSN_16; mode <= INSN_64; mode++)
		for (int op = INSN_ADD; op <= INSN_OUTS; op++)
			if (accepted[mode][op] < n / 3000)
				fail_msg("op %d in mode %d met only %lu times", op, mode,
					 accepted[mode][op]);
}

/* --- real code --- */

static u64 swept;

static void sweep(const u8 *p, const u8 *end, int mode)
{
	while (p + INSN_MAX <= end) {
		u8 n = compare(p, mode);

		swept += n != 0;
		p += n ? n : 1;
	}
}

static int sweep_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (!strstr(info->dlpi_name, "libc.so") && !strstr(info->dlpi_name, "libZydis"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		const u8 *p = (const u8 *)(info->dlpi_addr + h->p_vaddr);

		if (h->p_type == PT_LOAD && h->p_flags & PF_X)
			sweep(p, p + h->p_filesz, INSN_64);
	}
	return 0;
}

static void real_code(void **state)
{
	u64 ours = 0;

	(void)state;
	swept = 0;
	dl_iterate_phdr(sweep_object, NULL);
	for (int op = INSN_ADD; op <= INSN_OUTS; op++)
		ours += accepted[INSN_64][op];
	print_message("%lu instructions, %lu of them ours\n", swept, ours);
	assert_true(swept > 200000);
	assert_true(ours > swept / 10);
}

/* --- device accesses, as Linux and gcc write them: all of them are ours --- */

extern const u8 device64[], device64_end[], device32[], device32_end[], device16[], device16_end[];

/* clang-format off */
__asm__(".pushsection .rodata\n"
"device64:\n"
	/* readb, readw, readl, readq; writeb ... of arch/x86/include/asm/io.h */
	"movb (%rdi), %al; movw 2(%rdi), %ax; movl (%rdi), %eax; movq (%rdi), %rax\n"
	"movb %sil, (%rdi); movw %si, (%rdi); movl %esi, (%rdi); movq %rsi, (%rdi)\n"
	"movzbl (%rdi), %eax; movzwl (%rdi), %eax; movsbl (%rdi), %eax; movslq (%rdi), %rax\n"
	"movzbl 0x30(%rax,%rbx,4), %r9d; movb %ah, 7(%rbx); movl %r15d, -8(%r12)\n"
	/* the APIC: by fixed address, by fixmap, by the old xchg */
	"movl $0, 0xfffffffffee000b0; movl $0, 0xffffffffff5fb0b0; movl %esi, -0xa05000(%rdi)\n"
	"movl -0xa05000(%rdi), %eax; xchgl %esi, 0xb0(%rdi); movabs %eax, 0xfee00020\n"
	"movabs 0xfee00020, %eax\n"
	/* volatile |=, &=, comparisons, tests */
	"orl $1, (%rdi); andl $~1, 4(%rdi); andb $0x7f, (%rdi); orw $0x100, (%rdi)\n"
	"cmpl $0x74726976, (%rax); cmpb %al, (%rdx); cmp 8(%rdi), %rcx; addl %eax, (%rdi)\n"
	"testb $0x20, 5(%rdi); testl $0x1000, 0x300(%rax); testl %eax, (%rbx); incl (%rdi)\n"
	"btl $12, 0x300(%rdi); lock btsl $3, (%rdi); lock orl $4, (%rdi); decw (%r13)\n"
	"subl (%rdi), %eax; notl (%rdi); negq (%rdi); xorl %r8d, (%rdi); sbbl $0, (%rdi)\n"
	/* memcpy_fromio, memset_io */
	"rep movsb; rep movsl; rep movsq; movsb; movsw; movsl; rep stosb; rep stosl; rep stosq\n"
	"lodsb; lodsl; stosw; gs movsb; movl %gs:0x10(%rax), %ecx\n"
	"movl foo_device64(%rip), %eax; foo_device64 = device64\n"
"device64_end: .rept 15; nop; .endr\n"
".code32\n"
"device32:\n"
	"movl $0, 0xfee000b0; movl 0xfee00020, %eax; movl %eax, 0xfee00080; movb (%esi), %cl\n"
	"movl %edx, (%eax,%ecx,8); orl $1, 0x10(%ebp); testb $1, %es:(%edi); rep stosl\n"
	"movzwl 6(%ebx), %eax; xchgl %eax, (%edi); movw %ax, (%bx,%si); rep movsb; addr16 lodsb\n"
"device32_end: .rept 15; nop; .endr\n"
".code16\n"
"device16:\n"
	"movw %ax, (%bx); movb 0x10(%si), %al; movl %eax, (%edi); movl $0, %es:(%di)\n"
	"orb $1, 5(%bp); rep stosw; rep movsb; movw 0x1234, %ax; testb $4, %gs:(%bx,%di)\n"
"device16_end: .rept 15; nop; .endr\n"
".code64\n.popsection\n");
/* clang-format on */

static u32 all_ours(const u8 *p, const u8 *end, int mode)
{
	u32 n = 0;

	for (struct insn i; p < end; p += i.length, n++) {
		compare(p, mode);
		if (insn_decode(p, INSN_MAX, (enum insn_mode)mode, &i))
			fail_msg("instruction %u of mode %d is refused", n, mode);
	}
	assert_ptr_equal(p, end);
	return n;
}

static void device_accesses(void **state)
{
	(void)state;
	assert_int_equal(all_ours(device64, device64_end, INSN_64), 58);
	assert_int_equal(all_ours(device32, device32_end, INSN_32), 13);
	assert_int_equal(all_ours(device16, device16_end, INSN_16), 9);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(device_accesses),
		T(real_code),
		T(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
