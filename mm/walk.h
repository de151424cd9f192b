/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of a p2m's tables, and the walk to one.  Private to mm/: p2m.c, p2m_balloon.c,
 * audit.c.  Everything here needs p2m->lock unless it says otherwise.
 */
#ifndef MM_WALK_H
#define MM_WALK_H

#include <hv/base/platform.h>
#include <mm/p2m.h>

#define SW_KIND_SHIFT 3 /* bits 2:0 stay 0: not present in EPT and in NPT */
#define SW_KIND_MASK (7UL << SW_KIND_SHIFT)
/*
 * MAPPED in all respects, and yet not present: p2m_watch().  Only such 4 KiB leaves as
 * p2m_populate() makes, so that the frame, inverted like a payload, is all there is to keep.
 */
#define SW_WATCHED (6UL << SW_KIND_SHIFT)
/* A hole that the CPU may read without us, p2m_set_bus(): of a leaf's bits ignored in both. */
#define SW_BUS BIT(52)
/* R of EPT, P of NPT: what we map can be read, so the format's other bits need no test. */
#define READABLE BIT(0)

_Static_assert(P2M_MAPPED < 4, "the first four kinds are counted per table");
_Static_assert(SW_WATCHED >> SW_KIND_SHIFT >= P2M_NR_KINDS, "no kind's number");

/* A position in the tables: the entry, its level, and the table it is in. */
struct pos {
	u64 *slot;
	int level;
	u32 table;
};

static inline u64 sw_entry(enum p2m_kind kind, u64 payload)
{
	if (kind == P2M_HOLE)
		return 0;
	return (u64)kind << SW_KIND_SHIFT | (~(payload << PAGE_SHIFT) & PT_ADDR);
}

static inline bool watched(u64 e)
{
	return (e & (SW_KIND_MASK | READABLE)) == SW_WATCHED;
}

/* For the CPU; is there a frame or a table? */
static inline bool present(const struct p2m *p, u64 e)
{
	(void)p;
	return (e & (SW_BUS | READABLE)) == READABLE;
}

/* A frame is behind it, whether the CPU may use it or not. */
static inline bool backed(const struct p2m *p, u64 e)
{
	return present(p, e) || watched(e);
}

static inline bool is_table(const struct p2m *p, u64 e, int level)
{
	return level > 1 && present(p, e) && !(e & PT_LARGE);
}

static inline enum p2m_kind kind_of(const struct p2m *p, u64 e)
{
	if (present(p, e))
		return P2M_MAPPED;
	if (e & SW_BUS)
		return P2M_HOLE;
	e &= SW_KIND_MASK;
	return e == SW_WATCHED ? P2M_MAPPED : (enum p2m_kind)(e >> SW_KIND_SHIFT);
}

static inline u32 entry_frame(u64 e)
{
	return (u32)((e & PT_ADDR) >> PAGE_SHIFT);
}

/* Of what is backed. */
static inline u32 backing_frame(u64 e)
{
	return entry_frame(e & READABLE ? e : ~e);
}

static inline u64 *table_ptr(u32 frame)
{
	return plat_ptr(HPA((u64)frame << PAGE_SHIFT));
}

static inline u16 *kinds(u32 table)
{
	return ((struct frame *)frame_get(table))->kinds;
}

/* The CPU marks entries while we look at them, also under the lock. */
static inline u64 entry(const struct pos *at)
{
	return atomic_load(at->slot);
}

/* Walks toward @level; stops early at an entry that is not a table. walk() is the same, not inline. */
static inline struct pos walk_hot(const struct p2m *p, u64 gfn, int level)
{
	struct pos at = { .level = PT_LEVELS, .table = p->root_frame };

	for (;;) {
		u64 e;

		at.slot = &table_ptr(at.table)[pt_index(gfn, at.level)];
		if (at.level == level)
			return at;
		e = atomic_load_acquire(at.slot); /* the table behind it was filled before */
		if (!is_table(p, e, at.level))
			return at;
		at.table = (u32)((e & PT_ADDR) >> PAGE_SHIFT);
		at.level--;
	}
}

/* The kind an entry counts as in its table's record; tables count as MAPPED. */
static inline void count(struct p2m *p, u32 table, u64 old, u64 new)
{
	enum p2m_kind from = kind_of(p, old), to = kind_of(p, new);

	if (from < 4)
		kinds(table)[from]--;
	if (to < 4)
		kinds(table)[to]++;
}

static inline void set_entry(struct p2m *p, struct pos *at, u64 e)
{
	count(p, at->table, entry(at), e);
	atomic_store_release(at->slot, e);
}

static inline int order_level(unsigned int order)
{
	return order == ORDER_4K ? 1 : order == ORDER_2M ? 2 : order == ORDER_1G ? 3 : 0;
}

static inline int check_place(const struct p2m *p, u64 gfn, unsigned int order)
{
	u64 n = 1UL << order;

	if (!order_level(order) || gfn & (n - 1))
		return HV_EINVAL;
	return gfn < p->nr_gfns && n <= p->nr_gfns - gfn ? HV_OK : HV_ERANGE;
}

struct pos walk(const struct p2m *p, u64 gfn, int level);

/* Like walk(), but cuts what is larger than @level on the way; needs p2m_prepare(). */
int p2m_walk_split(struct p2m *p, u64 gfn, int level, struct pos *at);

/* A table whose 512 entries are of one non-present kind becomes one entry above it. */
void p2m_collapse(struct p2m *p, u64 gfn, struct pos *at, struct frame_batch *b);

#endif
