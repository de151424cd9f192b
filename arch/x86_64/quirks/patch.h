/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Assembly that most CPUs need and some do not. The source has it in full; mitigate_init()
 * overwrites it with something cheaper if the CPU does not need it. A test of a flag would not be
 * safe: a CPU may speculate past it.
 */
#ifndef ARCH_CPU_PATCH_H
#define ARCH_CPU_PATCH_H

/* Why the code is needed. */
#define PATCH_THUNKS 1
#define PATCH_EXIT 2
#define PATCH_VERW 4

#ifndef __ASSEMBLER__
#include <hv/base/types.h>

/* One of PATCH_UNLESS in guest_exit.inc. */
struct patch {
	s32 site, with; /* relative to themselves */
	u16 length, flag;
};
_Static_assert(sizeof(struct patch) == 12, "as PATCH_UNLESS makes it");
#endif

#endif
