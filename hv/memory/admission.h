/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Admission: may a VM start, and may its min rise?  This counts what the
 * allocator promises (mm/reserve.c): min, tables and reserve of each VM, and its disks.
 */
#ifndef HV_MEMORY_ADMISSION_H
#define HV_MEMORY_ADMISSION_H

#include <hv/base/types.h>

struct vm;

/* HV_ENOMEM, with a line in the log that names the parts: @vm cannot start. */
int admission_check(struct vm *vm);

/* Could @vm have a min of @min frames beside the promises to others? */
bool admission_allows_min(const struct vm *vm, u64 min);

/* In frames: further promises that @vm needs before it can start, its disks left out. */
u64 admission_start_frames(const struct vm *vm);

/* In frames: the p2m tables that @vm can need. */
u64 admission_tables(const struct vm *vm);

#endif
