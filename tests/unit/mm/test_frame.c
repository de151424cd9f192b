/* SPDX-License-Identifier: BSD-2-Clause */
/* Frame table: transitions, pages, pieces that come later, random traffic. */
#include <tests/unit/mm/frames_fixture.h>

static void record_is_16_bytes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct frame), 16);
}

static void odd_ranges_are_added_whole(void **state)
{
	(void)state;
	fake_machine_at(3, 5000, 1);
	assert_int_equal(frames_stats().total, 5000);
	assert_int_equal(frames_stats().free_dirty, 5000);
	assert_sum();
	for (u32 i = 3; i < 5003; i++)
		assert_int_not_equal(frame_head(i), FRAME_NONE);
	assert_int_equal(frame_get(0)->state, FRAME_ABSENT);
	assert_null(frame_get(5003));
	assert_int_equal(frame_head(5003), FRAME_NONE);
}

/* Every order, aligned, and all of it merges again. */
static void all_orders_to_1g(void **state)
{
	u32 f, big;

	(void)state;
	fake_machine_at(0, 2 << ORDER_1G, 1);
	for (unsigned int order = 0; order <= FRAME_MAX_ORDER; order++) {
		assert_int_equal(frame_alloc_hv(order, &f), HV_OK);
		assert_int_equal(f & ((1u << order) - 1), 0);
		assert_int_equal(frame_get(f)->order, order);
		assert_int_equal(frames_stats().hv, 1UL << order);
		assert_int_equal(frame_free_hv(f), HV_OK);
		assert_sum();
	}
	assert_int_equal(frame_alloc_hv(ORDER_1G, &big), HV_OK);
	assert_int_equal(frame_alloc_hv(ORDER_1G, &f), HV_OK);
	assert_int_equal(frame_alloc_hv(0, &f), HV_ENOMEM);
	assert_int_equal(frame_alloc_hv(FRAME_MAX_ORDER + 1, &f), HV_EINVAL);
	assert_int_equal(frame_alloc_hv(64, &f), HV_EINVAL);
	assert_int_equal(frame_head(big + 12345), big);
}

static void wrong_states_are_refused(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	struct frame_acct other = { .owner = 4 };
	u32 hv, table, guest;

	(void)state;
	machine(2048);
	assert_int_equal(frame_alloc_hv(0, &hv), HV_OK);
	assert_int_equal(frame_alloc_table(&acct, 0, &table), HV_OK);
	assert_int_equal(frame_alloc_guest(&acct, 77, 0, 0, &guest), HV_OK);
	assert_int_equal(frame_get(guest)->gfn, 77);

	assert_int_equal(frame_free_hv(table), HV_ESTATE);
	assert_int_equal(frame_free_hv(guest), HV_ESTATE);
	assert_int_equal(frame_free_hv(fake.nr_frames), HV_ESTATE);
	assert_int_equal(frame_retire_guest(&acct, hv, &b), HV_ESTATE);
	assert_int_equal(frame_retire_guest(&acct, table, &b), HV_ESTATE);
	assert_int_equal(frame_retire_guest(&other, guest, &b), HV_ESTATE);
	assert_int_equal(frame_retire_table(&acct, guest, &b), HV_ESTATE);
	assert_int_equal(frame_retire_table(&other, table, &b), HV_ESTATE);
	assert_int_equal(frame_split_guest(guest), HV_ESTATE);
	assert_int_equal(frame_merge_guest(guest, ORDER_4K), HV_EINVAL);
	assert_int_equal(frame_pin(hv), HV_ESTATE);
	assert_int_equal(frame_unpin(guest), HV_ESTATE);
	assert_int_equal(frame_pin(guest), HV_OK);
	assert_int_equal(frame_retire_guest(&acct, guest, &b), HV_EBUSY);
	assert_int_equal(b.first, FRAME_NONE);
	assert_int_equal(acct.resident, 1);
	assert_int_equal(frame_unpin(guest), HV_OK);
	assert_int_equal(frame_retire_guest(&acct, guest, &b), HV_OK);
	assert_int_equal(frame_retire_guest(&acct, guest, &b), HV_ESTATE); /* twice */
	assert_int_equal(frame_free_hv(hv), HV_OK);
	assert_int_equal(frame_free_hv(hv), HV_ESTATE);
	quarantine_commit(&acct, &b, epoch_advance());
	assert_sum();
}

/* A guest gets zeroed frames, scrubbed ahead or on demand. */
static void guests_get_clean_frames(void **state)
{
	u32 f[4];

	(void)state;
	machine(4);
	for (u32 i = 0; i < 4; i++)
		memset(fake_frame(512 + i), 0xa5, PAGE_SIZE);
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, FRAME_CLEAN_ONLY, &f[0]), HV_ENOMEM);
	assert_int_equal(frames_stats().hv, 0);
	assert_int_equal(frame_alloc_guest(&acct, 0, 0, 0, &f[0]), HV_OK);
	assert_int_equal(frames_stats().scrubbed_demand, 1);
	while (frame_scrub_one())
		;
	assert_int_equal(frames_stats().free_clean, 3);
	assert_int_equal(frames_stats().scrubbed_idle, 3);
	for (u32 i = 1; i < 4; i++)
		assert_int_equal(frame_alloc_guest(&acct, i, 0, FRAME_CLEAN_ONLY, &f[i]), HV_OK);
	for (u32 i = 0; i < 4; i++)
		assert_true(fake_is_zero(fake_frame(f[i]), PAGE_SIZE));
	assert_int_equal(frames_stats().scrubbed_demand, 1);
	assert_sum();
}

static void split_and_merge(void **state)
{
	u32 f;

	(void)state;
	machine(4096);
	assert_int_equal(frame_alloc_guest(&acct, 512, ORDER_2M, 0, &f), HV_OK);
	assert_int_equal(frame_pin(f), HV_OK);
	assert_int_equal(frame_split_guest(f), HV_EBUSY);
	frame_unpin_all(f);
	assert_int_equal(frame_split_guest(f), HV_OK);
	for (u32 i = 0; i < 512; i++) {
		assert_int_equal(frame_get(f + i)->state, FRAME_GUEST);
		assert_int_equal(frame_get(f + i)->order, 0);
		assert_int_equal(frame_get(f + i)->gfn, 512 + i);
	}
	assert_int_equal(frame_pin(f + 100), HV_OK);
	assert_int_equal(frame_merge_guest(f, ORDER_2M), HV_EBUSY);
	assert_int_equal(frame_unpin(f + 100), HV_OK);
	assert_int_equal(frame_merge_guest(f + 1, ORDER_2M), HV_EINVAL);
	assert_int_equal(frame_merge_guest(f, ORDER_2M), HV_OK);
	assert_int_equal(frame_head(f + 511), f);
	assert_int_equal(frame_merge_guest(f, ORDER_2M), HV_ESTATE);
	assert_int_equal(acct.resident, 512);
	assert_sum();
}

static void withheld_frames_never_come_back(void **state)
{
	u32 f, n = 0;

	(void)state;
	machine(2048);
	frames_withhold(1000);
	assert_int_equal(frames_stats().total, 1048);
	while (!frame_alloc_hv(0, &f))
		n++;
	assert_int_equal(n, 1048);
	frames_withhold(5); /* more than there is */
	assert_sum();
}

static void pages_are_zero_and_come_back(void **state)
{
	u8 *p;

	(void)state;
	machine(512);
	memset(fake_frame(512), 0x77, 512 * PAGE_SIZE);
	p = frame_alloc_pages(3);
	assert_true(fake_is_zero(p, 8 * PAGE_SIZE));
	frame_free_pages(p);
	frame_free_pages(NULL);
	assert_panics(frame_free_pages(p));
	assert_int_equal(frames_stats().hv, 0);
	assert_null(frame_alloc_pages(ORDER_1G));
}

/* A frame that failed is never given out again: from now on, or after its owner frees it. */
static void poisoned_frames_stay_out(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u32 guest, hv, f, n = 0;

	(void)state;
	machine(2048);
	while (frame_scrub_one())
		;
	assert_int_equal(frame_alloc_guest(&acct, 0, ORDER_2M, 0, &guest), HV_OK);
	assert_int_equal(frame_alloc_hv(0, &hv), HV_OK);
	frame_poison(guest + 77);
	frame_poison(hv);
	frame_poison(2500); /* free, in the middle of a block */
	frame_poison(2500);
	frame_poison(3);       /* not RAM */
	frame_poison(9999999); /* not there */
	assert_int_equal(frames_stats().bad, 1);
	assert_int_equal(frame_get(2500)->state, FRAME_BAD);
	assert_int_equal(frame_get(guest)->state, FRAME_GUEST);
	assert_sum();
	assert_int_equal(frame_free_hv(hv), HV_OK);
	assert_int_equal(frame_retire_guest(&acct, guest, &b), HV_OK);
	quarantine_commit(&acct, &b, epoch_advance());
	fake_settle();
	assert_int_equal(frames_stats().bad, 3);
	assert_sum();
	while (!frame_alloc_hv(0, &f)) {
		assert_true(f != 2500 && f != hv && f != guest + 77);
		n++;
	}
	assert_int_equal(n, 2045);
}

#define SLOTS 200

/* Random traffic against a map of owners; at the end everything has merged. */
static void random_traffic(void **state)
{
	static u8 used[8192];
	struct {
		u32 frame;
		unsigned int order;
	} slot[SLOTS] = { 0 };
	u64 seed = 42, held = 0;

	(void)state;
	fake_machine_at(0, 8192, 1);
	memset(used, 0, sizeof(used));
	for (int step = 0; step < 40000; step++) {
		u64 r = fake_random(&seed), i = r % SLOTS;
		unsigned int order = r >> 32 & 1 ? 0 : (unsigned int)(r >> 33) % 10;
		u32 f;

		if (slot[i].order) {
			order = slot[i].order - 1;
			memset(used + slot[i].frame, 0, 1u << order);
			assert_int_equal(frame_free_hv(slot[i].frame), HV_OK);
			slot[i].order = 0;
			held -= 1u << order;
		} else if (!frame_alloc_hv(order, &f)) {
			assert_int_equal(f & ((1u << order) - 1), 0);
			assert_true(fake_is_zero(used + f, 1u << order));
			memset(used + f, 1, 1u << order);
			slot[i].frame = f;
			slot[i].order = order + 1;
			held += 1u << order;
		}
		if (r >> 60 == 7)
			frame_scrub_one();
		assert_int_equal(frames_stats().hv, held);
	}
	assert_sum();
	for (int i = 0; i < SLOTS; i++)
		if (slot[i].order)
			assert_int_equal(frame_free_hv(slot[i].frame), HV_OK);
	while (frame_scrub_one())
		; /* only blocks of the same kind merge */
	assert_int_equal(frame_get(0)->order, 13);
}

/* A large machine's memory comes in pieces, with holes, while frames are in use. */
static void pieces_that_come_later(void **state)
{
	u32 a, b;

	(void)state;
	fake_machine_at(0, 4096, 1);
	memset(fake.table, 0, 4096 * sizeof(*fake.table));
	frames_init(fake.table, 0);
	assert_int_equal(frames_nr(), 0);
	assert_null(frame_get(0));
	frames_add(256, 256);
	assert_int_equal(frames_nr(), 512);
	assert_int_equal(frames_stats().total, 256);
	assert_int_equal(frame_alloc_hv(8, &a), HV_OK);
	assert_int_equal(a, 256);
	/* Its neighbours are records now, but not memory, and then memory. */
	frames_add(1024, 1024);
	assert_int_equal(frames_nr(), 2048);
	assert_int_equal(frame_get(600)->state, FRAME_ABSENT);
	assert_int_equal(frame_free_hv(a), HV_OK);
	assert_int_equal(frame_get(256)->order, 8);
	frames_add(0, 256);
	frames_add(512, 512);
	frames_add(2048, 2048);
	assert_int_equal(frame_get(0)->order, 12); /* all of it one block */
	assert_int_equal(frames_stats().free_dirty, 4096);
	assert_int_equal(frames_nr(), 4096);
	assert_int_equal(frame_alloc_hv(12, &b), HV_OK);
	assert_int_equal(b, 0);
	assert_int_equal(frames_check(0, 4096), HV_OK);
}

#define T(f) cmocka_unit_test_teardown(f, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(record_is_16_bytes),
		T(odd_ranges_are_added_whole),
		T(all_orders_to_1g),
		T(wrong_states_are_refused),
		T(guests_get_clean_frames),
		T(split_and_merge),
		T(withheld_frames_never_come_back),
		T(pages_are_zero_and_come_back),
		T(poisoned_frames_stay_out),
		T(random_traffic),
		T(pieces_that_come_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
