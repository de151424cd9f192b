/* SPDX-License-Identifier: BSD-2-Clause */
/* Large pages cut and joined; START's reset and a VM's teardown, piece by piece. */
#include <tests/unit/mm/p2m_fixture.h>

static void merge_and_split(void **state)
{
	u32 f;

	(void)state;
	scrub_all();
	populate(1024, ORDER_2M);
	f = p2m_lookup(&p, 1024).frame;
	assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_ESTATE); /* it is large */
	assert_int_equal(p2m_split(&p, 1024 + 77, ORDER_4K), HV_OK);
	assert_int_equal(p2m_lookup(&p, 1024).order, ORDER_4K);
	tables_check(&p);
	/* Accessed and dirty bits of the parts do not stand in the way. */
	*tables_entry(&p, 1030, &(int){ 0 }) |= p.fmt->accessed | p.fmt->dirty;
	assert_int_equal(p2m_merge(&p, 1024, 1, &b), HV_ESTATE);
	assert_int_equal(p2m_merge(&p, 1024, 4, &b), HV_ESTATE);
	assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_OK);
	assert_int_equal(p2m_lookup(&p, 1024 + 511).frame, f + 511);
	assert_int_equal(p2m_lookup(&p, 1024).order, ORDER_2M);
	commit();
	tables_check(&p);
	assert_int_equal(p2m_split(&p, 1024, 3), HV_EINVAL);
	assert_int_equal(p2m_split(&p, TOP, ORDER_4K), HV_ERANGE);
	/* One page is missing, or elsewhere: no merge. */
	assert_int_equal(p2m_lock(&p, 1024 + 1, 0, &b, &work), HV_OK);
	commit();
	assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_ESTATE);
	assert_int_equal(p2m_unlock(&p, 1024 + 1, 0, &b, &work), HV_OK);
	for (int i = 0; i < 2000; i++) /* take the old frame away */
		frame_alloc_hv(0, &f);
	if (back(1024 + 1, ORDER_4K) == HV_OK)
		assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_ESTATE);
	tables_check(&p);
}

static void one_gib_leaves(void **state)
{
	u32 f;

	fake_machine_at(1u << ORDER_1G, (1u << ORDER_1G) + 1024, 2);
	assert_int_equal(p2m_init(&p, *state, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	assert_int_equal(p2m_prepare(&p, 0), HV_OK);
	assert_int_equal(frame_alloc_guest(&p.acct, 1UL << ORDER_1G, ORDER_1G, 0, &f), HV_OK);
	assert_int_equal(p2m_map(&p, 1UL << ORDER_1G, f, ORDER_1G, PROT_RWX, MEMTYPE_WB), HV_OK);
	assert_int_equal(p2m_lookup(&p, (1UL << ORDER_1G) + 12345).frame, f + 12345);
	tables_check(&p);
	assert_int_equal(p2m_lock(&p, (1UL << ORDER_1G) + 1024, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_lookup(&p, 1UL << ORDER_1G).order, ORDER_2M);
	assert_int_equal(p.acct.resident, (1UL << ORDER_1G) - 512);
	commit();
	tables_check(&p);
	assert_int_equal(p2m_lock(&p, (1UL << ORDER_1G) + 5, ORDER_4K, &b, &work), HV_OK);
	commit();
	assert_int_equal(p2m_lookup(&p, (1UL << ORDER_1G) + 6).frame, f + 6);
	assert_int_equal(p2m_merge(&p, 1UL << ORDER_1G, 3, &b), HV_ESTATE);
	tables_check(&p);
}

static void gib_leaf_splits_and_merges(void **state)
{
	u32 f;

	fake_machine_at(1u << ORDER_1G, (1u << ORDER_1G) + 1024, 2);
	assert_int_equal(p2m_init(&p, *state, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	assert_int_equal(p2m_prepare(&p, 0), HV_OK);
	assert_int_equal(frame_alloc_guest(&p.acct, 0, ORDER_1G, 0, &f), HV_OK);
	assert_int_equal(p2m_map(&p, 0, f, ORDER_1G, PROT_RWX, MEMTYPE_WB), HV_OK);
	assert_int_equal(p2m_split(&p, 512 * 3, ORDER_4K), HV_OK);
	assert_int_equal(p2m_lookup(&p, 512 * 3 + 7).order, ORDER_4K);
	assert_int_equal(p2m_lookup(&p, 512 * 4).order, ORDER_2M);
	tables_check(&p);
	assert_int_equal(p2m_merge(&p, 0, 3, &b), HV_ESTATE);
	assert_int_equal(p2m_merge(&p, 512 * 3, 2, &b), HV_OK);
	assert_int_equal(p2m_merge(&p, 0, 3, &b), HV_OK);
	assert_int_equal(p2m_lookup(&p, 777).order, ORDER_1G);
	commit();
	tables_check(&p);
	if (*state == &ept_format) { /* a CPU without 1 GiB pages */
		ept_format.gib_pages = false;
		assert_int_equal(p2m_split(&p, 0, ORDER_2M), HV_OK);
		assert_int_equal(p2m_merge(&p, 0, 3, &b), HV_ESTATE);
		assert_int_equal(p2m_map(&p, 1UL << ORDER_1G, f, ORDER_1G, PROT_RWX, MEMTYPE_WB),
				 HV_EINVAL);
		ept_format.gib_pages = true;
	}
}

/* A reserve serves faults one page at a time, however many frames are clean. */
static void reserve_gives_no_large_page(void **state)
{
	enum p2m_kind k;

	(void)state;
	scrub_all();
	p.acct.reserve_max = frames_available();
	frame_reserve_fill(&p.acct);
	assert_true(p.acct.reserve > 2000);
	assert_int_equal(p2m_populate(&p, 1024, ORDER_2M, FRAME_USE_RESERVE, &k), HV_OK);
	assert_int_equal(p.acct.resident, 1);
	assert_int_equal(p2m_lookup(&p, 1024).order, ORDER_4K);
	tables_check(&p);
}

static void reset_is_bounded_and_resumes(void **state)
{
	u64 gfn = 0, steps = 0, last = 0;
	int err;

	(void)state;
	/* Every other page, so that nothing merges: the longest case. */
	for (u64 g = 0; g < 20 * 512; g += 2)
		assert_int_equal(p2m_lock(&p, g, 0, &b, &work), HV_OK);
	assert_int_equal(p2m_lock(&p, 1UL << ORDER_1G, ORDER_2M, &b, &work), HV_OK);
	commit();
	populate(1, ORDER_4K);
	do {
		err = p2m_reset_balloon(&p, &gfn, &b);
		assert_true(gfn - last <= P2M_WORK_MAX || steps > 1);
		last = gfn;
		commit();
		tables_check(&p);
		steps++;
	} while (err == HV_EAGAIN);
	assert_int_equal(err, HV_OK);
	assert_true(steps > 2);
	assert_int_equal(p.ballooned, 0);
	assert_int_equal(kind(0), P2M_EMPTY);
	assert_int_equal(kind(1), P2M_MAPPED);
	assert_int_equal(tables_sum(&p).tables, 6); /* root, ragged end 3, gfn 1's 2 */
}

static void teardown_leaves_nothing(void **state)
{
	u64 free_before, gfn = 0, steps = 0;
	struct p2m_entry e;
	int err;

	(void)state;
	fake_machine(40000, 2);
	free_before = frames_stats().free_dirty;
	assert_int_equal(p2m_init(&p, *state, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	p.acct.reserve_max = 100;
	frame_reserve_fill(&p.acct);
	for (u64 g = 0; g < 9000; g++)
		populate(g, ORDER_4K);
	scrub_all();
	for (u64 g = 0; g < 4; g++)
		populate((1UL << ORDER_1G) + g * 512, ORDER_2M);
	assert_int_equal(p2m_lock(&p, TOP - 1, 0, &b, &work), HV_OK);
	assert_int_equal(p2m_lock(&p, 20480, ORDER_2M, &b, &work), HV_OK);
	commit();
	assert_int_equal(p2m_pin(&p, 17, &e), HV_OK);
	do {
		u64 resident = p.acct.resident;

		err = p2m_teardown(&p, &gfn, &b);
		assert_true(resident - p.acct.resident <= P2M_WORK_MAX + 4 * 512);
		commit();
		tables_check(&p);
		steps++;
	} while (err == HV_EAGAIN);
	assert_int_equal(err, HV_OK);
	assert_true(steps > 2);
	assert_int_equal(p.acct.resident, 0);
	assert_int_equal(p.ballooned, 0);
	assert_int_equal(tables_sum(&p).tables, 1);
	p2m_destroy(&p);
	fake_settle();
	frame_reserve_drop(&p.acct);
	assert_int_equal(p.acct.tables, 0);
	assert_int_equal(frames_stats().reserved, 0);
	assert_int_equal(frames_stats().free_dirty + frames_stats().free_clean, free_before);
}

static bool executable(u64 gfn)
{
	u64 e = *tables_entry(&p, gfn, &(int){ 0 });

	return p.fmt->exec ? e & p.fmt->exec : !(e & p.fmt->no_exec);
}

/* iTLB multihit: code does not run in a large page, however it was made. */
static void large_pages_without_code(void **state)
{
	struct pt_format fmt = *(const struct pt_format *)*state;
	int err;

	scrub_all();
	populate(512, ORDER_2M);
	assert_true(executable(512)); /* a CPU without the flaw */
	assert_false(p2m_make_executable(&p, 512, &err));
	assert_int_equal(err, HV_OK);
	assert_int_equal(p2m_lookup(&p, 512).order, ORDER_2M);

	fmt.large_no_exec = true;
	p.fmt = &fmt;
	populate(1024, ORDER_2M);
	populate(4096, ORDER_4K);
	assert_int_equal(p2m_lookup(&p, 1024).order, ORDER_2M);
	assert_false(executable(1024));
	assert_true(p2m_lookup(&p, 1024).writable);
	assert_true(executable(4096));
	assert_false(p2m_make_executable(&p, 4096, &err)); /* nothing to do */
	assert_false(p2m_make_executable(&p, 9000, &err)); /* not there at all */
	assert_int_equal(err, HV_OK);
	assert_true(p2m_make_executable(&p, 1024 + 5, &err));
	assert_int_equal(p2m_lookup(&p, 1024).order, ORDER_4K);
	for (u64 g = 1024; g < 1024 + 512; g++)
		assert_true(executable(g) && p2m_lookup(&p, g).writable);
	tables_check(&p);
	assert_int_equal(p2m_merge(&p, 1024, 2, &b), HV_OK); /* large again, and so without */
	assert_false(executable(1024));
	commit();
	tables_check(&p);
	/* No frame for a table to split with: returns an error, and nothing has changed. */
	populate(2048, ORDER_2M);
	while (p.pool_count)
		p.pool_count--;
	for (u32 f; !frame_alloc_hv(0, &f);)
		;
	assert_false(p2m_make_executable(&p, 2048, &err));
	assert_int_equal(err, HV_ENOMEM);
	assert_int_equal(p2m_lookup(&p, 2048).order, ORDER_2M);
	p.fmt = *state;
}

/* 1 GiB: cut down to where the code is, and only there. */
static void gib_page_without_code(void **state)
{
	struct pt_format fmt = *(const struct pt_format *)*state;
	int err;
	u32 f;

	fake_machine_at(1u << ORDER_1G, (1u << ORDER_1G) + 1024, 2);
	fmt.large_no_exec = fmt.gib_pages = true;
	assert_int_equal(p2m_init(&p, &fmt, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	assert_int_equal(p2m_prepare(&p, 0), HV_OK);
	assert_int_equal(frame_alloc_guest(&p.acct, 0, ORDER_1G, 0, &f), HV_OK);
	assert_int_equal(p2m_map(&p, 0, f, ORDER_1G, PROT_RWX, MEMTYPE_WB), HV_OK);
	assert_false(executable(0));
	assert_true(p2m_make_executable(&p, 512 * 3 + 7, &err));
	assert_int_equal(p2m_lookup(&p, 512 * 3).order, ORDER_4K);
	assert_true(executable(512 * 3 + 7));
	assert_int_equal(p2m_lookup(&p, 512 * 4).order, ORDER_2M);
	assert_false(executable(512 * 4));
	tables_check(&p);
	p.fmt = *state;
}

#define BOTH(f)                                                      \
	{ #f " (EPT)", f, setup, teardown, &ept_format },            \
	{                                                            \
#f " (NPT)", f, setup, teardown, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(merge_and_split),
		BOTH(one_gib_leaves),
		BOTH(gib_leaf_splits_and_merges),
		BOTH(reserve_gives_no_large_page),
		BOTH(reset_is_bounded_and_resumes),
		BOTH(teardown_leaves_nothing),
		BOTH(large_pages_without_code),
		BOTH(gib_page_without_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
