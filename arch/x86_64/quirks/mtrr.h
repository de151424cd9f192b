/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware says of memory's cacheability, above 1 MiB (no memory below is ever given out).
 * SDM: "Memory Type Range Registers (MTRRs)"; APM volume 2: "Memory-Type Range Registers",
 * "Extended Fixed-Range MTRR Type-Field Encodings".
 */
#ifndef ARCH_CPU_MTRR_H
#define ARCH_CPU_MTRR_H

#include <hv/base/types.h>

enum mtrr_type { MTRR_UC = 0, MTRR_WC = 1, MTRR_WT = 4, MTRR_WP = 5, MTRR_WB = 6 };

#define MTRR_MAX 32

struct mtrrs {
	bool enabled; /* otherwise all memory is UC */
	u8 default_type;
	u64 wb_4g_to; /* AMD: RAM from 4 GiB to here is WB, whatever the default; 0: no such rule */
	u64 address_mask; /* bits that a physical address can have */
	u32 nr;
	struct {
		u64 base, mask; /* as in the registers */
	} range[MTRR_MAX];
};

/* Reads this CPU's MTRRs. Firmware makes them the same on all CPUs. */
void mtrr_read(struct mtrrs *m);

/*
 * Returns the type at @pa; *@end: where another type may begin (UINT64_MAX: nowhere). Overlaps that
 * the manual leaves undefined are UC.
 */
enum mtrr_type mtrr_type(const struct mtrrs *m, u64 pa, u64 *end);

#endif
