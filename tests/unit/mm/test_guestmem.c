/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own access to guest memory. */
#include <tests/fake/tables.h>

#include <mm/guestmem.h>

#define PAGES 4096UL

static struct p2m p;

static int setup(void **state)
{
	enum p2m_kind kind;

	fake_machine(3000, 1);
	p = (struct p2m){ 0 };
	assert_int_equal(p2m_init(&p, *state, 1, PAGES), HV_OK);
	assert_int_equal(p2m_set_range(&p, 0, PAGES, P2M_EMPTY), HV_OK);
	assert_int_equal(p2m_set_range(&p, 160, 96, P2M_HOLE), HV_OK);
	assert_int_equal(p2m_populate(&p, 10, ORDER_4K, 0, &kind), HV_OK);
	assert_int_equal(p2m_populate(&p, 11, ORDER_4K, 0, &kind), HV_OK);
	return 0;
}

static gpa_t at(u64 gfn, u64 offset)
{
	return GPA((gfn << PAGE_SHIFT) + offset);
}

static void crosses_pages(void **state)
{
	char text[] = "across the border", back[sizeof(text)];

	(void)state;
	assert_int_equal(guest_write(&p, at(10, 4090), text, sizeof(text)), HV_OK);
	assert_memory_equal(fake_frame(p2m_lookup(&p, 10).frame) + 4090, "across", 6);
	assert_memory_equal(fake_frame(p2m_lookup(&p, 11).frame), " the border", 11);
	assert_int_equal(guest_read(&p, at(10, 4090), back, sizeof(back)), HV_OK);
	assert_string_equal(back, text);
	assert_int_equal(guest_read(&p, at(160, 0), back, 0), HV_OK); /* nothing is always there */
}

static void empty_reads_as_zero_and_stays_empty(void **state)
{
	u8 buf[3 * PAGE_SIZE];
	u64 resident = p.acct.resident, tables = p.acct.tables;

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(guest_read(&p, at(1000, 100), buf, sizeof(buf)), HV_OK);
	assert_true(fake_is_zero(buf, sizeof(buf)));
	assert_int_equal(p2m_lookup(&p, 1000).kind, P2M_EMPTY);
	assert_int_equal(p.acct.resident, resident);
	assert_int_equal(p.acct.tables, tables);
}

static void write_backs_empty(void **state)
{
	u8 buf[32];

	(void)state;
	assert_int_equal(guest_write(&p, at(2000, 5), "abc", 3), HV_OK);
	assert_int_equal(p2m_lookup(&p, 2000).kind, P2M_MAPPED);
	assert_int_equal(guest_read(&p, at(2000, 0), buf, sizeof(buf)), HV_OK);
	assert_memory_equal(buf, "\0\0\0\0\0abc\0", 9);
	assert_int_equal(p2m_lookup(&p, 2001).kind, P2M_EMPTY);
	tables_check(&p);
}

static void what_is_not_memory(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;
	u8 buf[16];

	(void)state;
	assert_int_equal(p2m_lock(&p, 11, 0, &b, &work), HV_OK);
	p2m_commit(&p, &b);
	assert_int_equal(guest_read(&p, at(11, 0), buf, 1), HV_EFAULT);
	assert_int_equal(guest_write(&p, at(11, 0), buf, 1), HV_EFAULT);
	assert_int_equal(guest_read(&p, at(10, 4090), buf, 16), HV_EFAULT); /* the second half */
	assert_int_equal(guest_read(&p, at(160, 0), buf, 1), HV_EFAULT);
	assert_int_equal(guest_write(&p, at(200, 0), buf, 1), HV_EFAULT);
	assert_int_equal(guest_read(&p, at(PAGES, 0), buf, 1), HV_EFAULT);
	assert_int_equal(guest_read(&p, at(PAGES - 1, 4090), buf, 16), HV_EFAULT);
	assert_int_equal(guest_read(&p, GPA(UINT64_MAX), buf, 16), HV_EFAULT);
	assert_int_equal(guest_write(&p, GPA(UINT64_MAX - 7), buf, 16), HV_EFAULT);
	assert_int_equal(guest_read(&p, GPA(1UL << 60), buf, 16), HV_EFAULT);
	assert_int_equal(p2m_lookup(&p, 11).kind, P2M_BALLOON);
}

static void read_only_is_not_written(void **state)
{
	int level;

	(void)state;
	*tables_entry(&p, 10, &level) &= ~p.fmt->write;
	assert_int_equal(guest_write(&p, at(10, 0), "x", 1), HV_EFAULT);
	assert_int_equal(fake_frame(p2m_lookup(&p, 10).frame)[0], 0);
}

static void no_memory_for_a_write(void **state)
{
	u32 f;

	(void)state;
	p2m_prepare(&p, 0);
	while (!frame_alloc_hv(0, &f))
		;
	assert_int_equal(guest_write(&p, at(12, 0), "x", 1), HV_ENOMEM);
	assert_int_equal(p2m_lookup(&p, 12).kind, P2M_EMPTY);
	assert_int_equal(guest_write(&p, at(10, 0), "x", 1), HV_OK);
}

#define BOTH(f)                                                           \
	{ #f " (EPT)", f, setup, fake_teardown, &ept_format },            \
	{                                                                 \
#f " (NPT)", f, setup, fake_teardown, (void *)&npt_format \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(crosses_pages),
		BOTH(empty_reads_as_zero_and_stays_empty),
		BOTH(write_backs_empty),
		BOTH(what_is_not_memory),
		BOTH(read_only_is_not_written),
		BOTH(no_memory_for_a_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
