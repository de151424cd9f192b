/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From sampled pages to the active fraction of a VM's memory, and how sure
 * that is: a pure piece of arithmetic, shared with tools/policysim.
 * Fractions are in 1/1000 of resident memory.
 */
#ifndef MM_ESTIMATE_H
#define MM_ESTIMATE_H

#include <hv/base/types.h>

struct estimate {
	u32 now, fast, slow; /* of the last period; moving averages */
	u32 low, high;	     /* 95 % confidence interval of the last period */
};

/* Nothing known: all active. */
void estimate_init(struct estimate *e);

/*
 * A period has ended in which @touched of @sampled pages were touched.
 * Returns the maximum of sample, fast and slow average: it follows rising use
 * at once and falling use slowly ("Measuring Idle Memory").
 */
u32 estimate_add(struct estimate *e, u32 touched, u32 sampled);

u32 estimate_active(const struct estimate *e);

#endif
