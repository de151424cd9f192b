/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory under pressure: exhaustion, recycling, inflation from nothing, stale translations. */
#include "case.h"

static u64 owned[8192]; /* pages that this guest has filled */
static u64 nr_owned;

/* Takes and fills up to @n pages; each must be zero when it comes. */
static bool fill(u64 n, u64 generation)
{
	u64 p;

	while (n-- && nr_owned < 8192 && (p = bare_page_alloc(0))) {
		if (!page_is_zero(p)) {
			bare_printf("FAIL page %lx is not zero: %lx\n", p, *(u64 *)bare_ptr(p));
			return false;
		}
		page_fill_as(self(), p, generation);
		owned[nr_owned++] = p;
	}
	return true;
}

static bool verify(u64 generation)
{
	for (u64 i = 0; i < nr_owned; i++) {
		long bad = page_verify_as(self(), owned[i], generation);

		if (bad >= 0) {
			bare_printf("FAIL page %lx word %ld: %lx\n", owned[i], bad,
				    ((u64 *)bare_ptr(owned[i]))[bad]);
			return false;
		}
	}
	return true;
}

static void release_all(void)
{
	while (nr_owned)
		bare_page_free(owned[--nr_owned], 0);
}

static bool wait_state(u32 vm, u32 state, u32 or_state)
{
	for (int i = 0; i < 5000; i++) {
		u32 s = vm_info(vm).state;

		if (s == state || s == or_state)
			return true;
		bare_sleep_us(2000);
	}
	return false;
}

/* --- exhaustion ---------------------------------------------------------- */

#define GO 77 /* pages; a balloon target that only the giver sets */

/* Each VM touches all its memory; a VM for which no frame is left waits, and loses nothing. */
static int toucher(void)
{
	struct aero_result r;

	CHECK(bare_balloon_start());
	do {
		bare_sleep_us(1000);
		bare_hypercall(AERO_CALL_POLL, 0, 0, 0, &r);
	} while (r.target != GO);
	CHECK(fill(8192, 3));
	CHECK(verify(3));
	bare_printf("touched %lu pages, all right\n", nr_owned);
	while (bare_arg_number("keep", 0)) /* until another VM ends it */
		bare_sleep_us(100000);
	return 0;
}

/* Holds memory, starts the others (1 and 2), and gives it away once they wait. */
static int giver(void)
{
	CHECK(bare_balloon_start());
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, self(), 0, NULL), 0);
	vm_info(1); /* touches what it needs while there is memory */
	CHECK(fill(3600, 1));
	CHECK_EQ(bare_manage(AERO_CALL_RESTART, 1, 0, NULL), 0);
	CHECK_EQ(bare_manage(AERO_CALL_RESTART, 2, 0, NULL), 0);
	/* Both must be up before either begins to take the memory that the other starts with. */
	CHECK(wait_state(1, AERO_VM_RUNNING, AERO_VM_RUNNING));
	CHECK(wait_state(2, AERO_VM_RUNNING, AERO_VM_RUNNING));
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, 1, GO, NULL), 0);
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, 2, GO, NULL), 0);
	CHECK(wait_state(1, AERO_VM_WAITING, AERO_VM_WAITING));
	CHECK(wait_state(2, AERO_VM_WAITING, AERO_VM_WAITING));
	CHECK(verify(1));
	release_all();
	CHECK(settle(3400, 100));
	CHECK(wait_state(1, AERO_VM_ENDED, AERO_VM_ENDED));
	CHECK(wait_state(2, AERO_VM_ENDED, AERO_VM_ENDED));
	return audit();
}

/* --- inflation with no free frame in the host --------------------------------------- */

static int from_nothing(void)
{
	struct aero_vm_info i;

	CHECK(bare_balloon_start());
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, self(), 0, NULL), 0);
	host_info(); /* touches what it needs while there is memory */
	CHECK(wait_state(1, AERO_VM_WAITING, AERO_VM_WAITING));
	CHECK(host_info().free < 400);
	/* The guest's kernel zeroes each page that the driver allocates. */
	bare_touch_before_lock = true;
	CHECK(settle(4800, 100));
	i = vm_info(self());
	CHECK_EQ(i.balloon, 4800);
	CHECK(i.faults > 4800);
	bare_printf("ballooned 4800 pages, each touched before; %lu KiB were free in the host\n",
		    host_info().free * 4);
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 1, 0, NULL), 0);
	return audit();
}

/* --- recycling ------------------------------------------------------------------ */

/* Frames come and go between VMs: no VM may see a byte of another. */
static int recycle(void)
{
	u64 rounds = bare_arg_number("rounds", 4);

	CHECK(bare_balloon_start());
	for (u64 r = 0; r < rounds; r++) {
		CHECK(fill(2000, r));
		CHECK(verify(r));
		release_all();
		CHECK(settle(3000 - r * 100, 100));
		CHECK(settle(r * 50, 100));
	}
	return 0;
}

/* Stops an inflated VM (id=1), starts it again, three times. */
static int destroyer(void)
{
	for (int i = 0; i < 3; i++) {
		for (int t = 0; t < 2000 && vm_info(1).balloon < 1000; t++)
			bare_sleep_us(1000);
		CHECK(vm_info(1).balloon >= 1000);
		CHECK_EQ(bare_manage(AERO_CALL_STOP, 1, 0, NULL), 0);
		for (int t = 0; t < 2000 && bare_manage(AERO_CALL_RESTART, 1, 0, NULL); t++)
			bare_sleep_us(1000);
		CHECK(wait_state(1, AERO_VM_RUNNING, AERO_VM_RUNNING));
		CHECK(!audit());
	}
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 1, 0, NULL), 0);
	return audit();
}

/* Fills, inflates, and stays so. */
static int inflated(void)
{
	CHECK(bare_balloon_start());
	CHECK(fill(1000, 9));
	CHECK(verify(9));
	release_all();
	CHECK(settle(1500, 100));
	for (;;)
		bare_sleep_us(1000000);
}

/* --- a driver that stops answering ------------------------------------------------ */

static int silent(void)
{
	CHECK(bare_balloon_start());
	CHECK(fill(1500, 1));
	bare_sleep_us(3500000);
	CHECK(verify(1));
	return 0;
}

/* --- a driver that answers, and gives nothing ------------------------------------------ */

static int stuck(void)
{
	u64 end;

	CHECK(bare_balloon_start());
	CHECK(fill(3000, 1));
	bare_keep_free = ~0ul >> 1;
	for (end = bare_rdtsc() + 20000 * bare_tsc_khz(); bare_rdtsc() < end;) {
		bare_balloon_poll(4);
		bare_sleep_us(5000);
	}
	CHECK(verify(1));
	return 0;
}

/* --- stale translations -------------------------------------------------------------- */

#define PREY 48
static volatile u64 prey[PREY];
static volatile u32 hunting, stop;

/* Writes without ever leaving the guest, to pages that are being taken from it. */
static void scribble(void *arg)
{
	(void)arg;
	while (!stop) {
		for (int i = 0; i < PREY; i++)
			if (prey[i])
				*(volatile u64 *)bare_ptr(prey[i]) = 0xdeaddeaddeaddeadul;
		hunting = 1;
	}
	hunting = 0;
}

/*
 * One vCPU writes to the very pages that another locks.  If a frame were
 * reused before the writer's CPU forgot it, the victim VM would see 0xdead...
 */
static int reclaim_under_writer(void)
{
	static struct aero_batch batch __attribute__((aligned(4096)));
	struct aero_result r;
	u64 rounds = bare_arg_number("rounds", 60);

	CHECK(bare_balloon_start());
	for (int i = 0; i < PREY; i++)
		prey[i] = bare_page_alloc(0);
	bare_start_cpu(1, scribble, NULL);
	while (!hunting)
		__asm__ volatile("pause");
	/* The ballast sees by this that the writer has all of its pages. */
	batch.entry[0] = prey[0] << 12;
	bare_hypercall(AERO_CALL_LOCK, (u64)&batch, 1, 0, &r);
	CHECK_EQ(r.status, 0);
	batch.entry[0] = prey[0] << 12;
	bare_hypercall(AERO_CALL_UNLOCK, (u64)&batch, 1, 0, &r);
	CHECK_EQ(r.status, 0);
	/* Tight: what is reclaimed here must be what the victim gets next. */
	while (host_info().free > bare_arg_number("tight", 100))
		bare_sleep_us(10000);
	for (u64 n = 0; n < rounds; n++) {
		for (int i = 0; i < PREY; i++)
			batch.entry[i] = prey[i] << 12;
		bare_hypercall(AERO_CALL_LOCK, (u64)&batch, PREY, 0, &r);
		CHECK_EQ(r.status, 0);
		bare_sleep_us(
			8000); /* longer than a slice: even a CPU with interrupts off has been asked */
		for (int i = 0; i < PREY; i++)
			batch.entry[i] = prey[i] << 12;
		bare_hypercall(AERO_CALL_UNLOCK, (u64)&batch, PREY, 0, &r);
		CHECK_EQ(r.status, 0);
	}
	/* The writer may wait for a frame that no other VM would ever give. */
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 2, 0, NULL), 0);
	stop = 1;
	while (hunting)
		__asm__ volatile("pause");
	CHECK(vm_info(self()).popped > 0);
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 1, 0, NULL), 0);
	return audit();
}

/* Takes nearly all memory of the host, and keeps it. */
static int soak_up(void)
{
	u64 keep = bare_arg_number("keep", 64);

	/*
	 * The others have all memory that they need: each has locked a page once. No VM would give
	 * them more.
	 */
	while (!vm_info(0).locked || !vm_info(1).locked)
		bare_sleep_us(1000);
	while (host_info().free > keep && fill(1, 5))
		;
	bare_printf("left %lu frames\n", host_info().free);
	while (vm_info(0).state != AERO_VM_ENDED)
		bare_sleep_us(100000);
	return 0;
}

/*
 * Takes frames, marks them, watches the marks for a while, gives them back;
 * as fast as it can, since a stale translation lives for a slice at most.
 */
static int victim(void)
{
	static struct aero_batch batch __attribute__((aligned(4096)));
	u64 page[PREY], bad = 0;
	struct aero_result r;

	CHECK(bare_balloon_start());
	for (int i = 0; i < PREY; i++)
		page[i] = bare_page_alloc(0);
	for (u64 tag = 1;; tag++) {
		for (int i = 0; i < PREY; i++) {
			bad |= *(volatile u64 *)bare_ptr(page[i]);
			*(volatile u64 *)bare_ptr(page[i]) = tag;
		}
		for (int look = 0; look < 200; look++)
			for (int i = 0; i < PREY; i++)
				bad |= *(volatile u64 *)bare_ptr(page[i]) ^ tag;
		if (bad) {
			bare_printf("FAIL somebody else wrote here: %lx\n", bad);
			return 1;
		}
		for (int i = 0; i < PREY; i++)
			batch.entry[i] = page[i] << 12;
		bare_hypercall(AERO_CALL_LOCK, (u64)&batch, PREY, 0, &r);
		CHECK_EQ(r.status, 0);
		for (int i = 0; i < PREY; i++)
			batch.entry[i] = page[i] << 12;
		bare_hypercall(AERO_CALL_UNLOCK, (u64)&batch, PREY, 0, &r);
		CHECK_EQ(r.status, 0);
		bare_sleep_us(100);
	}
}

/* --- code in pages that were data, in large pages of the host's if it has them ---------- */

#define CODE_BLOCKS 4

static u32 call(u64 page, u64 offset)
{
	return ((u32(*)(void))((u8 *)bare_ptr(page) + offset))();
}

/* mov $@value, %eax; ret */
static void plant_code(u64 page, u64 offset, u32 value)
{
	volatile u8 *p = (u8 *)bare_ptr(page) + offset;

	p[0] = 0xb8;
	for (int i = 0; i < 4; i++)
		p[1 + i] = (u8)(value >> 8 * i);
	p[5] = 0xc3;
}

/* Everywhere in each 2 MiB block, written before it is run and again after. */
static int code(void)
{
	u64 block[CODE_BLOCKS];

	/* The host makes large pages only of memory that idle CPUs have scrubbed. */
	for (int i = 0; i < 5000 && host_info().clean < 2 * CODE_BLOCKS * 512; i++)
		bare_sleep_us(2000);
	for (u32 i = 0; i < CODE_BLOCKS; i++) {
		block[i] = bare_page_alloc(9);
		CHECK(block[i]);
		for (u64 at = 0; at < 512 * PAGE; at += 64 * PAGE + 64)
			plant_code(block[i], at, (u32)(i << 24 | at));
	}
	for (u32 i = 0; i < CODE_BLOCKS; i++)
		for (u64 at = 0; at < 512 * PAGE; at += 64 * PAGE + 64) {
			CHECK_EQ(call(block[i], at), (u32)(i << 24 | at));
			plant_code(block[i], at, ~(u32)at);
			CHECK_EQ(call(block[i], at), ~(u32)at);
		}
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "toucher", toucher },
		{ "giver", giver },
		{ "from-nothing", from_nothing },
		{ "recycle", recycle },
		{ "destroyer", destroyer },
		{ "inflated", inflated },
		{ "silent", silent },
		{ "stuck", stuck },
		{ "reclaim", reclaim_under_writer },
		{ "victim", victim },
		{ "soak-up", soak_up },
		{ "code", code },
		{ NULL, NULL },
	};

	return run_case(cases);
}
