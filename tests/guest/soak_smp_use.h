/* SPDX-License-Identifier: BSD-2-Clause */
/* The soak's work: batches of entries with known answers, use of memory, the wild block. */
#ifndef TESTS_GUEST_SOAK_SMP_USE_H
#define TESTS_GUEST_SOAK_SMP_USE_H

#include "soak_smp_pages.h"

/* --- entries ---------------------------------------------------------------------- */

static u64 status_of(u64 entry)
{
	return (entry & AERO_ENTRY_STATUS_MASK) >> AERO_ENTRY_STATUS_SHIFT;
}

/* Sends the worker's batch, to its end; the call's status. */
static long send(struct worker *w, u64 nr, u64 n)
{
	struct aero_result r = { 0 };

	do {
		bare_hypercall(nr, (u64)w->batch, n, r.value, &r);
	} while (r.status == AERO_AGAIN);
	__atomic_store_n(&target, r.target, __ATOMIC_RELAXED);
	return r.status;
}

static void tally(struct worker *w, u64 entry)
{
	u64 status = status_of(entry);

	if (status == AERO_ENTRY_OK)
		w->accepted[entry & AERO_ENTRY_2M]++;
	else if (status == AERO_ENTRY_NOMEM)
		w->lacking++;
	else
		w->refused++;
}

/* An entry that must be refused, and how. */
static u64 wrong_entry(struct worker *w, u64 *status)
{
	switch (rnd(w, 5)) {
	case 0:
		*status = AERO_ENTRY_MALFORMED;
		return first << 12 | 2ul << rnd(w, 3);
	case 1:
		*status = AERO_ENTRY_MALFORMED;
		return (first + 1 + rnd(w, 511)) << 12 | AERO_ENTRY_2M;
	case 2:
		*status = AERO_ENTRY_RANGE;
		return (memory + 1 + rnd(w, 1ul << 30)) << 12;
	case 3:
		*status = AERO_ENTRY_RANGE;
		return (0xa0 + rnd(w, 0x60)) << 12; /* the hole below 1 MiB */
	default:
		*status = AERO_ENTRY_BUSY;
		return (u64)w->batch;
	}
}

/* The right answer to the entry, by the pages' states now. */
static u64 predict(bool lock, u64 entry)
{
	u64 i = (entry >> 12) - first;
	bool in;

	if (entry & AERO_ENTRY_2M)
		in = blocks[i / 512].locked;
	else
		in = state[i] == LOCKED;
	return in == lock ? AERO_ENTRY_STATE : AERO_ENTRY_OK;
}

/* Brings the states up to date with an entry that was accepted. */
static void apply(bool lock, u64 entry)
{
	u64 i = (entry & AERO_ENTRY_ADDR) / PAGE - first, n = entry & AERO_ENTRY_2M ? 512 : 1;

	for (u64 end = i + n; i < end; i++)
		if (lock != (state[i] == LOCKED)) {
			state[i] = lock ? LOCKED : EMPTY;
			blocks[i / 512].locked += lock ? 1u : -1u;
		}
}

/* A page that goes into the balloon must have its bytes, to the last one. */
static int verify_entry(struct worker *w, u64 entry)
{
	u64 i = (entry & AERO_ENTRY_ADDR) / PAGE - first, n = entry & AERO_ENTRY_2M ? 512 : 1;

	if (n > 1 && blocks[i / 512].locked)
		return 0; /* will be refused */
	for (u64 end = i + n; i < end; i++)
		if (state[i] == FILLED || state[i] == ZERO)
			CHECK(!page_right(w, i));
	return 0;
}

/* A page of the block at @page, mostly one that the entry will be accepted for. */
static u64 pick(struct worker *w, u64 page, bool lock)
{
	u64 i = rnd(w, 512);

	if (rnd(w, 4))
		for (int n = 0; n < 512 && (state[page + i] == LOCKED) == lock; n++)
			i = (i + 1) % 512;
	return page + i;
}

/* The kinds of entries in a batch. */
enum { SMALL, MIXED, LARGE, MIXES };

/* One entry for the blocks held. */
static u64 an_entry(struct worker *w, u64 mix_of, bool lock)
{
	u64 page = w->held[rnd(w, w->nr_held)] * 512;

	if (mix_of == LARGE || (mix_of == MIXED && !rnd(w, 16)))
		return (first + page) << 12 | AERO_ENTRY_2M;
	return (first + pick(w, page, lock)) << 12;
}

/* Every answer must agree with our own records, entry by entry, in the batch's order. */
static int settle_batch(struct worker *w, bool lock, u64 n, u64 odd, u64 wrong)
{
	for (u64 i = 0; i < n; i++) {
		u64 entry = w->batch->entry[i], status = status_of(entry);

		tally(w, entry);
		if (status == AERO_ENTRY_NOMEM) {
			CHECK(i != odd);
			continue;
		}
		CHECK_EQ(status, i == odd ? wrong : predict(lock, entry));
		if (!status)
			apply(lock, entry);
	}
	return 0;
}

/* One batch over the blocks held: entries of one size or of both, some twice, some wrong. */
static int send_batch(struct worker *w, bool lock)
{
	u64 n = 1 + rnd(w, rnd(w, 8) ? 64 : AERO_BATCH_MAX), kind = rnd(w, MIXES), wrong = 0, odd;

	if (kind == LARGE) {
		n = 1 + rnd(w, HELD);
		if (rnd(w, 4))
			lock = !blocks[w->held[0]].locked;
	}
	odd = rnd(w, n * 4); /* often beyond the batch: none is wrong then */
	for (u64 i = 0; i < n; i++) {
		w->batch->entry[i] = an_entry(w, kind, lock);
		if (lock)
			CHECK(!verify_entry(w, w->batch->entry[i]));
	}
	if (odd < n)
		w->batch->entry[odd] = wrong_entry(w, &wrong);
	CHECK_EQ(send(w, lock ? AERO_CALL_LOCK : AERO_CALL_UNLOCK, n), AERO_OK);
	return settle_batch(w, lock, n, odd, wrong);
}

static bool below_target(void)
{
	return locked_pages() < __atomic_load_n(&target, __ATOMIC_RELAXED);
}

static int entries(struct worker *w)
{
	bool lock = rnd(w, 8) < (below_target() ? 7 : 3);
	int failed = 0;

	hold(w, 1 + rnd(w, HELD));
	if (w->nr_held)
		failed = send_batch(w, lock);
	let_go(w);
	return failed;
}

/* --- using memory ---------------------------------------------------------------- */

static int touch(struct worker *w, u64 i)
{
	if (state[i] == LOCKED) {
		__atomic_fetch_add(&pops, 1, __ATOMIC_RELAXED);
		state[i] = EMPTY;
		blocks[i / 512].locked--;
	}
	CHECK(!page_right(w, i));
	if (rnd(w, 2)) {
		generation[i] = (u32)rnd(w, 1ul << 31);
		fill(first + i, generation[i]);
		state[i] = FILLED;
	}
	/* Proof that the soak can fail: one bit, once. */
	if (flip && !--flip)
		((u8 *)bare_ptr(first + i))[rnd(w, PAGE)] ^= 1;
	return 0;
}

/*
 * True for 1 of 16 pages in the balloon. While the balloon is below its target, a correct kernel
 * takes no new pages, so this mostly allows only pages that it has.
 */
static bool may_touch(struct worker *w, u64 i)
{
	if (state[i] == LOCKED && rnd(w, 16))
		return false;
	return state[i] == ZERO || state[i] == FILLED || !below_target() || !rnd(w, 32);
}

/* Random pages of a block, or now and then all of it. */
static int use(struct worker *w)
{
	bool all = !rnd(w, 12) && !below_target();
	int failed = 0;

	hold(w, 1);
	for (u64 n = 0; w->nr_held && n < (all ? 512 : 32) && !failed; n++) {
		u64 i = w->held[0] * 512 + (all ? n : rnd(w, 512));

		if (may_touch(w, i))
			failed = touch(w, i);
	}
	let_go(w);
	return failed;
}

/* --- the wild block ------------------------------------------------------------------ */

/* The page where vCPUs meet: mostly one of a few pages, now and then any of the block. */
static u64 wild_page(struct worker *w)
{
	return wild + rnd(w, rnd(w, 8) ? HOT : 512);
}

/*
 * No lock: another vCPU may take the page between any two instructions. So a word must be zero or
 * this VM's value there in this life.
 */
static int mark_wild(u64 page)
{
	u64 tag = tag_of(page, 0);
	volatile u64 *p = bare_ptr(page);

	for (u64 i = 0; i < 512; i += WILD_STRIDE) {
		u64 found = p[i];

		if (found && found != tag) {
			bare_printf("FAIL life %lu: wild page %lx word %lu holds %lx\n", life, page,
				    i, found);
			return 1;
		}
		p[i] = tag;
	}
	return 0;
}

/*
 * Uses the same few pages again and again: when they are there this vCPU does not leave the guest,
 * and only a kick ends its use of pages that another vCPU locks.
 */
static int scribble(struct worker *w)
{
	u64 pages[16], rounds = 1 + rnd(w, rnd(w, 8) ? 100 : 4000);

	for (u64 n = 0; n < 16; n++)
		pages[n] = wild_page(w);
	for (u64 r = 0; r < rounds; r++)
		for (u64 n = 0; n < 16; n++)
			if (mark_wild(pages[n]))
				return 1;
	w->checked += 16;
	__atomic_fetch_add(&wild_pops, rounds * 16 * 2 * 512 / WILD_STRIDE, __ATOMIC_RELAXED);
	return 0;
}

static int wild_batch(struct worker *w)
{
	u64 n = rnd(w, 4) ? 1 + rnd(w, 48) : 1, nr = rnd(w, 2) ? AERO_CALL_LOCK : AERO_CALL_UNLOCK;
	long status;

	for (u64 i = 0; i < n; i++)
		w->batch->entry[i] = n == 1 ? wild << 12 | AERO_ENTRY_2M : wild_page(w) << 12;
	status = send(w, nr, n);
	if (status == AERO_ERR_STATE) { /* another vCPU restarts the driver */
		w->early++;
		return 0;
	}
	CHECK_EQ(status, AERO_OK);
	for (u64 i = 0; i < n; i++) {
		u64 answer = status_of(w->batch->entry[i]);

		tally(w, w->batch->entry[i]);
		CHECK(answer == AERO_ENTRY_OK || answer == AERO_ENTRY_STATE ||
		      answer == AERO_ENTRY_NOMEM);
	}
	return 0;
}

static int go_wild(struct worker *w)
{
	int failed;

	if (!enter(&wilderness))
		return 0;
	/* While one vCPU writes, the other takes its pages away. */
	if (__atomic_exchange_n(&scribbling, 1, __ATOMIC_SEQ_CST)) {
		failed = wild_batch(w);
	} else {
		failed = rnd(w, 2) ? scribble(w) : 0;
		__atomic_store_n(&scribbling, 0, __ATOMIC_SEQ_CST);
		if (!failed)
			failed = wild_batch(w);
	}
	leave(&wilderness);
	return failed;
}

#endif
