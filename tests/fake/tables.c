/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fake/tables.h>

#define WATCHED 6 /* not present, and the frame stays: mm/p2m.c */

static u64 *table_at(u64 frame)
{
	return plat_ptr(HPA(frame << PAGE_SHIFT));
}

/* L1TF: the address that a CPU would fetch by ignoring the present bit must not be RAM. */
static void check_absent(const struct p2m *p, u64 e)
{
	enum p2m_kind kind = (enum p2m_kind)(e >> 3 & 7);

	assert_int_not_equal(kind, P2M_MAPPED);
	if (kind == WATCHED) /* by the accessed bit where there is one */
		assert_int_equal(p->fmt->accessed, 0);
	assert_true((e & PT_ADDR) >> PAGE_SHIFT >= fake.nr_frames);
	assert_int_equal(e & p->fmt->present, 0);
}

#define BUS BIT(52)

/* A hole that is only read: all of them share one page of the host. */
static void check_bus(const struct p2m *p, u64 e, int level)
{
	assert_int_equal(level, 1);
	assert_int_equal(e & p->fmt->read, p->fmt->read);
	assert_int_equal(e & (p->fmt->write | p->fmt->exec), 0);
	assert_int_equal(e & p->fmt->no_exec, p->fmt->no_exec);
	assert_int_equal(frame_get((u32)((e & PT_ADDR) >> PAGE_SHIFT))->state, FRAME_HV);
}

static void sum_table(const struct p2m *p, u64 frame, int level, u64 gfn, struct tables_sum *s)
{
	const u64 *t = table_at(frame);
	u64 span = 1UL << level_order(level);

	s->tables++;
	for (u64 i = 0; i < PT_ENTRIES; i++, gfn += span) {
		u64 e = t[i];

		if (gfn >= p->nr_gfns && e)
			fail_msg("entry above the top, gfn %lx", gfn);
		if (e & p->fmt->present && e & BUS) {
			check_bus(p, e, level);
			s->bus += span;
		} else if (e & p->fmt->present) {
			if (level > 1 && !(e & PT_LARGE)) {
				sum_table(p, (e & PT_ADDR) >> PAGE_SHIFT, level - 1, gfn, s);
				continue;
			}
			s->mapped += span;
			s->large += level > 1;
		} else if (e) {
			check_absent(p, e);
			s->mapped += (e >> 3 & 7) == WATCHED ? span : 0;
			s->watched += (e >> 3 & 7) == WATCHED ? span : 0;
			s->ballooned += (e >> 3 & 7) == P2M_BALLOON ? span : 0;
			s->empty += (e >> 3 & 7) == P2M_EMPTY ? span : 0;
		}
	}
}

struct tables_sum tables_sum(const struct p2m *p)
{
	struct tables_sum s = { 0 };

	sum_table(p, p->root_frame, PT_LEVELS, 0, &s);
	return s;
}

void tables_check(struct p2m *p)
{
	struct tables_sum s = tables_sum(p);
	struct frame_stats f = frames_stats();
	u64 gfn = 0;
	int err;

	do {
		u64 before = gfn;

		err = p2m_audit(p, &gfn);
		assert_true(err == HV_OK || gfn > before);
	} while (err == HV_EAGAIN);
	assert_int_equal(err, HV_OK);
	assert_int_equal(s.ballooned, p->ballooned);
	assert_int_equal(s.mapped, p->acct.resident);
	assert_int_equal(s.tables + p->pool_count, p->acct.tables);
	assert_int_equal(f.free_dirty + f.free_clean + f.quarantine + f.hv + f.table + f.guest +
				 f.bad,
			 f.total);
}

u64 *tables_entry(const struct p2m *p, u64 gfn, int *level)
{
	u64 table = p->root_frame;

	for (*level = PT_LEVELS;; --*level) {
		u64 *e = &table_at(table)[gfn >> level_order(*level) & 511];

		if (*level == 1 || !(*e & p->fmt->present) || *e & PT_LARGE)
			return e;
		table = (*e & PT_ADDR) >> PAGE_SHIFT;
	}
}

struct snapshot snapshot_take(const struct p2m *p)
{
	struct snapshot s = { .ballooned = p->ballooned, .resident = p->acct.resident };

	for (u64 gfn = 0; gfn < p->nr_gfns; s.entries++) {
		struct p2m_entry e = p2m_lookup(p, gfn);
		u64 one = e.kind | e.order << 4 | (u64)e.frame << 16 | (u64)e.writable << 60;

		s.hash = (s.hash ^ (one + gfn)) * 0x9e3779b97f4a7c15UL;
		gfn = (gfn | ((1UL << e.order) - 1)) + 1;
	}
	return s;
}

void snapshot_same(const struct p2m *p, const struct snapshot *s)
{
	struct snapshot n = snapshot_take(p);

	assert_int_equal(n.entries, s->entries);
	assert_int_equal(n.hash, s->hash);
	assert_int_equal(n.ballooned, s->ballooned);
	assert_int_equal(n.resident, s->resident);
}
