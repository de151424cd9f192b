/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit finds planted errors in the tables and in the frame table. */
#include <tests/fake/tables.h>

#include <mm/audit.h>

#define TOP (3UL * 512 * 512)

static struct p2m p, q;
static struct frame *table;

static struct p2m *p2m_of(u16 owner)
{
	return owner == 1 ? &p : owner == 2 ? &q : NULL;
}

static int step_all(u64 *steps)
{
	struct audit a = { 0 };
	int err;

	*steps = 0;
	do {
		err = audit_step(&a, 3, p2m_of);
		++*steps;
	} while (err == HV_EAGAIN);
	return err;
}

static void make(struct p2m *m, u16 owner)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	enum p2m_kind kind;
	u64 work = 0;

	assert_int_equal(p2m_init(m, &ept_format, owner, TOP), HV_OK);
	assert_int_equal(p2m_set_range(m, 0, TOP, P2M_EMPTY), HV_OK);
	for (u64 gfn = 0; gfn < 100; gfn++)
		assert_int_equal(p2m_populate(m, gfn, ORDER_4K, 0, &kind), HV_OK);
	assert_int_equal(p2m_populate(m, 5000, ORDER_2M, 0, &kind), HV_OK);
	assert_int_equal(p2m_populate(m, 1UL << ORDER_1G, ORDER_4K, 0, &kind), HV_OK);
	assert_int_equal(p2m_lock(m, 200, 0, &b, &work), HV_OK);
	p2m_commit(m, &b);
}

static int setup(void **state)
{
	(void)state;
	fake_machine(16384, 2);
	table = fake.table;
	while (frame_scrub_one())
		;
	make(&p, 1);
	make(&q, 2);
	return 0;
}

static void assert_found(const char *words)
{
	u64 steps;

	fake_log_clear();
	assert_int_equal(step_all(&steps), HV_ECORRUPT);
	if (!fake_log_has(words))
		fail_msg("not in the log: \"%s\" but \"%s\"", words, fake.log);
}

static void all_is_well(void **state)
{
	u64 steps;

	(void)state;
	assert_int_equal(step_all(&steps), HV_OK);
	assert_true(steps > 5); /* bounded pieces */
}

static void wrong_owner(void **state)
{
	(void)state;
	table[p2m_lookup(&p, 7).frame].owner = 2;
	assert_found("audit: VM 1 gfn 7 maps frame");
}

static void owner_that_is_not_there(void **state)
{
	u32 f;
	struct frame_acct ghost = { .owner = 9 };

	(void)state;
	assert_int_equal(frame_alloc_guest(&ghost, 3, 0, 0, &f), HV_OK);
	assert_found("belongs to VM 9, which is not there");
}

static void wrong_gfn(void **state)
{
	(void)state;
	table[p2m_lookup(&q, 8).frame].gfn = 9;
	assert_found("audit: VM 2 gfn 8 maps frame");
}

static void wrong_order(void **state)
{
	(void)state;
	table[p2m_lookup(&p, 5000).frame & ~511u].order = 8;
	assert_found("audit: VM 1 gfn");
}

static void mapped_twice(void **state)
{
	int level;

	(void)state;
	*tables_entry(&p, 10, &level) = *tables_entry(&p, 11, &level);
	assert_found("audit: VM 1 gfn a maps frame");
}

static void mapped_free_frame(void **state)
{
	(void)state;
	table[p2m_lookup(&p, 10).frame].state = FRAME_QUARANTINE;
	assert_found("audit: VM 1 gfn a maps frame");
}

static void frame_beyond_ram(void **state)
{
	int level;

	(void)state;
	*tables_entry(&p, 10, &level) = 0x77 | (u64)fake.nr_frames << PAGE_SHIFT;
	assert_found("audit: VM 1 gfn a maps frame");
}

/* A guest frame that nobody maps: lost. */
static void lost_frame(void **state)
{
	struct frame_acct acct = { .owner = 1 };
	u32 f;

	(void)state;
	assert_int_equal(frame_alloc_guest(&acct, 12345, 0, 0, &f), HV_OK);
	assert_found("says VM 1 gfn 3039, mapped there is");
}

/* The record of the table that holds the entry of @gfn at @level. */
static struct frame *record_at(struct p2m *m, u64 gfn, int level)
{
	u64 t = m->root_frame;

	for (int l = PT_LEVELS; l > level; l--) {
		u64 *e = plat_ptr(HPA(t << PAGE_SHIFT));

		t = (e[gfn >> level_order(l) & 511] & PT_ADDR) >> PAGE_SHIFT;
	}
	return &table[t];
}

static void wrong_counts_at_every_level(void **state)
{
	(void)state;
	for (int level = 1; level <= PT_LEVELS; level++) {
		struct frame *f = record_at(&p, 0, level);

		f->kinds[P2M_MAPPED]++;
		assert_found("counted");
		f->kinds[P2M_MAPPED]--;
		f->kinds[P2M_BALLOON]++;
		assert_found("counted");
		f->kinds[P2M_BALLOON]--;
	}
	/* Also where the table starts beyond the first entry of its parent. */
	record_at(&q, 1UL << ORDER_1G, 2)->kinds[P2M_EMPTY]--;
	assert_found("audit: VM 2 table");
}

static void table_of_somebody_else(void **state)
{
	(void)state;
	record_at(&p, 0, 1)->owner = 2;
	assert_found("audit: VM 1 table");
}

static void nonsense_record(void **state)
{
	(void)state;
	table[600].state = FRAME_NR_STATES;
	assert_int_equal(frames_check(0, frames_nr()), HV_ECORRUPT);
	table[600].state = FRAME_HV;
	table[600].order = 10; /* 600 is not aligned to it */
	assert_int_equal(frames_check(600, 1), HV_ECORRUPT);
	assert_int_equal(frames_check(0, 600), HV_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_is_well),
		T(wrong_owner),
		T(owner_that_is_not_there),
		T(wrong_gfn),
		T(wrong_order),
		T(mapped_twice),
		T(mapped_free_frame),
		T(frame_beyond_ram),
		T(lost_frame),
		T(wrong_counts_at_every_level),
		T(table_of_somebody_else),
		T(nonsense_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
