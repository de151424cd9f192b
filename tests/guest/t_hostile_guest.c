/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that attack others: by calls, by memory, by interrupts and by ending. None ends of itself;
 * t_hostile.c judges, and stops them.
 */
#include "case.h"

#define PORT_RESET 0x602
#define BLOCK 512ul /* pages of 2 MiB */
#define X2APIC(offset) (0x800 + ((offset) >> 4))
#define CPUS 4

static struct aero_batch batch[CPUS] __attribute__((aligned(4096)));
static volatile u32 others;

static long call(u64 number, u64 a, u64 b, u64 c)
{
	struct aero_result r;

	bare_hypercall(number, a, b, c, &r);
	return r.status;
}

/* All vCPUs of this VM do the same, each with its number. */
static void on_all_cpus(void (*fn)(void *))
{
	u32 n = bare_nr_cpus();

	for (u64 i = 1; i < n && i < CPUS; i++)
		bare_start_cpu((u32)i, fn, (void *)i);
	fn(NULL);
}

static void spin(void *arg)
{
	(void)arg;
	others++;
	for (;;)
		__asm__ volatile("");
}

/* The baseline: it uses its CPU, and does nothing else. */
static int just_spins(void)
{
	on_all_cpus(spin);
	return 0;
}

/* --- lines of the log ------------------------------------------------------------- */

/* balloon = none: each call is refused, and could make a line of the log. */
static int starts(void)
{
	for (;;)
		CHECK_EQ(call(AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_ERR_STATE);
}

static int reboots(void)
{
	bare_outb(PORT_RESET, 1);
	return 1;
}

/* Restarts with a full balloon: nothing of it may stay behind. */
static int reboots_inflated(void)
{
	CHECK(bare_balloon_start());
	for (u64 i = 0; i < 256; i++)
		batch[0].entry[i] = bare_page_alloc(0) * PAGE;
	CHECK_EQ(call(AERO_CALL_LOCK, (u64)&batch[0], 256, 0), 0);
	return reboots();
}

/* --- batches --------------------------------------------------------------------- */

/*
 * An entry that is wrong in one way or another, or right: order and alignment (XSA-31,
 * XSA-388), range (XSA-212), pages that are no memory or shared (XSA-507), the batch itself.
 */
static u64 any_entry(u64 first, u64 pages)
{
	static const u64 special[] = { 0xa0000,	   0xc0000,    0xf0000,	   0xfee00000,
				       0xd0000000, 0xfec00000, 0x100000000 };
	u64 x = random_bits(), gfn = first + (x >> 8) % pages;

	switch (x % 16) {
	case 0:
		return special[(x >> 40) % 7] | (x >> 50 & 1);
	case 1:
		return (u64)&batch[(x >> 40) % CPUS];
	case 2:
		return gfn * PAGE | (x >> 40 & 0xfff);
	case 3:
		return random_bits();
	case 4:
		return bare_memory_pages() * PAGE + (x >> 60) * PAGE;
	case 5:
	case 6:
	case 7:
		return gfn / BLOCK * BLOCK * PAGE | AERO_ENTRY_2M;
	default:
		return gfn * PAGE;
	}
}

/* This VM can do without the upper half of its memory; its code is not there. */
static void any_batches(void *arg)
{
	static const u64 calls[] = { AERO_CALL_LOCK, AERO_CALL_LOCK, AERO_CALL_UNLOCK,
				     AERO_CALL_REPORT };
	struct aero_batch *b = &batch[(u64)arg];
	u64 half = bare_memory_pages() / 2, count;

	for (u64 n = 0;; n++) {
		u64 x = random_bits();

		count = x % 8 ? 1 + (x >> 8) % 64 : (x >> 8) % 600;
		for (u64 i = 0; i < count && i < AERO_BATCH_MAX; i++)
			b->entry[i] =
				i && !(random_bits() % 8) ? b->entry[i - 1] : any_entry(half, half);
		call(calls[(x >> 32) % 4], (u64)b, count, x >> 48 & 1 ? 0 : (x >> 40) % 8);
		if (!(n % 16)) /* pops, if it is in the balloon */
			(*(volatile u64 *)bare_ptr(half + (x >> 20) % half))++;
	}
}

static int batches(void)
{
	CHECK(bare_balloon_start());
	on_all_cpus(any_batches);
	return 1;
}

/* Writes into the batches of the first vCPU during its calls. */
static void change(void *arg)
{
	u64 half = bare_memory_pages() / 2;

	(void)arg;
	for (;;)
		for (u64 i = 0; i < AERO_BATCH_MAX; i++)
			*(volatile u64 *)&batch[0].entry[i] = any_entry(half, half);
}

static int changed_batches(void)
{
	u64 half = bare_memory_pages() / 2;

	CHECK(bare_balloon_start());
	for (u32 i = 1; i < bare_nr_cpus(); i++)
		bare_start_cpu(i, change, NULL);
	for (u64 n = 0;; n++) {
		call(n & 1 ? AERO_CALL_UNLOCK : AERO_CALL_LOCK, (u64)&batch[0], AERO_BATCH_MAX, 0);
		(*(volatile u64 *)bare_ptr(half + n % half))++;
	}
}

/* All its memory goes, by 2 MiB, and comes back at once by START: sweeps (XSA-150, XSA-410). */
static int sweeps(void)
{
	u64 blocks = bare_memory_pages() / BLOCK;

	for (;;) {
		CHECK(bare_balloon_start());
		for (u64 at = 2, n; at < blocks; at += n) {
			for (n = 0; n < AERO_BATCH_MAX && at + n < blocks; n++)
				batch[0].entry[n] = (at + n) * BLOCK * PAGE | AERO_ENTRY_2M;
			CHECK(call(AERO_CALL_LOCK, (u64)&batch[0], n, 0) >= 0);
		}
		/* A page of each 2 MiB comes back: one entry becomes a table (XSA-246). */
		for (u64 b = 2; b < blocks; b += 7) {
			batch[0].entry[0] = (b * BLOCK + 5) * PAGE;
			CHECK(call(AERO_CALL_UNLOCK, (u64)&batch[0], 1, 0) >= 0);
		}
	}
}

/* Reports pages as free, and uses them: "inflation that frees nothing". */
static int pops(void)
{
	u64 page[64];

	CHECK(bare_balloon_start());
	for (u32 i = 0; i < 64; i++)
		page[i] = bare_page_alloc(0);
	for (;;) {
		for (u32 i = 0; i < 64; i++)
			batch[0].entry[i] = page[i] * PAGE;
		CHECK_EQ(call(AERO_CALL_LOCK, (u64)&batch[0], 64, 0), 0);
		for (u32 i = 0; i < 64; i++)
			(*(volatile u64 *)bare_ptr(page[i]))++;
	}
}

static int grows(void)
{
	CHECK(bare_balloon_start());
	for (;;)
		call(AERO_CALL_GROW, random_bits() % 3 ? 1 : ~0ul, 0, 0);
}

/* Random statistics, which change the policy's view of this VM. */
static int lies(void)
{
	static struct aero_stats stats;

	CHECK(bare_balloon_start());
	for (;;) {
		for (u64 i = 0; i < sizeof(stats) / 8; i++)
			((volatile u64 *)&stats)[i] = random_bits() >> random_bits() % 64;
		CHECK_EQ(call(AERO_CALL_STATS, (u64)&stats, 0, 0), 0);
	}
}

/* All numbers near those that exist, with arguments near valid ones. */
static void any_calls(void *arg)
{
	u64 top = bare_memory_pages() * PAGE;

	for (u64 n = 0;; n++) {
		u64 x = random_bits(), number = 0x80000000u + x % 12 + (x >> 8 & 0x100);
		u64 a = x >> 20 & 1 ? (u64)&batch[(u64)arg] : random_bits() >> (x >> 24) % 64;
		u64 b = x >> 21 & 1 ? random_bits() % 513 : top - PAGE * (x >> 32 & 3);

		batch[(u64)arg].entry[n % 512] = top / 2 + x % (top / 2);
		call(number, a, b, x >> 22 & 1 ? 0 : random_bits());
	}
}

static int calls(void)
{
	CHECK(bare_balloon_start());
	on_all_cpus(any_calls);
	return 1;
}

/* --- memory ---------------------------------------------------------------------- */

/* A page of each 2 MiB, for the sake of its table. */
static void touch_tables(void *arg)
{
	(void)arg;
	for (u64 page = 3 * BLOCK; page < bare_memory_pages(); page += BLOCK)
		*(volatile u64 *)bare_ptr(page) = page;
	others++;
	for (;;)
		__asm__ volatile("pause");
}

static void touch_all(void)
{
	for (u64 page = BLOCK; page < bare_memory_pages(); page++)
		*(volatile u64 *)bare_ptr(page) = page;
}

/* First takes tables, then all memory of the host; in the end this VM waits. */
static int takes_tables(void)
{
	bare_start_cpu(1, touch_tables, NULL);
	while (!others)
		__asm__ volatile("pause");
	touch_all();
	return 1;
}

/* It touches more than its max, and has no driver. */
static int past_its_max(void)
{
	touch_all();
	return 1;
}

/* Code everywhere in large pages, written and run in turn (XSA-304). */
static int runs_data(void)
{
	for (u64 n = 0;; n++)
		for (u64 page = 3 * BLOCK; page < bare_memory_pages(); page += 61) {
			u8 *p = (u8 *)bare_ptr(page) + n % 64 * 64;

			*(volatile u8 *)p = 0xc3;
			((void (*)(void))p)();
		}
}

/* --- interrupts and exits ---------------------------------------------------------- */

static volatile u64 ticks;

static void tick(void)
{
	ticks++;
	bare_apic_timer(bare_rdtsc(), 0x41); /* that is over */
}

static int timers(void)
{
	bare_on_interrupt(0x41, tick);
	tick();
	__asm__ volatile("sti");
	for (;;)
		__asm__ volatile("hlt");
}

static void nothing(void)
{
}

/* Each wakes the next one, and itself. */
static void wake_each_other(void *arg)
{
	u32 next = ((u32)(u64)arg + 1) % bare_nr_cpus();

	__asm__ volatile("sti");
	for (;;) {
		bare_send_ipi(next, 0x42);
		bare_send_ipi(bare_cpu(), 0x42);
		bare_wrmsr(X2APIC(0x300), 1ul << 32 | 3 << 18 | 0x42); /* all but itself */
		__asm__ volatile("hlt");
	}
}

static int ipis(void)
{
	bare_on_interrupt(0x42, nothing);
	on_all_cpus(wake_each_other);
	return 1;
}

static int exits(void)
{
	u32 r[4];

	for (;;) {
		bare_cpuid((u32)random_bits(), 0, r);
		bare_inb((u16)random_bits());
		(void)*(volatile u32 *)(0xd0000000 + random_bits() % 0x1000);
	}
}

/* Writes lines to its console for ever. */
static int shouts(void)
{
	for (;;)
		bare_printf("................................................................"
			    "................................................................\n");
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "spins", just_spins },
		{ "starts", starts },
		{ "reboots", reboots },
		{ "reboots-inflated", reboots_inflated },
		{ "batches", batches },
		{ "changed-batches", changed_batches },
		{ "sweeps", sweeps },
		{ "pops", pops },
		{ "grows", grows },
		{ "lies", lies },
		{ "calls", calls },
		{ "takes-tables", takes_tables },
		{ "past-its-max", past_its_max },
		{ "runs-data", runs_data },
		{ "timers", timers },
		{ "ipis", ipis },
		{ "exits", exits },
		{ "shouts", shouts },
		{ NULL, NULL },
	};

	return run_case(cases);
}
