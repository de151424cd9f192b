/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soak: random lock and unlock entries of both sizes, in random order, over a region in which
 * this guest knows the state of every page. It fills and verifies pages of its own; pages that it
 * gets back must be zero; pages that it touches in the balloon must pop. Now and then its driver
 * restarts.
 *   seed=N entries=N
 */
#include "case.h"

#define BLOCKS 12
#define PAGES (BLOCKS * 512)

enum { EMPTY, FILLED, LOCKED }; /* EMPTY: ours, not written since we got it: reads as zero */

static u8 state[PAGES];
static u32 generation[PAGES];
static u64 first, seed, entries, pops, restarts, checked;
static struct aero_batch batch __attribute__((aligned(4096)));

static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

static bool page_ok(u64 i)
{
	checked++;
	if (state[i] == FILLED)
		return page_verify_as(self(), first + i, generation[i]) < 0;
	return page_is_zero(first + i);
}

static void fill_page(u64 i)
{
	generation[i] = (u32)rnd(1 << 20);
	page_fill_as(self(), first + i, generation[i]);
	state[i] = FILLED;
}

static u64 status_of(u64 i)
{
	return (batch.entry[i] & AERO_ENTRY_STATUS_MASK) >> AERO_ENTRY_STATUS_SHIFT;
}

static bool send(u64 nr, u64 n)
{
	struct aero_result r = { 0 };
	u64 done = 0;

	do {
		bare_hypercall(nr, (u64)&batch, n, done, &r);
		done = r.value;
	} while (r.status == AERO_AGAIN);
	entries += n;
	return !r.status && done == n;
}

static u64 count(u64 block, u8 what)
{
	u64 n = 0;

	for (u64 i = 0; i < 512; i++)
		n += state[block * 512 + i] == what;
	return n;
}

/* One 2 MiB entry: must be refused if any page of it is in the balloon, accepted otherwise. */
static int lock_block(u64 block)
{
	bool any = count(block, LOCKED);

	for (int n = 0; n < 8; n++) {
		u64 i = block * 512 + rnd(512);

		CHECK(state[i] == LOCKED || page_ok(i));
	}
	batch.entry[0] = (first + block * 512) << 12 | AERO_ENTRY_2M;
	CHECK(send(AERO_CALL_LOCK, 1));
	CHECK_EQ(status_of(0), any ? AERO_ENTRY_STATE : AERO_ENTRY_OK);
	if (!any)
		memset(&state[block * 512], LOCKED, 512);
	return 0;
}

static int unlock_block(u64 block)
{
	bool any = count(block, LOCKED);

	batch.entry[0] = (first + block * 512) << 12 | AERO_ENTRY_2M;
	CHECK(send(AERO_CALL_UNLOCK, 1));
	CHECK_EQ(status_of(0), any ? AERO_ENTRY_OK : AERO_ENTRY_STATE);
	for (u64 i = 0; i < 512; i++)
		if (state[block * 512 + i] == LOCKED)
			state[block * 512 + i] = EMPTY;
	return 0;
}

/* A batch of 4 KiB entries, some of them wrong on purpose, some twice. */
static int small_batch(bool lock)
{
	u64 n = 1 + rnd(64), page[64];

	for (u64 i = 0; i < n; i++) {
		page[i] = rnd(PAGES);
		batch.entry[i] = (first + page[i]) << 12;
		if (lock && state[page[i]] == FILLED)
			CHECK(page_ok(page[i]));
	}
	CHECK(send(lock ? AERO_CALL_LOCK : AERO_CALL_UNLOCK, n));
	for (u64 i = 0; i < n; i++) {
		bool ok = lock == (state[page[i]] != LOCKED);

		CHECK_EQ(status_of(i), ok ? AERO_ENTRY_OK : AERO_ENTRY_STATE);
		if (ok)
			state[page[i]] = lock ? LOCKED : EMPTY;
	}
	return 0;
}

/* Uses memory: verifies, fills, and touches the balloon now and then. */
static int use(void)
{
	for (int n = 0; n < 24; n++) {
		u64 i = rnd(PAGES);

		if (state[i] == LOCKED) {
			if (rnd(16))
				continue;
			pops++;
			state[i] = EMPTY;
		}
		CHECK(page_ok(i));
		if (rnd(2))
			fill_page(i);
	}
	return 0;
}

static int restart(void)
{
	restarts++;
	CHECK(bare_balloon_start());
	for (u64 i = 0; i < PAGES; i++)
		if (state[i] == LOCKED)
			state[i] = EMPTY;
	return 0;
}

static int step(void)
{
	switch (rnd(8)) {
	case 0:
		return lock_block(rnd(BLOCKS));
	case 1:
		return unlock_block(rnd(BLOCKS));
	case 2:
	case 3:
		return small_batch(true);
	case 4:
		return small_batch(false);
	case 5:
		return rnd(40) ? use() : restart();
	default:
		return use();
	}
}

/* The hypervisor's counts must agree with ours. */
static int compare(void)
{
	struct aero_vm_info i = vm_info(self());
	u64 locked = 0;

	for (u64 b = 0; b < BLOCKS; b++)
		locked += count(b, LOCKED);
	CHECK_EQ(i.balloon, locked);
	CHECK_EQ(i.popped, pops);
	return 0;
}

int bare_main(void)
{
	u64 want = bare_arg_number("entries", 5000), next = want / 4;

	seed = bare_arg_number("seed", 1) * 0x9e3779b97f4a7c15ul | 1;
	for (u64 b = 0; b < BLOCKS; b++) {
		u64 p = bare_page_alloc(9);

		CHECK(p && (!first || p == first + b * 512));
		if (!first)
			first = p;
	}
	CHECK(bare_balloon_start());
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, self(), PAGES, NULL), 0);
	while (entries < want) {
		if (step())
			return 1;
		if (entries >= next) {
			next += want / 4;
			if (compare() || audit())
				return 1;
			bare_printf("%lu of %lu entries\n", entries, want);
		}
	}
	for (u64 i = 0; i < PAGES; i++)
		CHECK(state[i] == LOCKED || page_ok(i));
	bare_printf("%lu entries, %lu pages checked, %lu popped, %lu restarts: all right\n",
		    entries, checked, pops, restarts);
	return compare() || audit();
}
