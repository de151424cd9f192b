/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NPT encoding, as data for mm/p2m.c.  APM volume 2: "Nested Paging";
 * nested accesses count as user accesses, so U/S is set everywhere.
 */
#include <mm/pt_format.h>

#define NPT_P BIT(0)
#define NPT_W BIT(1)
#define NPT_US BIT(2)
#define NPT_PWT BIT(3)
#define NPT_PCD BIT(4)
#define NPT_ACCESSED BIT(5)
#define NPT_DIRTY BIT(6)
#define NPT_NX BIT(63)

/* svm_probe() clears gib_pages if the CPU lacks them. */
struct pt_format npt_format = {
	.name = "NPT",
	.present = NPT_P,
	.table = NPT_P | NPT_W | NPT_US,
	.read = NPT_P | NPT_US,
	.write = NPT_W,
	.exec = 0,
	.no_exec = NPT_NX,
	/* through the host's PAT: entry 0 is WB, 1 is WC, 3 is UC */
	.memtype = {
		[MEMTYPE_WB] = 0,
		[MEMTYPE_UC] = NPT_PCD | NPT_PWT,
		[MEMTYPE_WC] = NPT_PWT,
	},
	.accessed = NPT_ACCESSED,
	.dirty = NPT_DIRTY,
	.gib_pages = true,
};
