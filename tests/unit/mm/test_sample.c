/* SPDX-License-Identifier: BSD-2-Clause */
/* The sampler: its results, its error bounds, its effect on large pages. */
#include <tests/fake/tables.h>

#include <mm/sample.h>

#define PAGES (16UL * 512) /* of the VM */
#define FRAMES 12288	   /* of the machine */

/* CPUs without accessed bits. */
static struct pt_format ept_plain, npt_plain;

static struct p2m p;
static struct sampler s;
static u64 seed;

static int setup(void **state)
{
	ept_plain = ept_format;
	npt_plain = npt_format;
	ept_plain.accessed = ept_plain.dirty = npt_plain.accessed = npt_plain.dirty = 0;
	p = (struct p2m){ 0 };
	seed = 99;
	fake_machine(FRAMES, 2);
	assert_int_equal(p2m_init(&p, *state, 5, PAGES), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, PAGES, P2M_EMPTY), HV_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_machine_off();
	return 0;
}

static void populate(u64 from, u64 to, unsigned int order)
{
	enum p2m_kind kind;

	while (order && frame_scrub_one())
		;
	for (u64 gfn = from; gfn < to; gfn += 1UL << order)
		assert_int_equal(p2m_populate(&p, gfn, order, 0, &kind), HV_OK);
	assert_int_equal(p2m_lookup(&p, from).order, order);
}

/* A guest that uses @permille of its pages, always the same ones. */
static bool uses(u64 gfn, u32 permille)
{
	u64 x = gfn * 0x9e3779b97f4a7c15UL;

	return (x >> 20) % 1000 < permille;
}

/* A fault, if the CPU would have one. */
static void fault(u64 gfn)
{
	enum p2m_kind kind;

	if (!p.fmt->accessed && !p2m_lookup(&p, gfn).accessed)
		assert_int_equal(p2m_populate(&p, gfn, ORDER_2M, 0, &kind), HV_OK);
}

/* The effect of its touches on the tables: a large page has one bit for all of it. */
static void touch(u32 permille)
{
	int level;

	for (u64 gfn = 0; gfn < PAGES; gfn++)
		if (p2m_lookup(&p, gfn).kind == P2M_MAPPED && uses(gfn, permille)) {
			fault(gfn);
			*tables_entry(&p, gfn, &level) |= p.fmt->accessed;
		}
}

/* One period in which the guest runs; the active fraction after it. */
static u32 period(u32 permille)
{
	do
		touch(permille);
	while (!sampler_step(&s, &p));
	fake_settle();
	return estimate_active(&s.estimate);
}

static u32 periods(int n, u32 permille)
{
	while (--n)
		period(permille);
	return period(permille);
}

static void follows_the_guest(void **state)
{
	(void)state;
	populate(256, 2300, ORDER_4K);
	sampler_init(&s, 12345, 100);
	assert_int_equal(period(0), 1000); /* not known yet: all active */
	assert_in_range(periods(30, 0), 0, 10);
	assert_in_range(periods(30, 1000), 990, 1000);
	assert_in_range(periods(30, 300), 220, 450);
	/* It rises at once and falls slowly: the maximum of the averages. */
	periods(30, 0);
	assert_true(periods(2, 1000) >= 990);
	assert_true(periods(2, 0) >= 300);
	tables_check(&p);
}

static void without_memory(void **state)
{
	(void)state;
	sampler_init(&s, 0, 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(period(0), 1000);
}

static void each_step_flushes(void **state)
{
	u64 gen = p.flush_gen;

	(void)state;
	sampler_init(&s, 1, 100);
	for (u32 i = 0; i < sampler_steps(&s); i++, gen = p.flush_gen) {
		assert_int_equal(sampler_step(&s, &p), i + 1 == sampler_steps(&s));
		assert_true(p.flush_gen > gen);
	}
}

/* One bit for 512 pages would make all pages active. */
static void large_pages_are_looked_at_in_detail(void **state)
{
	u64 before;

	(void)state;
	populate(0, PAGES, ORDER_2M);
	before = tables_sum(&p).tables;
	sampler_init(&s, 7, 100);
	assert_in_range(periods(20, 200), 130, 380);
	assert_in_range(s.estimate.now, 80, 330);
	tables_check(&p);
	/* Only leaves with watched pages are split. */
	assert_true(tables_sum(&p).tables > before);
	sampler_init(&s, 7, 1);
	assert_true(tables_sum(&p).tables <= before + 16);
}

/* A sample of one page: the page before is whole again after each step. */
static void merges_what_it_split(void **state)
{
	u64 before;

	(void)state;
	populate(0, PAGES, ORDER_2M);
	before = tables_sum(&p).tables;
	sampler_init(&s, 7, 1);
	for (int i = 0; i < 100; i++) {
		u64 flushes = p.flush_gen;

		period(500);
		assert_true(p.flush_gen > flushes);
		assert_int_equal(tables_sum(&p).tables, before + 1);
		assert_int_equal(tables_sum(&p).large, 15);
		tables_check(&p);
	}
}

/* Sixty pages in four large ones: none is merged while another in it is still watched. */
static void pages_share_a_large_one(void **state)
{
	u32 wrong = 0;

	(void)state;
	populate(0, 4 * 512, ORDER_2M);
	sampler_init(&s, 11, 60);
	period(100);
	for (int i = 0; i < 40; i++) {
		period(100);
		wrong += s.estimate.now > 300; /* six sigma above 10 % of 60 */
		tables_check(&p);
	}
	assert_int_equal(wrong, 0);
}

static void one_step_is_bounded(void **state)
{
	u64 split = 0;

	(void)state;
	populate(0, PAGES, ORDER_2M);
	sampler_init(&s, 3, SAMPLE_MAX);
	for (u32 i = 0; i < sampler_steps(&s); i++) {
		u64 before = tables_sum(&p).large;

		sampler_step(&s, &p);
		fake_settle();
		assert_true(before - tables_sum(&p).large <= SAMPLE_STEP);
		split += before - tables_sum(&p).large;
	}
	assert_int_equal(split, 16);
}

/* The guest gives pages away while they are watched: they do not count, and nothing breaks. */
static void ballooned_under_watch(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	populate(0, PAGES, ORDER_2M);
	sampler_init(&s, 5, 100);
	period(1000);
	for (u64 gfn = 0; gfn < PAGES; gfn += 2) {
		p2m_lock(&p, gfn, ORDER_4K, &b, &work);
		if (gfn % 512 == 0) {
			p2m_commit(&p, &b);
			b = FRAME_BATCH_INIT;
			fake_settle();
		}
	}
	p2m_commit(&p, &b);
	fake_settle();
	assert_in_range(s.seen, 0, 0);
	period(1000);
	assert_int_equal(s.estimate.now, 1000); /* of the remaining pages, all were touched */
	tables_check(&p);
	assert_in_range(periods(20, 0), 0, 10);
}

/* All in large pages, and no frame for a table to split one with. */
static void large_and_no_tables(void)
{
	u32 f;

	populate(0, PAGES, ORDER_2M);
	while (!frame_alloc_hv(0, &f))
		;
	p.pool_count = 0; /* lost: the machine is switched off after this test */
	sampler_init(&s, 5, 100);
}

/* No frame for a table: the large page's own bit, which says too much rather than too little. */
static void no_table_for_a_split(void **state)
{
	(void)state;
	large_and_no_tables();
	assert_in_range(periods(20, 100), 990, 1000);
	assert_in_range(periods(20, 0), 0, 10);
	assert_int_equal(tables_sum(&p).large, 16);
}

/* The same without accessed bits: large pages cannot be watched, and nothing is known. */
static void large_pages_cannot_be_unmapped(void **state)
{
	(void)state;
	large_and_no_tables();
	assert_int_equal(periods(20, 0), 1000);
	assert_int_equal(tables_sum(&p).watched, 0);
	assert_int_equal(tables_sum(&p).large, 16);
}

/* Without accessed bits: a watched page is not mapped, and keeps its frame and its contents. */
static void watched_pages_keep_their_frames(void **state)
{
	u64 resident, gen, watched = 0;
	enum p2m_kind kind;

	(void)state;
	populate(0, PAGES, ORDER_4K);
	resident = p.acct.resident;
	sampler_init(&s, 8, 100);
	period(0);
	for (u64 gfn = 0; gfn < PAGES; gfn++) {
		struct p2m_entry e = p2m_lookup(&p, gfn);
		int level;

		assert_int_equal(e.kind, P2M_MAPPED);
		assert_int_equal(frame_get(e.frame)->gfn, gfn);
		assert_true(e.writable);
		assert_int_equal(e.accessed, !!(*tables_entry(&p, gfn, &level) & p.fmt->present));
		watched += !e.accessed;
	}
	assert_in_range(watched, 90, 100); /* some twice */
	assert_int_equal(tables_sum(&p).watched, watched);
	tables_check(&p);
	/* A fault maps it as it was, at any size that it asks for, and without a flush. */
	gen = p.flush_gen;
	for (u64 gfn = 0; gfn < PAGES; gfn++) {
		struct p2m_entry e = p2m_lookup(&p, gfn);
		int level;

		if (e.accessed)
			continue;
		assert_int_equal(p2m_populate(&p, gfn, ORDER_2M, 0, &kind), HV_OK);
		assert_int_equal(
			*tables_entry(&p, gfn, &level),
			pt_leaf(p.fmt, (u64)e.frame << PAGE_SHIFT, 1, PROT_RWX, MEMTYPE_WB));
		assert_true(p2m_lookup(&p, gfn).accessed);
		/* The next fault there is not ours. */
		assert_int_equal(p2m_populate(&p, gfn, ORDER_4K, 0, &kind), HV_ESTATE);
	}
	assert_int_equal(p.flush_gen, gen);
	assert_int_equal(p.acct.resident, resident);
	assert_int_equal(tables_sum(&p).watched, 0);
	period(0); /* pages with a fault count as touched, and no others */
	assert_in_range(s.estimate.now, 900, 1000);
	tables_check(&p);
}

/* Pins, reports, balloon and the end of the VM treat a watched page as mapped. */
static void watched_is_mapped_to_all_else(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0, gfn = 0;
	struct p2m_entry e;

	(void)state;
	populate(0, 1024, ORDER_4K);
	for (u64 i = 0; i < 1024; i++)
		assert_true(p2m_watch(&p, i));
	assert_int_equal(tables_sum(&p).watched, 1024);
	assert_int_equal(p2m_pin(&p, 7, &e), HV_OK);
	assert_int_equal(e.frame, p2m_lookup(&p, 7).frame);
	assert_int_equal(p2m_lock(&p, 7, ORDER_4K, &b, &work), HV_EBUSY);
	assert_int_equal(p2m_lock(&p, 0, ORDER_2M, &b, &work), HV_EBUSY);
	assert_int_equal(p2m_unpin(&e), HV_OK);
	assert_int_equal(p2m_lock(&p, 7, ORDER_4K, &b, &work), HV_OK);
	assert_int_equal(p2m_report(&p, 8, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&p, &b);
	fake_settle();
	assert_int_equal(p.acct.resident, 1022);
	b = FRAME_BATCH_INIT;
	assert_int_equal(p2m_lock(&p, 512, ORDER_2M, &b, &work), HV_OK);
	p2m_commit(&p, &b);
	fake_settle();
	assert_int_equal(p.acct.resident, 510);
	tables_check(&p);
	b = FRAME_BATCH_INIT;
	while (p2m_teardown(&p, &gfn, &b) == HV_EAGAIN)
		;
	p2m_commit(&p, &b);
	fake_settle();
	assert_int_equal(p.acct.resident, 0);
	assert_int_equal(frames_stats().guest, 0);
	tables_check(&p);
}

/* Pages that are not mapped as guests' memory do not change. */
static void odd_pages_are_not_watched(void **state)
{
	u32 frame;

	(void)state;
	assert_int_equal(frame_alloc_guest(&p.acct, 3, ORDER_4K, 0, &frame), HV_OK);
	assert_int_equal(p2m_prepare(&p, 0), HV_OK);
	assert_int_equal(p2m_map(&p, 3, frame, ORDER_4K, PROT_R, MEMTYPE_WB), HV_OK);
	assert_false(p2m_watch(&p, 3));
	assert_false(p2m_watch(&p, 4)); /* empty */
	p2m_unwatch(&p, 3);
	assert_true(p2m_lookup(&p, 3).accessed);
	assert_false(p2m_lookup(&p, 3).writable);
}

#define PLAIN(f)                                                              \
	{ #f " (EPT without A)", f, setup, teardown, (void *)&ept_plain },    \
	{                                                                     \
#f " (NPT without A)", f, setup, teardown, (void *)&npt_plain \
	}
#define BOTH(f)                                                      \
	{ #f " (EPT)", f, setup, teardown, (void *)&ept_format },    \
	{                                                            \
#f " (NPT)", f, setup, teardown, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(follows_the_guest),
		PLAIN(follows_the_guest),
		BOTH(without_memory),
		PLAIN(without_memory),
		BOTH(each_step_flushes),
		PLAIN(each_step_flushes),
		BOTH(large_pages_are_looked_at_in_detail),
		PLAIN(large_pages_are_looked_at_in_detail),
		BOTH(merges_what_it_split),
		PLAIN(merges_what_it_split),
		BOTH(pages_share_a_large_one),
		PLAIN(pages_share_a_large_one),
		BOTH(one_step_is_bounded),
		PLAIN(one_step_is_bounded),
		BOTH(ballooned_under_watch),
		PLAIN(ballooned_under_watch),
		BOTH(no_table_for_a_split),
		PLAIN(large_pages_cannot_be_unmapped),
		PLAIN(watched_pages_keep_their_frames),
		PLAIN(watched_is_mapped_to_all_else),
		PLAIN(odd_pages_are_not_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
