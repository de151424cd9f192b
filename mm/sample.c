/* SPDX-License-Identifier: BSD-2-Clause */
#include <mm/sample.h>

#define TRIES 8 /* to find a page that is mapped */
#define NO_PAGE UINT32_MAX

void sampler_init(struct sampler *s, u64 seed, u32 pages)
{
	*s = (struct sampler){ .seed = seed | 1 };
	s->pages = min(max(pages, 1u), (u32)SAMPLE_MAX);
	estimate_init(&s->estimate);
	for (u32 i = 0; i < s->pages; i++)
		s->gfn[i] = NO_PAGE;
}

/* xorshift64: any sequence that the guest cannot lay its pages out against. */
static u64 next_random(struct sampler *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return s->seed;
}

static void set_split(struct sampler *s, u32 i, bool split)
{
	u8 bit = (u8)(1u << (i % 8));

	s->split[i / 8] = (u8)((s->split[i / 8] & ~bit) | (split ? bit : 0));
}

/* Another page of the sample in the same 2 MiB keeps it split, and answers for it from now on. */
static bool hand_over(struct sampler *s, u32 i)
{
	for (u32 k = 0; k < s->pages; k++)
		if (k != i && s->gfn[k] != NO_PAGE &&
		    s->gfn[k] >> ORDER_2M == s->gfn[i] >> ORDER_2M) {
			set_split(s, k, true);
			return true;
		}
	return false;
}

static void end_page(struct sampler *s, struct p2m *p, u32 i, struct frame_batch *b)
{
	struct p2m_entry e;

	if (s->gfn[i] == NO_PAGE)
		return;
	e = p2m_lookup(p, s->gfn[i]);
	if (e.kind == P2M_MAPPED) {
		s->seen++;
		s->touched += e.accessed;
		p2m_unwatch(p, s->gfn[i]);
	}
	/* It stays split where the guest has given away a part, or a part is pinned. */
	if (s->split[i / 8] & 1u << (i % 8) && !hand_over(s, i))
		p2m_merge(p, s->gfn[i], 2, b);
	set_split(s, i, false);
	s->gfn[i] = NO_PAGE;
}

static void begin_page(struct sampler *s, struct p2m *p, u32 i)
{
	for (int try = 0; try < TRIES; try++) {
		u64 gfn = next_random(s) % p->nr_gfns;
		struct p2m_entry e = p2m_lookup(p, gfn);

		if (e.kind != P2M_MAPPED)
			continue;
		/* Else the large page's own bit, if there is one, must do: it says too much. */
		if (e.order == ORDER_2M)
			set_split(s, i, p2m_split(p, gfn, ORDER_4K) == HV_OK);
		if (p2m_watch(p, gfn)) {
			s->gfn[i] = (u32)gfn;
			return;
		}
		set_split(s, i, false);
	}
}

bool sampler_step(struct sampler *s, struct p2m *p)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 end = min(s->at + SAMPLE_STEP, s->pages);

	for (u32 i = s->at; i < end; i++)
		end_page(s, p, i, &b);
	for (; s->at < end; s->at++)
		begin_page(s, p, s->at);
	p2m_commit(p, &b);
	p2m_flush(p);
	if (s->at < s->pages)
		return false;
	estimate_add(&s->estimate, s->touched, s->seen);
	s->at = s->seen = s->touched = 0;
	return true;
}
