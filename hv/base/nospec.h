/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spectre variant 1: behind a check of an index that a guest chose, a CPU may go on with one that
 * the check refuses, and load what only the hypervisor may see.
 */
#ifndef HV_BASE_NOSPEC_H
#define HV_BASE_NOSPEC_H

#include <hv/base/types.h>

/*
 * @index if it is below @size, else 0, also where a CPU guesses that it is below.  For use
 * behind the check, which the compiler knows of: the volatile keeps it from seeing that the mask
 * changes nothing.  @size is at most 2^63.
 */
static inline u64 index_nospec(u64 index, u64 size)
{
	volatile u64 hidden = index;
	u64 i = hidden;

	return i & (0 - (~(i | (size - 1 - i)) >> 63));
}

#endif
