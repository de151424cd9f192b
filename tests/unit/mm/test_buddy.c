/* SPDX-License-Identifier: BSD-2-Clause */
/* The buddy allocator by itself: the blocks that it cuts and merges. */
#include <tests/fake/fake.h>

#include <mm/buddy.h>

#define NR 64

static struct frame table[NR];
static struct buddy b;

static int setup(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	for (u32 i = 0; i < NR; i++)
		table[i].state = FRAME_TAIL;
	buddy_init(&b, table, NR);
	return 0;
}

static void nothing_to_take(void **state)
{
	unsigned int order;

	(void)state;
	assert_int_equal(buddy_take(&b, 0, FRAME_FREE_DIRTY), FRAME_NONE);
	assert_int_equal(buddy_take_largest(&b, 6, FRAME_FREE_CLEAN, &order), FRAME_NONE);
}

static void cuts_the_smallest_that_fits(void **state)
{
	(void)state;
	buddy_free(&b, 0, 5, FRAME_FREE_DIRTY);
	buddy_free(&b, 40, 3, FRAME_FREE_DIRTY);
	assert_int_equal(buddy_take(&b, 1, FRAME_FREE_DIRTY), 40);
	assert_int_equal(table[40].order, 1);
	assert_int_equal(table[42].order, 1); /* the rest, in halves */
	assert_int_equal(table[44].order, 2);
	assert_int_equal(b.count[0], 32 + 6);
	assert_int_equal(buddy_take(&b, 6, FRAME_FREE_DIRTY), FRAME_NONE);
	assert_int_equal(buddy_take(&b, 5, FRAME_FREE_DIRTY), 0);
}

static void buddies_merge(void **state)
{
	(void)state;
	/* Every other frame: none has its buddy. */
	for (u32 i = 0; i < 8; i += 2)
		buddy_free(&b, i, 0, FRAME_FREE_DIRTY);
	assert_int_equal(b.nonempty[0], 1);
	for (u32 i = 1; i < 8; i += 2)
		buddy_free(&b, i, 0, FRAME_FREE_DIRTY);
	assert_int_equal(b.nonempty[0], 1u << 3);
	assert_int_equal(table[0].order, 3);
	assert_int_equal(b.count[0], 8);
	for (u32 i = 1; i < 8; i++)
		assert_int_equal(table[i].state, FRAME_TAIL);
}

/* Clean and dirty memory stay apart, or clean memory would have to be scrubbed again. */
static void clean_and_dirty_do_not_merge(void **state)
{
	unsigned int order;

	(void)state;
	buddy_free(&b, 0, 2, FRAME_FREE_DIRTY);
	buddy_free(&b, 4, 2, FRAME_FREE_CLEAN);
	assert_int_equal(b.nonempty[0], 1u << 2);
	assert_int_equal(b.nonempty[1], 1u << 2);
	assert_int_equal(buddy_take(&b, 3, FRAME_FREE_CLEAN), FRAME_NONE);
	assert_int_equal(buddy_take_largest(&b, 1, FRAME_FREE_CLEAN, &order), 4);
	assert_int_equal(order, 1);
	assert_int_equal(b.count[1], 2);
	assert_int_equal(b.count[0], 4);
}

/* A buddy beyond the end of the table is never read. */
static void the_table_ends(void **state)
{
	(void)state;
	b.nr = 3;
	table[3] = (struct frame){ .state = FRAME_FREE_DIRTY };
	buddy_free(&b, 2, 0, FRAME_FREE_DIRTY);
	assert_int_equal(b.nonempty[0], 1u << 0);
	assert_int_equal(b.count[0], 1);
}

static void any_block_leaves_its_list(void **state)
{
	(void)state;
	for (u32 i = 0; i < 6; i += 2)
		buddy_free(&b, i, 0, FRAME_FREE_DIRTY);
	buddy_remove(&b, 2); /* the middle of the list */
	assert_int_equal(table[2].state, FRAME_TAIL);
	assert_int_equal(b.count[0], 2);
	assert_int_equal(buddy_take(&b, 0, FRAME_FREE_DIRTY), 4);
	assert_int_equal(buddy_take(&b, 0, FRAME_FREE_DIRTY), 0);
	assert_int_equal(b.nonempty[0], 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_to_take), T(cuts_the_smallest_that_fits),
		T(buddies_merge),   T(clean_and_dirty_do_not_merge),
		T(the_table_ends),  T(any_block_leaves_its_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
