/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The large soak's guest: all its vCPUs lock, unlock, use and pop the same memory at once, restart
 * the driver, and know at every moment the right contents of each page. The first VM also ends,
 * stops and restarts the others.
 *   seed=N entries=N (accepted, of one life) lives=N cut=PAGES flip=N
 * Every decision comes from the seed, the VM, its life and the vCPU; how the
 * vCPUs interleave does not.
 *
 * Three kinds of memory: blocks of 2 MiB, each used by the vCPU that has its lock, and known to the
 * byte; a wild block that nobody locks, where one vCPU writes while another takes the page away;
 * and pages that never go anywhere.
 */
#include "soak_smp_use.h"

/* --- rare things --------------------------------------------------------------------- */

static int check_kept(struct worker *w)
{
	u64 page = kept + rnd(w, KEPT);

	return verify(w, page, tag_of(page, 1), STEP);
}

/* Restarts the driver while other vCPUs are in the wild block: all pages are ours again. */
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

/* The hypervisor's counts must agree with ours. */
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

/* Asks for memory back, and makes the other calls of a driver. */
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
	case 12 ... 14: /* and then use the pages that came back */
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

/* Verifies all touched pages, and some others, block by block, and gives each block away then. */
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

/*
 * The number of pages in and out of its balloon after which a life is cut short; most lives are
 * not.
 */
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

/* Looks at all other VMs every few milliseconds; *@over: none of them will come back. */
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

/* Takes memory, and touches pages now that must never wait for a frame later. */
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
