/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walker, and every change of a VM's tables.  It owns the tables' frames
 * and the counts of kinds in their records; it never waits, and never maps a
 * frame that frame.c has not handed over as GUEST, but for the empty bus.
 */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <mm/epoch.h>
#include <mm/p2m.h>
#include <mm/walk.h>

static u64 next_flush_gen = 1;

struct pos walk(const struct p2m *p, u64 gfn, int level)
{
	return walk_hot(p, gfn, level);
}

int p2m_prepare(struct p2m *p, unsigned int flags)
{
	while (p->pool_count < P2M_POOL) {
		int err = frame_alloc_table(&p->acct, flags, &p->pool[p->pool_count]);

		if (err)
			return err;
		p->pool_count++;
	}
	return HV_OK;
}

int p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns)
{
	u64 *root;
	int err;

	/* The lock is not touched but taken: the audit may be waiting for it. */
	spin_lock(&p->lock);
	p->fmt = fmt;
	p->acct.owner = owner; /* promises of a VM that only reboots stay */
	atomic_store(&p->acct.resident, 0UL);
	atomic_store(&p->acct.tables, 0UL);
	p->nr_gfns = nr_gfns;
	atomic_store(&p->ballooned, 0UL);
	atomic_store(&p->flushes, 0UL);
	p->pool_count = 0;
	atomic_store(&p->root.v, 0UL);
	err = frame_alloc_table(&p->acct, 0, &p->root_frame);
	if (!err) {
		root = table_ptr(p->root_frame);
		for (int i = 0; i < PT_ENTRIES; i++)
			root[i] = 0;
		kinds(p->root_frame)[P2M_HOLE] = PT_ENTRIES;
		atomic_store_seq(&p->flush_gen, atomic_add(&next_flush_gen, 1));
		/* Whoever looks for a map without the lock finds all of it, or none. */
		atomic_store_release(&p->root.v, (u64)p->root_frame << PAGE_SHIFT);
	}
	spin_unlock(&p->lock);
	return err;
}

/*
 * CPUs with the iTLB multihit flaw stop with a machine check if a guest
 * changes the size of a page that it runs code from.  So it runs none from
 * large ones: their entries are made by this, and split when it tries.
 */
static u64 leaf(const struct p2m *p, u64 pa, int level, unsigned int prot, enum memtype mt)
{
	if (level > 1 && p->fmt->large_no_exec)
		prot &= ~(unsigned int)PROT_X;
	return pt_leaf(p->fmt, pa, level, prot, mt);
}

/* The entry that child @i of the leaf or kind @e (at @level) has. */
static u64 child_entry(const struct p2m *p, u64 e, int level, u64 i)
{
	if (!present(p, e))
		return e;
	e += i << (level_order(level - 1) + PAGE_SHIFT);
	if (level > 2)
		return e;
	if (p->fmt->large_no_exec)
		e = (e & ~p->fmt->no_exec) | p->fmt->exec;
	return e & ~PT_LARGE;
}

/* Replaces a leaf or a kind by a full table of the next level. Needs the pool. */
static int split_entry(struct p2m *p, struct pos *at)
{
	u64 e = entry(at), *children;
	u32 table;
	int err;

	if (!p->pool_count)
		return HV_ENOMEM;
	if (present(p, e)) {
		err = frame_split_guest(entry_frame(e));
		if (err)
			return err;
	}
	table = p->pool[--p->pool_count];
	children = table_ptr(table);
	for (u64 i = 0; i < PT_ENTRIES; i++)
		children[i] = child_entry(p, e, at->level, i);
	for (int k = 0; k < 4; k++)
		kinds(table)[k] = kind_of(p, e) == (enum p2m_kind)k ? PT_ENTRIES : 0;
	set_entry(p, at, (u64)table << PAGE_SHIFT | p->fmt->table);
	return HV_OK;
}

/* Like walk(), but cuts what is larger than @level on the way. */
int p2m_walk_split(struct p2m *p, u64 gfn, int level, struct pos *at)
{
	for (;;) {
		int err;

		*at = walk(p, gfn, level);
		if (at->level == level)
			return HV_OK;
		err = split_entry(p, at);
		if (err)
			return err;
	}
}

/* A table whose 512 entries are of one non-present kind becomes one entry above it. */
void p2m_collapse(struct p2m *p, u64 gfn, struct pos *at, struct frame_batch *b)
{
	while (at->level < PT_LEVELS) {
		u16 *k = kinds(at->table);
		struct pos up;
		u32 table = at->table;
		enum p2m_kind kind;

		if (k[P2M_EMPTY] == PT_ENTRIES)
			kind = P2M_EMPTY;
		else if (k[P2M_BALLOON] == PT_ENTRIES)
			kind = P2M_BALLOON;
		else if (k[P2M_HOLE] == PT_ENTRIES)
			kind = P2M_HOLE;
		else
			return;
		up = walk(p, gfn, at->level + 1);
		set_entry(p, &up, sw_entry(kind, 0));
		hv_assert(frame_retire_table(&p->acct, table, b) == HV_OK);
		*at = up;
	}
}

int p2m_set_range(struct p2m *p, u64 gfn, u64 n, enum p2m_kind kind)
{
	if (gfn + n < gfn || gfn + n > p->nr_gfns)
		return HV_ERANGE;
	while (n) {
		int level = PT_LEVELS - 1, err;
		struct pos at;

		while (gfn & ((1UL << level_order(level)) - 1) || n < 1UL << level_order(level))
			level--;
		err = p2m_prepare(p, 0);
		if (err)
			return err;
		err = p2m_walk_split(p, gfn, level, &at);
		if (err)
			return err;
		if (kind_of(p, entry(&at)) != P2M_HOLE && kind_of(p, entry(&at)) != P2M_EMPTY)
			return HV_ESTATE;
		set_entry(p, &at, sw_entry(kind, 0));
		gfn += 1UL << level_order(level);
		n -= 1UL << level_order(level);
	}
	return HV_OK;
}

int p2m_set_bus(struct p2m *p, u64 gfn, u64 n, u32 frame)
{
	u64 e = pt_leaf(p->fmt, (u64)frame << PAGE_SHIFT, 1, PROT_R, MEMTYPE_WB) | SW_BUS;

	for (; n; gfn++, n--) {
		struct pos at;
		int err = p2m_prepare(p, 0);

		if (!err)
			err = p2m_walk_split(p, gfn, 1, &at);
		if (err)
			return err;
		if (kind_of(p, entry(&at)) != P2M_HOLE)
			return HV_ESTATE;
		set_entry(p, &at, e);
	}
	return HV_OK;
}

u64 p2m_tables_max(u64 pages, u64 nr_gfns)
{
	const u64 gib = 1UL << level_order(3), top = 1UL << level_order(4);

	/* One more at level 1: memory is cut at 640 KiB and at the hole below 4 GiB. */
	return (pages + PT_ENTRIES - 1) / PT_ENTRIES + 1 + (nr_gfns + gib - 1) / gib +
	       (nr_gfns + top - 1) / top + 1 + P2M_POOL;
}

struct p2m_entry p2m_lookup(const struct p2m *p, u64 gfn)
{
	struct p2m_entry r = { .kind = P2M_HOLE, .frame = FRAME_NONE };
	struct pos at;
	u64 e;

	if (gfn >= p->nr_gfns)
		return r;
	at = walk_hot(p, gfn, 1);
	e = atomic_load_acquire(at.slot); /* the frame behind it was zeroed before */
	if (is_table(p, e, at.level))	  /* became one under us: the caller retries */
		return p2m_lookup(p, gfn);
	r.kind = kind_of(p, e);
	r.order = level_order(at.level);
	if (r.kind == P2M_MAPPED) {
		r.frame = backing_frame(e) + (u32)(gfn & ((1UL << r.order) - 1));
		r.writable = e & p->fmt->write || watched(e);
		r.accessed = p->fmt->accessed ? e & p->fmt->accessed : !watched(e);
	} else {
		r.payload = (~e & PT_ADDR) >> PAGE_SHIFT;
	}
	return r;
}

int p2m_map(struct p2m *p, u64 gfn, u32 frame, unsigned int order, unsigned int prot,
	    enum memtype mt)
{
	int level = order_level(order), err = check_place(p, gfn, order);
	struct pos at;

	if (err)
		return err;
	if (frame & ((1u << order) - 1) || (order == ORDER_1G && !p->fmt->gib_pages))
		return HV_EINVAL;
	at = walk(p, gfn, level);
	if (present(p, entry(&at)) || kind_of(p, entry(&at)) != P2M_EMPTY)
		return HV_ESTATE;
	err = p2m_walk_split(p, gfn, level, &at);
	if (err)
		return err;
	set_entry(p, &at, leaf(p, (u64)frame << PAGE_SHIFT, level, prot, mt));
	return HV_OK;
}

/* What demand-zero memory is mapped by. */
static u64 guest_leaf(const struct p2m *p, u32 frame)
{
	return pt_leaf(p->fmt, (u64)frame << PAGE_SHIFT, 1, PROT_RWX, MEMTYPE_WB);
}

/*
 * Backs the EMPTY entry @at with a large page, if there is a scrubbed one.
 * Never out of the reserve: one fault would use up what can serve hundreds.
 */
static bool populate_large(struct p2m *p, u64 gfn)
{
	u64 base = ALIGN_DOWN(gfn, 1UL << ORDER_2M);
	struct pos at;
	u32 frame;

	if (frame_alloc_guest(&p->acct, base, ORDER_2M, FRAME_CLEAN_ONLY, &frame))
		return false;
	hv_assert(!p2m_walk_split(p, base, 2, &at));
	set_entry(p, &at, leaf(p, (u64)frame << PAGE_SHIFT, 2, PROT_RWX, MEMTYPE_WB));
	return true;
}

int p2m_populate(struct p2m *p, u64 gfn, unsigned int max_order, unsigned int flags,
		 enum p2m_kind *kind)
{
	struct pos at;
	u32 frame;
	int err;

	*kind = P2M_HOLE;
	if (gfn >= p->nr_gfns)
		return HV_ESTATE;
	at = walk_hot(p, gfn, 1);
	*kind = kind_of(p, entry(&at));
	if (watched(entry(&at))) { /* touched, then */
		set_entry(p, &at, guest_leaf(p, backing_frame(entry(&at))));
		return HV_OK;
	}
	if (*kind != P2M_EMPTY)
		return HV_ESTATE;
	if (at.level > 1) {
		err = p2m_prepare(p, flags);
		if (err)
			return err;
		if (max_order >= ORDER_2M && populate_large(p, gfn))
			return HV_OK;
	}
	err = frame_alloc_guest(&p->acct, gfn, ORDER_4K, flags, &frame);
	if (err)
		return err;
	if (at.level > 1)
		hv_assert(!p2m_walk_split(p, gfn, 1, &at));
	set_entry(p, &at, guest_leaf(p, frame));
	return HV_OK;
}

void p2m_destroy(struct p2m *p)
{
	struct frame_batch b = FRAME_BATCH_INIT;

	while (p->pool_count)
		hv_assert(!frame_retire_table(&p->acct, p->pool[--p->pool_count], &b));
	hv_assert(!frame_retire_table(&p->acct, p->root_frame, &b));
	atomic_store(&p->root.v, 0UL);
	p2m_commit(p, &b);
}

int p2m_merge(struct p2m *p, u64 gfn, int level, struct frame_batch *b)
{
	unsigned int order = level_order(level);
	struct pos at = walk(p, gfn, level), child;
	u64 marks = p->fmt->accessed | p->fmt->dirty;
	u64 first, want;
	u32 table;
	int err;

	if (at.level != level || !is_table(p, entry(&at), level) || level > 3 ||
	    (level == 3 && !p->fmt->gib_pages))
		return HV_ESTATE;
	table = entry_frame(entry(&at));
	child.slot = table_ptr(table);
	first = entry(&child) & ~marks;
	for (u64 i = 0; i < PT_ENTRIES; i++, child.slot++) {
		u64 e = entry(&child);

		want = first + (i << (order - 9 + PAGE_SHIFT));
		if (!present(p, e) || is_table(p, e, level - 1) || (e & ~marks) != want)
			return HV_ESTATE;
	}
	err = frame_merge_guest(entry_frame(first), order);
	if (err)
		return err;
	if (p->fmt->large_no_exec)
		first = (first & ~p->fmt->exec) | p->fmt->no_exec;
	set_entry(p, &at, first | PT_LARGE);
	hv_assert(!frame_retire_table(&p->acct, table, b));
	return HV_OK;
}

int p2m_split(struct p2m *p, u64 gfn, unsigned int order)
{
	int err = check_place(p, ALIGN_DOWN(gfn, 1UL << order), order);
	struct pos at;

	if (!err)
		err = p2m_prepare(p, 0);
	return err ? err : p2m_walk_split(p, gfn, order_level(order), &at);
}

bool p2m_make_executable(struct p2m *p, u64 gfn, int *err)
{
	struct p2m_entry e = p2m_lookup(p, gfn);

	*err = HV_OK;
	if (!p->fmt->large_no_exec || e.kind != P2M_MAPPED || e.order == ORDER_4K)
		return false;
	*err = p2m_split(p, gfn, ORDER_4K);
	return !*err;
}

int p2m_pin(struct p2m *p, u64 gfn, struct p2m_entry *e)
{
	*e = p2m_lookup(p, gfn);
	return e->kind == P2M_MAPPED ? frame_pin(p2m_leaf(e)) : HV_ESTATE;
}

int p2m_unpin(const struct p2m_entry *e)
{
	return frame_unpin(p2m_leaf(e));
}

bool p2m_test_clear_accessed(struct p2m *p, u64 gfn)
{
	struct pos at = walk(p, gfn, 1);
	u64 bit = p->fmt->accessed;

	if (!present(p, entry(&at)) || !(entry(&at) & bit))
		return false;
	atomic_and(at.slot, ~bit);
	return true;
}

bool p2m_watch(struct p2m *p, u64 gfn)
{
	struct pos at = walk(p, gfn, 1);
	u64 e = entry(&at);

	if (p->fmt->accessed) {
		p2m_test_clear_accessed(p, gfn);
		return true;
	}
	if (at.level > 1 || !present(p, e) || e != guest_leaf(p, entry_frame(e)))
		return false;
	set_entry(p, &at, SW_WATCHED | (~e & PT_ADDR));
	return true;
}

void p2m_unwatch(struct p2m *p, u64 gfn)
{
	struct pos at = walk(p, gfn, 1);

	if (watched(entry(&at)))
		set_entry(p, &at, guest_leaf(p, backing_frame(entry(&at))));
}

/* `make BREAK=shootdown` leaves out the kick and the wait: tests/run/shootdown must then fail. */
static void kick_others(u64 mask)
{
#ifdef BREAK_shootdown
	mask = 0;
#endif
	for (mask &= ~BIT(plat_cpu()); mask; mask &= mask - 1)
		plat_kick((u32)__builtin_ctzl(mask));
}

void p2m_commit(struct p2m *p, struct frame_batch *b)
{
	u64 epoch;

	if (b->first == FRAME_NONE)
		return;
	atomic_store_seq(&p->flush_gen, atomic_add(&next_flush_gen, 1));
	tally_add(&p->flushes, 1);
	epoch = epoch_advance();
	quarantine_commit(&p->acct, b, epoch);
	kick_others(atomic_load_seq(&p->active));
}

void p2m_flush(struct p2m *p)
{
	atomic_store_seq(&p->flush_gen, atomic_add(&next_flush_gen, 1));
	kick_others(atomic_load_seq(&p->active));
}
