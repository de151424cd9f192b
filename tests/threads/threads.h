/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/ and hv/ with a thread for each CPU, under ThreadSanitizer. The host's scheduler decides which
 * CPU goes on, unlike in the other fakes. The harness itself shares only relaxed atomics between
 * threads, so that it adds no order which the code under test lacks.
 *
 *   platform.c  CPUs, time, kicks; the points at which all of them stand still
 *   oracle.c    translation caches, whose bytes a page has, accounts
 *   breaks.c    what can be left out
 *   mm.c        a test: mm/ alone
 *   machine.c   a test: the whole hypervisor, sched_loop() on each CPU (guests.c: what guests do)
 */
#ifndef TESTS_THREADS_THREADS_H
#define TESTS_THREADS_THREADS_H

#include <tests/fake/guest.h>

#include <mm/audit.h>
#include <mm/epoch.h>

#define CPUS 4u
#define VMS 3u
#define VCPUS 4u       /* of a VM */
#define GFNS 4096u     /* of a VM: 16 MiB */
#define FIRST_GFN 512u /* from here on the guests' pages have stamps */

#define threads_assert(cond, ...)                               \
	do {                                                    \
		if (!(cond))                                    \
			threads_fail(#cond, ":: " __VA_ARGS__); \
	} while (0)
void threads_fail(const char *what, const char *fmt, ...) __attribute__((noreturn)) __printf(2, 3);

/* --- platform.c --- */

/* The steps of all CPUs that are left in this run, and those done. */
void threads_begin(int argc, char **argv, u64 steps);

/* Runs @life on CPUS threads until each has returned or left. */
void threads_run(void (*life)(void));

/*
 * A step of this CPU; it moves the clock. Now and then all CPUs wait here for each other, and one
 * of them calls @quiet while the others stand still. False: the run is over.
 */
bool threads_step(void (*quiet)(void));

/* Ends this CPU's thread at once. */
void threads_leave(void) __attribute__((noreturn));

/* A random number below @n, from this CPU's generator. */
u32 any(u32 n);

/* True: this CPU was kicked. Clears the kick. */
bool threads_kicked(void);

/* --- oracle.c --- */

/* VM @vm begins a life: all its pages are zero. */
void oracle_life(u32 vm);

/* The guest's CPU forgets its translations. */
void oracle_flush(u32 vm, u32 vcpu);

/* A page that guests use; mostly one of a few, so that their uses meet. */
#define HOT_PAGES 16u
static inline u32 oracle_some_gfn(void)
{
	u32 gfn = FIRST_GFN + any(GFNS - FIRST_GFN);

	return any(8) ? gfn / 512 * 512 + gfn % HOT_PAGES : gfn;
}

/* The one of @nr vCPUs that writes to @gfn and gives it away; the others only read. */
static inline u32 owner_of(u32 gfn, u32 nr)
{
	return (gfn >> ORDER_2M) % nr;
}

/* vCPU @vcpu of @vm, on this CPU, touches a page; false: that faults. */
bool oracle_touch(const struct p2m *p, u32 vm, u32 vcpu, u32 gfn, bool own);

/* Checks @is, read from another vCPU's page: it must be some version of that page, or 0. */
void oracle_look(u32 vm, u32 gfn, u64 is);

/* The owner has given the page away, or does not know whether it has. */
void oracle_given(u32 vm, u32 gfn);
void oracle_unknown(u32 vm, u32 gfn);

/* The word that the page should hold; false: unknown. */
bool oracle_word(u32 vm, u32 gfn, u64 *word);
#define WORD_AT (PAGE_SIZE - sizeof(u64))

/* Checks that tables, records and sums agree; no other CPU runs. */
void oracle_check(struct p2m *const *maps, u32 nr, audit_p2m_fn p2m_of);

#endif
