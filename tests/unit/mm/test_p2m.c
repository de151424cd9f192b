/* SPDX-License-Identifier: BSD-2-Clause */
/* The walker and all changes of a p2m, in EPT's format and in NPT's. */
#include <mm/guestmem.h>
#include <tests/unit/mm/p2m_fixture.h>

static void ranges_and_holes(void **state)
{
	(void)state;
	assert_int_equal(p2m_lookup(&p, 0).order, ORDER_1G);
	assert_int_equal(p2m_lookup(&p, TOP - 1).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&p, TOP - 1).order, ORDER_4K);
	assert_int_equal(kind(TOP), P2M_HOLE);
	assert_int_equal(kind(UINT64_MAX), P2M_HOLE);
	assert_int_equal(kind(1UL << 52), P2M_HOLE);
	assert_int_equal(p2m_set_range(&p, 0xa0, 0x60, P2M_HOLE), HV_OK);
	assert_int_equal(kind(0x9f), P2M_EMPTY);
	assert_int_equal(kind(0xa0), P2M_HOLE);
	assert_int_equal(kind(0xff), P2M_HOLE);
	assert_int_equal(kind(0x100), P2M_EMPTY);
	assert_int_equal(p2m_set_range(&p, TOP - 1, 2, P2M_EMPTY), HV_ERANGE);
	assert_int_equal(p2m_set_range(&p, UINT64_MAX, 2, P2M_EMPTY), HV_ERANGE);
	populate(7, ORDER_4K);
	assert_int_equal(p2m_set_range(&p, 7, 1, P2M_HOLE), HV_ESTATE);
	tables_check(&p);
}

/* The CPU can read the page, for all else it is a hole; and it leaves nothing behind. */
static void bus(void **state)
{
	u64 gfn = 0;
	int level;
	u32 ones;

	(void)state;
	assert_int_equal(frame_alloc_hv(0, &ones), HV_OK);
	populate(0xbf, ORDER_4K);
	assert_int_equal(p2m_set_range(&p, 0xc0, 0x40, P2M_HOLE), HV_OK);
	assert_int_equal(p2m_set_bus(&p, 0xbf, 1, ones), HV_ESTATE); /* memory */
	assert_int_equal(p2m_set_bus(&p, 0x100, 1, ones), HV_ESTATE);
	assert_int_equal(p2m_set_bus(&p, 0xc0, 0x40, ones), HV_OK);
	assert_int_equal((*tables_entry(&p, 0xd0, &level) & PT_ADDR) >> PAGE_SHIFT, ones);
	*tables_entry(&p, 0xd0, &level) |= p.fmt->accessed; /* as the CPU does */
	assert_int_equal(tables_sum(&p).bus, 0x40);
	assert_int_equal(kind(0xc0), P2M_HOLE);
	assert_int_equal(kind(0xd0), P2M_HOLE);
	assert_int_equal(kind(0x100), P2M_EMPTY);
	assert_int_equal(p2m_lock(&p, 0xd0, ORDER_4K, &b, &work), HV_ERANGE);
	assert_int_equal(p2m_lock(&p, 0, ORDER_2M, &b, &work), HV_ERANGE);
	assert_int_equal(p2m_unlock(&p, 0xd0, ORDER_4K, &b, &work), HV_ERANGE);
	assert_int_equal(back(0xd0, ORDER_2M), HV_ESTATE);
	assert_false(p2m_test_clear_accessed(&p, 0xd0));
	assert_int_equal(p2m_pin(&p, 0xd0, &(struct p2m_entry){ 0 }), HV_ESTATE);
	tables_check(&p);
	while (p2m_teardown(&p, &gfn, &b))
		;
	p2m_commit(&p, &b);
	assert_int_equal(tables_sum(&p).bus, 0);
	assert_int_equal(tables_sum(&p).tables, 1);
	assert_int_equal(frame_get(ones)->state, FRAME_HV);
	tables_check(&p);
}

static void populate_prefers_large(void **state)
{
	(void)state;
	memset(fake_frame(4096), 0xcc, 64 * PAGE_SIZE);
	scrub_all();
	populate(512 + 77, ORDER_2M);
	assert_int_equal(p2m_lookup(&p, 512).order, ORDER_2M);
	assert_int_equal(p2m_lookup(&p, 512 + 77).frame, p2m_lookup(&p, 512).frame + 77);
	assert_true(p2m_lookup(&p, 512).writable);
	assert_int_equal(p.acct.resident, 512);
	populate(2048 + 5, ORDER_4K);
	assert_int_equal(p2m_lookup(&p, 2048 + 5).order, ORDER_4K);
	assert_int_equal(kind(2048 + 4), P2M_EMPTY);
	populate(2048 + 6, ORDER_2M); /* the table is split already */
	assert_int_equal(p2m_lookup(&p, 2048 + 6).order, ORDER_4K);
	assert_int_equal(back(512, ORDER_4K), HV_ESTATE); /* it is there */
	assert_int_equal(p.acct.resident, 514);
	assert_int_equal(back(TOP, ORDER_4K), HV_ESTATE);
	tables_check(&p);
}

/* No clean block of 2 MiB: only the requested page comes. */
static void populate_falls_back_to_the_page_itself(void **state)
{
	(void)state;
	populate(512 + 77, ORDER_2M);
	assert_int_equal(kind(512), P2M_EMPTY);
	assert_int_equal(p.acct.resident, 1);
	tables_check(&p);
}

static void map_is_checked(void **state)
{
	struct snapshot s;
	u32 f;

	(void)state;
	assert_int_equal(frame_alloc_guest(&p.acct, 512, ORDER_2M, 0, &f), HV_OK);
	assert_int_equal(p2m_prepare(&p, 0), HV_OK);
	p.acct.resident -= 512; /* the snapshot counts what is mapped */
	s = snapshot_take(&p);
	assert_int_equal(p2m_map(&p, 512, f, 1, PROT_RWX, MEMTYPE_WB), HV_EINVAL); /* odd orders */
	assert_int_equal(p2m_map(&p, 512, f, 8, PROT_RWX, MEMTYPE_WB), HV_EINVAL);
	assert_int_equal(p2m_map(&p, 512, f, 27, PROT_RWX, MEMTYPE_WB), HV_EINVAL);
	assert_int_equal(p2m_map(&p, 513, f, ORDER_2M, PROT_RWX, MEMTYPE_WB), HV_EINVAL);
	assert_int_equal(p2m_map(&p, 512, f + 1, ORDER_2M, PROT_RWX, MEMTYPE_WB), HV_EINVAL);
	assert_int_equal(p2m_map(&p, TOP - 37, f, ORDER_2M, PROT_RWX, MEMTYPE_WB), HV_ERANGE);
	assert_int_equal(p2m_map(&p, TOP, f, ORDER_4K, PROT_RWX, MEMTYPE_WB), HV_ERANGE);
	assert_int_equal(p2m_map(&p, UINT64_MAX, f, ORDER_4K, PROT_RWX, MEMTYPE_WB), HV_ERANGE);
	assert_int_equal(p2m_map(&p, 1UL << 54, f, ORDER_4K, PROT_RWX, MEMTYPE_WB), HV_ERANGE);
	snapshot_same(&p, &s);
	assert_int_equal(p2m_map(&p, 512, f, ORDER_2M, PROT_RWX, MEMTYPE_WB), HV_OK);
	assert_int_equal(p2m_map(&p, 512, f, ORDER_2M, PROT_RWX, MEMTYPE_WB), HV_ESTATE);
	assert_int_equal(p2m_map(&p, 600, f, ORDER_4K, PROT_RWX, MEMTYPE_WB), HV_ESTATE);
	p.acct.resident += 512;
	tables_check(&p);
}

/* The bits that the manuals ask for, spelled out. */
static void leaves_have_the_right_bits(void **state)
{
	const struct pt_format *f = *state;
	bool ept = f == &ept_format;
	int level;
	u64 e;

	populate(0, ORDER_4K);
	e = *tables_entry(&p, 0, &level);
	assert_int_equal(level, 1);
	assert_int_equal(e & ~PT_ADDR, ept ? 0x77 : 0x07); /* RWX WB ignore-PAT; P W US */
	assert_int_equal(pt_leaf(f, 0x200000, 2, PROT_R, MEMTYPE_UC) & ~PT_ADDR,
			 ept ? 0xc1 : 0x800000000000009d);
	assert_int_equal(pt_leaf(f, 0, 1, PROT_R | PROT_X, MEMTYPE_WC) & ~PT_ADDR,
			 ept ? 0x4d : 0x0d);
	assert_int_equal(f->table, 7);
}

static void lock_one_page(void **state)
{
	u32 f;

	(void)state;
	populate(1000, ORDER_4K);
	f = p2m_lookup(&p, 1000).frame;
	assert_int_equal(p2m_lock(&p, 1000, 0, &b, &work), HV_OK);
	assert_int_equal(kind(1000), P2M_BALLOON);
	assert_int_equal(p.ballooned, 1);
	assert_int_equal(frame_get(f)->state, FRAME_QUARANTINE);
	assert_int_equal(p2m_lock(&p, 1000, 0, &b, &work), HV_ESTATE);
	assert_int_equal(p2m_lock(&p, 1001, 0, &b, &work), HV_OK); /* never touched */
	commit();
	assert_int_equal(frame_get(f)->state == FRAME_QUARANTINE, false);
	tables_check(&p);
	assert_int_equal(p2m_unlock(&p, 1000, 0, &b, &work), HV_OK);
	assert_int_equal(p2m_unlock(&p, 1000, 0, &b, &work), HV_ESTATE);
	assert_int_equal(kind(1000), P2M_EMPTY);
	assert_int_equal(p2m_unlock(&p, 1001, 0, &b, &work), HV_OK);
	commit();
	tables_check(&p);
	/* The tables are gone again, up to the 1 GiB entry. */
	assert_int_equal(p2m_lookup(&p, 1000).order, ORDER_1G);
	assert_int_equal(p.ballooned, 0);
}

static void lock_large(void **state)
{
	u64 flushes = p.flushes;

	(void)state;
	scrub_all();
	populate(1024, ORDER_2M); /* a 2 MiB leaf */
	populate(2048, ORDER_4K); /* a table */
	populate(2050, ORDER_4K);
	assert_int_equal(p2m_lock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_lock(&p, 2048, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_lock(&p, 4096, ORDER_2M, &b, &work), HV_OK); /* nothing there */
	assert_int_equal(p.ballooned, 3 * 512);
	assert_int_equal(p.acct.resident, 0);
	assert_int_equal(b.frames, 512 + 2 + 1);
	commit();
	assert_int_equal(p.flushes, flushes + 1); /* one for the batch */
	assert_int_equal(p2m_lookup(&p, 2048).order, ORDER_2M);
	tables_check(&p);
	assert_int_equal(p2m_unlock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_unlock(&p, 2048, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_unlock(&p, 4096, ORDER_2M, &b, &work), HV_OK);
	commit();
	assert_int_equal(p2m_lookup(&p, 2048).order, ORDER_1G);
	tables_check(&p);
}

/* Taking one page out of a 2 MiB leaf: the other 511 stay. */
static void lock_inside_large_leaf(void **state)
{
	u32 f;

	(void)state;
	scrub_all();
	populate(1024, ORDER_2M);
	f = p2m_lookup(&p, 1024).frame;
	assert_int_equal(p2m_lock(&p, 1024 + 9, 0, &b, &work), HV_OK);
	commit();
	assert_int_equal(p2m_lookup(&p, 1024 + 8).frame, f + 8);
	assert_int_equal(p2m_lookup(&p, 1024 + 10).frame, f + 10);
	assert_int_equal(p2m_lookup(&p, 1024 + 10).order, ORDER_4K);
	assert_int_equal(p.acct.resident, 511);
	tables_check(&p);
}

/* A VM with all its memory in the balloon needs only the tables at its ends. */
static void everything_goes_in(void **state)
{
	(void)state;
	for (u64 gfn = 0; gfn + 512 <= TOP; gfn += 512)
		assert_int_equal(p2m_lock(&p, gfn, ORDER_2M, &b, &work), HV_OK);
	for (u64 gfn = ALIGN_DOWN(TOP, 512UL); gfn < TOP; gfn++)
		assert_int_equal(p2m_lock(&p, gfn, 0, &b, &work), HV_OK);
	commit();
	assert_int_equal(p.ballooned, TOP);
	assert_int_equal(p2m_lookup(&p, 0).order, ORDER_1G);
	assert_int_equal(tables_sum(&p).tables, 4); /* root, level 3, and the ragged end's two */
	tables_check(&p);
}

static void malformed_places_change_nothing(void **state)
{
	struct snapshot s;

	(void)state;
	assert_int_equal(p2m_set_range(&p, 512, 16, P2M_HOLE), HV_OK);
	assert_int_equal(p2m_set_range(&p, 4096, 512, P2M_HOLE), HV_OK);
	populate(0, ORDER_4K);
	s = snapshot_take(&p);
	for (int i = 0; i < 2; i++) {
		int (*op)(struct p2m *, u64, unsigned int, struct frame_batch *, u64 *) =
			i ? p2m_unlock : p2m_lock;

		assert_int_equal(op(&p, 1, ORDER_2M, &b, &work), HV_EINVAL);
		assert_int_equal(op(&p, 0, 1, &b, &work), HV_EINVAL);
		assert_int_equal(op(&p, 0, 8, &b, &work), HV_EINVAL);
		assert_int_equal(op(&p, 0, ORDER_1G, &b, &work), HV_EINVAL);
		assert_int_equal(op(&p, TOP, 0, &b, &work), HV_ERANGE);
		assert_int_equal(op(&p, TOP - 37, ORDER_2M, &b, &work), HV_ERANGE);
		assert_int_equal(op(&p, ALIGN_DOWN(UINT64_MAX, 512UL), ORDER_2M, &b, &work),
				 HV_ERANGE);
		assert_int_equal(op(&p, UINT64_MAX, 0, &b, &work), HV_ERANGE);
		assert_int_equal(op(&p, 1UL << 52, 0, &b, &work), HV_ERANGE);
		assert_int_equal(op(&p, 513, 0, &b, &work), HV_ERANGE); /* hole */
		assert_int_equal(op(&p, 4096, ORDER_2M, &b, &work), HV_ERANGE);
	}
	assert_int_equal(p2m_lock(&p, 512, ORDER_2M, &b, &work), HV_ERANGE); /* a hole in it */
	assert_int_equal(p2m_unlock(&p, 0, 0, &b, &work), HV_ESTATE);
	assert_int_equal(p2m_unlock(&p, 1024, ORDER_2M, &b, &work), HV_ESTATE);
	assert_int_equal(b.first, FRAME_NONE);
	snapshot_same(&p, &s);
	assert_int_equal(p2m_lock(&p, 1, 0, &b, &work), HV_OK);
	s = snapshot_take(&p);
	assert_int_equal(p2m_lock(&p, 0, ORDER_2M, &b, &work), HV_ESTATE); /* part is in */
	snapshot_same(&p, &s);
	tables_check(&p);
}

static void pinned_pages_stay(void **state)
{
	static const unsigned int orders[] = { ORDER_2M, ORDER_4K };

	(void)state;
	scrub_all();
	for (int i = 0; i < 2; i++) {
		struct p2m_entry e, again;
		struct snapshot s;

		populate(1024, ORDER_2M);
		if (orders[i] == ORDER_4K)
			assert_int_equal(p2m_split(&p, 1024, ORDER_4K), HV_OK);
		assert_int_equal(p2m_pin(&p, 600, &e), HV_ESTATE); /* not there */
		assert_int_equal(p2m_pin(&p, 1024 + 3, &e), HV_OK);
		assert_int_equal(p2m_pin(&p, 1024 + 3, &again), HV_OK);
		assert_int_equal(e.frame, p2m_lookup(&p, 1024 + 3).frame);
		assert_int_equal(e.order, orders[i]);
		s = snapshot_take(&p);
		assert_int_equal(p2m_lock(&p, 1024 + 3, 0, &b, &work), HV_EBUSY);
		assert_int_equal(p2m_report(&p, 1024 + 3, 0, &b, &work), HV_EBUSY);
		assert_int_equal(p2m_lock(&p, 1024, ORDER_2M, &b, &work), HV_EBUSY);
		if (orders[i] == ORDER_4K)
			assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_EBUSY);
		else
			assert_int_equal(p2m_split(&p, 1024 + 3, ORDER_4K), HV_EBUSY);
		snapshot_same(&p, &s);
		assert_int_equal(p2m_unpin(&e), HV_OK);
		assert_int_equal(p2m_lock(&p, 1024, ORDER_2M, &b, &work), HV_EBUSY);
		assert_int_equal(p2m_unpin(&again), HV_OK);
		assert_int_equal(p2m_unpin(&e), HV_ESTATE);
		assert_int_equal(p2m_lock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
		assert_int_equal(p2m_unpin(&e), HV_ESTATE);
		commit();
		assert_int_equal(p2m_unlock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
		fake_settle();
		tables_check(&p);
	}
}

/* The guest touched some pages of a 2 MiB entry: unlock takes out the rest. */
static void popped_pages(void **state)
{
	(void)state;
	assert_int_equal(p2m_lock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(back(1024 + 5, ORDER_4K), HV_ESTATE);
	assert_int_equal(p2m_unlock(&p, 1024 + 5, 0, &b, &work), HV_OK);
	populate(1024 + 5, ORDER_4K);
	assert_int_equal(p.ballooned, 511);
	assert_int_equal(kind(1024 + 4), P2M_BALLOON);
	assert_int_equal(p2m_unlock(&p, 1024, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p.ballooned, 0);
	assert_int_equal(kind(1024 + 5), P2M_MAPPED);
	assert_int_equal(p2m_unlock(&p, 1024, ORDER_2M, &b, &work), HV_ESTATE);
	commit();
	tables_check(&p);
}

static void accessed_bits(void **state)
{
	int level;

	(void)state;
	populate(3, ORDER_4K);
	assert_false(p2m_lookup(&p, 3).accessed);
	assert_false(p2m_test_clear_accessed(&p, 3));
	*tables_entry(&p, 3, &level) |= p.fmt->accessed;
	assert_true(p2m_lookup(&p, 3).accessed);
	assert_true(p2m_test_clear_accessed(&p, 3));
	assert_false(p2m_test_clear_accessed(&p, 3));
	assert_int_equal(kind(3), P2M_MAPPED);
}

/* CPUs that run the VM are kicked, this one is not; the generation moves. */
static void commit_kicks_who_runs_it(void **state)
{
	u64 gen = p.flush_gen;

	(void)state;
	p.active = BIT(0) | BIT(1);
	p2m_commit(&p, &b); /* nothing to commit */
	assert_int_equal(p.flush_gen, gen);
	assert_int_equal(fake.kicks, 0);
	populate(0, ORDER_4K);
	assert_int_equal(p2m_lock(&p, 0, 0, &b, &work), HV_OK);
	p2m_commit(&p, &b);
	assert_true(p.flush_gen > gen);
	assert_int_equal(fake.kicked, BIT(1));
	gen = p.flush_gen;
	fake.kicked = 0;
	p2m_flush(&p);
	assert_true(p.flush_gen > gen);
	assert_int_equal(fake.kicked, BIT(1));
	p.active = 0;
}

#define BOTH(f)                                                      \
	{ #f " (EPT)", f, setup, teardown, &ept_format },            \
	{                                                            \
#f " (NPT)", f, setup, teardown, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(ranges_and_holes),
		BOTH(bus),
		BOTH(populate_prefers_large),
		BOTH(populate_falls_back_to_the_page_itself),
		BOTH(map_is_checked),
		BOTH(leaves_have_the_right_bits),
		BOTH(lock_one_page),
		BOTH(lock_large),
		BOTH(lock_inside_large_leaf),
		BOTH(everything_goes_in),
		BOTH(malformed_places_change_nothing),
		BOTH(pinned_pages_stay),
		BOTH(popped_pages),
		BOTH(accessed_bits),
		BOTH(commit_kicks_who_runs_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
