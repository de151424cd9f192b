/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder: the meaning of each form, by hand. test_insn_zydis.c tests millions. */
#include <tests/fake/fake.h>

#include <hv/base/err.h>
#include <hv/emulate/insn.h>
#include <hv/vm/vcpu.h>

struct form {
	enum insn_mode mode;
	u8 bytes[16];
	struct insn want;
};

#pragma GCC diagnostic ignored "-Woverride-init" /* a row says what differs from OP */

#define NONE INSN_NO_REG
/* op, size, reg, to the register?, then base, index, shift, displacement */
#define OP(o, l, s, r, to, ...)                                                        \
	{                                                                              \
		.op = INSN_##o, .length = l, .size = s, .reg_size = s, .reg = r,       \
		.to_register = to, .address_size = 8, .segment = SEG_DS, .base = NONE, \
		.index = NONE, __VA_ARGS__                                             \
	}
#define IMM(n) .has_immediate = true, .immediate = (u64)(n)

static const struct form forms[] = {
	/* mov */
	{ INSN_64, { 0x89, 0x07 }, OP(MOV, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0x8b, 0x0f }, OP(MOV, 2, 4, 1, 1, .base = 7) },
	{ INSN_64, { 0x48, 0x89, 0x07 }, OP(MOV, 3, 8, 0, 0, .base = 7) },
	{ INSN_64, { 0x44, 0x89, 0x4f, 0x10 }, OP(MOV, 4, 4, 9, 0, .base = 7, .displacement = 16) },
	{ INSN_64, { 0x66, 0x89, 0x07 }, OP(MOV, 3, 2, 0, 0, .base = 7) },
	{ INSN_64, { 0x88, 0x07 }, OP(MOV, 2, 1, 0, 0, .base = 7) },
	{ INSN_64, { 0x88, 0x27 }, OP(MOV, 2, 1, 0, 0, .base = 7, .high = true) }, /* ah */
	{ INSN_64, { 0x40, 0x88, 0x27 }, OP(MOV, 3, 1, 4, 0, .base = 7) },	   /* spl */
	{ INSN_64, { 0x89, 0x27 }, OP(MOV, 2, 4, 4, 0, .base = 7) },		   /* esp */
	{ INSN_64,
	  { 0x89, 0x44, 0x8f, 0xe0 },
	  OP(MOV, 4, 4, 0, 0, .base = 7, .index = 1, .shift = 2, .displacement = -32) },
	{ INSN_64,
	  { 0x89, 0x04, 0x25, 0, 0, 0xe0, 0xfe },
	  OP(MOV, 7, 4, 0, 0, .displacement = (s32)0xfee00000) },
	{ INSN_64,
	  { 0x89, 0x05, 1, 2, 3, 4 },
	  OP(MOV, 6, 4, 0, 0, .base = INSN_RIP, .displacement = 0x04030201) },
	{ INSN_64, { 0x41, 0x89, 0x04, 0x24 }, OP(MOV, 4, 4, 0, 0, .base = 12) },
	{ INSN_64, { 0x41, 0x8b, 0x45, 0x00 }, OP(MOV, 4, 4, 0, 1, .base = 13) },
	{ INSN_64, { 0x42, 0x89, 0x04, 0x20 }, OP(MOV, 4, 4, 0, 0, .base = 0, .index = 12) },
	{ INSN_64,
	  { 0x89, 0x45, 0x08 },
	  OP(MOV, 3, 4, 0, 0, .base = 5, .displacement = 8, .segment = SEG_SS) },
	{ INSN_64,
	  { 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12 },
	  OP(MOV, 6, 4, 0, 0, .base = 7, IMM(0x12345678)) },
	{ INSN_64,
	  { 0x48, 0xc7, 0x07, 0xff, 0xff, 0xff, 0xff },
	  OP(MOV, 7, 8, 0, 0, .base = 7, IMM(-1)) },
	{ INSN_64, { 0x66, 0xc7, 0x07, 0x34, 0x12 }, OP(MOV, 5, 2, 0, 0, .base = 7, IMM(0x1234)) },
	{ INSN_64,
	  { 0xc6, 0x47, 0x08, 0xab },
	  OP(MOV, 4, 1, 0, 0, .base = 7, .displacement = 8, IMM(-0x55)) },
	{ INSN_64,
	  { 0xa1, 1, 2, 3, 4, 5, 6, 7, 8 },
	  OP(MOV, 9, 4, 0, 1, .displacement = 0x0807060504030201) },
	{ INSN_64,
	  { 0x67, 0xa3, 1, 2, 3, 4 },
	  OP(MOV, 6, 4, 0, 0, .displacement = 0x04030201, .address_size = 4) },
	/* prefixes */
	{ INSN_64,
	  { 0x65, 0x67, 0x89, 0x07 },
	  OP(MOV, 4, 4, 0, 0, .base = 7, .address_size = 4, .segment = SEG_GS) },
	{ INSN_64, { 0x48, 0x66, 0x89, 0x07 }, OP(MOV, 4, 2, 0, 0, .base = 7) }, /* a void REX */
	{ INSN_64, { 0x44, 0x26, 0x89, 0x07 }, OP(MOV, 4, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0x64, 0x2e, 0x89, 0x07 }, OP(MOV, 4, 4, 0, 0, .base = 7, .segment = SEG_FS) },
	{ INSN_32,
	  { 0x2e, 0x89, 0x07 },
	  OP(MOV, 3, 4, 0, 0, .base = 7, .segment = SEG_CS, .address_size = 4) },
	/* 32 and 16 bits */
	{ INSN_32,
	  { 0x89, 0x05, 0, 0, 0xe0, 0xfe },
	  OP(MOV, 6, 4, 0, 0, .displacement = (s32)0xfee00000, .address_size = 4) },
	{ INSN_32,
	  { 0xa1, 0x20, 0, 0xe0, 0xfe },
	  OP(MOV, 5, 4, 0, 1, .displacement = (s32)0xfee00020, .address_size = 4) },
	{ INSN_32,
	  { 0x67, 0x89, 0x06, 1, 2 },
	  OP(MOV, 5, 4, 0, 0, .displacement = 0x0201, .address_size = 2) },
	{ INSN_32,
	  { 0x67, 0x89, 0x42, 0xff },
	  OP(MOV, 4, 4, 0, 0, .base = 5, .index = 6, .displacement = -1, .address_size = 2,
	     .segment = SEG_SS) },
	{ INSN_32,
	  { 0x66, 0xa3, 1, 2, 3, 4 },
	  OP(MOV, 6, 2, 0, 0, .displacement = 0x04030201, .address_size = 4) },
	{ INSN_16, { 0x89, 0x07 }, OP(MOV, 2, 2, 0, 0, .base = 3, .address_size = 2) },
	{ INSN_16, { 0x66, 0x67, 0x89, 0x03 }, OP(MOV, 4, 4, 0, 0, .base = 3, .address_size = 4) },
	{ INSN_16,
	  { 0x89, 0x87, 1, 2 },
	  OP(MOV, 4, 2, 0, 0, .base = 3, .displacement = 0x0201, .address_size = 2) },
	{ INSN_16, { 0xa3, 1, 2 }, OP(MOV, 3, 2, 0, 0, .displacement = 0x0201, .address_size = 2) },
	{ INSN_16,
	  { 0x66, 0xc7, 0x06, 0, 0, 1, 2, 3, 4 },
	  OP(MOV, 9, 4, 0, 0, .address_size = 2, IMM(0x04030201)) },
	/* movzx, movsx, movsxd */
	{ INSN_64, { 0x0f, 0xb6, 0x07 }, OP(MOVZX, 3, 1, 0, 1, .base = 7, .reg_size = 4) },
	{ INSN_64, { 0x66, 0x0f, 0xb6, 0x27 }, OP(MOVZX, 4, 1, 4, 1, .base = 7, .reg_size = 2) },
	{ INSN_64, { 0x4c, 0x0f, 0xb7, 0x07 }, OP(MOVZX, 4, 2, 8, 1, .base = 7, .reg_size = 8) },
	{ INSN_64, { 0x0f, 0xbe, 0x07 }, OP(MOVSX, 3, 1, 0, 1, .base = 7, .reg_size = 4) },
	{ INSN_64, { 0x48, 0x0f, 0xbf, 0x07 }, OP(MOVSX, 4, 2, 0, 1, .base = 7, .reg_size = 8) },
	{ INSN_64, { 0x48, 0x63, 0x07 }, OP(MOVSX, 3, 4, 0, 1, .base = 7, .reg_size = 8) },
	/* arithmetic */
	{ INSN_64, { 0x01, 0x0f }, OP(ADD, 2, 4, 1, 0, .base = 7) },
	{ INSN_64, { 0x0a, 0x37 }, OP(OR, 2, 1, 2, 1, .base = 7, .high = true) }, /* dh */
	{ INSN_64, { 0x10, 0x07 }, OP(ADC, 2, 1, 0, 0, .base = 7) },
	{ INSN_64, { 0x1b, 0x07 }, OP(SBB, 2, 4, 0, 1, .base = 7) },
	{ INSN_64, { 0xf0, 0x48, 0x21, 0x07 }, OP(AND, 4, 8, 0, 0, .base = 7) },
	{ INSN_64, { 0x2b, 0x07 }, OP(SUB, 2, 4, 0, 1, .base = 7) },
	{ INSN_64, { 0x31, 0x07 }, OP(XOR, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0x3b, 0x07 }, OP(CMP, 2, 4, 0, 1, .base = 7) },
	{ INSN_64, { 0x83, 0x0f, 0x80 }, OP(OR, 3, 4, 0, 0, .base = 7, IMM(-0x80)) },
	{ INSN_64,
	  { 0x81, 0x3f, 1, 0, 0, 0x80 },
	  OP(CMP, 6, 4, 0, 0, .base = 7, IMM((s32)0x80000001)) },
	{ INSN_64, { 0x80, 0x27, 0x7f }, OP(AND, 3, 1, 0, 0, .base = 7, IMM(0x7f)) },
	{ INSN_64, { 0x85, 0x07 }, OP(TEST, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0xf6, 0x07, 0x80 }, OP(TEST, 3, 1, 0, 0, .base = 7, IMM(-0x80)) },
	{ INSN_64, { 0xf7, 0x07, 1, 2, 3, 4 }, OP(TEST, 6, 4, 0, 0, .base = 7, IMM(0x04030201)) },
	{ INSN_64, { 0xf7, 0x17 }, OP(NOT, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0xf6, 0x1f }, OP(NEG, 2, 1, 0, 0, .base = 7) },
	{ INSN_64, { 0xff, 0x07 }, OP(INC, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0xf0, 0xfe, 0x0f }, OP(DEC, 3, 1, 0, 0, .base = 7) },
	{ INSN_64, { 0x87, 0x07 }, OP(XCHG, 2, 4, 0, 0, .base = 7) },
	{ INSN_64, { 0x0f, 0xba, 0x27, 0x1f }, OP(BT, 4, 4, 0, 0, .base = 7, IMM(31)) },
	{ INSN_64, { 0xf0, 0x0f, 0xba, 0x2f, 3 }, OP(BTS, 5, 4, 0, 0, .base = 7, IMM(3)) },
	{ INSN_64, { 0x48, 0x0f, 0xba, 0x37, 0x3f }, OP(BTR, 5, 8, 0, 0, .base = 7, IMM(63)) },
	{ INSN_64, { 0x66, 0x0f, 0xba, 0x3f, 3 }, OP(BTC, 5, 2, 0, 0, .base = 7, IMM(3)) },
	/* strings */
	{ INSN_64, { 0xf3, 0xa5 }, OP(MOVS, 2, 4, 0, 0, .repeat = true) },
	{ INSN_64, { 0x65, 0x48, 0xa5 }, OP(MOVS, 3, 8, 0, 0, .segment = SEG_GS) },
	{ INSN_64, { 0xf2, 0xaa }, OP(STOS, 2, 1, 0, 0, .repeat = true) },
	{ INSN_64, { 0x67, 0xac }, OP(LODS, 2, 1, 0, 1, .address_size = 4) },
	{ INSN_64, { 0xf3, 0x6e }, OP(OUTS, 2, 1, 0, 1, .repeat = true) },
	{ INSN_64, { 0x66, 0x6f }, OP(OUTS, 2, 2, 0, 1) },
	{ INSN_64, { 0x48, 0x6d }, OP(INS, 2, 4, 0, 0) }, /* REX.W does not widen a port */
	{ INSN_64, { 0xf3, 0x67, 0x6c }, OP(INS, 3, 1, 0, 0, .repeat = true, .address_size = 4) },
	{ INSN_16, { 0x2e, 0x6f }, OP(OUTS, 2, 2, 0, 1, .address_size = 2, .segment = SEG_CS) },
	{ INSN_16, { 0xf3, 0xab }, OP(STOS, 2, 2, 0, 0, .repeat = true, .address_size = 2) },
};

static bool same(const struct insn *a, const struct insn *b)
{
	return a->length == b->length && a->op == b->op && a->size == b->size && a->reg == b->reg &&
	       a->reg_size == b->reg_size && a->high == b->high &&
	       a->to_register == b->to_register && a->has_immediate == b->has_immediate &&
	       a->immediate == b->immediate && a->repeat == b->repeat &&
	       a->address_size == b->address_size && a->segment == b->segment &&
	       a->base == b->base && a->index == b->index && a->shift == b->shift &&
	       a->displacement == b->displacement;
}

static void every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct insn n;

		assert_int_equal(insn_decode(forms[i].bytes, 15, forms[i].mode, &n), HV_OK);
		if (!same(&n, &forms[i].want))
			fail_msg(
				"form %zu: op %u length %u size %u reg %u/%u base %u index %u<<%u disp %lx segment %u immediate %lx",
				i, n.op, n.length, n.size, n.reg, n.reg_size, n.base, n.index,
				n.shift, (u64)n.displacement, n.segment, n.immediate);
	}
}

/* Memory of exactly these bytes: the sanitizer sees a read beyond them. */
static void cut_short(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		for (u8 len = 0; len <= forms[i].want.length; len++) {
			u8 *copy = malloc(len);
			struct insn n;

			memcpy(copy, forms[i].bytes, len);
			assert_int_equal(insn_decode(copy, len, forms[i].mode, &n),
					 len < forms[i].want.length ? HV_EFAULT : HV_OK);
			free(copy);
		}
}

static void what_it_does_not_know(void **state)
{
	static const u8 bad[][4] = {
		{ 0x90 },
		{ 0x89, 0xc0 }, /* registers */
		{ 0xc7, 0x0f },
		{ 0xf0, 0x89, 0x07 }, /* LOCK where it is #UD */
		{ 0xf0, 0x03, 0x07 },
		{ 0xf0, 0x3b, 0x07 },
		{ 0xf0, 0x39, 0x07 },
		{ 0xf0, 0x83, 0x3f, 1 },
		{ 0xf0, 0xf7, 0x07 },
		{ 0xf0, 0x0f, 0xba, 0x27 },
		{ 0xf0, 0xa5 },
		{ 0x0f, 0x11, 0x07 }, /* movups */
		{ 0x0f, 0xab, 0x07 }, /* bts by register: elsewhere in memory */
		{ 0x0f, 0xba, 0x1f },
		{ 0xff, 0x17 }, /* call */
		{ 0xff, 0x37 }, /* push */
		{ 0xd1, 0x27 },
		{ 0xa6 }, /* cmps */
		{ 0x04, 0x07 },
		{ 0xcc },
	};
	struct insn n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		u8 bytes[15] = { 0 };

		memcpy(bytes, bad[i], sizeof(bad[i]));
		if (insn_decode(bytes, sizeof(bytes), INSN_64, &n) != HV_EINVAL)
			fail_msg("row %zu is taken for op %u", i, n.op);
	}
	assert_int_equal(insn_decode((const u8[]){ 0x40, 0x89, 0x07 }, 3, INSN_32, &n),
			 HV_EINVAL); /* inc */
	assert_int_equal(insn_decode((const u8[]){ 0x63, 0x07 }, 2, INSN_32, &n),
			 HV_EINVAL); /* arpl */
}

/* At most fifteen bytes, even if there are more. */
static void too_long(void **state)
{
	u8 bytes[32];
	struct insn n;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_64, &n), HV_EFAULT);
	memcpy(bytes + 13, "\x89\x07", 2);
	assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_64, &n), HV_OK);
	assert_int_equal(n.length, 15);
	memcpy(bytes + 13, "\x89\x47\x00", 3);
	assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_64, &n), HV_EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(what_it_does_not_know),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
