/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The init with which `make bench ONLY=disk` measures requests to a disk: the same on the bare
 * machine's NVMe, on a partition of it under Aerostat, and on virtio-blk under KVM.  The machine's
 * TSC counts the instructions of all that run on its one CPU: guest, hypervisor, KVM's Linux and QEMU.
 *
 * A child below all else in priority spins, so that the CPU is never idle, and the time in which a
 * request is on its way is the child's.  What a window has besides the child's rounds, which were
 * counted before without any requests, is the requests' work.  Prints "bench: WINDOW NAME VALUE".
 *
 * Words of the command line: disk=/dev/NAME, counting (a hypervisor of tests/count.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "measure.h"

#define DEPTH_MAX 32
#define SPAN (64L << 20) /* bytes of the disk that are used */
#define MIB (1L << 20)

typedef unsigned long u64;

static struct shared {
	volatile u64 rounds;
} * shared;
static double round_cost;
static bool counting;
static char disk[64];
static int fd;
static unsigned char *buffer;
static u64 seed = 1;

static void load_modules(void)
{
	for (int i = 0;; i++) {
		char path[32];
		int module;

		snprintf(path, sizeof(path), "/modules/%d", i);
		module = open(path, O_RDONLY);
		if (module < 0)
			return;
		/* Each machine has some of the devices. */
		if (syscall(SYS_finit_module, module, "", 0) && errno != EEXIST && errno != ENODEV)
			fail("%s", path);
		close(module);
	}
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void read_words(void)
{
	char line[1000] = "", *at;
	FILE *f;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	f = fopen("/proc/cmdline", "r");
	if (!f || !fgets(line, sizeof(line), f))
		fail("/proc/cmdline");
	fclose(f);
	at = strstr(line, "disk=");
	if (!at || sscanf(at, "disk=%60s", disk) != 1)
		fail("no disk=");
	counting = strstr(line, "counting");
}

static void open_disk(void)
{
	for (int i = 0; i < 100 && access(disk, F_OK); i++)
		pause_ms(100);
	fd = open(disk, O_RDWR | O_DIRECT);
	if (fd < 0)
		fail("%s", disk);
	buffer = mmap(NULL, DEPTH_MAX * MIB / 8, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		fail("no memory");
	memset(buffer, 0x5a, DEPTH_MAX * MIB / 8);
}

/* --- the CPU's rest ---------------------------------------------------------------------------- */

static void spin(void)
{
	struct sched_param idle = { 0 };

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (fork())
		return;
	if (sched_setscheduler(0, SCHED_IDLE, &idle))
		fail("SCHED_IDLE");
	for (;;) {
		for (volatile int i = 0; i < 100; i++)
			;
		shared->rounds++;
	}
}

/* Ticks and whatever else goes on by itself are in it. */
static void calibrate(void)
{
	u64 tsc, rounds;

	pause_ms(200);
	tsc = __rdtsc();
	rounds = shared->rounds;
	pause_ms(1000);
	round_cost = (double)(__rdtsc() - tsc) / (double)(shared->rounds - rounds);
	printf("bench: all round %lu\n", (u64)(round_cost + 0.5));
}

static u64 window_tsc, window_rounds;

static void begin(void)
{
	pause_ms(50);
	if (counting)
		outb(0, PORT_COUNT); /* what came before is nobody's */
	window_rounds = shared->rounds;
	window_tsc = __rdtsc();
}

static void end(const char *name, int mark, u64 requests)
{
	double all = (double)(__rdtsc() - window_tsc);
	double spun = (double)(shared->rounds - window_rounds) * round_cost;

	if (counting)
		outb((unsigned char)mark, PORT_COUNT);
	printf("bench: %s instructions %lu\n", name, (u64)((all - spun) / (double)requests));
	printf("bench: %s requests %lu\n", name, requests);
}

/* --- requests ---------------------------------------------------------------------------------- */

static u64 chance(void)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return seed >> 33;
}

/* @n requests of @bytes, @depth at a time, at random or one behind the other. */
static void requests(int op, long bytes, unsigned depth, u64 n, bool random)
{
	static struct iocb all[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	struct iocb *next[DEPTH_MAX];
	aio_context_t context = 0;
	u64 begun = 0, done = 0, at = 0;
	unsigned nr_next = depth;

	if (syscall(SYS_io_setup, depth, &context))
		fail("io_setup");
	for (unsigned i = 0; i < depth; i++)
		next[i] = &all[i];
	while (done < n) {
		long got, ask = 0;

		for (; ask < nr_next && begun < n; ask++, begun++) {
			u64 place = random ? chance() % (u64)(SPAN / bytes) :
					     at++ % (u64)(SPAN / bytes);

			*next[ask] = (struct iocb){
				.aio_lio_opcode = (unsigned short)op,
				.aio_fildes = (unsigned)fd,
				.aio_buf = (u64)(buffer + (next[ask] - all) * bytes),
				.aio_nbytes = (u64)bytes,
				.aio_offset = (long)place * bytes,
			};
		}
		if (ask && syscall(SYS_io_submit, context, ask, next) != ask)
			fail("io_submit");
		got = syscall(SYS_io_getevents, context, 1, depth, events, NULL);
		if (got < 1)
			fail("io_getevents");
		for (long i = 0; i < got; i++) {
			if (events[i].res != bytes)
				fail("a request ends with %lld", (long long)events[i].res);
			next[i] = (struct iocb *)events[i].obj;
		}
		nr_next = (unsigned)got;
		done += (u64)got;
	}
	syscall(SYS_io_destroy, context);
}

static void flushes(u64 n)
{
	for (u64 i = 0; i < n; i++)
		if (pwrite(fd, buffer, 4096, (long)(chance() % (SPAN / 4096)) * 4096) != 4096 ||
		    fdatasync(fd))
			fail("fdatasync");
}

static void measure(void)
{
	static const struct {
		const char *name;
		int op;
		long bytes;
		unsigned depth;
		u64 n;
		bool random;
	} windows[] = {
		{ "read-4k", IOCB_CMD_PREAD, 4096, 1, 2000, true },
		{ "write-4k", IOCB_CMD_PWRITE, 4096, 1, 2000, true },
		{ "read-4k-32", IOCB_CMD_PREAD, 4096, 32, 8000, true },
		{ "write-4k-32", IOCB_CMD_PWRITE, 4096, 32, 8000, true },
		{ "read-1m", IOCB_CMD_PREAD, MIB, 2, 200, false },
		{ "write-1m", IOCB_CMD_PWRITE, MIB, 2, 200, false },
	};
	int mark = 1;

	requests(IOCB_CMD_PWRITE, MIB, 2, SPAN / MIB, false); /* so that the file is there */
	for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		begin();
		requests(windows[i].op, windows[i].bytes, windows[i].depth, windows[i].n,
			 windows[i].random);
		end(windows[i].name, mark++, windows[i].n);
	}
	begin();
	flushes(500);
	end("write-4k-fsync", mark, 500);
}

int main(void)
{
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_words();
	load_modules();
	if (counting && iopl(3))
		fail("iopl");
	open_disk();
	spin();
	calibrate();
	measure();
	printf("bench: end\n");
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
	return 0;
}
