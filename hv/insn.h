/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small decoder for memory-mapped devices: mov between a register or an
 * immediate and memory.  Intel SDM volume 2, chapter "Instruction Format".
 */
#ifndef HV_INSN_H
#define HV_INSN_H

#include <hv/base/types.h>

struct vcpu;

#define INSN_MAX 15

struct insn {
	u8 length;
	u8 size;    /* of the memory operand, in bytes */
	u8 reg;	    /* GPR number */
	bool write; /* to memory */
	bool has_immediate;
	u64 immediate;
};

enum insn_mode { INSN_16, INSN_32, INSN_64 };

/* Pure. HV_EINVAL: not one that we know; HV_EFAULT: @len bytes are too few. */
int insn_decode(const u8 *bytes, size_t len, enum insn_mode mode, struct insn *out);

/* Fetches through the guest's page tables at its RIP, and decodes. */
int insn_fetch_decode(struct vcpu *v, struct insn *out);

#endif
