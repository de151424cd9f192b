/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds how far another CPU's TSC is ahead of ours, by round trips between the two. Pure: it takes
 * the readings of tsc_sync.c, and returns a verdict.
 */
#ifndef ARCH_TIME_TSC_SPAN_H
#define ARCH_TIME_TSC_SPAN_H

#include <hv/base/types.h>

/* The differences that all round trips together leave possible, in ticks. */
struct tsc_span {
	s64 least, most;
};
#define TSC_SPAN_ANY ((struct tsc_span){ INT64_MIN, INT64_MAX })

/* The other CPU read @theirs after we read @sent and before we read @received. */
void tsc_span_add(struct tsc_span *s, u64 sent, u64 theirs, u64 received);

/* What we have found and done about one CPU; zeroed before its first span. */
struct tsc_fix {
	u32 shifts;
	s64 ahead; /* at first */
	s64 lost;  /* ticks that a write of the TSC takes */
	s64 shift; /* ticks to add to it before the next span; 0: none */
};

enum tsc_verdict {
	TSC_EQUAL,    /* no difference can be seen */
	TSC_APART,    /* ahead by a fixed number of ticks */
	TSC_UNSTEADY, /* ahead by a number that changes */
};
/* @exact: by TSC_ADJUST, which loses no ticks. */
enum tsc_verdict tsc_fix(struct tsc_fix *f, const struct tsc_span *s, bool exact);

#endif
