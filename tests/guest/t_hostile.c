/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The victim, which also judges. It starts the other VMs of its configuration one after the other;
 * meanwhile it works on its memory without a pause, gives pages away and gets others, and reads its
 * clock. Beside each of them it must keep its bytes and its share of the CPU, and have no long gap.
 */
#include "case.h"

#define PAGES 256	/* that it works on */
#define TURN 16		/* pages of these that it gives away at a time */
#define ALONE_MS 50	/* time in which it measures its speed alone */
#define FAST_KHZ 200000 /* a slower TSC means an emulator that counts 50 million a second */
#define MOST_MS 4000	/* time in which an attacker must begin */
#define ROM 0xf0000ul

static u64 page[PAGES], generation[PAGES];
static u64 wrong, loops, longest, at;
static struct aero_batch batch __attribute__((aligned(4096)));

static void note_wrong(const char *what, u64 where)
{
	if (!wrong++)
		bare_printf("FAIL %s, page %lx\n", what, where);
}

/* The next page: verifies its contents, and gives it new ones. */
static void work(void)
{
	u64 i = at++ % PAGES;

	if (page_verify_as(self(), page[i], generation[i]) >= 0)
		note_wrong("memory has changed", page[i]);
	page_fill_as(self(), page[i], ++generation[i] & 0xff);
	generation[i] &= 0xff;
	loops++;
}

/* Pages go to other VMs and come from them, and must come empty. */
static void swap_pages(void)
{
	struct aero_result r;
	u64 first = at % PAGES / TURN * TURN;

	for (u64 i = 0; i < TURN; i++)
		batch.entry[i] = page[first + i] * PAGE;
	bare_hypercall(AERO_CALL_LOCK, (u64)&batch, TURN, 0, &r);
	for (u64 i = 0; i < TURN; i++)
		batch.entry[i] = page[first + i] * PAGE;
	bare_hypercall(AERO_CALL_UNLOCK, (u64)&batch, TURN, 0, &r);
	for (u64 i = 0; i < TURN; i++) {
		if (!page_is_zero(page[first + i]))
			note_wrong("a new page is not empty", page[first + i]);
		page_fill_as(self(), page[first + i], generation[first + i]);
	}
	if (*(volatile u64 *)ROM != ~0ul) /* a page that all VMs share */
		note_wrong("the empty bus has changed", ROM / PAGE);
}

/* Works for this time, and notes the longest time in which it did not run. */
static void work_for(u64 ms)
{
	u64 last = bare_rdtsc(), end = last + ms * bare_tsc_khz(), now;

	for (u64 n = 1; last < end; n++) {
		work();
		if (!(n % 64))
			swap_pages();
		now = bare_rdtsc();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
}

/* --- was there an attack at all? -------------------------------------------------------- */

static bool came_back(const struct aero_vm_info *v)
{
	return v->starts >= 2;
}

static bool popped(const struct aero_vm_info *v)
{
	return v->popped > 100;
}

static bool refused(const struct aero_vm_info *v)
{
	return v->refused > 10 && v->locked > 10;
}

static bool left_often(const struct aero_vm_info *v)
{
	return v->exits > 1000;
}

static bool waits(const struct aero_vm_info *v)
{
	return v->state == AERO_VM_WAITING;
}

static bool waits_at_max(const struct aero_vm_info *v)
{
	return waits(v) && v->resident == v->max;
}

/* All memory of its guarantee comes, whatever others have taken. */
static bool reaches_its_min(void)
{
	u64 p;

	while (vm_info(self()).resident < vm_info(self()).min && (p = bare_page_alloc(0)))
		*(volatile u64 *)bare_ptr(p) = p;
	return vm_info(self()).resident >= vm_info(self()).min;
}

/* It has taken all memory that it could, tables first. */
static bool has_tables(const struct aero_vm_info *v)
{
	return waits(v) && v->tables > v->memory / 1024 && host_info().free < 2048 &&
	       reaches_its_min();
}

static bool ran(const struct aero_vm_info *v)
{
	return v->run_us > 1000;
}

static const struct {
	const char *name;
	bool (*attacked)(const struct aero_vm_info *v);
	u64 lines_us; /* of the policy's own lines, which no limit holds up */
} signs[] = {
	{ "reboots", came_back, 0 },
	{ "reboots-inflated", came_back, 0 },
	{ "pops", popped, 0 },
	{ "batches", refused, 0 },
	{ "changed-batches", refused, 0 },
	{ "grows", left_often, 0 },
	{ "exits", left_often, 0 },
	{ "past-its-max", waits_at_max, 0 },
	{ "takes-tables", has_tables, 20000 }, /* memory: soft, hard, low, high */
};
#define NR_SIGNS (sizeof(signs) / sizeof(signs[0]))

static bool attacked(const struct aero_vm_info *v)
{
	for (u32 i = 0; i < NR_SIGNS; i++)
		if (!bare_strcmp(v->name, signs[i].name))
			return signs[i].attacked(v);
	return ran(v);
}

/* --- the verdict --------------------------------------------------------------------- */

static u64 alone; /* loops a second */

static bool wait_for(u32 vm, u32 state)
{
	for (int i = 0; i < 20000 && vm_info(vm).state != state; i++)
		bare_sleep_us(1000);
	return vm_info(vm).state == state;
}

/* Also stops a VM that is off before it starts again. */
static bool stop(u32 id)
{
	bool ended = vm_info(id).state == AERO_VM_ENDED;
	bool good = ended || !bare_manage(AERO_CALL_STOP, id, 0, NULL);

	work_for(5); /* it is taken apart meanwhile */
	return good;
}

static bool bad_share(u64 percent)
{
	return percent < bare_arg_number("share", 0);
}

/* gap=MICROSECONDS; 0: any. */
static bool bad_gap(const char *attacker, u64 us)
{
	u64 most = bare_arg_number("gap", 0);

	for (u32 i = 0; i < NR_SIGNS && most; i++)
		if (!bare_strcmp(attacker, signs[i].name))
			most += signs[i].lines_us;
	return most && us > most;
}

/* In percent of its speed alone. */
static u64 share_since(u64 begin)
{
	return loops * 100 * 1000 * bare_tsc_khz() / ((bare_rdtsc() - begin) * alone);
}

/* Starts VM @id, and works beside it; returns its own speed. */
static u64 work_beside(u32 id)
{
	u64 khz = bare_tsc_khz(), begin;

	while (!vm_info(id)
			.starts) /* not by its state: one that reboots is "starting" most of the time */
		work_for(1);
	longest = loops = 0;
	begin = bare_rdtsc();
	work_for(khz > FAST_KHZ ? 100 : 300);
	return share_since(begin);
}

/* The state of @id when it has attacked, or at the end of its time. */
static struct aero_vm_info wait_for_attack(u32 id)
{
	u64 end = bare_rdtsc() + MOST_MS * bare_tsc_khz();
	struct aero_vm_info v = vm_info(id);

	for (; !attacked(&v) && bare_rdtsc() < end; v = vm_info(id)) {
		work_for(5);
		if (v.state == AERO_VM_STARTING) /* it reboots, and is made to wait */
			bare_sleep_us(5000);
	}
	return v;
}

static int suffer(u32 id)
{
	struct aero_vm_info v;
	const char *name = (const char *)v.name;
	u64 percent, us;
	bool good, did;

	if (bare_manage(AERO_CALL_RESTART, id, 0, NULL))
		return 1;
	percent = work_beside(id);
	v = wait_for_attack(id);
	did = attacked(&v);
	good = stop(id) && wait_for(id, AERO_VM_ENDED) && !audit();
	us = longest * 1000 / bare_tsc_khz();
	good = good && did && !wrong && !bad_share(percent) && !bad_gap(name, us);
	bare_printf("%s: %s: kept %lu %% of its CPU, longest gap %lu us, %lu words wrong\n", name,
		    good ? "PASS" : "FAIL", percent, us, wrong);
	bare_printf(
		"%s: %s: ran %lu us, %lu exits, %lu popped, %lu refused, %lu tables, %lu starts\n",
		name, did ? "attacked" : "did not attack", v.run_us, v.exits, v.popped, v.refused,
		v.tables, v.starts);
	return !good;
}

/* share=PERCENT of its speed alone, gap=us; 0: do not judge by clocks. */
static int victim(void)
{
	u32 failed = 0, nr = host_info().nr_vms;

	CHECK(bare_balloon_start());
	for (u32 i = 0; i < PAGES; i++) {
		page[i] = bare_page_alloc(0);
		page_fill_as(self(), page[i], 0);
	}
	work_for(5); /* all code and data are there */
	loops = 0;
	work_for(ALONE_MS);
	alone = loops * 1000 / ALONE_MS;
	bare_printf("alone: %lu pages a second\n", alone);
	for (u32 id = 0; id < nr; id++)
		failed += id != self() && suffer(id);
	CHECK_EQ(failed, 0);
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "victim", victim },
		{ NULL, NULL },
	};

	return run_case(cases);
}
