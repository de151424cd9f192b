/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions by which software talks to memory-mapped devices: decoded
 * (insn.c) and computed (alu.c), both pure.  Only forms with a memory operand.
 * SDM volume 2, chapter "Instruction Format".
 */
#ifndef HV_INSN_H
#define HV_INSN_H

#include <hv/base/types.h>

#define INSN_MAX 15

enum insn_mode { INSN_16, INSN_32, INSN_64 };

enum insn_op {
	INSN_UNKNOWN,
	/* in the order of their opcodes: */
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_NOT,
	INSN_NEG,
	INSN_INC,
	INSN_DEC,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_XCHG,
	INSN_MOV,
	INSN_MOVZX,
	INSN_MOVSX, /* and MOVSXD */
	INSN_MOVS,
	INSN_STOS,
	INSN_LODS,
	/* the other side is the port in DX: */
	INSN_INS,
	INSN_OUTS,
};

#define INSN_NO_REG 0xff
#define INSN_RIP 0xfe

struct insn {
	u8 length;
	u8 op;		  /* enum insn_op */
	u8 size;	  /* of the memory operand, in bytes */
	u8 reg;		  /* the other operand: GPR number; 0 (AL, AX ...) for STOS and LODS */
	u8 reg_size;	  /* differs from size for MOVZX and MOVSX only */
	bool high;	  /* AH, CH, DH, BH: reg is that of RAX to RBX */
	bool to_register; /* the memory operand is the source */
	bool has_immediate;
	bool repeat;
	u8 address_size;       /* in bytes */
	u8 segment;	       /* SEG_*, of the source for MOVS; STOS and INS write to ES */
	u8 base, index, shift; /* base + (index << shift) + displacement; or INSN_NO_REG */
	s64 displacement;
	u64 immediate; /* sign-extended */
};

/* HV_EINVAL: not one that we know, or #UD; HV_EFAULT: @len bytes are too few. */
int insn_decode(const u8 *bytes, size_t len, enum insn_mode mode, struct insn *out);

/* Which way does the memory operand go? MOVS does both, in two places. */
bool insn_reads(const struct insn *i);
bool insn_writes(const struct insn *i);

static inline bool insn_is_string(const struct insn *i)
{
	return i->op >= INSN_MOVS;
}

static inline bool insn_is_port(const struct insn *i)
{
	return i->op >= INSN_INS;
}

/* A register of @size bytes changes: 4 clear the upper half, 1 and 2 keep the rest. */
u64 insn_merge(u64 old, u64 value, u8 size);

/*
 * What @i, no string instruction, makes of the memory operand @memory: the new
 * one, if insn_writes().  @reg is the whole GPR i->reg; it and @rflags change.
 */
u64 insn_compute(const struct insn *i, u64 memory, u64 *reg, u64 *rflags);

#endif
