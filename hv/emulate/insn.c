/* SPDX-License-Identifier: BSD-2-Clause */
/* From bytes to struct insn, by table.  SDM volume 2: "Opcode Map". */
#include <hv/base/err.h>
#include <hv/emulate/insn.h>
#include <hv/vm/vcpu.h>

struct cursor {
	const u8 *p;
	size_t left;
	bool overrun;
};

static u8 next(struct cursor *c)
{
	if (!c->left) {
		c->overrun = true;
		return 0;
	}
	c->left--;
	return *c->p++;
}

/* A signed number of 0, 1, 2, 4 or 8 bytes. */
static u64 next_number(struct cursor *c, u32 bytes)
{
	const u8 *p = c->p;
	s64 wide = 0;
	s32 n = 0;

	if (c->left < bytes) {
		c->overrun = true;
		return 0;
	}
	c->left -= bytes;
	c->p += bytes;
	switch (bytes) {
	case 1:
		return (u64)(s64)(int8_t)*p;
	case 2:
		return (u64)(s64)(int16_t)(p[0] | p[1] << 8);
	case 4:
		__builtin_memcpy(&n, p, 4);
		return (u64)(s64)n;
	case 8:
		__builtin_memcpy(&wide, p, 8);
	}
	return (u64)wide;
}

enum {
	MODRM = BIT(0),
	SIZED = BIT(1),	    /* bit 0 of the opcode clear: bytes */
	DIRECTION = BIT(2), /* bit 1 of the opcode set: to the register */
	LOADS = BIT(3),	    /* to the register, always */
	IMM8 = BIT(4),
	IMM = BIT(5), /* as wide as the operand, at most 4 bytes */
	MOFFS = BIT(6),
	LOCKABLE = BIT(7),
};

/* The reg field of ModRM belongs to the opcode. */
enum { NO_GROUP, GROUP_1, GROUP_3, GROUP_4, GROUP_8, GROUP_11 };

static const u8 groups[][8] = {
	[GROUP_1] = { INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR,
		      INSN_CMP },
	[GROUP_3] = { INSN_TEST, 0, INSN_NOT, INSN_NEG },
	[GROUP_4] = { INSN_INC, INSN_DEC },
	[GROUP_8] = { 0, 0, 0, 0, INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC },
	[GROUP_11] = { INSN_MOV },
};

struct row {
	u8 mask, opcode; /* fits if opcode & mask == opcode */
	u8 op, group, flags;
};

/* The most frequent first. */
static const struct row one_byte[] = {
	{ 0xfc, 0x88, INSN_MOV, 0, MODRM | SIZED | DIRECTION },
	{ 0xfe, 0xc6, 0, GROUP_11, MODRM | SIZED | IMM },
	{ 0xfe, 0x86, INSN_XCHG, 0, MODRM | SIZED | LOCKABLE },
	{ 0xc4, 0x00, INSN_ADD, 0, MODRM | SIZED | DIRECTION | LOCKABLE }, /* to CMP: bits 5:3 */
	{ 0xfe, 0x80, 0, GROUP_1, MODRM | SIZED | IMM | LOCKABLE },
	{ 0xff, 0x83, 0, GROUP_1, MODRM | IMM8 | LOCKABLE },
	{ 0xfe, 0x84, INSN_TEST, 0, MODRM | SIZED },
	{ 0xfe, 0xf6, 0, GROUP_3, MODRM | SIZED | IMM | LOCKABLE },
	{ 0xfe, 0xfe, 0, GROUP_4, MODRM | SIZED | LOCKABLE },
	{ 0xfc, 0xa0, INSN_MOV, 0, MOFFS | SIZED | DIRECTION },
	{ 0xfe, 0xa4, INSN_MOVS, 0, SIZED },
	{ 0xfe, 0xaa, INSN_STOS, 0, SIZED },
	{ 0xfe, 0xac, INSN_LODS, 0, SIZED | LOADS },
	{ 0xfe, 0x6c, INSN_INS, 0, SIZED },
	{ 0xfe, 0x6e, INSN_OUTS, 0, SIZED | LOADS },
};

/* After 0x0f. For MOVZX and MOVSX, SIZED speaks of the memory operand. */
static const struct row two_byte[] = {
	{ 0xfe, 0xb6, INSN_MOVZX, 0, MODRM | SIZED | LOADS },
	{ 0xfe, 0xbe, INSN_MOVSX, 0, MODRM | SIZED | LOADS },
	{ 0xff, 0xba, 0, GROUP_8, MODRM | IMM8 | LOCKABLE },
};

static const struct row movsxd = { 0xff, 0x63, INSN_MOVSX, 0, MODRM | LOADS };

static const struct row *find(const struct row *rows, size_t n, u8 opcode)
{
	for (size_t i = 0; i < n; i++)
		if ((opcode & rows[i].mask) == rows[i].opcode)
			return &rows[i];
	return NULL;
}

struct prefixes {
	bool operand, address, lock, repeat;
	u8 rex;
	u8 segment;
};

#define NO_SEGMENT SEG_NR

/* ES, CS, SS and DS are ignored in 64-bit code. */
static void override(struct prefixes *p, enum insn_mode mode, u8 segment)
{
	if (mode != INSN_64 || segment >= SEG_FS)
		p->segment = segment;
}

/* Returns the first byte of the opcode. A REX that is not the last prefix is void. */
static u8 read_prefixes(struct cursor *c, enum insn_mode mode, struct prefixes *p)
{
	for (;;) {
		u8 b = next(c), rex = 0;

		switch (b) {
		case 0x66:
			p->operand = true;
			break;
		case 0x67:
			p->address = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			override(p, mode, b >> 3 & 3);
			break;
		case 0x64:
		case 0x65:
			override(p, mode, (u8)(SEG_FS + (b & 1)));
			break;
		case 0xf0:
			p->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			p->repeat = true;
			break;
		case 0x40 ... 0x4f:
			if (mode != INSN_64)
				return b;
			rex = b;
			break;
		default:
			return b;
		}
		p->rex = rex;
	}
}

static void address16(struct cursor *c, u8 mod, u8 rm, struct insn *i)
{
	static const u8 bases[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				     GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };

	i->base = bases[rm];
	if (rm < 4)
		i->index = rm & 1 ? GPR_RDI : GPR_RSI;
	if (mod == 0 && rm == 6) {
		i->base = INSN_NO_REG;
		mod = 2;
	}
	i->displacement = (s64)next_number(c, mod);
}

static void address_sib(struct cursor *c, u8 mod, u8 rex, struct insn *i)
{
	u8 sib = next(c);

	i->shift = sib >> 6;
	i->index = (u8)((sib >> 3 & 7) | (rex & 2) << 2);
	if (i->index == GPR_RSP)
		i->index = INSN_NO_REG;
	i->base = (u8)((sib & 7) | (rex & 1) << 3);
	if (mod == 0 && (sib & 7) == GPR_RBP)
		i->base = INSN_NO_REG;
}

static void address32(struct cursor *c, u8 mod, u8 rm, u8 rex, struct insn *i)
{
	static const u8 bytes[3] = { 0, 1, 4 };
	u8 wide = bytes[mod];

	if (rm == GPR_RSP) {
		address_sib(c, mod, rex, i);
		if (i->base == INSN_NO_REG)
			wide = 4;
	} else if (mod == 0 && rm == GPR_RBP) {
		i->base = INSN_RIP; /* in 64-bit code */
		wide = 4;
	} else {
		i->base = (u8)(rm | (rex & 1) << 3);
	}
	i->displacement = (s64)next_number(c, wide);
}

/* HV_EINVAL: the operand is a register. */
static int read_modrm(struct cursor *c, enum insn_mode mode, u8 rex, struct insn *i)
{
	u8 m = next(c), mod = m >> 6, rm = m & 7;

	i->reg = m >> 3 & 7;
	if (mod == 3)
		return HV_EINVAL;
	if (i->address_size == 2)
		address16(c, mod, rm, i);
	else
		address32(c, mod, rm, rex, i);
	if (i->base == INSN_RIP && mode != INSN_64)
		i->base = INSN_NO_REG;
	if (i->segment == NO_SEGMENT)
		i->segment = i->base == GPR_RSP || i->base == GPR_RBP ? SEG_SS : SEG_DS;
	return HV_OK;
}

static void set_sizes(struct insn *i, enum insn_mode mode, const struct prefixes *p)
{
	i->size = p->rex & 8 ? 8 : p->operand != (mode == INSN_16) ? 2 : 4;
	i->address_size = mode == INSN_64		  ? (p->address ? 4 : 8) :
			  (mode == INSN_32) != p->address ? 4 :
							    2;
}

static const struct row *read_opcode(struct cursor *c, enum insn_mode mode, u8 *op)
{
	if (*op == 0x0f) {
		*op = next(c);
		return find(two_byte, ARRAY_SIZE(two_byte), *op);
	}
	if (*op == 0x63 && mode == INSN_64) /* ARPL elsewhere */
		return &movsxd;
	return find(one_byte, ARRAY_SIZE(one_byte), *op);
}

/* The register and the sizes of both operands, from the opcode and REX. */
static void read_register(struct insn *i, const struct row *r, u8 op, u8 rex)
{
	i->reg_size = i->size;
	if (r->flags & SIZED && !(op & 1))
		i->size = 1;
	else if (i->op == INSN_MOVZX || (i->op == INSN_MOVSX && r != &movsxd))
		i->size = 2;
	else if ((r == &movsxd || insn_is_port(i)) && i->size == 8)
		i->size = 4;
	if (i->op != INSN_MOVZX && i->op != INSN_MOVSX)
		i->reg_size = i->size;
	if (r->group || !(r->flags & MODRM))
		i->reg = 0;
	else if (i->reg_size == 1 && !rex && i->reg >= 4) {
		i->reg &= 3;
		i->high = true;
	} else {
		i->reg |= (rex & 4) << 1;
	}
}

static void read_direction(struct insn *i, const struct row *r, u8 op)
{
	if (r->flags & LOADS)
		i->to_register = true;
	else if (r->flags & DIRECTION)
		i->to_register = !(op & 2) == !!(r->flags & MOFFS);
}

int insn_decode(const u8 *bytes, size_t len, enum insn_mode mode, struct insn *i)
{
	size_t most = min(len, (size_t)INSN_MAX);
	struct cursor c = { bytes, most, false };
	struct prefixes p = { .segment = NO_SEGMENT };
	u8 op = read_prefixes(&c, mode, &p);
	const struct row *r = read_opcode(&c, mode, &op);
	u8 immediate = 0;

	*i = (struct insn){ .base = INSN_NO_REG, .index = INSN_NO_REG, .segment = p.segment };
	if (c.overrun)
		return HV_EFAULT;
	if (!r)
		return HV_EINVAL;
	set_sizes(i, mode, &p);
	if (r->flags & MODRM && read_modrm(&c, mode, p.rex, i))
		return c.overrun ? HV_EFAULT : HV_EINVAL;
	i->op = r->group ? groups[r->group][i->reg] : r->op;
	if (r->op == INSN_ADD)
		i->op = (u8)(INSN_ADD + (op >> 3));
	read_register(i, r, op, p.rex);
	read_direction(i, r, op);
	if (i->segment == NO_SEGMENT)
		i->segment = SEG_DS;
	i->repeat = p.repeat && insn_is_string(i);
	if (r->flags & MOFFS)
		i->displacement = (s64)next_number(&c, i->address_size);
	if (r->flags & IMM8)
		immediate = 1;
	else if (r->flags & IMM && i->op != INSN_NOT && i->op != INSN_NEG)
		immediate = min(i->size, (u8)4);
	i->has_immediate = immediate;
	i->immediate = next_number(&c, immediate);
	if (c.overrun)
		return HV_EFAULT;
	i->length = (u8)(c.p - bytes);
	if (r == &movsxd && i->reg_size == 2) /* Intel reads 2 bytes, AMD 4 */
		return HV_EINVAL;
	if (!i->op || (p.lock && !(r->flags & LOCKABLE && insn_writes(i))))
		return HV_EINVAL;
	return HV_OK;
}

bool insn_writes(const struct insn *i)
{
	switch (i->op) {
	case INSN_CMP:
	case INSN_TEST:
	case INSN_BT:
		return false;
	case INSN_XCHG:
		return true;
	default:
		return !i->to_register;
	}
}

bool insn_reads(const struct insn *i)
{
	return i->to_register || (i->op != INSN_MOV && i->op != INSN_STOS && i->op != INSN_INS);
}
