/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far another CPU's TSC is ahead of ours, by round trips between the two.
 * Pure: readings in, verdict out; tsc_sync.c takes them.
 */
#ifndef ARCH_TIME_TSC_SPAN_H
#define ARCH_TIME_TSC_SPAN_H

#include <hv/base/types.h>

/* What all round trips together leave possible, in ticks. */
struct tsc_span {
	s64 least, most;
};
#define TSC_SPAN_ANY ((struct tsc_span){ INT64_MIN, INT64_MAX })

/* The other CPU read @theirs after we read @sent and before we read @received. */
void tsc_span_add(struct tsc_span *s, u64 sent, u64 theirs, u64 received);

/* What was found and done about one CPU; zeroed before its first span. */
struct tsc_fix {
	u32 shifts;
	s64 ahead; /* at first */
	s64 lost;  /* ticks that pass while the TSC is written */
	s64 shift; /* to add to it now, before the next span; 0: no more */
};

enum tsc_verdict {
	TSC_EQUAL,    /* nobody can see a difference */
	TSC_APART,    /* by a fixed number of ticks */
	TSC_UNSTEADY, /* by no fixed number */
};
/* @exact: by TSC_ADJUST, which loses no ticks. */
enum tsc_verdict tsc_fix(struct tsc_fix *f, const struct tsc_span *s, bool exact);

#endif
