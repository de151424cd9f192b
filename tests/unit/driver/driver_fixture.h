/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel and a hypervisor for the guest driver's core. */
#ifndef TESTS_UNIT_DRIVER_DRIVER_FIXTURE_H
#define TESTS_UNIT_DRIVER_DRIVER_FIXTURE_H

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
	u32 start_again; /* START, or END, answers AGAIN this many times */
	bool no_end;	 /* a hypervisor that does not know it */
	u64 reported;
	u64 refuse; /* every n-th entry is refused as BUSY */
	u64 nomem;  /* every n-th UNLOCK entry has no table */
	s64 fail;   /* the next LOCK or UNLOCK fails with this status */
	u64 features;
	bool no_progress, raises;
	u64 entries;
	/* a kernel that keeps its 4 KiB pages itself */
	u64 kept[PAGES];
	u32 nr_kept, own;
	u32 moving; /* of those: cannot be taken now */
} k;

static struct aero_balloon b;

static inline void *map_page(void *ctx, aero_u64 page)
{
	(void)ctx;
	return k.memory + page * PAGE_SIZE;
}

static inline int alloc(void *ctx, unsigned int order, aero_u64 *page)
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

static inline void release(void *ctx, unsigned int order, aero_u64 page)
{
	(void)ctx;
	for (u32 i = 0; i < 1u << order; i++) {
		assert_int_equal(k.state[page + i], TAKEN); /* not twice */
		/* The driver writes only to its own pages, and clears them. */
		assert_true(fake_is_zero(k.memory + (page + i) * PAGE_SIZE, PAGE_SIZE));
		k.state[page + i] = FREE;
	}
	k.free += 1u << order;
}

static inline void note(void *ctx, const char *what, aero_u64 value)
{
	(void)ctx;
	(void)what;
	(void)value;
}

static inline u64 entry_status(u64 number, u64 e)
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

static inline void batch_call(u64 number, u64 page, u64 count, u64 first, struct aero_result *r)
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

static inline void call(aero_u64 number, aero_u64 x, aero_u64 y, aero_u64 z, struct aero_result *r)
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
		if (k.raises) /* the policy decides at that moment */
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

static inline void keep(void *ctx, aero_u64 page)
{
	(void)ctx;
	assert_int_equal(k.locked[page], 1);
	k.kept[k.nr_kept++] = page;
}

static inline int take(void *ctx, aero_u64 *page)
{
	(void)ctx;
	if (k.nr_kept == k.moving)
		return 0;
	*page = k.kept[--k.nr_kept];
	return 1;
}

static inline int own(void *ctx, aero_u64 *page)
{
	k.own++;
	return alloc(ctx, 0, page);
}

static inline void disown(void *ctx, aero_u64 page)
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

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	(void)state;
	free(k.memory);
	return 0;
}

/* Both sides agree, and no page is lost: kernel's free + balloon + the driver's own. */
static inline void consistent(void)
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

static inline void run_to(u64 target)
{
	k.target = target;
	for (int i = 0; i < 1000 && aero_balloon_step(&b, 4); i++)
		;
	consistent();
}

static inline void restart(const struct aero_os *with)
{
	assert_int_equal(aero_balloon_stop(&b), 0);
	assert_int_equal(aero_balloon_start(&b, with), AERO_OK);
}

#endif
