/* SPDX-License-Identifier: BSD-2-Clause */
/* What an instruction computes, and its flags.  SDM: "EFLAGS Cross-Reference". */
#include <hv/emulate/insn.h>

#define CF BIT(0)
#define PF BIT(2)
#define AF BIT(4)
#define ZF BIT(6)
#define SF BIT(7)
#define OF BIT(11)
#define STATUS (CF | PF | AF | ZF | SF | OF)

static u64 mask_of(u8 size)
{
	return UINT64_MAX >> (64 - size * 8);
}

static u64 sign_extend(u64 value, u8 size)
{
	unsigned int unused = 64u - size * 8u;

	return (u64)((s64)(value << unused) >> unused);
}

u64 insn_merge(u64 old, u64 value, u8 size)
{
	u64 mask = mask_of(size);

	return size == 4 ? (u32)value : (old & ~mask) | (value & mask);
}

/* @carries: the carry (or borrow) out of each bit. */
static u64 flags_of(u64 result, u64 carries, u8 size)
{
	unsigned int top = size * 8u - 1;
	u64 f = 0;

	f |= carries >> top & 1 ? CF : 0;
	f |= __builtin_parity((u32)result & 0xff) ? 0 : PF;
	f |= carries >> 3 & 1 ? AF : 0;
	f |= result & mask_of(size) ? 0 : ZF;
	f |= result >> top & 1 ? SF : 0;
	f |= (carries >> top ^ carries >> (top - 1)) & 1 ? OF : 0;
	return f;
}

static u64 add(u64 a, u64 b, u64 carry, u64 *carries)
{
	u64 r = a + b + carry;

	*carries = (a & b) | ((a | b) & ~r);
	return r;
}

static u64 subtract(u64 a, u64 b, u64 borrow, u64 *borrows)
{
	u64 r = a - b - borrow;

	*borrows = (~a & b) | ((~a | b) & r);
	return r;
}

static u64 arithmetic(u8 op, u64 a, u64 b, u8 size, u64 *rflags)
{
	u64 r, carries = 0, keep = ~STATUS;

	switch (op) {
	case INSN_ADD:
	case INSN_ADC:
		r = add(a, b, op == INSN_ADC ? *rflags & CF : 0, &carries);
		break;
	case INSN_SUB:
	case INSN_CMP:
	case INSN_SBB:
		r = subtract(a, b, op == INSN_SBB ? *rflags & CF : 0, &carries);
		break;
	case INSN_NEG:
		r = subtract(0, a, 0, &carries);
		break;
	case INSN_INC:
		r = add(a, 1, 0, &carries);
		keep |= CF;
		break;
	case INSN_DEC:
		r = subtract(a, 1, 0, &carries);
		keep |= CF;
		break;
	case INSN_OR:
		r = a | b;
		break;
	case INSN_XOR:
		r = a ^ b;
		break;
	default: /* AND, TEST */
		r = a & b;
	}
	*rflags = (*rflags & keep) | (flags_of(r, carries, size) & ~keep);
	return r;
}

/* Flags other than CF are undefined after these, and stay. */
static u64 bit_test(u8 op, u64 a, u64 b, u8 size, u64 *rflags)
{
	u64 bit = 1UL << (b & (size * 8u - 1));

	*rflags = (*rflags & ~CF) | (a & bit ? CF : 0);
	switch (op) {
	case INSN_BTS:
		return a | bit;
	case INSN_BTR:
		return a & ~bit;
	case INSN_BTC:
		return a ^ bit;
	default:
		return a;
	}
}

static u64 to_register(const struct insn *i, u64 old, u64 value)
{
	return i->high ? (old & ~0xff00UL) | (value & 0xff) << 8 :
			 insn_merge(old, value, i->reg_size);
}

u64 insn_compute(const struct insn *i, u64 memory, u64 *reg, u64 *rflags)
{
	u64 other = i->has_immediate ? i->immediate : *reg >> (i->high ? 8 : 0), result;
	u64 a = i->to_register ? other : memory, b = i->to_register ? memory : other;

	switch (i->op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_XCHG:
		result = b;
		break;
	case INSN_MOVSX:
		result = sign_extend(b, i->size);
		break;
	case INSN_NOT:
		result = ~a;
		break;
	case INSN_BT ... INSN_BTC:
		result = bit_test(i->op, a, b, i->size, rflags);
		break;
	default:
		result = arithmetic(i->op, a, b, i->size, rflags);
	}
	if (i->op == INSN_XCHG)
		*reg = to_register(i, *reg, memory);
	else if (i->to_register && i->op != INSN_CMP)
		*reg = to_register(i, *reg, result);
	return result;
}
