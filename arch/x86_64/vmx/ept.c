/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EPT encoding, as data for mm/p2m.c. SDM: "EPT Translation Mechanism". RAM is write-back,
 * whatever the guest's PAT says (bit 6): no device reads guest memory past the caches, and a guest
 * must not be able to make an uncached alias. A/D flags are on if the CPU has them.
 */
#include <mm/pt_format.h>

#define EPT_R BIT(0)
#define EPT_W BIT(1)
#define EPT_X BIT(2)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY BIT(9)
#define EPT_MEMTYPE(t) ((u64)(t) << 3)

/* vmx_probe() clears gib_pages if the CPU lacks them. */
struct pt_format ept_format = {
	.name = "EPT",
	.present = EPT_R | EPT_W | EPT_X,
	.table = EPT_R | EPT_W | EPT_X,
	.read = EPT_R,
	.write = EPT_W,
	.exec = EPT_X,
	.no_exec = 0,
	.memtype = {
		[MEMTYPE_WB] = EPT_MEMTYPE(6) | EPT_IGNORE_PAT,
		[MEMTYPE_UC] = EPT_MEMTYPE(0) | EPT_IGNORE_PAT,
		[MEMTYPE_WC] = EPT_MEMTYPE(1) | EPT_IGNORE_PAT,
	},
	.accessed = EPT_ACCESSED,
	.dirty = EPT_DIRTY,
	.gib_pages = true,
};
