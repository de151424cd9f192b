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

static u64 next_flush_gen = 1;

/* A position in the tables: the entry, its level, and the table it is in. */
struct pos {
	u64 *slot;
	int level;
	u32 table;
};

static u64 sw_entry(enum p2m_kind kind, u64 payload)
{
	if (kind == P2M_HOLE)
		return 0;
	return (u64)kind << SW_KIND_SHIFT | (~(payload << PAGE_SHIFT) & PT_ADDR);
}

static bool watched(u64 e)
{
	return (e & (SW_KIND_MASK | READABLE)) == SW_WATCHED;
}

/* For the CPU; is there a frame or a table? */
static bool present(const struct p2m *p, u64 e)
{
	(void)p;
	return (e & (SW_BUS | READABLE)) == READABLE;
}

/* A frame is behind it, whether the CPU may use it or not. */
static bool backed(const struct p2m *p, u64 e)
{
	return present(p, e) || watched(e);
}

static bool is_table(const struct p2m *p, u64 e, int level)
{
	return level > 1 && present(p, e) && !(e & PT_LARGE);
}

static enum p2m_kind kind_of(const struct p2m *p, u64 e)
{
	if (present(p, e))
		return P2M_MAPPED;
	if (e & SW_BUS)
		return P2M_HOLE;
	e &= SW_KIND_MASK;
	return e == SW_WATCHED ? P2M_MAPPED : (enum p2m_kind)(e >> SW_KIND_SHIFT);
}

static u32 entry_frame(u64 e)
{
	return (u32)((e & PT_ADDR) >> PAGE_SHIFT);
}

/* Of what is backed. */
static u32 backing_frame(u64 e)
{
	return entry_frame(e & READABLE ? e : ~e);
}

static u64 *table_ptr(u32 frame)
{
	return plat_ptr(HPA((u64)frame << PAGE_SHIFT));
}

static u16 *kinds(u32 table)
{
	return ((struct frame *)frame_get(table))->kinds;
}

/* Walks toward @level; stops early at an entry that is not a table. */
static struct pos walk(const struct p2m *p, u64 gfn, int level)
{
	struct pos at = { .level = PT_LEVELS, .table = p->root_frame };

	for (;;) {
		u64 e;

		at.slot = &table_ptr(at.table)[pt_index(gfn, at.level)];
		if (at.level == level)
			return at;
		e = atomic_load(at.slot);
		if (!is_table(p, e, at.level))
			return at;
		at.table = (u32)((e & PT_ADDR) >> PAGE_SHIFT);
		at.level--;
	}
}

/* The kind an entry counts as in its table's record; tables count as MAPPED. */
static void count(struct p2m *p, u32 table, u64 old, u64 new)
{
	enum p2m_kind from = kind_of(p, old), to = kind_of(p, new);

	if (from < 4)
		kinds(table)[from]--;
	if (to < 4)
		kinds(table)[to]++;
}

static void set_entry(struct p2m *p, struct pos *at, u64 e)
{
	count(p, at->table, *at->slot, e);
	atomic_store_release(at->slot, e);
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
	p->acct = (struct frame_acct){ .owner = owner };
	p->nr_gfns = nr_gfns;
	p->ballooned = p->flushes = 0;
	p->pool_count = 0;
	p->root = HPA(0);
	err = frame_alloc_table(&p->acct, 0, &p->root_frame);
	if (!err) {
		root = table_ptr(p->root_frame);
		for (int i = 0; i < PT_ENTRIES; i++)
			root[i] = 0;
		kinds(p->root_frame)[P2M_HOLE] = PT_ENTRIES;
		p->root = HPA((u64)p->root_frame << PAGE_SHIFT);
		p->flush_gen = atomic_add(&next_flush_gen, 1);
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
	u64 e = *at->slot, *children;
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
static int walk_split(struct p2m *p, u64 gfn, int level, struct pos *at)
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
static void collapse(struct p2m *p, u64 gfn, struct pos *at, struct frame_batch *b)
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
		err = walk_split(p, gfn, level, &at);
		if (err)
			return err;
		if (kind_of(p, *at.slot) != P2M_HOLE && kind_of(p, *at.slot) != P2M_EMPTY)
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
			err = walk_split(p, gfn, 1, &at);
		if (err)
			return err;
		if (kind_of(p, *at.slot) != P2M_HOLE)
			return HV_ESTATE;
		set_entry(p, &at, e);
	}
	return HV_OK;
}

struct p2m_entry p2m_lookup(const struct p2m *p, u64 gfn)
{
	struct p2m_entry r = { .kind = P2M_HOLE, .frame = FRAME_NONE };
	struct pos at;
	u64 e;

	if (gfn >= p->nr_gfns)
		return r;
	at = walk(p, gfn, 1);
	e = atomic_load(at.slot);
	if (is_table(p, e, at.level)) /* became one under us: the caller retries */
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

static int order_level(unsigned int order)
{
	return order == ORDER_4K ? 1 : order == ORDER_2M ? 2 : order == ORDER_1G ? 3 : 0;
}

static int check_place(const struct p2m *p, u64 gfn, unsigned int order)
{
	u64 n = 1UL << order;

	if (!order_level(order) || gfn & (n - 1))
		return HV_EINVAL;
	return gfn < p->nr_gfns && n <= p->nr_gfns - gfn ? HV_OK : HV_ERANGE;
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
	if (present(p, *at.slot) || kind_of(p, *at.slot) != P2M_EMPTY)
		return HV_ESTATE;
	err = walk_split(p, gfn, level, &at);
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
 * Backs the EMPTY entry @at with a large page, if one is to be had scrubbed.
 * Never out of the reserve: one fault would use up what is to serve hundreds.
 */
static bool populate_large(struct p2m *p, u64 gfn)
{
	u64 base = ALIGN_DOWN(gfn, 1UL << ORDER_2M);
	struct pos at;
	u32 frame;

	if (frame_alloc_guest(&p->acct, base, ORDER_2M, FRAME_CLEAN_ONLY, &frame))
		return false;
	hv_assert(!walk_split(p, base, 2, &at));
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
	at = walk(p, gfn, 1);
	*kind = kind_of(p, *at.slot);
	if (watched(*at.slot)) { /* touched, then */
		set_entry(p, &at, guest_leaf(p, backing_frame(*at.slot)));
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
		hv_assert(!walk_split(p, gfn, 1, &at));
	set_entry(p, &at, guest_leaf(p, frame));
	return HV_OK;
}

/* May the memory of the whole table under @at go? */
static int table_lockable(struct p2m *p, u32 table)
{
	u16 *k = kinds(table);
	u64 *e = table_ptr(table);

	if (k[P2M_BALLOON])
		return HV_ESTATE;
	if (k[P2M_MAPPED] + k[P2M_EMPTY] != PT_ENTRIES)
		return HV_ERANGE;
	for (int i = 0; i < PT_ENTRIES; i++)
		if (backed(p, e[i]) && frame_get(backing_frame(e[i]))->aux)
			return HV_EBUSY;
	return HV_OK;
}

static void drop_table(struct p2m *p, struct pos *at, enum p2m_kind to, struct frame_batch *b)
{
	u32 table = entry_frame(*at->slot);
	u64 *e = table_ptr(table);

	set_entry(p, at, sw_entry(to, 0));
	for (int i = 0; i < PT_ENTRIES; i++)
		if (backed(p, e[i]))
			hv_assert(!frame_retire_guest(&p->acct, backing_frame(e[i]), b));
	hv_assert(!frame_retire_table(&p->acct, table, b));
}

/* An entry of exactly the wanted level that is a leaf or a kind. */
static void drop_entry(struct p2m *p, struct pos *at, enum p2m_kind to, struct frame_batch *b)
{
	u64 e = *at->slot;

	set_entry(p, at, sw_entry(to, 0));
	if (backed(p, e))
		hv_assert(!frame_retire_guest(&p->acct, backing_frame(e), b));
}

static int lockable(const struct p2m *p, u64 e)
{
	switch (kind_of(p, e)) {
	case P2M_MAPPED:
		return frame_get(backing_frame(e))->aux ? HV_EBUSY : HV_OK;
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
	at = walk(p, gfn, level);
	if (is_table(p, *at.slot, at.level)) {
		if (level != 2) /* 1 GiB entries are not part of the protocol */
			return HV_EINVAL;
		*work += PT_ENTRIES;
		err = table_lockable(p, entry_frame(*at.slot));
		if (err)
			return err;
		drop_table(p, &at, to, b);
	} else {
		err = lockable(p, *at.slot);
		if (err || kind_of(p, *at.slot) == to)
			return err;
		if (at.level != level) {
			*work += PT_ENTRIES;
			err = p2m_prepare(p, FRAME_USE_RESERVE);
			if (!err)
				err = walk_split(p, gfn, level, &at);
			if (err)
				return err;
		}
		drop_entry(p, &at, to, b);
	}
	if (to == P2M_BALLOON)
		p->ballooned += 1UL << order;
	collapse(p, gfn, &at, b);
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
		if (kind_of(p, *at.slot) == P2M_BALLOON) {
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
	at = walk(p, gfn, level);
	if (is_table(p, *at.slot, at.level)) {
		u32 table = entry_frame(*at.slot);

		/* A 2 MiB entry of which the guest popped some: the rest goes out. */
		if (level != 2)
			return HV_EINVAL;
		if (!kinds(table)[P2M_BALLOON])
			return HV_ESTATE;
		*work += PT_ENTRIES;
		n = unlock_table(p, table);
		at = walk(p, gfn, 1);
	} else {
		if (kind_of(p, *at.slot) != P2M_BALLOON)
			return kind_of(p, *at.slot) == P2M_HOLE ? HV_ERANGE : HV_ESTATE;
		if (at.level != level) {
			*work += PT_ENTRIES;
			err = p2m_prepare(p, FRAME_USE_RESERVE);
			if (!err)
				err = walk_split(p, gfn, level, &at);
			if (err)
				return err;
		}
		set_entry(p, &at, sw_entry(P2M_EMPTY, 0));
	}
	p->ballooned -= n;
	collapse(p, gfn, &at, b);
	return HV_OK;
}

/*
 * Visits the entries from *@gfn on, one by one, at whatever size they have.
 * @op may replace the entry; a table that it empties collapses.
 */
static int sweep(struct p2m *p, u64 *gfn, struct frame_batch *b,
		 void (*op)(struct p2m *p, struct pos *at, struct frame_batch *b))
{
	for (int work = 0; work < P2M_WORK_MAX; work++) {
		struct pos at;
		u64 here = *gfn;

		if (here >= p->nr_gfns)
			return HV_OK;
		at = walk(p, here, 1);
		*gfn = (here | ((1UL << level_order(at.level)) - 1)) + 1;
		op(p, &at, b);
		collapse(p, here, &at, b);
	}
	return HV_EAGAIN;
}

static void op_reset(struct p2m *p, struct pos *at, struct frame_batch *b)
{
	(void)b;
	if (kind_of(p, *at->slot) == P2M_BALLOON) {
		p->ballooned -= 1UL << level_order(at->level);
		set_entry(p, at, sw_entry(P2M_EMPTY, 0));
	}
}

static void op_teardown(struct p2m *p, struct pos *at, struct frame_batch *b)
{
	u64 e = *at->slot;

	if (kind_of(p, e) == P2M_BALLOON)
		p->ballooned -= 1UL << level_order(at->level);
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

void p2m_destroy(struct p2m *p)
{
	struct frame_batch b = FRAME_BATCH_INIT;

	while (p->pool_count)
		hv_assert(!frame_retire_table(&p->acct, p->pool[--p->pool_count], &b));
	hv_assert(!frame_retire_table(&p->acct, p->root_frame, &b));
	p->root = HPA(0);
	frame_reserve_drop(&p->acct);
	p2m_commit(p, &b);
}

int p2m_merge(struct p2m *p, u64 gfn, int level, struct frame_batch *b)
{
	unsigned int order = level_order(level);
	struct pos at = walk(p, gfn, level);
	u64 *e, first, want;
	u32 table;
	int err;

	if (at.level != level || !is_table(p, *at.slot, level) || level > 3 ||
	    (level == 3 && !p->fmt->gib_pages))
		return HV_ESTATE;
	table = entry_frame(*at.slot);
	e = table_ptr(table);
	first = e[0] & ~(p->fmt->accessed | p->fmt->dirty);
	for (u64 i = 0; i < PT_ENTRIES; i++) {
		want = first + (i << (order - 9 + PAGE_SHIFT));
		if (!present(p, e[i]) || is_table(p, e[i], level - 1) ||
		    (e[i] & ~(p->fmt->accessed | p->fmt->dirty)) != want)
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
	return err ? err : walk_split(p, gfn, order_level(order), &at);
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

int p2m_pin(struct p2m *p, u64 gfn, u32 *frame)
{
	struct p2m_entry e = p2m_lookup(p, gfn);
	int err;

	if (e.kind != P2M_MAPPED)
		return HV_ESTATE;
	if (e.order) {
		err = p2m_split(p, gfn, ORDER_4K);
		if (err)
			return err;
		e = p2m_lookup(p, gfn);
	}
	*frame = e.frame;
	return frame_pin(e.frame);
}

int p2m_unpin(struct p2m *p, u64 gfn)
{
	struct p2m_entry e = p2m_lookup(p, gfn);

	return e.kind == P2M_MAPPED ? frame_unpin(e.frame) : HV_ESTATE;
}

bool p2m_test_clear_accessed(struct p2m *p, u64 gfn)
{
	struct pos at = walk(p, gfn, 1);
	u64 bit = p->fmt->accessed;

	if (!present(p, *at.slot) || !(*at.slot & bit))
		return false;
	atomic_and(at.slot, ~bit);
	return true;
}

bool p2m_watch(struct p2m *p, u64 gfn)
{
	struct pos at = walk(p, gfn, 1);
	u64 e = *at.slot;

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

	if (watched(*at.slot))
		set_entry(p, &at, guest_leaf(p, backing_frame(*at.slot)));
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
	p->flushes++;
	epoch = epoch_advance();
	quarantine_commit(&p->acct, b, epoch);
	kick_others(atomic_load_seq(&p->active));
}

void p2m_flush(struct p2m *p)
{
	atomic_store_seq(&p->flush_gen, atomic_add(&next_flush_gen, 1));
	kick_others(atomic_load_seq(&p->active));
}

/* One leaf or kind against the frame table. */
static int audit_entry(struct p2m *p, u64 gfn, const struct pos *at)
{
	u64 e = *at->slot;
	u32 frame = backing_frame(e);
	const struct frame *f = frame_get(frame);
	u64 base = ALIGN_DOWN(gfn, 1UL << level_order(at->level));

	if (!backed(p, e))
		return HV_OK;
	if (!f || f->state != FRAME_GUEST || f->owner != p->acct.owner || f->gfn != base ||
	    f->order != level_order(at->level))
		return log_error(
			HV_ECORRUPT,
			"audit: VM %u gfn %lx maps frame %x: record says state %u, VM %u, gfn %lx, order %u",
			p->acct.owner, gfn, frame, f ? f->state : 0, f ? f->owner : 0,
			f ? f->gfn : 0, f ? f->order : 0);
	return HV_OK;
}

/* The counts in a table's record against its entries. */
static int audit_table(struct p2m *p, u32 table)
{
	const u64 *e = table_ptr(table);
	const struct frame *f = frame_get(table);
	u16 seen[P2M_NR_KINDS] = { 0 };

	for (int i = 0; i < PT_ENTRIES; i++)
		seen[kind_of(p, e[i])]++;
	for (int k = 0; k < 4; k++)
		if (f->state != FRAME_TABLE || f->owner != p->acct.owner || f->kinds[k] != seen[k])
			return log_error(HV_ECORRUPT,
					 "audit: VM %u table %x: kind %d counted %u, is %u",
					 p->acct.owner, table, k, f->kinds[k], seen[k]);
	return HV_OK;
}

int p2m_audit(struct p2m *p, u64 *gfn)
{
	for (int work = 0; work < P2M_WORK_MAX && *gfn < p->nr_gfns; work++) {
		struct pos at = walk(p, *gfn, 1);
		int err = HV_OK;

		/* Tables where they begin, and those above that begin here too. */
		for (int l = at.level; l <= PT_LEVELS && !err && pt_index(*gfn, l) == 0; l++) {
			work += PT_ENTRIES / 8;
			err = audit_table(p, walk(p, *gfn, l).table);
		}
		if (!err)
			err = audit_entry(p, *gfn, &at);
		if (err)
			return err;
		*gfn = (*gfn | ((1UL << level_order(at.level)) - 1)) + 1;
	}
	return *gfn < p->nr_gfns ? HV_EAGAIN : HV_OK;
}
