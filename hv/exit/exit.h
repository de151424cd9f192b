/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit dispatch: a row per kind. */
#ifndef HV_EXIT_H
#define HV_EXIT_H

#include <hv/vm/vcpu.h>

/* Handles @e for @v; afterwards @v is entered again, blocked, or its VM has ended. */
void exit_dispatch(struct vcpu *v, struct vmexit *e);

/* tests/count.c, only in a build with COUNT=1: counts @e by what it is for. */
void exit_count(struct vcpu *v, const struct vmexit *e);

/* An instruction that only a kernel may execute, by somebody else: #GP. True: that is all. */
static inline bool exit_refused(struct vcpu *v, const struct vmexit *e)
{
	if (likely(!e->cpl))
		return false;
	vcpu_inject_gp(v);
	return true;
}

/* cpuid.c */
void exit_cpuid(struct vcpu *v, struct vmexit *e);
/* msr.c */
void exit_rdmsr(struct vcpu *v, struct vmexit *e);
void exit_wrmsr(struct vcpu *v, struct vmexit *e);
/* io.c */
void exit_io(struct vcpu *v, struct vmexit *e);
/* fault.c */
void exit_p2m_fault(struct vcpu *v, struct vmexit *e);
/* hypercall.c */
void exit_hypercall(struct vcpu *v, struct vmexit *e);

#endif
