/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The large soak's guest: all its vCPUs lock, unlock, use and pop the same
 * memory at once, restart the driver, and know at every moment what each page
 * must hold.  The first VM also ends, stops and restarts the others.
 *   seed=N entries=N (accepted, of one life) lives=N cut=PAGES flip=N
 * Every decision comes from the seed, the VM, its life and the vCPU; how the
 * vCPUs interleave does not.
 *
 * Three kinds of memory: blocks of 2 MiB, each used by whoever holds its lock
 * and known to the byte; a wild block that nobody locks, where one vCPU writes
 * while another takes the page away; and pages that never go anywhere.
 */
#include "case.h"

#define BLOCKS 12
#define PAGES (BLOCKS * 512)
#define KEPT 64
#define HOT 48 /* wild pages that are used most */
#define WILD_STRIDE 64
#define HELD 4 /* blocks that a batch spreads over */
#define WORKERS 2
#define STEP 0x9e3779b97f4a7c15ul /* between two words of a page */
#define KEEPER 0

enum {
	EMPTY,	/* ours, not touched since we got it: reads as zero */
	ZERO,	/* touched, not written */
	FILLED, /* with its pattern */
	LOCKED, /* in the balloon */
};

struct worker {
	u64 rng;
	u32 index;
	struct aero_batch *batch;
	u64 held[HELD];
	u32 nr_held;
	u64 accepted[2], refused, lacking, early; /* entries; by size; no table; driver off */
	u64 checked, restarts, audits;
};

static struct {
	u32 lock;
	u32 locked; /* pages of it in the balloon */
} blocks[BLOCKS];
static u8 state[PAGES];
static u32 generation[PAGES];
static u64 first, wild, kept, memory, salt, life, share, target, pops, wild_pops, flip;
static u64 marked; /* accepted entries at the last line about them */
static u32 done, scribbling;
static struct aero_batch batches[WORKERS] __attribute__((aligned(4096)));
static struct worker workers[WORKERS];

/* --- what everybody needs ------------------------------------------------------ */

/* splitmix64: a good hash of a counter */
static u64 mix(u64 x)
{
	x += STEP;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul;
	x = (x ^ x >> 27) * 0x94d049bb133111ebul;
	return x ^ x >> 31;
}

static u64 rnd(struct worker *w, u64 n)
{
	w->rng++;
	return (mix(w->rng) >> 16) % n;
}

static void pause(void)
{
	__asm__ volatile("pause");
}

/*
 * Many may be inside, or one alone.  Whoever wants to be alone keeps others
 * from coming in, but does not wait for ever: one inside may be waiting for
 * memory that only this VM's driver can give.
 */
struct gate {
	int inside; /* -1: one alone */
	u32 closing;
};
static struct gate model, wilderness;

static bool enter(struct gate *g)
{
	int n = __atomic_load_n(&g->inside, __ATOMIC_SEQ_CST);

	return !__atomic_load_n(&g->closing, __ATOMIC_SEQ_CST) && n >= 0 &&
	       __atomic_compare_exchange_n(&g->inside, &n, n + 1, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static void leave(struct gate *g)
{
	__atomic_fetch_sub(&g->inside, 1, __ATOMIC_SEQ_CST);
}

static bool enter_alone(struct gate *g)
{
	if (__atomic_exchange_n(&g->closing, 1, __ATOMIC_SEQ_CST))
		return false;
	for (int i = 0; i < 2000; i++) {
		int nobody = 0;

		if (__atomic_compare_exchange_n(&g->inside, &nobody, -1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
		pause();
	}
	__atomic_store_n(&g->closing, 0, __ATOMIC_SEQ_CST);
	return false;
}

static void leave_alone(struct gate *g)
{
	__atomic_store_n(&g->inside, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&g->closing, 0, __ATOMIC_SEQ_CST);
}

/* Takes up to @n blocks at random that nobody has. */
static void hold(struct worker *w, u64 n)
{
	w->nr_held = 0;
	for (u64 i = 0; i < n; i++) {
		u64 b = rnd(w, BLOCKS);

		if (!__atomic_exchange_n(&blocks[b].lock, 1, __ATOMIC_ACQUIRE))
			w->held[w->nr_held++] = b;
	}
}

static void let_go(struct worker *w)
{
	while (w->nr_held)
		__atomic_store_n(&blocks[w->held[--w->nr_held]].lock, 0, __ATOMIC_RELEASE);
}

static u64 locked_pages(void)
{
	u64 n = 0;

	for (u64 b = 0; b < BLOCKS; b++)
		n += __atomic_load_n(&blocks[b].locked, __ATOMIC_RELAXED);
	return n;
}

/* --- a page's bytes ---------------------------------------------------------------- */

/* Each word of a page differs, and says which VM, life, page and generation it is of. */
static u64 tag_of(u64 page, u64 gen)
{
	return mix(salt ^ page << 32 ^ gen);
}

static int verify(struct worker *w, u64 page, u64 start, u64 step)
{
	const u64 *p = bare_ptr(page);
	u64 bad = 0, expected = start;

	w->checked++;
	for (u64 i = 0; i < PAGE / 8; i++, expected += step)
		bad |= p[i] ^ expected;
	if (!bad)
		return 0;
	expected = start;
	for (u64 i = 0; i < PAGE / 8; i++, expected += step)
		if (p[i] != expected) {
			bare_printf("FAIL life %lu: page %lx word %lu holds %lx, not %lx\n", life,
				    page, i, p[i], expected);
			break;
		}
	return 1;
}

/* Page @i of the blocks, which must not be LOCKED. */
static int page_right(struct worker *w, u64 i)
{
	if (state[i] == FILLED)
		return verify(w, first + i, tag_of(first + i, generation[i]), STEP);
	state[i] = ZERO;
	return verify(w, first + i, 0, 0);
}

static void fill(u64 page, u64 gen)
{
	u64 *p = bare_ptr(page), word = tag_of(page, gen);

	for (u64 i = 0; i < PAGE / 8; i++, word += STEP)
		p[i] = word;
}

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

/* What the entry must be answered with, given the pages' states now. */
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

/* What goes into the balloon must be what was put there, to the last byte. */
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

/* What a batch is made of. */
enum { SMALL, MIXED, LARGE, MIXES };

/* One entry for the blocks held. */
static u64 an_entry(struct worker *w, u64 mix_of, bool lock)
{
	u64 page = w->held[rnd(w, w->nr_held)] * 512;

	if (mix_of == LARGE || (mix_of == MIXED && !rnd(w, 16)))
		return (first + page) << 12 | AERO_ENTRY_2M;
	return (first + pick(w, page, lock)) << 12;
}

/* Every answer must be what our own books say, entry by entry, in the batch's order. */
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
 * A few of those in the balloon.  And while the hypervisor asks for more than
 * we have given, a kernel that plays by the rules makes do with what it has.
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

/* Where the vCPUs meet: mostly among a few pages, now and then in the whole block. */
static u64 wild_page(struct worker *w)
{
	return wild + rnd(w, rnd(w, 8) ? HOT : 512);
}

/*
 * No lock: another vCPU may take the page between any two instructions.  So a
 * word is zero or what this VM writes there in this life, and nothing else.
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
 * The same few pages over and over: once they are there this vCPU does not
 * leave the guest, and only a kick ends its use of what another vCPU locks.
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
	/* While one scribbles, the other takes away what it writes to. */
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

/* --- rare things --------------------------------------------------------------------- */

static int check_kept(struct worker *w)
{
	u64 page = kept + rnd(w, KEPT);

	return verify(w, page, tag_of(page, 1), STEP);
}

/* The driver's life begins anew, with other vCPUs in the wild block: all is ours again. */
static int restart(struct worker *w)
{
	struct aero_result r;

	if (!enter_alone(&model))
		return 0;
	do {
		bare_hypercall(AERO_CALL_START, AERO_ABI_VERSION, ~0ul, 0, &r);
	} while (r.status == AERO_AGAIN);
	CHECK_EQ(r.status, AERO_OK);
	for (u64 b = 0; b < BLOCKS; b++)
		blocks[b].locked = 0;
	for (u64 i = 0; i < PAGES; i++)
		if (state[i] == LOCKED)
			state[i] = EMPTY;
	w->restarts++;
	leave_alone(&model);
	return 0;
}

/* What the hypervisor counts must be what we know. */
static int compare_alone(struct worker *w)
{
	struct aero_vm_info i;
	u64 status;

	w->batch->entry[0] = wild << 12 | AERO_ENTRY_2M;
	CHECK_EQ(send(w, AERO_CALL_UNLOCK, 1), AERO_OK);
	status = status_of(w->batch->entry[0]);
	CHECK(status == AERO_ENTRY_OK || status == AERO_ENTRY_STATE);
	CHECK_EQ(bare_manage(AERO_CALL_VM_INFO, self(), (u64)&i, NULL), AERO_OK);
	CHECK_EQ(i.balloon, locked_pages());
	CHECK(i.popped >= pops && i.popped <= pops + wild_pops);
	return 0;
}

static int compare(struct worker *w)
{
	int failed = 0;

	if (!enter_alone(&model))
		return 0;
	if (enter_alone(&wilderness)) {
		failed = compare_alone(w);
		leave_alone(&wilderness);
	}
	leave_alone(&model);
	return failed;
}

static int audited(struct worker *w)
{
	w->audits++;
	return audit();
}

/* Asks for memory back, and says what every driver says. */
static int talk(struct worker *w)
{
	struct aero_result r;

	if (!rnd(w, 8))
		bare_hypercall(AERO_CALL_GROW, rnd(w, 2048), 0, 0, &r);
	else
		bare_hypercall(AERO_CALL_POLL, 0, 0, 0, &r);
	CHECK(r.status == AERO_OK || r.status == AERO_ERR_STATE);
	__atomic_store_n(&target, r.target, __ATOMIC_RELAXED);
	return check_kept(w);
}

static int guarded(struct worker *w, int (*fn)(struct worker *w))
{
	int failed;

	if (!enter(&model))
		return go_wild(w);
	failed = fn(w);
	leave(&model);
	return failed;
}

static int step(struct worker *w)
{
	switch (rnd(w, 16)) {
	case 0 ... 6:
		return guarded(w, entries);
	case 7 ... 11:
		return guarded(w, use);
	case 12 ... 14: /* and then use what was set free */
		return go_wild(w) || guarded(w, use);
	default:
		break;
	}
	switch (rnd(w, 16)) {
	case 0:
		return restart(w);
	case 1:
		return compare(w);
	case 2:
		return audited(w);
	case 3:
		bare_sleep_us(rnd(w, 300));
		return 0;
	default:
		return talk(w);
	}
}

/* --- a VM's life ---------------------------------------------------------------------- */

static u64 accepted(void)
{
	u64 n = 0;

	for (u32 i = 0; i < WORKERS; i++)
		n += workers[i].accepted[0] + workers[i].accepted[1];
	return n;
}

/* One line that tests/run/soak adds up; @word: so far, or all of this life. */
static void report(const char *word)
{
	struct worker sum = { 0 };

	for (u32 i = 0; i < WORKERS; i++) {
		sum.accepted[0] += workers[i].accepted[0];
		sum.accepted[1] += workers[i].accepted[1];
		sum.refused += workers[i].refused;
		sum.lacking += workers[i].lacking;
		sum.early += workers[i].early;
		sum.checked += workers[i].checked;
		sum.restarts += workers[i].restarts;
		sum.audits += workers[i].audits;
	}
	bare_printf(
		"life %lu %s: small %lu large %lu refused %lu lacking %lu early %lu checked %lu popped %lu restarts %lu audits %lu\n",
		life, word, sum.accepted[0], sum.accepted[1], sum.refused, sum.lacking, sum.early,
		sum.checked, pops, sum.restarts, sum.audits);
}

/* All that has been touched, and some that has not, a block at a time, given away when seen. */
static int verify_all(struct worker *w)
{
	for (u64 b = 0; b < BLOCKS; b++) {
		w->held[0] = b;
		for (u64 i = b * 512; i < b * 512 + 512; i++)
			if (state[i] == ZERO || state[i] == FILLED ||
			    (state[i] == EMPTY && !rnd(w, 16)))
				CHECK(!page_right(w, i));
		for (int lock = 0; lock <= 1; lock++) {
			w->batch->entry[0] = (first + b * 512) << 12 | AERO_ENTRY_2M;
			CHECK_EQ(send(w, lock ? AERO_CALL_LOCK : AERO_CALL_UNLOCK, 1), AERO_OK);
			tally(w, w->batch->entry[0]);
			if (!status_of(w->batch->entry[0]))
				apply(lock, w->batch->entry[0]);
		}
	}
	for (u64 page = kept; page < kept + KEPT; page++)
		CHECK(!verify(w, page, tag_of(page, 1), STEP));
	return compare_alone(w) || audited(w);
}

/* --- the keeper: the first VM ends and starts the others ------------------------------ */

static struct {
	u64 full;    /* lives that ended by themselves */
	u64 counted; /* the start whose end has been seen */
	u64 stopped; /* the start that we ended */
} others[64];

static void stop_all(void)
{
	for (u64 vm = KEEPER + 1; bare_manage(AERO_CALL_STOP, vm, 0, NULL) != AERO_ERR_NOENT; vm++)
		;
}

/* After how many pages in and out of its balloon a life is cut short; most are not. */
static u64 doom(u64 vm, u64 start)
{
	u64 h = mix(salt ^ vm << 32 ^ start);

	return h % 3 ? ~0ul : (h >> 8) % bare_arg_number("cut", 10000);
}

/* One look at @vm; *@over when it has lived all its lives. */
static int look_after(u64 vm, const struct aero_vm_info *i, u64 lives, bool *over)
{
	if (i->state != AERO_VM_ENDED) {
		if (i->state != AERO_VM_STARTING && i->locked + i->unlocked > doom(vm, i->starts) &&
		    bare_manage(AERO_CALL_STOP, vm, 0, NULL) == AERO_OK)
			others[vm].stopped = i->starts;
		return 0;
	}
	if (i->exit_status) {
		bare_printf("FAIL VM %lu ended with status %u\n", vm, i->exit_status);
		return 1;
	}
	if (others[vm].counted != i->starts) {
		others[vm].counted = i->starts;
		others[vm].full += others[vm].stopped != i->starts;
	}
	*over = others[vm].full >= lives;
	if (!*over)
		bare_manage(AERO_CALL_RESTART, vm, 0, NULL); /* not yet: the next time */
	return 0;
}

/* All the others, every few milliseconds; *@over when none of them will come back. */
static int keep(u64 lives, bool *over)
{
	static u64 next;
	struct aero_vm_info i;

	if (bare_rdtsc() < next)
		return 0;
	next = bare_rdtsc() + 5 * bare_tsc_khz();
	*over = true;
	for (u64 vm = KEEPER + 1; bare_manage(AERO_CALL_VM_INFO, vm, (u64)&i, NULL) == AERO_OK;
	     vm++) {
		bool its = false;

		CHECK(!look_after(vm, &i, lives, &its));
		*over = *over && its;
	}
	return 0;
}

/* --- start and end ---------------------------------------------------------------------- */

static void fail(void)
{
	if (self() == KEEPER)
		stop_all();
	bare_exit(1);
}

static void work(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		if (step(w))
			fail();
	__atomic_store_n(&done, 2, __ATOMIC_RELEASE);
}

static int work_and_keep(struct worker *w)
{
	u64 lives = bare_arg_number("lives", 1);
	bool over = self() != KEEPER;

	while (accepted() < share || !over) {
		if (step(w) || (self() == KEEPER && keep(lives, &over)))
			return 1;
		if (accepted() >= marked + share / 20 + 1) {
			marked = accepted();
			report("so far");
		}
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != 2)
		pause();
	return verify_all(w);
}

/* Takes memory, and touches now what must never wait for any later. */
static int prepare(void)
{
	u64 seed = bare_arg_number("seed", 1);
	struct aero_vm_info i;

	CHECK_EQ(bare_manage(AERO_CALL_VM_INFO, self(), (u64)&i, NULL), AERO_OK);
	memory = bare_memory_pages();
	life = i.starts;
	CHECK(life);
	salt = mix(mix(seed) ^ (u64)self() << 32 ^ life);
	share = bare_arg_number("entries", 5000);
	flip = self() == KEEPER + 1 ? bare_arg_number("flip", 0) : 0;
	for (u64 b = 0; b <= BLOCKS; b++) {
		u64 p = bare_page_alloc(9);

		CHECK(p && (!b || p == first + b * 512));
		if (!b)
			first = p;
	}
	wild = first + PAGES;
	memset(state, EMPTY, sizeof(state));
	memset(generation, 0, sizeof(generation));
	memset(batches, 0, sizeof(batches));
	for (u64 n = 0; n < KEPT; n++) {
		u64 p = bare_page_alloc(0);

		CHECK(p && (!n || p == kept + n));
		if (!n)
			kept = p;
		fill(p, 1);
	}
	for (u32 n = 0; n < WORKERS; n++)
		workers[n] =
			(struct worker){ .rng = mix(salt + n), .index = n, .batch = &batches[n] };
	return 0;
}

int bare_main(void)
{
	CHECK(!prepare());
	CHECK(bare_balloon_start());
	bare_start_cpu(1, work, &workers[1]);
	if (work_and_keep(&workers[0]))
		fail();
	report("all");
	return 0;
}
