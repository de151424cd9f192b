/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A storm with a judge: guests that want all the memory they see, inflate to their targets and use
 * the rest all the time; and one that watches them, and computes on its own how much each should
 * have.
 */
#include "case.h"

#define MAX_PAGES 16384
#define MAX_STORM 16
#define SLACK 32      /* pages that its kernel keeps free */
#define LOW_PAGES 160 /* its first 640K, which its page allocator leaves alone */
#define BAND 32 /* part of a VM's size below which the policy moves nothing while there is memory */
#define UNUSED 256  /* pages of a guest that it never touches, at most */
#define TOLERANCE 2 /* percent, besides */

static u32 page_of[MAX_PAGES];
static u64 have, wrong;

/* The test is about memory, and CPUs are slow: one word a page. */
static u64 *word(u64 i)
{
	return bare_ptr(page_of[i]);
}

static u64 tag(u64 i)
{
	return (u64)(self() + 1) << 56 | page_of[i];
}

static void give(u64 pages)
{
	for (; pages && have; pages--) {
		have--;
		wrong += *word(have) != tag(have);
		bare_page_free(page_of[have], 0);
	}
}

static void take(u64 pages)
{
	for (; pages && have < MAX_PAGES && bare_free_pages() > SLACK; pages--) {
		u64 p = bare_page_alloc(0);

		if (!p)
			return;
		page_of[have] = (u32)p;
		*word(have) = tag(have);
		have++;
	}
}

/* Uses each page once, and checks that it is still its own. */
static void sweep(void)
{
	for (u64 page = 0; page < LOW_PAGES; page++)
		(void)*(volatile u64 *)bare_ptr(page);
	for (u64 i = 0; i < have; i++)
		wrong += *word(i) != tag(i);
}

/* The judge ends the test by a target that the policy never sets: all memory except 1 MiB. */
static bool is_over(void)
{
	return bare_balloon.target + 256 > bare_memory_pages();
}

/* Reports its sweeps as major faults, so that the judge sees that it goes on. */
static int wanter(void)
{
	static struct aero_stats stats;
	struct aero_result r;

	bare_keep_free = 0;
	CHECK(bare_balloon_start());
	for (bare_balloon_poll(0); !is_over(); bare_balloon_poll(4)) {
		if (bare_balloon.target > bare_balloon.size)
			give(bare_balloon.target - bare_balloon.size);
		/*
		 * Between two polls it uses less than its reserve, to see its target before that is
		 * used up.
		 */
		for (int i = 0; i < 32 && bare_balloon.target <= bare_balloon.size; i++) {
			take(32);
			bare_balloon_poll(4);
		}
		bare_balloon_poll(4);
		sweep();
		stats.major_faults++;
		bare_hypercall(AERO_CALL_STATS, (u64)&stats, 0, 0, &r);
		bare_sleep_us(20000);
	}
	bare_printf("%lu sweeps, %lu words wrong\n", stats.major_faults, wrong);
	CHECK_EQ(wrong, 0);
	return 0;
}

/* What VM @i should have if a share is worth @level pages / 2^16. */
static u64 due(const struct aero_vm_info *vm, u64 level)
{
	u64 pages = vm->shares * level >> 16;

	if (pages < vm->min)
		return vm->min;
	return pages > vm->max ? vm->max : pages;
}

static struct aero_vm_info vm[MAX_STORM];
static u64 resident[MAX_STORM];
static u32 nr, waited;

static u64 sweeps(u32 i)
{
	static struct aero_stats stats;

	bare_manage(AERO_CALL_GUEST_STATS, i, (u64)&stats, NULL);
	return stats.major_faults;
}

/*
 * Never less than it should have, except pages that it may have and never touches. It may have
 * more: memory that the others do not use (below 1 MiB, of a guest's kernel) stays with a VM while
 * no other needs it.
 */
static bool near(const struct aero_vm_info *v, u64 is, u64 should)
{
	u64 off = should * TOLERANCE / 100 + v->memory / BAND + UNUSED;

	return is + off >= should && is <= should + off + (nr - 1) * UNUSED;
}

/* The average memory of each, over a second or until each has used all of it three times. */
static bool look(u64 deadline)
{
	u64 until = bare_rdtsc() + bare_tsc_khz() * 1000, before[MAX_STORM], looks = 0;
	bool all_went_on = false;

	waited = 0;
	for (u32 i = 0; i < nr; i++) {
		before[i] = sweeps(i);
		resident[i] = 0;
	}
	for (; (bare_rdtsc() < until || !all_went_on) && bare_rdtsc() < deadline; looks++) {
		bare_sleep_us(20000);
		all_went_on = true;
		for (u32 i = 0; i < nr; i++) {
			vm[i] = vm_info(i);
			resident[i] += vm[i].resident;
			waited += vm[i].state != AERO_VM_RUNNING;
			all_went_on &= sweeps(i) >= before[i] + 3;
		}
	}
	for (u32 i = 0; i < nr && looks; i++)
		resident[i] = resident[i] / looks;
	return all_went_on;
}

/* How many VMs have a wrong amount; prints the amounts if @tell. */
static int compare(bool tell)
{
	u64 sum = 0, level = 0, all;
	int bad = 0;

	for (u32 i = 0; i < nr; i++)
		sum += resident[i];
	/* Divides all their memory by shares, each at least its min and at most its max. */
	for (u64 bit = 1ul << 40; bit; bit >>= 1) {
		all = 0;
		for (u32 i = 0; i < nr; i++)
			all += due(&vm[i], level + bit);
		level += all <= sum ? bit : 0;
	}
	for (u32 i = 0; i < nr; i++) {
		u64 should = due(&vm[i], level);
		bool good = near(&vm[i], resident[i], should) &&
			    near(&vm[i], resident[i], vm[i].entitlement);

		bad += !good;
		if (tell)
			bare_printf("%s: %lu KiB; by %lu shares %lu, by the policy %lu%s\n",
				    (const char *)vm[i].name, resident[i] * 4, vm[i].shares,
				    should * 4, vm[i].entitlement * 4, good ? "" : " FAIL");
	}
	bad += sum < host_info().total * 80 / 100;
	if (tell)
		bare_printf("%lu of %lu KiB used; waiting VMs seen: %u\n", sum * 4,
			    host_info().total * 4, waited);
	return bad;
}

/* storm=N: VMs 0 to N - 1 are in it; within=N: seconds in which the storm must settle. */
static int judge(void)
{
	u64 deadline = bare_rdtsc() + bare_arg_number("within", 40) * 1000 * bare_tsc_khz();
	int good = 0, bad = 1;

	nr = (u32)bare_arg_number("storm", 8);
	CHECK(nr && nr <= MAX_STORM);
	/* Twice in a row: the amounts are stable. */
	while (good < 2 && bare_rdtsc() < deadline) {
		bad = !look(deadline) || waited || compare(false);
		good = bad ? 0 : good + 1;
	}
	bad = compare(true) + (good < 2);
	for (u32 i = 0; i < nr; i++)
		CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, i, vm[i].memory - 1, NULL), 0);
	CHECK_EQ(bad, 0);
	return audit();
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "wanter", wanter },
		{ "judge", judge },
		{ NULL, NULL },
	};

	return run_case(cases);
}
