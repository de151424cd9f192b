/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was decided about a VM's balloon lately, for who asks why: the last
 * records, written by the governor, read by management.
 */
#ifndef HV_EXPLAIN_H
#define HV_EXPLAIN_H

#include <guest-driver/aerostat_abi.h>
#include <hv/base/lock.h>
#include <hv/memory/policy.h>

struct explain {
	SPINLOCK(LOCK_EXPLAIN) lock;
	u64 total;  /* records ever */
	u64 target; /* of the last decision */
	struct aero_decision ring[AERO_DECISIONS];
};

/* Begins anew: the VM starts. */
void explain_reset(struct explain *e);

/*
 * At @us since boot, in memory's @state, @out was decided about a VM that was
 * as in @in says.  Recorded if target or reason changed; a step in the same
 * direction for the same reason prolongs the last record.
 */
void explain_note(struct explain *e, u64 us, enum policy_state state, const struct policy_vm *in,
		  const struct policy_vm_out *out);

/* The records, the oldest first. */
void explain_read(struct explain *e, struct aero_explain *out);

#endif
