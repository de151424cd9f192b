/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * midpause ID PAGES: asks VM ID for a balloon of PAGES, and pauses it during the inflation. Prints
 * how many pages are in the balloon then. A program, since aeroctl is too slow for it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/ioctl.h>

#include "../../../guest-driver/aerostat_abi.h"

#define TRIES 200
#define SAME 5	       /* looks, 100 ms apart, without a change: the VM stands still */
#define PATIENCE 60000 /* ms, for half of it */

static int device;

static int64_t call(uint64_t number, uint64_t a, uint64_t b, void *data, uint64_t size)
{
	struct aero_manage m = {
		.number = number, .arg = { a, b, 0 }, .data = (uintptr_t)data, .size = size
	};

	if (ioctl(device, AERO_IOC_MANAGE, &m)) {
		perror("midpause: ioctl");
		exit(1);
	}
	return (int64_t)m.status;
}

static struct aero_vm_info look(uint64_t id)
{
	struct aero_vm_info vm;

	if (call(AERO_CALL_VM_INFO, id, 0, &vm, sizeof(vm))) {
		fprintf(stderr, "midpause: no VM %llu\n", (unsigned long long)id);
		exit(1);
	}
	return vm;
}

static void must(const char *what, int64_t status)
{
	if (status) {
		fprintf(stderr, "midpause: %s: status %lld\n", what, (long long)status);
		exit(1);
	}
}

/* A pause stops vCPUs at their next entry: the hypervisor finishes a call that is under way. */
static uint64_t what_stays(uint64_t id)
{
	struct aero_vm_info before, now = look(id);

	for (int same = 0; same < SAME; same++) {
		usleep(100000);
		before = now;
		now = look(id);
		if (now.state != AERO_VM_PAUSED || now.balloon != before.balloon ||
		    now.exits != before.exits)
			same = 0;
	}
	return now.balloon;
}

/* Returns the pages in the balloon of the VM, which is paused then. */
static uint64_t pause_early(uint64_t id, uint64_t pages)
{
	must("target", call(AERO_CALL_SET_TARGET, id, pages / 2, NULL, 0));
	for (int ms = 0; look(id).balloon != pages / 2; ms++) {
		if (ms == PATIENCE)
			must("its balloon does not follow", -1);
		usleep(1000);
	}
	must("target", call(AERO_CALL_SET_TARGET, id, pages, NULL, 0));
	must("pause", call(AERO_CALL_PAUSE, id, 0, NULL, 0));
	return what_stays(id);
}

int main(int argc, char **argv)
{
	uint64_t id, pages, inside;

	device = open("/dev/aerostat", O_RDWR);
	if (argc != 3 || device < 0) {
		fprintf(stderr, "usage: midpause ID PAGES, where /dev/aerostat is\n");
		return 2;
	}
	id = strtoull(argv[1], NULL, 10);
	pages = strtoull(argv[2], NULL, 10);
	for (int try = 1; try <= TRIES; try++) {
		inside = pause_early(id, pages);
		if (inside < pages) {
			fprintf(stderr, "midpause: at try %d\n", try);
			printf("%llu\n", (unsigned long long)inside);
			return 0;
		}
		must("resume", call(AERO_CALL_RESUME, id, 0, NULL, 0));
	}
	fprintf(stderr, "midpause: always too late\n");
	return 1;
}
