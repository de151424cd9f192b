/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every operation on a p2m, with the k-th allocation failing for every k, and on a machine without
 * free frames: on an error nothing has changed.
 */
#include <tests/fake/tables.h>

#include <mm/guestmem.h>

#define TOP (2UL * 512 * 512)

static struct p2m p;
static struct frame_batch b;
static u64 work;

static int teardown(void **state)
{
	(void)state;
	fake_alloc_off();
	fake_machine_off();
	return 0;
}

/* A p2m with entries of all kinds, and a pool of @pool frames. */
static void make(const struct pt_format *fmt, unsigned int pool)
{
	enum p2m_kind kind;

	fake_alloc_off();
	fake_machine(4096, 1);
	b = FRAME_BATCH_INIT;
	p = (struct p2m){ 0 };
	assert_int_equal(p2m_init(&p, fmt, 5, TOP), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, TOP, P2M_EMPTY), HV_OK);
	while (frame_scrub_one())
		;
	assert_int_equal(p2m_populate(&p, 512, ORDER_2M, 0, &kind), HV_OK);
	assert_int_equal(p2m_populate(&p, 1024, ORDER_4K, 0, &kind), HV_OK);
	assert_int_equal(p2m_lock(&p, 2048, ORDER_2M, &b, &work), HV_OK);
	assert_int_equal(p2m_lock(&p, 1030, 0, &b, &work), HV_OK);
	p2m_commit(&p, &b);
	fake_settle();
	p2m_prepare(&p, 0);
	while (p.pool_count > pool) {
		assert_int_equal(frame_retire_table(&p.acct, p.pool[--p.pool_count], &b), HV_OK);
		p2m_commit(&p, &b);
	}
	fake_settle();
	tables_check(&p);
}

static int op_populate_4k(void)
{
	enum p2m_kind kind;

	return p2m_populate(&p, 300000, ORDER_4K, 0, &kind);
}

static int op_populate_2m(void)
{
	enum p2m_kind kind;

	return p2m_populate(&p, 300000, ORDER_2M, 0, &kind);
}

static int op_lock_in_leaf(void)
{
	return p2m_lock(&p, 520, 0, &b, &work);
}

static int op_lock_in_empty(void)
{
	return p2m_lock(&p, 300000, 0, &b, &work);
}

static int op_lock_2m_in_empty(void)
{
	return p2m_lock(&p, 4096, ORDER_2M, &b, &work);
}

static int op_lock_there(void)
{
	return p2m_lock(&p, 1024, 0, &b, &work);
}

static int op_unlock_in_large(void)
{
	return p2m_unlock(&p, 2050, 0, &b, &work);
}

static int op_unlock_there(void)
{
	return p2m_unlock(&p, 1030, 0, &b, &work);
}

static int op_split(void)
{
	return p2m_split(&p, 300000, ORDER_4K);
}

static int op_pin(void)
{
	struct p2m_entry e;
	int err = guest_pin(&p, GPA(300000UL << PAGE_SHIFT), true, &e);

	if (!err)
		p2m_unpin(&e);
	return err;
}

static int op_write(void)
{
	return guest_write(&p, GPA(300000UL << PAGE_SHIFT), "x", 1);
}

static const struct {
	const char *name;
	int (*run)(void);
} ops[] = {
	{ "populate 4K", op_populate_4k },
	{ "populate 2M", op_populate_2m },
	{ "lock in a leaf", op_lock_in_leaf },
	{ "lock in empty", op_lock_in_empty },
	{ "lock 2M in empty", op_lock_2m_in_empty },
	{ "lock a mapped page", op_lock_there },
	{ "unlock in a large entry", op_unlock_in_large },
	{ "unlock a page", op_unlock_there },
	{ "split", op_split },
	{ "pin", op_pin },
	{ "guest write", op_write },
};

/* Runs @op; true if it failed, and then nothing may have changed. */
static bool try(size_t op)
{
	struct snapshot s = snapshot_take(&p);
	int err = ops[op].run();

	if (err) {
		if (err != HV_ENOMEM && err != HV_EAGAIN)
			fail_msg("%s: error %d", ops[op].name, err);
		assert_int_equal(b.first, FRAME_NONE);
		snapshot_same(&p, &s);
	}
	p2m_commit(&p, &b);
	tables_check(&p);
	return err;
}

static void every_allocation_fails_once(void **state)
{
	u32 failures = 0;

	for (size_t op = 0; op < ARRAY_SIZE(ops); op++)
		for (unsigned int pool = 0; pool <= P2M_POOL; pool++)
			for (u32 k = 0;; k++) {
				bool failed;

				make(*state, pool);
				fake_alloc_fail_at(k);
				failed = try(op);
				fake_alloc_off();
				if (!fake_alloc.failed) { /* fewer than k allocations */
					assert_false(failed);
					break;
				}
				failures += failed;
				/* When there is memory again, the same call succeeds. */
				if (failed)
					assert_false(try(op));
			}
	assert_true(failures > 20);
}

/* The machine has n frames left, for growing n: when n suffices, all larger n do. */
static void real_exhaustion(void **state)
{
	for (size_t op = 0; op < ARRAY_SIZE(ops); op++) {
		bool succeeded = false;

		for (u32 n = 0; n < 6; n++) {
			u32 f;
			bool failed;

			make(*state, 0);
			while (frames_available() > n)
				assert_int_equal(frame_alloc_hv(0, &f), HV_OK);
			failed = try(op);
			assert_false(succeeded && failed);
			succeeded = !failed;
		}
		assert_true(succeeded);
	}
}

/* A full pool: the balloon's own operations need no memory at all. */
static void a_full_pool_is_enough(void **state)
{
	u32 f;

	make(*state, P2M_POOL);
	while (!frame_alloc_hv(0, &f))
		;
	assert_false(try(2));
	make(*state, P2M_POOL);
	while (!frame_alloc_hv(0, &f))
		;
	assert_false(try(3));
	make(*state, P2M_POOL);
	while (!frame_alloc_hv(0, &f))
		;
	assert_false(try(6));
}

static void init_without_memory(void **state)
{
	u32 f;

	fake_machine(1, 1);
	assert_int_equal(frame_alloc_hv(0, &f), HV_OK);
	p = (struct p2m){ 0 };
	assert_int_equal(p2m_init(&p, *state, 5, TOP), HV_ENOMEM);
	assert_int_equal(p.root.v, 0);
	assert_int_equal(p.acct.tables, 0);
}

#define BOTH(f)                                                     \
	{ #f " (EPT)", f, NULL, teardown, &ept_format },            \
	{                                                           \
#f " (NPT)", f, NULL, teardown, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(every_allocation_fails_once),
		BOTH(real_exhaustion),
		BOTH(a_full_pool_is_enough),
		BOTH(init_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
