/* SPDX-License-Identifier: BSD-2-Clause */
/* One map with a ragged end, in the format that a test's state names; for test_p2m*.c. */
#ifndef TESTS_UNIT_P2M_FIXTURE_H
#define TESTS_UNIT_P2M_FIXTURE_H

#include <tests/fake/tables.h>

#define TOP (2UL * 512 * 512 + 5 * 512 + 37) /* 2 GiB and a ragged end */

static struct p2m p;
static struct frame_batch b;
static u64 work;

static void commit(void)
{
	p2m_commit(&p, &b);
	fake_settle();
}

static int setup(void **state)
{
	p = (struct p2m){ 0 };
	fake_machine(8192, 2);
	b = FRAME_BATCH_INIT;
	work = 0;
	assert_int_equal(p2m_init(&p, *state, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_machine_off();
	return 0;
}

static enum p2m_kind kind(u64 gfn)
{
	return p2m_lookup(&p, gfn).kind;
}

static int back(u64 gfn, unsigned int order)
{
	enum p2m_kind k;
	int err = p2m_populate(&p, gfn, order, 0, &k);

	if (err == HV_ESTATE)
		assert_int_equal(k, kind(gfn));
	return err;
}

static void populate(u64 gfn, unsigned int order)
{
	assert_int_equal(back(gfn, order), HV_OK);
	assert_int_equal(kind(gfn), P2M_MAPPED);
}

/* 2 MiB leaves need clean blocks. */
static void scrub_all(void)
{
	while (frame_scrub_one())
		;
}

#endif
