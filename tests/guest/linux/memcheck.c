/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks memory from a guest's user space:
 *
 *   memcheck hold MIB FILE   fills memory with a pattern, creates FILE, and checks all
 *                            bytes again and again until FILE is gone
 *   memcheck hold MIB FILE RUN   the same with RUN words in a row alike, which can be compressed
 *   memcheck touch MIB       fills and checks once
 *   memcheck tick FILE       wakes up each 100 ms until FILE is gone, and prints the longest
 *                            time between two of them, in ms
 *   memcheck find TEXT FILE  prints how often FILE has TEXT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static size_t run = 1;

static uint64_t pattern(size_t i, uint64_t round)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull + round;

	return x ^ x >> 29;
}

static void fill(volatile uint64_t *words, size_t n, uint64_t round)
{
	for (size_t i = 0; i < n; i++)
		words[i] = pattern(i / run, round);
}

static int check(const volatile uint64_t *words, size_t n, uint64_t round)
{
	for (size_t i = 0; i < n; i++)
		if (words[i] != pattern(i / run, round)) {
			fprintf(stderr, "memcheck: word %zu holds %llx, not %llx\n", i,
				(unsigned long long)words[i],
				(unsigned long long)pattern(i / run, round));
			return 1;
		}
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int tick(const char *file)
{
	uint64_t last = now_ms(), longest = 0;

	while (!access(file, F_OK)) {
		uint64_t now;

		usleep(100000);
		now = now_ms();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	printf("%llu\n", (unsigned long long)longest);
	return 0;
}

/* Files that are larger than memory, and have zeroes in them. */
static int find(const char *text, const char *file)
{
	static char block[1 << 20];
	size_t length = strlen(text), kept = 0, found = 0;
	FILE *f = fopen(file, "r");
	size_t n;

	if (!f || !length || length > 4096) {
		perror("memcheck: FILE");
		return 2;
	}
	while ((n = fread(block + kept, 1, sizeof(block) - kept, f))) {
		char *at = block, *end = block + kept + n, *hit;

		while ((hit = memmem(at, end - at, text, length))) {
			found++;
			at = hit + length;
		}
		/* A match that begins here may end in the next piece. */
		kept = (size_t)(end - at) < length ? (size_t)(end - at) : length - 1;
		memmove(block, end - kept, kept);
	}
	if (ferror(f)) {
		perror("memcheck: FILE");
		return 2;
	}
	printf("%zu\n", found);
	return 0;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0, n = bytes / 8;
	uint64_t *words;
	int wrong;

	if (argc > 2 && !strcmp(argv[1], "tick"))
		return tick(argv[2]);
	if (argc > 3 && !strcmp(argv[1], "find"))
		return find(argv[2], argv[3]);
	if (argc > 4)
		run = strtoul(argv[4], NULL, 10);
	if (!bytes || !run || (strcmp(argv[1], "hold") && strcmp(argv[1], "touch"))) {
		fprintf(stderr, "usage: memcheck hold MIB FILE [RUN] | touch MIB | tick FILE"
				" | find TEXT FILE\n");
		return 2;
	}
	words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED) {
		perror("memcheck: mmap");
		return 2;
	}
	fill(words, n, 0);
	if (!strcmp(argv[1], "touch"))
		return check(words, n, 0);
	if (argc < 4 || creat(argv[3], 0600) < 0) {
		perror("memcheck: FILE");
		return 2;
	}
	/* Each round writes, too: a page that was taken and given back would lose that. */
	for (uint64_t round = 0; !(wrong = check(words, n, round)) && !access(argv[3], F_OK);) {
		usleep(100000);
		fill(words, n, ++round);
	}
	return wrong;
}
