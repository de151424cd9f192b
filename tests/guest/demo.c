/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demo: a guest whose demand for memory rises and falls in turn with the others'. It fills its
 * pages with a pattern that names VM and page, and verifies them all the time. turn=N of=M says
 * when its turn is.
 */
#include "case.h"

#define MAX_PAGES 65536

static u32 page_of[MAX_PAGES];
static u64 have, checked, wrong, grows, next_check;

static void verify_one(u64 i)
{
	long bad = page_verify_as(self(), page_of[i], 0);

	checked++;
	if (bad < 0)
		return;
	if (!wrong++)
		bare_printf("CORRUPT page %lx word %ld: %lx\n", (u64)page_of[i], bad,
			    ((u64 *)bare_ptr(page_of[i]))[bad]);
}

/* One more page for the application; asks the hypervisor if its kernel has none. */
static bool take(void)
{
	u64 p = bare_page_alloc(0);

	if (!p) {
		grows++;
		aero_balloon_grow(&bare_balloon, 512);
		p = bare_page_alloc(0);
	}
	if (!p || have == MAX_PAGES)
		return false;
	page_fill_as(self(), p, 0);
	page_of[have++] = (u32)p;
	return true;
}

static void give(void)
{
	verify_one(--have);
	bare_page_free(page_of[have], 0);
}

/* Moves toward @want by at most 256 pages, and verifies some of its pages. */
static void work(u64 want)
{
	for (int i = 0; i < 256 && have < want; i++)
		if (!take())
			break;
	for (int i = 0; i < 256 && have > want; i++)
		give();
	for (int i = 0; i < 384 && have; i++)
		verify_one(next_check++ % have);
}

int bare_main(void)
{
	u64 turn = bare_arg_number("turn", 0), of = bare_arg_number("of", 3);
	u64 high = bare_arg_number("high", 48) * 256, low = bare_arg_number("low", 8) * 256;
	u64 phase_ms = bare_arg_number("phase", 1500), rounds = bare_arg_number("rounds", 2);
	u64 start = bare_rdtsc(), phase = ~0ul, ms = bare_tsc_khz();

	if (!bare_balloon_start())
		return 1;
	bare_keep_free = 256;
	while ((bare_rdtsc() - start) / ms < phase_ms * of * rounds) {
		u64 now = (bare_rdtsc() - start) / ms / phase_ms;

		if (now != phase) {
			phase = now;
			bare_printf("phase %lu: %s, wants %lu MiB\n", phase,
				    phase % of == turn ? "busy" : "quiet",
				    (phase % of == turn ? high : low) / 256);
		}
		work(phase % of == turn ? high : low);
		bare_balloon_poll(4);
		bare_balloon_report();
		bare_sleep_us(5000);
	}
	for (u64 i = 0; i < have; i++)
		verify_one(i);
	bare_printf("%lu pages checked, %lu wrong; asked to grow %lu times\n", checked, wrong,
		    grows);
	return wrong ? 1 : 0;
}
