/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest driver's core: pages that are lost, kept, moved or free. */
#include <tests/unit/driver/driver_fixture.h>

/* The guest touched pages of the balloon: the hypervisor knows, the driver finds out. */
static void popped_pages(void **state)
{
	(void)state;
	k.hint = 256; /* small pages */
	run_to(1000);
	for (u32 i = 0, n = 0; i < PAGES && n < 200; i++)
		if (k.locked[i]) {
			k.locked[i] = 0;
			k.ballooned--;
			n++;
		}
	k.target = 0;
	while (aero_balloon_step(&b, 4))
		;
	assert_int_equal(b.size, 0);
	assert_int_equal(k.ballooned, 0);
	k.hint = 512 * 512;
	run_to(4096);
	for (u32 i = 0; i < PAGES; i += 3) {
		k.ballooned -= k.locked[i];
		k.locked[i] = 0;
	}
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void out_of_memory_in_the_guest(void **state)
{
	(void)state;
	k.keep = PAGES - 1500;
	run_to(5000);
	assert_true(b.size > 1000 && b.size < 1500);
	assert_int_equal(aero_balloon_step(&b, 4), 0); /* not now */
	k.keep = 0;
	run_to(5000);
	assert_int_equal(b.size, 5000);
	/* The kernel has no page at all, not even for the way back. */
	k.keep = PAGES;
	run_to(0);
	assert_int_equal(b.size, 0);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
	/* Not even the batch page. */
	assert_int_equal(aero_balloon_start(&b, &os), AERO_ERR_NOMEM);
	assert_int_equal(aero_balloon_step(&b, 4), 0);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

/* UNLOCK while the host has no frame for a table: those pages stay, and the driver tries again. */
static void unlock_is_refused(void)
{
	k.hint = 256;
	run_to(3000);
	k.nomem = 2;
	k.target = 0;
	for (int i = 0; i < 100; i++) {
		aero_balloon_step(&b, 4);
		consistent();
	}
	assert_int_equal(b.size, 0);
	run_to(1531);
	k.nomem = 1; /* none at all, through a whole stack: nothing is forgotten */
	k.target = 0;
	aero_balloon_step(&b, 1);
	assert_int_equal(b.size, 1531);
	k.nomem = 0;
	run_to(0);
	assert_int_equal(b.size, 0);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void unlock_without_memory(void **state)
{
	(void)state;
	unlock_is_refused();
}

/* The same, and the guest has no page for a chunk either. */
static void unlock_without_memory_on_either_side(void **state)
{
	(void)state;
	k.hint = 256;
	run_to(3000);
	k.keep = PAGES;
	k.nomem = 2;
	k.target = 0;
	for (int i = 0; i < 100; i++)
		aero_balloon_step(&b, 4);
	assert_int_equal(b.size, 0);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

/* Large ones are on the core's list, small ones are the kernel's; no own page is mixed up. */
static void a_kernel_that_keeps_its_pages(void **state)
{
	static const u64 targets[] = { 300, 3000, 513, 0, 700, 8191, 511 };

	(void)state;
	restart(&mover);
	assert_int_equal(k.own, 1);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		run_to(targets[i]);
		assert_int_equal(b.size, targets[i]);
		assert_int_equal(k.nr_kept % 512, targets[i] % 512);
	}
	assert_null(b.small.top);
	/* A page that is being moved cannot be given back now, and nothing is lost. */
	k.moving = 1;
	assert_int_equal(aero_balloon_stop(&b), 1);
	assert_int_equal(k.ballooned, 1);
	k.moving = 0;
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(k.own, 0);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

static void pages_are_moved(void **state)
{
	aero_u64 from, to;

	(void)state;
	restart(&mover);
	run_to(100);
	assert_int_equal(take(NULL, &from), 1); /* isolated, as Linux says */
	assert_int_equal(alloc(NULL, 0, &to), 1);
	assert_int_equal(aero_balloon_move(&b, from, to), 1);
	assert_int_equal(k.locked[from], 0);
	assert_int_equal(k.locked[to], 1);
	keep(NULL, to);
	release(NULL, 0, from);
	consistent();
	assert_int_equal(b.size, 100);
	/* Refused: both pages stay where they are. */
	assert_int_equal(take(NULL, &from), 1);
	assert_int_equal(alloc(NULL, 0, &to), 1);
	k.refuse = 1;
	assert_int_equal(aero_balloon_move(&b, from, to), 0);
	k.refuse = 0;
	k.fail = AERO_ERR_FAULT;
	assert_int_equal(aero_balloon_move(&b, from, to), 0);
	assert_int_equal(k.locked[from], 1);
	assert_int_equal(k.locked[to], 0);
	keep(NULL, from);
	release(NULL, 0, to);
	run_to(0);
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(aero_balloon_move(&b, 1, 2), 0); /* after the end */
}

static void free_blocks_are_reported(void **state)
{
	static const aero_u64 blocks[] = { 4096, 8192, 12288 };

	(void)state;
	assert_int_equal(aero_balloon_report(&b, blocks, 3), 3 * 512);
	assert_int_equal(k.reported, 3 * 512);
	k.refuse = 3;
	assert_int_equal(aero_balloon_report(&b, blocks, 3), 2 * 512);
	k.refuse = 0;
	k.fail = AERO_ERR_FAULT;
	assert_int_equal(aero_balloon_report(&b, blocks, 3), 0);
	assert_int_equal(aero_balloon_report(&b, blocks, 0), 0);
	assert_int_equal(aero_balloon_report(&b, blocks, 513), 0);
	assert_int_equal(b.reported, 5 * 512);
	assert_int_equal(k.ballooned, 0);
	consistent();
}

/* Pages that nobody touches need no frames: the hint does not count for them. */
static void untouched_blocks_need_no_hint(void **state)
{
	(void)state;
	k.hint = 512;
	run_to(8192);
	assert_int_equal(k.largest, 1);
	restart(&untouched);
	k.batches = 0;
	run_to(8192);
	assert_int_equal(k.batches, 1);
	assert_int_equal(k.largest, 16);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(popped_pages),
		T(out_of_memory_in_the_guest),
		T(unlock_without_memory),
		T(unlock_without_memory_on_either_side),
		T(a_kernel_that_keeps_its_pages),
		T(pages_are_moved),
		T(free_blocks_are_reported),
		T(untouched_blocks_need_no_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
