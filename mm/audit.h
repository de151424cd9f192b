/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit proves that the tables and the frame table agree, in both
 * directions, a bounded piece at a time and while VMs run: every step is
 * locally consistent under the VM's lock.
 */
#ifndef MM_AUDIT_H
#define MM_AUDIT_H

#include <mm/p2m.h>

struct audit {
	u32 vm; /* index of the p2m that is being walked */
	u64 gfn;
	u32 frame;	  /* then the frame table, from here */
	u64 guest_frames; /* seen in the frame table */
};

/* The p2m of VM id @owner, or NULL. */
typedef struct p2m *(*audit_p2m_fn)(u16 owner);

/* One bounded step over VMs 0 .. @nr_vms - 1. HV_EAGAIN: more; HV_OK: all is well. */
int audit_step(struct audit *a, u32 nr_vms, audit_p2m_fn p2m_of);

#endif
