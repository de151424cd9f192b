/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the order of locks as the code under test takes them: each CPU must take its locks in the
 * order of hv/base/lock.h. A breach panics, which fails the test.
 */
#include <tests/fake/fake.h>

#include <hv/base/lock.h>

#define DEPTH LOCK_RANKS

struct taken {
	u32 *held;
	enum lock_rank rank;
};

/* A thread of a test is a CPU, too. */
static _Thread_local struct taken taken[MAX_CPUS][DEPTH];
static _Thread_local u32 depth[MAX_CPUS];

#define NAME(rank, name) [rank] = name,
static const char *const names[LOCK_RANKS] = { LOCKS(NAME) };

void lock_order_take(u32 *held, enum lock_rank rank, bool must)
{
	struct taken *t = taken[fake.cpu];
	u32 *n = &depth[fake.cpu];

	/* Nobody waits for a lock that is only tried, so it cannot be part of a deadlock. */
	for (u32 i = 0; must && i < *n; i++)
		if (t[i].rank >= rank)
			plat_panic("lock order: CPU %u takes %s and holds %s", fake.cpu,
				   names[rank], names[t[i].rank]);
	if (*n == DEPTH)
		plat_panic("lock order: CPU %u holds %u locks", fake.cpu, *n);
	t[(*n)++] = (struct taken){ held, rank };
}

/* Give it back for the CPU that took it: a test may have changed fake.cpu since. */
void lock_order_release(const u32 *held)
{
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu++)
		for (u32 i = 0; i < depth[cpu]; i++)
			if (taken[cpu][i].held == held) {
				taken[cpu][i] = taken[cpu][--depth[cpu]];
				return;
			}
	plat_panic("lock order: a lock is given back that nobody holds");
}

void lock_order_none(const char *when)
{
	if (depth[fake.cpu])
		plat_panic("lock order: CPU %u holds %s %s", fake.cpu,
			   names[taken[fake.cpu][0].rank], when);
}

void lock_order_free(void)
{
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu++)
		for (u32 i = 0; i < depth[cpu]; i++)
			atomic_store(taken[cpu][i].held, 0);
	lock_order_forget();
}

void lock_order_forget(void)
{
	memset(depth, 0, sizeof(depth));
}
