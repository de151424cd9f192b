/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/quirks/mtrr.h>

#define MTRR_VALID BIT(11)

struct span {
	u64 start, end; /* start == end: empty */
	u8 type;
};

/*
 * A mask with holes in it describes many ranges. No firmware is known to do that. We then take all
 * addresses from the first range to the last if the type is not WB, and none of them if it is.
 */
static struct span span_of(const struct mtrrs *m, u32 i)
{
	u64 base = m->range[i].base, mask = m->range[i].mask, size;
	struct span s = { .type = (u8)base };

	if (!(mask & MTRR_VALID))
		return s;
	mask &= m->address_mask & ~PAGE_MASK;
	base &= mask;
	/* A mask for fewer address bits than this CPU has: the upper bits count as set. */
	if (mask)
		mask |= m->address_mask & ~(BIT(63 - __builtin_clzl(mask)) - 1);
	size = mask ? mask & -mask : m->address_mask + 1;
	if (mask + size != m->address_mask + 1) {
		u64 holes = ~mask & m->address_mask;

		if (s.type == MTRR_WB)
			return s;
		size = 2UL << (63 - __builtin_clzl(holes));
		base &= -size;
	}
	s.start = base;
	s.end = base + size;
	return s;
}

/* SDM: "MTRR Precedences" */
static u8 overlap(u8 a, u8 b)
{
	if (a == b)
		return a;
	if ((a == MTRR_WT && b == MTRR_WB) || (a == MTRR_WB && b == MTRR_WT))
		return MTRR_WT;
	return MTRR_UC;
}

enum mtrr_type mtrr_type(const struct mtrrs *m, u64 pa, u64 *end)
{
	bool found = false;
	u8 type = 0;

	*end = UINT64_MAX;
	if (!m->enabled)
		return MTRR_UC;
	for (u32 i = 0; i < m->nr; i++) {
		struct span s = span_of(m, i);

		if (s.start == s.end || pa >= s.end)
			continue;
		if (pa < s.start) {
			*end = min(*end, s.start);
			continue;
		}
		*end = min(*end, s.end);
		type = found ? overlap(type, s.type) : s.type;
		found = true;
	}
	if (found)
		return type;
	if (pa >= m->wb_4g_to)
		return m->default_type;
	*end = min(*end, pa < GIB(4) ? GIB(4) : m->wb_4g_to);
	return pa < GIB(4) ? m->default_type : MTRR_WB;
}
