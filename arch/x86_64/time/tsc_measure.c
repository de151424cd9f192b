/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both clocks go on during an SMI, and while an outer hypervisor runs something else. Such a pause
 * does harm only between the two readings of an edge. Then the edge is wide, or the two windows
 * beside it differ from the others.
 */
#include <arch/x86_64/time/tsc_measure.h>

#define EDGE_TRIES 4
#define STILL_READS 10000  /* a read of a port takes about 1 us */
#define WAIT_READS 1000000 /* the most reads for one window */
#define REFINE_LEAST 50	   /* ms: twice the time of the first measurement */
#define REFINE_MOST 2000   /* a better value differs by less than 1/2000 */

static bool one_edge(const struct ref_clock *c, struct tsc_edge *e)
{
	u32 before = c->read();
	u64 from = c->tsc();

	for (u32 i = 0; i < STILL_READS; i++) {
		u32 now = c->read();
		u64 to = c->tsc();

		if (now != before) {
			e->tsc = from + (to - from) / 2;
			e->count = now;
			e->width = (u32)min(to - from, (u64)UINT32_MAX);
			return true;
		}
		from = to;
	}
	return false;
}

bool tsc_edge(const struct ref_clock *c, struct tsc_edge *e)
{
	struct tsc_edge next;

	e->width = UINT32_MAX;
	for (int i = 0; i < EDGE_TRIES; i++) {
		if (!one_edge(c, &next))
			return false;
		if (next.width <= e->width)
			*e = next;
	}
	return true;
}

static u64 to_khz(u64 tsc, u64 count, u64 hz)
{
	return count ? tsc * hz / count / 1000 : 0;
}

static bool agrees(u64 khz, u64 with, u32 tolerance)
{
	return khz + with / tolerance >= with && khz <= with + with / tolerance;
}

u64 tsc_decide(const struct tsc_window *w, u32 n, u64 hz, u32 tolerance)
{
	u32 most = 0;
	u64 best = 0;

	for (u32 i = 0; i < n; i++) {
		u64 khz = to_khz(w[i].tsc, w[i].count, hz), tsc = 0, count = 0;
		u32 votes = 0;

		for (u32 k = 0; k < n; k++)
			if (agrees(to_khz(w[k].tsc, w[k].count, hz), khz, tolerance)) {
				tsc += w[k].tsc;
				count += w[k].count;
				votes++;
			}
		if (votes > most) {
			most = votes;
			best = to_khz(tsc, count, hz);
		}
	}
	return 2 * most > n && best >= TSC_KHZ_LEAST && best <= TSC_KHZ_MOST ? best : 0;
}

static bool wait(const struct ref_clock *c, u32 since, u32 ticks)
{
	u32 last = since, still = 0;

	for (u32 i = 0; i < WAIT_READS; i++) {
		u32 now = c->read();

		if (((now - since) & c->mask) >= ticks)
			return true;
		still = now == last ? still + 1 : 0;
		if (still > STILL_READS)
			return false;
		last = now;
	}
	return false;
}

/* Windows of @us microseconds each. */
static bool take(const struct ref_clock *c, u32 us, struct tsc_edge *first, struct tsc_window *w)
{
	struct tsc_edge from, to;

	if (!tsc_edge(c, first))
		return false;
	from = *first;
	for (u32 i = 0; i < TSC_WINDOWS; i++) {
		if (!wait(c, from.count, (u32)(c->hz * us / 1000000)) || !tsc_edge(c, &to))
			return false;
		w[i].tsc = to.tsc - from.tsc;
		w[i].count = (to.count - from.count) & c->mask;
		from = to;
	}
	return true;
}

u64 tsc_measure(const struct ref_clock *c, struct tsc_edge *first)
{
	/* If a reading takes long, only long windows agree, and in the last try only roughly. */
	static const struct {
		u32 us, tolerance;
	} tries[] = { { 4000, 2000 }, { 4000, 2000 }, { 16000, 1000 }, { 16000, 50 } };
	struct tsc_window w[TSC_WINDOWS];
	u64 khz = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tries) && !khz; i++) {
		if (!take(c, tries[i].us, first, w))
			return 0;
		khz = tsc_decide(w, TSC_WINDOWS, c->hz, tries[i].tolerance);
	}
	return khz;
}

u64 tsc_refine_khz(const struct ref_clock *c, const struct tsc_edge *first, u64 khz)
{
	u64 wrap = ((u64)c->mask + 1) * 1000 / c->hz, better; /* ms */
	struct tsc_edge now;

	if (!tsc_edge(c, &now) || now.tsc - first->tsc > wrap * khz / 8 * 7 ||
	    now.tsc - first->tsc < REFINE_LEAST * khz)
		return khz;
	better = to_khz(now.tsc - first->tsc, (now.count - first->count) & c->mask, c->hz);
	return agrees(better, khz, REFINE_MOST) ? better : khz;
}
