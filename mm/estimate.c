/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <mm/estimate.h>

void estimate_init(struct estimate *e)
{
	*e = (struct estimate){ 1000, 1000, 1000, 0, 1000 };
}

static u32 average(u32 old, u32 new, u32 weight)
{
	return (old * (weight - 1) + new + weight / 2) / weight;
}

static u32 square_root(u64 x)
{
	u64 r = 0;

	for (u64 bit = BIT(31); bit; bit >>= 1)
		if ((r + bit) * (r + bit) <= x)
			r += bit;
	return (u32)r;
}

/*
 * Wilson's score interval: unlike p +- 1.96 sigma it neither leaves 0..1 nor
 * becomes a point when no page, or each, was touched.  With z^2 = 3.8416 in
 * 1/10000 (hence the factors), centre and half width are
 * (2k + z^2) / (2n + 2z^2) and z sqrt(4k(n - k)/n + z^2) / (2n + 2z^2).
 */
static void interval(struct estimate *e, u64 k, u64 n)
{
	const u64 z2 = 38416;
	u64 centre = 20000 * k + z2, below = 20000 * n + 2 * z2;
	u64 half = square_root(z2 * (40000 * k * (n - k) / n + z2));

	atomic_store(&e->low, (u32)((centre - min(half, centre)) * 1000 / below));
	atomic_store(&e->high, (u32)min((centre + half) * 1000 / below + 1, 1000UL));
}

u32 estimate_active(const struct estimate *e)
{
	return max(e->now, max(e->fast, e->slow));
}

u32 estimate_add(struct estimate *e, u32 touched, u32 sampled)
{
	if (sampled) {
		e->now = touched * 1000 / sampled;
		interval(e, touched, sampled);
	}
	e->fast = average(e->fast, e->now, 2);
	e->slow = average(e->slow, e->now, 4);
	return estimate_active(e);
}
