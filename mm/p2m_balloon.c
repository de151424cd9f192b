/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a guest gives and takes back: lock, unlock, report; and the sweeps over a
 * whole map, which are resumable.  Every entry is validated before it is changed.
 */
#include <mm/walk.h>

/* May the memory of the whole table under @at go? */
static int table_lockable(struct p2m *p, u32 table)
{
	u16 *k = kinds(table);
	struct pos at = { .slot = table_ptr(table) };

	if (k[P2M_BALLOON])
		return HV_ESTATE;
	if (k[P2M_MAPPED] + k[P2M_EMPTY] != PT_ENTRIES)
		return HV_ERANGE;
	for (int i = 0; i < PT_ENTRIES; i++, at.slot++)
		if (backed(p, entry(&at)) &&
		    atomic_load(&frame_get(backing_frame(entry(&at)))->aux))
			return HV_EBUSY;
	return HV_OK;
}

static void drop_table(struct p2m *p, struct pos *at, enum p2m_kind to, struct frame_batch *b)
{
	u32 table = entry_frame(entry(at));
	struct pos child = { .slot = table_ptr(table) };

	set_entry(p, at, sw_entry(to, 0));
	for (int i = 0; i < PT_ENTRIES; i++, child.slot++)
		if (backed(p, entry(&child)))
			hv_assert(!frame_retire_guest(&p->acct, backing_frame(entry(&child)), b));
	hv_assert(!frame_retire_table(&p->acct, table, b));
}

/* An entry of exactly the wanted level that is a leaf or a kind. */
static void drop_entry(struct p2m *p, struct pos *at, enum p2m_kind to, struct frame_batch *b)
{
	u64 e = entry(at);

	set_entry(p, at, sw_entry(to, 0));
	if (backed(p, e))
		hv_assert(!frame_retire_guest(&p->acct, backing_frame(e), b));
}

static int lockable(const struct p2m *p, u64 e)
{
	switch (kind_of(p, e)) {
	case P2M_MAPPED:
		return atomic_load(&frame_get(backing_frame(e))->aux) ? HV_EBUSY : HV_OK;
	case P2M_EMPTY:
		return HV_OK;
	case P2M_BALLOON:
		return HV_ESTATE;
	default:
		return HV_ERANGE;
	}
}

/* The frames over @gfn go, and the place becomes @to: BALLOON or EMPTY. */
static int drop(struct p2m *p, u64 gfn, unsigned int order, enum p2m_kind to, struct frame_batch *b,
		u64 *work)
{
	int level = order_level(order), err = check_place(p, gfn, order);
	struct pos at;

	*work += 1;
	if (err)
		return err;
	at = walk_hot(p, gfn, level);
	if (is_table(p, entry(&at), at.level)) {
		if (level != 2) /* 1 GiB entries are not part of the protocol */
			return HV_EINVAL;
		*work += PT_ENTRIES;
		err = table_lockable(p, entry_frame(entry(&at)));
		if (err)
			return err;
		drop_table(p, &at, to, b);
	} else {
		err = lockable(p, entry(&at));
		if (err || kind_of(p, entry(&at)) == to)
			return err;
		if (at.level != level) {
			*work += PT_ENTRIES;
			err = p2m_prepare(p, FRAME_USE_RESERVE);
			if (!err)
				err = p2m_walk_split(p, gfn, level, &at);
			if (err)
				return err;
		}
		drop_entry(p, &at, to, b);
	}
	if (to == P2M_BALLOON)
		tally_add(&p->ballooned, 1UL << order);
	p2m_collapse(p, gfn, &at, b);
	return HV_OK;
}

int p2m_lock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work)
{
	return drop(p, gfn, order, P2M_BALLOON, b, work);
}

int p2m_report(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work)
{
	return drop(p, gfn, order, P2M_EMPTY, b, work);
}

/* Every BALLOON entry of the table becomes EMPTY; returns how many there were. */
static u64 unlock_table(struct p2m *p, u32 table)
{
	struct pos at = { .slot = table_ptr(table), .level = 1, .table = table };
	u64 n = 0;

	for (int i = 0; i < PT_ENTRIES; i++, at.slot++)
		if (kind_of(p, entry(&at)) == P2M_BALLOON) {
			set_entry(p, &at, sw_entry(P2M_EMPTY, 0));
			n++;
		}
	return n;
}

int p2m_unlock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work)
{
	int level = order_level(order), err = check_place(p, gfn, order);
	struct pos at;
	u64 n = 1UL << order;

	*work += 1;
	if (err)
		return err;
	at = walk_hot(p, gfn, level);
	if (is_table(p, entry(&at), at.level)) {
		u32 table = entry_frame(entry(&at));

		/* A 2 MiB entry of which the guest popped some: the rest goes out. */
		if (level != 2)
			return HV_EINVAL;
		if (!kinds(table)[P2M_BALLOON])
			return HV_ESTATE;
		*work += PT_ENTRIES;
		n = unlock_table(p, table);
		at = walk(p, gfn, 1);
	} else {
		if (kind_of(p, entry(&at)) != P2M_BALLOON)
			return kind_of(p, entry(&at)) == P2M_HOLE ? HV_ERANGE : HV_ESTATE;
		if (at.level != level) {
			*work += PT_ENTRIES;
			err = p2m_prepare(p, FRAME_USE_RESERVE);
			if (!err)
				err = p2m_walk_split(p, gfn, level, &at);
			if (err)
				return err;
		}
		set_entry(p, &at, sw_entry(P2M_EMPTY, 0));
	}
	tally_sub(&p->ballooned, n);
	p2m_collapse(p, gfn, &at, b);
	return HV_OK;
}

/* An entry costs a walk, even if nothing is done to it: half as many as other operations. */
#define SWEEP_MAX (P2M_WORK_MAX / 2)

/*
 * Visits the entries from *@gfn on, one by one, at whatever size they have.
 * @op may replace the entry; a table that it empties collapses.
 */
static int sweep(struct p2m *p, u64 *gfn, struct frame_batch *b,
		 void (*op)(struct p2m *p, struct pos *at, struct frame_batch *b))
{
	for (int work = 0; work < SWEEP_MAX; work++) {
		struct pos at;
		u64 here = *gfn;

		if (here >= p->nr_gfns)
			return HV_OK;
		at = walk(p, here, 1);
		*gfn = (here | ((1UL << level_order(at.level)) - 1)) + 1;
		op(p, &at, b);
		p2m_collapse(p, here, &at, b);
	}
	return HV_EAGAIN;
}

static void op_reset(struct p2m *p, struct pos *at, struct frame_batch *b)
{
	(void)b;
	if (kind_of(p, entry(at)) == P2M_BALLOON) {
		tally_sub(&p->ballooned, 1UL << level_order(at->level));
		set_entry(p, at, sw_entry(P2M_EMPTY, 0));
	}
}

static void op_teardown(struct p2m *p, struct pos *at, struct frame_batch *b)
{
	u64 e = entry(at);

	if (kind_of(p, e) == P2M_BALLOON)
		tally_sub(&p->ballooned, 1UL << level_order(at->level));
	if (e)
		set_entry(p, at, 0);
	if (backed(p, e)) {
		frame_unpin_all(backing_frame(e)); /* the VM is gone, and its pins with it */
		hv_assert(!frame_retire_guest(&p->acct, backing_frame(e), b));
	}
}

int p2m_reset_balloon(struct p2m *p, u64 *gfn, struct frame_batch *b)
{
	return p->ballooned ? sweep(p, gfn, b, op_reset) : HV_OK;
}

int p2m_teardown(struct p2m *p, u64 *gfn, struct frame_batch *b)
{
	return sweep(p, gfn, b, op_teardown);
}
