/* SPDX-License-Identifier: BSD-2-Clause */
#include <mm/sample.h>

#define SAMPLE_TRIES (4 * SAMPLE_PAGES)

void sampler_init(struct sampler *s, u64 seed)
{
	*s = (struct sampler){ .seed = seed | 1, .fast = 1000, .slow = 1000 };
}

/* xorshift64: any sequence that the guest cannot lay its pages out against. */
static u64 next_random(struct sampler *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return s->seed;
}

static u32 average(u32 old, u32 new, unsigned int weight)
{
	return (old * (weight - 1) + new) / weight;
}

static void choose(struct sampler *s, struct p2m *p)
{
	s->count = 0;
	for (int i = 0; i < SAMPLE_TRIES && s->count < SAMPLE_PAGES; i++) {
		u64 gfn = next_random(s) % p->nr_gfns;

		if (p2m_lookup(p, gfn).kind != P2M_MAPPED)
			continue;
		p2m_test_clear_accessed(p, gfn);
		s->gfn[s->count++] = (u32)gfn;
	}
}

u32 sampler_period(struct sampler *s, struct p2m *p)
{
	u32 now = 1000, touched = 0, still = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		struct p2m_entry e = p2m_lookup(p, s->gfn[i]);

		still += e.kind == P2M_MAPPED;
		touched += e.kind == P2M_MAPPED && e.accessed;
	}
	if (still)
		now = touched * 1000 / still;
	s->fast = average(s->fast, now, 2);
	s->slow = average(s->slow, now, 4);
	choose(s, p);
	p2m_flush(p);
	return max(now, max(s->fast, s->slow));
}
