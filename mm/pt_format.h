/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between EPT and NPT tables, as data.  Both have four levels
 * of 512 eight-byte entries, the address in bits 51:12, and bit 7 for a large
 * leaf; the rest is here.  Instances: arch/x86_64/vmx/ept.c, svm/npt.c.
 */
#ifndef MM_PT_FORMAT_H
#define MM_PT_FORMAT_H

#include <hv/base/types.h>

enum memtype { MEMTYPE_WB, MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_NR };

enum prot {
	PROT_R = BIT(0),
	PROT_W = BIT(1),
	PROT_X = BIT(2),
	PROT_RWX = PROT_R | PROT_W | PROT_X
};

struct pt_format {
	const char *name;
	u64 present;			/* an entry with none of these bits is not present */
	u64 table;			/* flags of an entry that points to a table */
	u64 read, write, exec, no_exec; /* leaf permissions; no_exec where exec is negative logic */
	u64 memtype[MEMTYPE_NR];	/* leaf bits */
	u64 accessed, dirty;
	bool gib_pages;	    /* 1 GiB leaves */
	bool large_no_exec; /* leaves above 4 KiB are not executable (iTLB multihit) */
};

#define PT_LARGE BIT(7)
#define PT_ADDR 0x000ffffffffff000UL
#define PT_LEVELS 4
#define PT_ENTRIES 512

/* Level 1 maps 4 KiB (order 0), 2 maps 2 MiB (order 9), 3 maps 1 GiB (order 18). */
static inline unsigned int level_order(int level)
{
	return 9u * (unsigned int)(level - 1);
}

static inline unsigned int pt_index(u64 gfn, int level)
{
	return (gfn >> level_order(level)) & (PT_ENTRIES - 1);
}

static inline u64 pt_leaf(const struct pt_format *f, u64 pa, int level, unsigned int prot,
			  enum memtype mt)
{
	u64 e = pa | f->memtype[mt] | (level > 1 ? PT_LARGE : 0);

	e |= prot & PROT_R ? f->read : 0;
	e |= prot & PROT_W ? f->write : 0;
	e |= prot & PROT_X ? f->exec : f->no_exec;
	return e;
}

#endif
