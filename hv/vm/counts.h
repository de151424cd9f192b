/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted of a VM.  Its counters begin at 0 with each run, and management calls
 * show them so (docs/abi.md); the sum of all its runs since the host booted is here.
 */
#ifndef HV_VM_COUNTS_H
#define HV_VM_COUNTS_H

#include <hv/base/types.h>

struct vm;

struct vm_counts {
	u64 exits, faults;
	u64 locked, unlocked, reported, popped; /* pages */
	u64 refused;				/* entries */
	u64 batches;
};

/*
 * All runs of @vm together, the present one included.  Any CPU; in the moment in which a
 * start begins, the run before it may be counted twice.
 */
struct vm_counts vm_counts(const struct vm *vm);

/* Adds the run that is over to those before, and begins anew.  When @vm is started. */
void vm_counts_keep(struct vm *vm);

#endif
