/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a VM's resident memory is active, by statistical sampling
 * (Waldspurger 2002, "Measuring Idle Memory"): random mapped pages have their
 * accessed bit cleared, or on CPUs without one their mapping taken away as in that
 * paper, and are looked at again one period later.  The pages
 * of a sample are not all looked at together but a few at a time, so that the
 * work is bounded: it is one period for each of them.
 *
 * A large page has one accessed bit.  It is split for the time that a page in
 * it is watched, and merged afterwards.
 */
#ifndef MM_SAMPLE_H
#define MM_SAMPLE_H

#include <mm/estimate.h>
#include <mm/p2m.h>

#define SAMPLE_MAX 256 /* pages */
#define SAMPLE_STEP 4  /* each may cost a merge and a split: within P2M_WORK_MAX */
_Static_assert(SAMPLE_STEP * 2 * PT_ENTRIES <= P2M_WORK_MAX, "a step is bounded");

struct sampler {
	u64 seed;
	struct estimate estimate;
	u32 pages;	   /* of a sample */
	u32 at;		   /* the next to look at */
	u32 seen, touched; /* of this round */
	u32 gfn[SAMPLE_MAX];
	u8 split[SAMPLE_MAX / 8]; /* bit: the large page around it was split for it */
};

/* @pages: 1 to SAMPLE_MAX. */
void sampler_init(struct sampler *s, u64 seed, u32 pages);

/* Steps that make up a period. */
static inline u32 sampler_steps(const struct sampler *s)
{
	return (s->pages + SAMPLE_STEP - 1) / SAMPLE_STEP;
}

/*
 * Looks at the next SAMPLE_STEP pages and chooses others for them.  True: that
 * was the end of a period, and the estimate is new.  With p->lock held; flushes.
 */
bool sampler_step(struct sampler *s, struct p2m *p);

#endif
