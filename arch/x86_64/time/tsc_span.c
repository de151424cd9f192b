/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/time/tsc_span.h>

#define SHIFTS_MAX 3

void tsc_span_add(struct tsc_span *s, u64 sent, u64 theirs, u64 received)
{
	s->least = max(s->least, (s64)(theirs - received));
	s->most = min(s->most, (s64)(theirs - sent));
}

enum tsc_verdict tsc_fix(struct tsc_fix *f, const struct tsc_span *s, bool exact)
{
	s64 ahead;

	f->shift = 0;
	if (s->least > s->most)
		return TSC_UNSTEADY;
	if (s->least <= 0 && s->most >= 0)
		return TSC_EQUAL;
	ahead = s->least + (s->most - s->least) / 2;
	if (!f->shifts)
		f->ahead = ahead;
	else if (!exact)
		f->lost -= ahead;
	if (f->shifts++ < SHIFTS_MAX)
		f->shift = f->lost - ahead;
	return TSC_APART;
}
