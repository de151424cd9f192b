/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a VM's resident memory is active, by statistical sampling
 * (Waldspurger 2002, "Measuring Idle Memory"): random mapped places have
 * their accessed bit cleared and are looked at again one period later.
 */
#ifndef MM_SAMPLE_H
#define MM_SAMPLE_H

#include <mm/p2m.h>

#define SAMPLE_PAGES 64

struct sampler {
	u64 seed;
	u32 gfn[SAMPLE_PAGES];
	unsigned int count;
	u32 fast, slow; /* moving averages, in 1/1000 of resident memory */
};

void sampler_init(struct sampler *s, u64 seed);

/*
 * Ends a period and starts the next; returns the active fraction in 1/1000:
 * the maximum of the last sample, the fast and the slow average.  With
 * p->lock held; flushes.
 */
u32 sampler_period(struct sampler *s, struct p2m *p);

#endif
