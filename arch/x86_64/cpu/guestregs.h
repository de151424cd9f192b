/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest registers that neither VMX nor our exit path switches: extended state, debug registers,
 * CR2, the SYSCALL MSRs and TSC_AUX. A CPU switches all of them whenever it changes from one vCPU
 * to another, so that none can leak. The hypervisor itself uses none of them.
 */
#ifndef ARCH_CPU_GUESTREGS_H
#define ARCH_CPU_GUESTREGS_H

#include <hv/base/types.h>

/*
 * MSRs that a guest reads and writes without an exit, on both back ends: each is
 * switched, by the hardware's own means or here, or is a command without a state.
 */
extern u32 guest_own_msrs[];
extern u32 nr_guest_own_msrs;

enum { GMSR_STAR, GMSR_LSTAR, GMSR_CSTAR, GMSR_FMASK, GMSR_KERNEL_GS, GMSR_TSC_AUX, GMSR_NR };

struct guestregs {
	u64 xcr0;
	u64 dr[4], dr6;
	u64 cr2;
	u64 msr[GMSR_NR];
	void *xsave; /* 64-byte aligned */
};

/* Once, on the boot CPU; then on each CPU. */
void guestregs_probe(void);
void guestregs_cpu_init(void);

/* The host's extended-state features that guests may use, as an XCR0 mask. */
u64 guestregs_xcr0_mask(void);

int guestregs_init(struct guestregs *g);
void guestregs_destroy(struct guestregs *g);
void guestregs_load(const struct guestregs *g);
void guestregs_save(struct guestregs *g);

/* INIT of a loaded guest: sets its CR2 and its debug registers, except DR7. */
void guestregs_init_debug(void);

/* Carries out XSETBV of a loaded guest; false: it gets #GP. */
bool guestregs_set_xcr0(struct guestregs *g, u32 index, u64 value);

#endif
