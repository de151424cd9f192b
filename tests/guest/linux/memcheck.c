/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks memory from a guest's user space:
 *
 *   memcheck hold MIB FILE   fills memory with a pattern, creates FILE, and checks all
 *                            bytes again and again until FILE is gone
 *   memcheck touch MIB       fills and checks once
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t pattern(size_t i, uint64_t round)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull + round;

	return x ^ x >> 29;
}

static void fill(volatile uint64_t *words, size_t n, uint64_t round)
{
	for (size_t i = 0; i < n; i++)
		words[i] = pattern(i, round);
}

static int check(const volatile uint64_t *words, size_t n, uint64_t round)
{
	for (size_t i = 0; i < n; i++)
		if (words[i] != pattern(i, round)) {
			fprintf(stderr, "memcheck: word %zu holds %llx, not %llx\n", i,
				(unsigned long long)words[i],
				(unsigned long long)pattern(i, round));
			return 1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0, n = bytes / 8;
	uint64_t *words;
	int wrong;

	if (!bytes || (strcmp(argv[1], "hold") && strcmp(argv[1], "touch"))) {
		fprintf(stderr, "usage: memcheck hold MIB FILE | touch MIB\n");
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
	/* Each round writes, too: a page that were taken and given back would lose it. */
	for (uint64_t round = 0; !(wrong = check(words, n, round)) && !access(argv[3], F_OK);) {
		usleep(100000);
		fill(words, n, ++round);
	}
	return wrong;
}
