/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables, walked as the CPU would for an instruction that
 * the hypervisor carries out.  Unlike the CPU's, a walk sets no accessed or
 * dirty flag in them.
 */
#ifndef HV_GWALK_H
#define HV_GWALK_H

#include <hv/vm/backend.h>

/* The kind of an access, as in a page fault's error code. SDM: "Page-Fault Exceptions" */
#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH BIT(4)
#define GWALK_READ 0UL

struct gwalk {
	struct vcpu *v;
	u64 cr0, cr4, efer;
	u64 root;		/* the topmost table */
	u64 reserved;		/* in every entry, but PAE's topmost */
	u8 levels, bits, entry; /* bits of index a level; bytes of an entry */
	bool user;		/* CPL 3 */

	/* Of the last walk that failed: */
	int err;
	u64 linear;
	u32 error;     /* HV_EPERM: the #PF's error code */
	gpa_t missing; /* HV_EFAULT: what was not in memory */
};

/* The paging state of a loaded vCPU, now. */
void gwalk_init(struct gwalk *w, struct vcpu *v);

/*
 * Guest-linear to guest-physical; @access is GWALK_READ, PF_WRITE or PF_FETCH.
 * HV_EPERM: the guest's tables forbid it, a #PF. HV_ERANGE: not canonical, a
 * #GP. HV_EFAULT: a table lies where there is no memory now.
 */
int gwalk_translate(struct gwalk *w, u64 linear, u64 access, gpa_t *out);

/* Reads up to @len bytes of code at @linear; returns how many, @w->err says why not all. */
size_t gwalk_fetch(struct gwalk *w, u64 linear, u8 *buf, size_t len);

#endif
