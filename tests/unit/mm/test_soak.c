/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on a p2m against an array with the state of each page, in both formats; and a
 * recorder checks that no frame comes back before every CPU has passed a quiescent point.
 */
#include <tests/fake/tables.h>

#include <mm/epoch.h>
#include <mm/guestmem.h>

#define PAGES (512UL * 12 + 100)
#define CPUS 3

static struct p2m p;
static struct frame_batch b;
static u64 seed, work;
static u8 model[PAGES];	 /* enum p2m_kind */
static u32 stamp[PAGES]; /* contents of the page; 0: zero */
static u16 pins[PAGES];

static u64 kind_count(u64 gfn, u64 n, u8 kind)
{
	u64 c = 0;

	for (u64 i = gfn; i < gfn + n; i++)
		c += model[i] == kind;
	return c;
}

/* In [gfn, gfn + n), or in the leaf that is over all of it. */
static bool any_pin(u64 gfn, u64 n)
{
	struct p2m_entry e = p2m_lookup(&p, gfn);

	if (e.kind == P2M_MAPPED && 1UL << e.order > n) {
		n = 1UL << e.order;
		gfn = ALIGN_DOWN(gfn, n);
	}
	for (u64 i = gfn; i < gfn + n; i++)
		if (pins[i])
			return true;
	return false;
}

static void do_lock(u64 gfn, u64 n)
{
	unsigned int order = n == 1 ? ORDER_4K : ORDER_2M;
	int err = p2m_lock(&p, gfn, order, &b, &work);

	if (kind_count(gfn, n, P2M_BALLOON)) {
		assert_int_equal(err, HV_ESTATE);
	} else if (kind_count(gfn, n, P2M_HOLE)) {
		assert_int_equal(err, HV_ERANGE);
	} else if (any_pin(gfn, n)) {
		assert_int_equal(err, HV_EBUSY);
	} else if (err != HV_ENOMEM && err != HV_EAGAIN) {
		assert_int_equal(err, HV_OK);
		memset(model + gfn, P2M_BALLOON, n);
		memset(stamp + gfn, 0, n * sizeof(*stamp));
	}
}

static void do_unlock(u64 gfn, u64 n)
{
	int err = p2m_unlock(&p, gfn, n == 1 ? ORDER_4K : ORDER_2M, &b, &work);

	if (err == HV_ENOMEM || err == HV_EAGAIN)
		return;
	assert_int_equal(err == HV_OK, kind_count(gfn, n, P2M_BALLOON) != 0);
	if (!err)
		for (u64 i = gfn; i < gfn + n; i++)
			if (model[i] == P2M_BALLOON)
				model[i] = P2M_EMPTY;
}

/* A fault of the guest; the new page must read as zero. */
static void do_populate(u64 gfn, unsigned int order)
{
	struct p2m_entry e = p2m_lookup(&p, gfn);
	enum p2m_kind kind;
	int err = p2m_populate(&p, gfn, order, 0, &kind);

	assert_int_equal(e.kind, model[gfn]);
	if (err == HV_ENOMEM || err == HV_EAGAIN)
		return;
	assert_int_equal(err, model[gfn] == P2M_EMPTY ? HV_OK : HV_ESTATE);
	if (err)
		return;
	e = p2m_lookup(&p, gfn);
	gfn = ALIGN_DOWN(gfn, 1UL << e.order);
	assert_true(fake_is_zero(fake_frame(p2m_lookup(&p, gfn).frame), PAGE_SIZE << e.order));
	memset(model + gfn, P2M_MAPPED, 1UL << e.order);
}

static void do_write(u64 gfn)
{
	u32 v = (u32)fake_random(&seed) | 1;
	int err = guest_write(&p, GPA((gfn << PAGE_SHIFT) + 8), &v, sizeof(v));

	if (err == HV_ENOMEM || err == HV_EAGAIN)
		return;
	assert_int_equal(err,
			 model[gfn] == P2M_MAPPED || model[gfn] == P2M_EMPTY ? HV_OK : HV_EFAULT);
	if (err)
		return;
	model[gfn] = P2M_MAPPED;
	stamp[gfn] = v;
}

static void do_read(u64 gfn)
{
	u32 v = 7;
	int err = guest_read(&p, GPA((gfn << PAGE_SHIFT) + 8), &v, sizeof(v));
	bool there = model[gfn] == P2M_MAPPED || model[gfn] == P2M_EMPTY;

	assert_int_equal(err, there ? HV_OK : HV_EFAULT);
	if (there)
		assert_int_equal(v, stamp[gfn]);
}

static void do_pin(u64 gfn)
{
	struct p2m_entry e = p2m_lookup(&p, gfn);
	int err;

	if (pins[gfn]) {
		assert_int_equal(p2m_unpin(&e), HV_OK);
		pins[gfn]--;
		return;
	}
	err = p2m_pin(&p, gfn, &e);
	assert_int_equal(err, model[gfn] == P2M_MAPPED ? HV_OK : HV_ESTATE);
	pins[gfn] += !err;
}

static void do_merge(u64 gfn)
{
	p2m_merge(&p, ALIGN_DOWN(gfn, 512UL), 2, &b); /* most often there is nothing to merge */
}

/* A CPU passes a quiescent point, as the record sees it and as the epoch is told. */
static void enter(u32 cpu)
{
	u64 epoch = epoch_now();

	fake_record_enter(cpu);
	epoch_quiescent(cpu, epoch);
}

static void one_step(void)
{
	u64 r = fake_random(&seed), gfn = (r >> 8) % PAGES;
	u64 big = ALIGN_DOWN(gfn, 512UL);
	bool fits = big + 512 <= PAGES;

	switch (r % 14) {
	case 0:
	case 1:
		do_lock(gfn, 1);
		break;
	case 2:
		if (fits)
			do_lock(big, 512);
		break;
	case 3:
		do_unlock(gfn, 1);
		break;
	case 4:
		if (fits)
			do_unlock(big, 512);
		break;
	case 5:
		do_populate(gfn, ORDER_2M);
		break;
	case 6:
		do_populate(gfn, ORDER_4K);
		break;
	case 7:
	case 8:
		do_write(gfn);
		break;
	case 9:
		do_read(gfn);
		break;
	case 10:
		if (r >> 60 < 4)
			do_pin(gfn);
		break;
	case 11:
		do_merge(gfn);
		break;
	case 12:
		enter((r >> 40) % CPUS);
		quarantine_drain(1 + (r >> 50) % 20);
		break;
	case 13:
		frame_scrub_one();
		break;
	}
	if (r >> 32 & 1)
		p2m_commit(&p, &b);
}

static void compare(void)
{
	for (u64 g = 0; g < PAGES; g++)
		assert_int_equal(p2m_lookup(&p, g).kind, model[g]);
	p2m_commit(&p, &b);
	tables_check(&p);
}

static void soak(const struct pt_format *fmt, u32 frames, int steps)
{
	u64 gfn = 0;

	fake_machine(frames, CPUS);
	fake_record_reset();
	memset(model, P2M_EMPTY, sizeof(model));
	memset(stamp, 0, sizeof(stamp));
	memset(pins, 0, sizeof(pins));
	b = FRAME_BATCH_INIT;
	assert_int_equal(p2m_init(&p, fmt, 5, PAGES), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, PAGES, P2M_EMPTY), HV_OK);
	assert_int_equal(p2m_set_range(&p, 160, 96, P2M_HOLE), HV_OK);
	memset(model + 160, P2M_HOLE, 96);
	for (int i = 0; i < steps; i++) {
		one_step();
		if (i % 1000 == 0)
			compare();
	}
	compare();
	assert_int_equal(fake_record_violations, 0);
	assert_true(fake_record_freed() > 100);
	while (p2m_teardown(&p, &gfn, &b) == HV_EAGAIN)
		p2m_commit(&p, &b);
	p2m_commit(&p, &b);
	p2m_destroy(&p);
	for (u32 i = 0; i < CPUS; i++)
		enter(i);
	while (quarantine_drain(64))
		;
	assert_int_equal(frames_stats().free_dirty + frames_stats().free_clean, frames);
	assert_int_equal(fake_record_violations, 0);
	fake_machine_off();
}

static void plenty_of_memory(void **state)
{
	seed = 1;
	soak(*state, 20000, 40000);
}

/* Less than the map has pages: allocations fail all the time. */
static void scarce_memory(void **state)
{
	seed = 77;
	soak(*state, 1500, 40000);
}

/* The recorder itself: it must see an early free. */
static void recorder_sees_early_reuse(void **state)
{
	struct frame_acct acct = { .owner = 1 };
	struct frame_batch batch = FRAME_BATCH_INIT;
	u32 f;

	(void)state;
	fake_machine(64, CPUS);
	fake_record_reset();
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, 0, &f), HV_OK);
	frame_retire_guest(&acct, f, &batch);
	quarantine_commit(&acct, &batch, epoch_advance());
	fake_record_enter(0);
	for (u32 i = 0; i < CPUS; i++)
		epoch_quiescent(i, epoch_now()); /* a lie: CPUs 1 and 2 did not pass */
	assert_int_equal(quarantine_drain(64), 1);
	assert_int_equal(fake_record_violations, CPUS - 1);
	fake_machine_off();
}

#define BOTH(f)                                                 \
	{ #f " (EPT)", f, NULL, NULL, &ept_format },            \
	{                                                       \
#f " (NPT)", f, NULL, NULL, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(plenty_of_memory),
		BOTH(scarce_memory),
		cmocka_unit_test(recorder_sees_early_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
