/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest driver's core against a fake kernel and a fake hypervisor. */
#include <tests/fake/fake.h>

#include <guest-driver/balloon_core.h>

#define PAGES 16384u

enum { FREE, TAKEN };

static struct {
	u8 state[PAGES];  /* the kernel's view */
	u8 locked[PAGES]; /* the hypervisor's */
	u8 *memory;
	u32 free, keep; /* pages that the kernel will not give */
	u32 next;
	u32 allocs;
	/* the hypervisor */
	u64 target, hint, ballooned, batches, largest, starts, ends;
	u32 again_after; /* entries per call, 0: all */
	u32 start_again; /* START, or END, answers AGAIN so often */
	bool no_end;	 /* a hypervisor that does not know it */
	u64 reported;
	u64 refuse; /* every n-th entry is refused as BUSY */
	u64 nomem;  /* every n-th UNLOCK entry has no table */
	s64 fail;   /* the next LOCK or UNLOCK fails so */
	u64 features;
	bool no_progress, raises;
	u64 entries;
	/* a kernel that keeps its 4 KiB pages itself */
	u64 kept[PAGES];
	u32 nr_kept, own;
	u32 moving; /* of those kept: cannot be had now */
} k;

static struct aero_balloon b;

static void *map_page(void *ctx, aero_u64 page)
{
	(void)ctx;
	return k.memory + page * PAGE_SIZE;
}

static int alloc(void *ctx, unsigned int order, aero_u64 *page)
{
	u32 n = 1u << order;

	(void)ctx;
	if (k.free < n + k.keep)
		return 0;
	for (u32 i = 0; i < PAGES / n; i++) {
		u32 at = (k.next / n + i) % (PAGES / n) * n;

		if (fake_is_zero(k.state + at, n)) {
			memset(k.state + at, TAKEN, n);
			k.free -= n;
			k.allocs++;
			k.next = at + n;
			*page = at;
			return 1;
		}
	}
	return 0;
}

static void release(void *ctx, unsigned int order, aero_u64 page)
{
	(void)ctx;
	for (u32 i = 0; i < 1u << order; i++) {
		assert_int_equal(k.state[page + i], TAKEN); /* not twice */
		/* Only pages of the driver's own are ever written, and those are cleared. */
		assert_true(fake_is_zero(k.memory + (page + i) * PAGE_SIZE, PAGE_SIZE));
		k.state[page + i] = FREE;
	}
	k.free += 1u << order;
}

static void note(void *ctx, const char *what, aero_u64 value)
{
	(void)ctx;
	(void)what;
	(void)value;
}

static u64 entry_status(u64 number, u64 e)
{
	u32 n = e & AERO_ENTRY_2M ? 512 : 1, in = 0;
	u64 page = e >> PAGE_SHIFT;

	k.entries++;
	if (e & 0xffe || page + n > PAGES || page & (n - 1))
		return AERO_ENTRY_MALFORMED;
	if (number != AERO_CALL_UNLOCK && k.refuse && k.entries % k.refuse == 0)
		return AERO_ENTRY_BUSY;
	if (number == AERO_CALL_UNLOCK && k.nomem && k.entries % k.nomem == 0)
		return AERO_ENTRY_NOMEM;
	for (u32 i = 0; i < n; i++)
		in += k.locked[page + i];
	if (number != AERO_CALL_UNLOCK ? in != 0 : in == 0)
		return AERO_ENTRY_STATE;
	if (number == AERO_CALL_REPORT) {
		for (u32 i = 0; i < n; i++)
			k.reported += k.state[page + i] == FREE;
		return AERO_ENTRY_OK;
	}
	memset(k.locked + page, number == AERO_CALL_LOCK, n);
	k.ballooned += number == AERO_CALL_LOCK ? n : -(u64)in;
	return AERO_ENTRY_OK;
}

static void batch_call(u64 number, u64 page, u64 count, u64 first, struct aero_result *r)
{
	struct aero_batch *batch = map_page(NULL, page >> PAGE_SHIFT);
	u64 end = k.again_after ? min(first + k.again_after, count) : count;

	k.batches++;
	k.largest = max(k.largest, count);
	assert_true(first < count && count <= AERO_BATCH_MAX);
	if (k.fail) {
		r->status = k.fail;
		k.fail = 0;
		return;
	}
	for (u64 i = first; i < end; i++)
		batch->entry[i] |= entry_status(number, batch->entry[i]) << AERO_ENTRY_STATUS_SHIFT;
	r->status = end < count ? AERO_AGAIN : AERO_OK;
	r->value = k.no_progress ? 0 : end;
}

static void call(aero_u64 number, aero_u64 x, aero_u64 y, aero_u64 z, struct aero_result *r)
{
	u64 was = k.target;

	*r = (struct aero_result){ .target = k.target, .hint = k.hint };
	switch (number) {
	case AERO_CALL_START:
		assert_int_equal(x, AERO_ABI_VERSION);
		k.starts++;
		if (k.start_again && k.start_again--) {
			r->status = AERO_AGAIN;
			return;
		}
		memset(k.locked, 0, sizeof(k.locked));
		k.ballooned = 0;
		r->value = k.features & y;
		break;
	case AERO_CALL_END:
		if (k.no_end) {
			r->status = AERO_ERR_NOSYS;
			return;
		}
		if (k.start_again && k.start_again--) {
			r->status = AERO_AGAIN;
			return;
		}
		k.ends++;
		memset(k.locked, 0, sizeof(k.locked));
		k.ballooned = 0;
		break;
	case AERO_CALL_LOCK:
	case AERO_CALL_UNLOCK:
	case AERO_CALL_REPORT:
		batch_call(number, x, y, z, r);
		break;
	case AERO_CALL_GROW:
		k.target = r->target = min(was, k.ballooned) - min(min(was, k.ballooned), x);
		r->value = k.ballooned > k.target ? k.ballooned - k.target : 0;
		if (k.raises) /* somebody else decides right then */
			k.target = was;
		break;
	case AERO_CALL_POLL:
		r->value = k.ballooned;
		break;
	default:
		r->status = AERO_ERR_NOSYS;
	}
}

static const struct aero_os os = { alloc, release, call, map_page, note, NULL };

/* --- a kernel that moves pages --- */

static void keep(void *ctx, aero_u64 page)
{
	(void)ctx;
	assert_int_equal(k.locked[page], 1);
	k.kept[k.nr_kept++] = page;
}

static int take(void *ctx, aero_u64 *page)
{
	(void)ctx;
	if (k.nr_kept == k.moving)
		return 0;
	*page = k.kept[--k.nr_kept];
	return 1;
}

static int own(void *ctx, aero_u64 *page)
{
	k.own++;
	return alloc(ctx, 0, page);
}

static void disown(void *ctx, aero_u64 page)
{
	k.own--;
	release(ctx, 0, page);
}

static const struct aero_os mover = { alloc,	       release,	     call,
				      map_page,	       note,	     NULL,
				      .keep = keep,    .take = take, .own = own,
				      .disown = disown };
static const struct aero_os untouched = {
	alloc, release, call, map_page, note, NULL, .large_untouched = 1
};

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	k.memory = calloc(PAGES, PAGE_SIZE);
	k.free = PAGES;
	k.hint = 512 * 512;
	k.features = AERO_FEATURE_2M;
	assert_int_equal(aero_balloon_start(&b, &os), AERO_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(k.memory);
	return 0;
}

/* Both sides agree, and no page is lost: kernel's free + balloon + the driver's own. */
static void consistent(void)
{
	u64 locked = 0, own;

	for (u32 i = 0; i < PAGES; i++) {
		locked += k.locked[i];
		if (k.locked[i])
			assert_int_equal(k.state[i], TAKEN);
	}
	assert_int_equal(locked, k.ballooned);
	assert_int_equal(b.size, k.ballooned);
	own = PAGES - k.free - locked;
	assert_true(own <= 1 + 4 + locked / 400);
}

static void run_to(u64 target)
{
	k.target = target;
	for (int i = 0; i < 1000 && aero_balloon_step(&b, 4); i++)
		;
	consistent();
}

static void to_the_target_and_back(void **state)
{
	static const u64 targets[] = { 10, 3000, 513, 0, 8192, 8191, 512, 511, 1, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		run_to(targets[i]);
		assert_int_equal(b.size, targets[i]);
	}
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

static void large_pages_where_granted(void **state)
{
	(void)state;
	run_to(8192);
	assert_true(k.batches <= 2);
	assert_true(b.large.used == 16);
	aero_balloon_stop(&b);
	k.features = 0;
	assert_int_equal(aero_balloon_start(&b, &os), AERO_OK);
	run_to(2048);
	assert_null(b.large.top);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void hint_bounds_a_batch(void **state)
{
	(void)state;
	k.hint = 16;
	run_to(1000);
	assert_true(k.largest <= 16);
	assert_int_equal(b.size, 1000);
	k.hint = 0; /* nonsense: still goes on */
	run_to(1010);
	assert_int_equal(b.size, 1010);
}

static void again_is_followed(void **state)
{
	(void)state;
	k.again_after = 7;
	run_to(1000);
	assert_int_equal(b.size, 1000);
	run_to(0);
	assert_int_equal(b.size, 0);
	k.starts = 0;
	aero_balloon_stop(&b);
	k.start_again = 5;
	assert_int_equal(aero_balloon_start(&b, &os), AERO_OK);
	assert_int_equal(k.starts, 6);
	/* A hypervisor that makes no progress does not hang the driver. */
	k.no_progress = true;
	k.target = 100;
	aero_balloon_step(&b, 4);
}

static void refused_pages_go_back(void **state)
{
	(void)state;
	k.refuse = 3;
	k.hint = 256; /* small pages */
	run_to(2000);
	assert_int_equal(b.size, 2000);
	assert_true(b.refused > 500);
	k.refuse = 1; /* everything is refused: gives up for now, loses nothing */
	run_to(4000);
	assert_int_equal(b.size, 2000);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
}

static void calls_that_fail(void **state)
{
	(void)state;
	k.fail = AERO_ERR_FAULT;
	k.target = 100;
	aero_balloon_step(&b, 1);
	assert_int_equal(b.size, 0);
	assert_int_equal(PAGES - k.free, 2); /* its batch page and a chunk */
	run_to(100);
	assert_int_equal(b.size, 100);
}

/* The guest touched what it had given: the hypervisor knows, the driver finds out. */
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
	/* Nothing at all to be had, not even for the way back. */
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

/* UNLOCK without a table in the host: those pages stay, and are asked for again. */
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

static void grow_gives_back_at_once(void **state)
{
	(void)state;
	run_to(4096);
	aero_balloon_grow(&b, 1000);
	assert_int_equal(b.target, 3096);
	assert_true(b.size <= 3096);
	run_to(k.target);
	assert_int_equal(b.size, 3096);
	aero_balloon_grow(&b, UINT64_MAX);
	assert_int_equal(b.size, 0);
	consistent();
}

/* What GROW answers counts, whatever the target is a moment later: or somebody is killed. */
static void grow_against_a_target_that_rises(void **state)
{
	(void)state;
	for (int small = 0; small < 2; small++) {
		k.features = small ? 0 : AERO_FEATURE_2M;
		aero_balloon_start(&b, &os);
		run_to(4096);
		k.raises = true;
		aero_balloon_grow(&b, 2048);
		assert_int_equal(b.size, 2048);
		k.raises = false;
		aero_balloon_grow(&b, 0);
		assert_int_equal(b.size, 2048);
		aero_balloon_stop(&b);
	}
}

static void random_life(void **state)
{
	u64 seed = 11;

	(void)state;
	for (int i = 0; i < 400; i++) {
		u64 r = fake_random(&seed);

		k.keep = r & 1 ? (u32)(r >> 8) % PAGES : 0;
		k.refuse = r & 2 ? 1 + (r >> 24) % 9 : 0;
		k.again_after = r & 4 ? 1 + (u32)(r >> 32) % 40 : 0;
		k.hint = r & 8 ? 1 + (r >> 40) % 2048 : 512 * 512;
		k.target = (r >> 20) % (PAGES - 200);
		for (int n = 0; n < 5; n++)
			aero_balloon_step(&b, 3);
		consistent();
	}
	k.keep = k.refuse = 0;
	run_to(777);
	assert_int_equal(b.size, 777);
	aero_balloon_stop(&b);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

static void restart(const struct aero_os *with)
{
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(aero_balloon_start(&b, with), AERO_OK);
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
	/* One that is being moved cannot be given back: not now, and nothing is lost. */
	k.moving = 1;
	assert_int_equal(aero_balloon_stop(&b), 1);
	assert_int_equal(k.ballooned, 1);
	k.moving = 0;
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(k.own, 0);
	assert_int_equal(k.free, PAGES);
	assert_int_equal(k.ballooned, 0);
}

/* The hypervisor hears of the end once all is back, or once the driver gives the rest up. */
static void the_end_is_said(void **state)
{
	(void)state;
	restart(&mover);
	assert_int_equal(k.ends, 1);
	run_to(700);
	k.moving = 1;
	assert_int_equal(aero_balloon_stop(&b), 1);
	assert_int_equal(k.ends, 1);
	k.start_again = 3;
	aero_balloon_abandon(&b);
	assert_int_equal(k.ends, 2);
	assert_int_equal(k.ballooned, 0);
	assert_int_equal(aero_balloon_step(&b, 8), 0);
	aero_balloon_abandon(&b); /* twice is once */
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(k.ends, 2);
	k.moving = k.nr_kept = 0;
	k.no_end = true;
	assert_int_equal(aero_balloon_start(&b, &mover), AERO_OK);
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(b.started, 0);
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
	/* Refused: both stay where they are. */
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

/* Pages that nobody touches need no frames: the hint is for others. */
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
		T(to_the_target_and_back),
		T(large_pages_where_granted),
		T(hint_bounds_a_batch),
		T(again_is_followed),
		T(refused_pages_go_back),
		T(calls_that_fail),
		T(popped_pages),
		T(out_of_memory_in_the_guest),
		T(unlock_without_memory),
		T(unlock_without_memory_on_either_side),
		T(grow_gives_back_at_once),
		T(grow_against_a_target_that_rises),
		T(random_life),
		T(a_kernel_that_keeps_its_pages),
		T(the_end_is_said),
		T(pages_are_moved),
		T(free_blocks_are_reported),
		T(untouched_blocks_need_no_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
