/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work in memory, for the experiments of docs/policy.md:
 *
 *   work random MIB SECONDS THREADS fills MIB; then each thread takes random pages of them, and
 *                                     each second it prints how many they have done work steps MIB
 *                                     SECONDS touches 0, 20, 60, 40, 5 and 90 % of MIB, each for so
 *                                     many seconds, every page ten times a second
 *
 * The seconds are those of the machine (CLOCK_MONOTONIC, which is the TSC), and so comparable with
 * the hypervisor's own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_WORDS (4096 / sizeof(uint64_t))

#define MAX_THREADS 64

struct worker {
	uint64_t seed;
	_Atomic uint64_t done;
};

static uint64_t *words;
static size_t pages;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(double at, const char *what, uint64_t n)
{
	printf("work: t=%.2f %s=%llu\n", at, what, (unsigned long long)n);
	fflush(stdout);
}

/* Ends with the process. */
static void *worker(void *arg)
{
	struct worker *me = arg;

	for (;;) {
		volatile uint64_t *w;
		uint64_t sum = 0;

		/* xorshift64 */
		me->seed ^= me->seed << 13;
		me->seed ^= me->seed >> 7;
		me->seed ^= me->seed << 17;
		/* A unit of work: all words of a page are read, and one is written. */
		w = words + me->seed % pages * PAGE_WORDS;
		for (size_t i = 0; i < PAGE_WORDS; i++)
			sum += w[i];
		w[0] = sum | 1;
		atomic_fetch_add(&me->done, 1);
	}
	return NULL;
}

static int work_random(double seconds, unsigned int threads)
{
	static struct worker of[MAX_THREADS];
	double end = now() + seconds;
	pthread_t id;

	for (unsigned int i = 0; i < threads; i++) {
		of[i].seed = 88172645463325252u + i * 0x9e3779b97f4a7c15u;
		if (pthread_create(&id, NULL, worker, &of[i])) {
			perror("work: thread");
			return 2;
		}
	}
	while (now() < end) {
		uint64_t done = 0;
		double at;

		usleep(1000000);
		at = now();
		for (unsigned int i = 0; i < threads; i++)
			done += atomic_load(&of[i].done);
		say(at, "done", done);
	}
	return 0;
}

/* The pages that are touched: always the same ones, scattered over all. */
static int chosen(size_t page, unsigned int percent)
{
	return (page * 0x9e3779b97f4a7c15u >> 32) % 100 < percent;
}

static void work_steps(double seconds)
{
	static const unsigned int steps[] = { 0, 20, 60, 40, 5, 90 };

	for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
		double end = now() + seconds;
		size_t n = 0;

		for (size_t i = 0; i < pages; i++)
			n += (size_t)chosen(i, steps[s]);
		say(now(), "touches", n);
		while (now() < end) {
			for (size_t i = 0; i < pages; i++)
				if (chosen(i, steps[s]))
					((volatile uint64_t *)words)[i * PAGE_WORDS]++;
			usleep(100000);
		}
	}
	say(now(), "touches", 0);
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 3 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 0;
	unsigned long threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	int random = argc > 1 && !strcmp(argv[1], "random");

	if (!bytes || seconds <= 0 || (random && (!threads || threads > MAX_THREADS)) ||
	    (!random && strcmp(argv[1], "steps"))) {
		fprintf(stderr, "usage: work random MIB SECONDS THREADS | steps MIB SECONDS\n");
		return 2;
	}
	words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED) {
		perror("work: mmap");
		return 2;
	}
	/* Uses 4 KiB pages, so that exactly the touched pages count. */
	madvise(words, bytes, MADV_NOHUGEPAGE);
	pages = bytes / 4096;
	for (size_t i = 0; i < pages; i++)
		words[i * PAGE_WORDS] = i | 1;
	say(now(), "filled", pages);
	if (random)
		return work_random(seconds, (unsigned int)threads);
	work_steps(seconds);
	return 0;
}
