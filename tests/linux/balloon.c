/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The init with which `make bench ONLY=balloon` measures balloons: the same for Aerostat's own
 * driver, for the stock one on Aerostat, and for the stock one under KVM. The machine's TSC counts
 * the instructions of everything that runs on its one CPU: guest, hypervisor, KVM's Linux and QEMU.
 *
 * While it waits for the balloon it does not sleep, because idle time would count: it spins at the
 * lowest priority, and knows the instructions of a round. All other instructions of a window are
 * the work of others. Prints "bench: WINDOW NAME VALUE".
 *
 * Its host is "aerostat", where settarget.ko sets the target, or "kvm", where a byte to a serial
 * port asks the Linux outside (tests/linux/kvm.sh).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include <sys/sysinfo.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "measure.h"

#define PAGE 4096UL
#define PAGES (512UL << 8) /* pages that the balloon takes */
#define LEFT (64UL << 8)   /* pages that a touch leaves free */
#define ROUND 2000UL	   /* about the instructions of a round */
#define SLICE 10000000UL   /* after each we look whether anybody still works */
#define BACKGROUND (200 * 1000000UL)
#define STALLED 100 /* slices in a row in which nobody did anything */
#define MODULE "/sys/bus/platform/devices/AERO0001:00/"
#define TARGET "/sys/module/settarget/parameters/"

typedef unsigned long u64;

static bool kvm, own_driver, counting;
static int asks;
static u64 round_cost = ~0UL, look_cost = ~0UL;

static void show(const char *window, const char *name, u64 value)
{
	printf("bench: %s %s %lu\n", window, name, value);
}

static u64 number(const char *path)
{
	u64 n;
	FILE *f = fopen(path, "r");

	if (!f || fscanf(f, "%lu", &n) != 1)
		fail("%s", path);
	fclose(f);
	return n;
}

/*
 * Uses a serial port through the kernel's driver: under KVM in TCG a program has no ports after
 * QEMU has set the guest's TR, which KVM then marks as busy.
 */
static void tell_kvm(char what)
{
	if (write(asks, &what, 1) != 1)
		fail("/dev/ttyS1");
}

static void open_asks(void)
{
	struct termios t;

	asks = open("/dev/ttyS1", O_WRONLY | O_NOCTTY);
	if (asks < 0 || tcgetattr(asks, &t))
		fail("/dev/ttyS1");
	cfmakeraw(&t);
	tcsetattr(asks, TCSADRAIN, &t);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("%s", path);
	close(fd);
}

static u64 free_pages(void)
{
	struct sysinfo s;

	sysinfo(&s);
	return s.freeram * s.mem_unit / PAGE;
}

/* A line of /proc/vmstat whose name begins so, or their sum. */
static u64 vmstat(const char *begin)
{
	char name[64];
	u64 n, sum = 0;
	FILE *f = fopen("/proc/vmstat", "r");

	if (!f)
		fail("/proc/vmstat");
	while (fscanf(f, "%63s %lu", name, &n) == 2)
		if (!strncmp(name, begin, strlen(begin)))
			sum += n;
	fclose(f);
	return sum;
}

static u64 in_balloon(void)
{
	return own_driver ? number(MODULE "size") :
			    vmstat("balloon_inflate") - vmstat("balloon_deflate");
}

/*
 * Pages that this kernel has zeroed: it zeroes all pages that it allocates (init_on_alloc), and a
 * program's large page once more.
 */
static u64 zeroed(void)
{
	return vmstat("pgalloc_") + 512 * vmstat("thp_fault_alloc");
}

/* --- time that is ours --- */

/* One round; instructions beyond the usual number are others'. */
static u64 spin(u64 *last, u64 *own)
{
	u64 n = ROUND / 2, now;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	now = __rdtsc();
	n = now - *last;
	*last = now;
	if (n < round_cost)
		round_cost = n;
	*own += n < round_cost + 16 ? n : round_cost;
	return n;
}

static u64 look(u64 *last, u64 *own)
{
	u64 pages = in_balloon(), now = __rdtsc(), n = now - *last;

	*last = now;
	if (n < look_cost)
		look_cost = n;
	*own += n < look_cost * 2 ? n : look_cost;
	return pages;
}

/* About the instructions of others in the next @ticks; *@pages is the balloon at their end. */
static u64 slice(u64 ticks, u64 *pages)
{
	u64 start = __rdtsc(), last = start, own = 0;

	while (last - start < ticks)
		spin(&last, &own);
	*pages = look(&last, &own);
	return last - start - own;
}

static void calibrate(void)
{
	static char page[PAGE] __attribute__((aligned(4096)));
	u64 clear = ~0UL, ignored, others;

	for (int i = 0; i < 100; i++) {
		void *p = page;
		u64 n = PAGE / 8, t = __rdtsc();

		__asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0UL) : "memory");
		t = __rdtsc() - t;
		if (t < clear)
			clear = t;
		slice(ROUND, &ignored);
	}
	others = slice(BACKGROUND, &ignored);
	show("all", "clear-page", clear);
	show("all", "round", round_cost);
	show("all", "background-permille", others / (BACKGROUND / 1000));
}

/* --- the balloon --- */

/* A window's counters besides the TSC; the first is read just outside of the window. */
struct counts {
	u64 exits, scrubbed, zeroed;
};

/* Waits until all started work is done and the console is quiet. */
static void settle(void)
{
	fflush(stdout);
	tcdrain(1);
	nanosleep(&(struct timespec){ .tv_nsec = 500 * 1000000 }, NULL);
}

static struct counts count(void)
{
	struct counts c = { 0 };

	if (kvm)
		tell_kvm('m'); /* and printed outside, at the end */
	else
		c = (struct counts){ number(TARGET "exits"), number(TARGET "scrubbed"), 0 };
	c.zeroed = zeroed();
	return c;
}

static u64 first_scrubbed, scrubbed; /* zeroed by the host: at the start, and in windows */

static struct counts begin(void)
{
	struct counts c;

	settle();
	c = count();
	if (!first_scrubbed)
		first_scrubbed = c.scrubbed;
	if (kvm)
		settle();
	if (counting)
		outb(0, PORT_COUNT);
	return c;
}

static void end(const char *window, struct counts before)
{
	static unsigned char windows;
	struct counts c;

	if (counting)
		outb(++windows, PORT_COUNT);
	c = count();
	settle();
	if (!kvm) {
		show(window, "exits", c.exits - before.exits);
		show(window, "zeroed-by-host", c.scrubbed - before.scrubbed);
		scrubbed += c.scrubbed - before.scrubbed;
	}
	show(window, "zeroed-by-guest", c.zeroed - before.zeroed);
}

static void ask(u64 pages)
{
	char text[32];

	if (kvm) {
		tell_kvm(pages ? 'i' : 'd');
		return;
	}
	snprintf(text, sizeof(text), "%lu", pages);
	put(TARGET "pages", text);
}

/* From the request until the balloon has its target and all work is done. */
static void move(const char *window, u64 to)
{
	struct counts before = begin();
	u64 now, others, n, ticks, start = __rdtsc();
	int quiet = 0;

	ask(to);
	others = __rdtsc() - start;
	do {
		n = slice(SLICE, &now);
		others += n;
		ticks = __rdtsc() - start;
		quiet = n > SLICE / 4 ? 0 : quiet + 1;
		errno = 0;
		if (quiet == STALLED)
			fail("%s: stalled, the balloon is %lu pages, not %lu", window, now, to);
	} while (n > SLICE / 4 || now != to);
	end(window, before);
	show(window, "ticks", ticks);
	show(window, "instructions", others);
}

/* All free pages except a rest, so that pages that were in the balloon are among them. */
static void touch(const char *window)
{
	struct counts before = begin();
	u64 bytes = (free_pages() - LEFT) * PAGE, start = __rdtsc(), ticks;
	char *memory;

	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap of %lu bytes", bytes);
	for (u64 i = 0; i < bytes; i += PAGE)
		memory[i] = 1;
	ticks = __rdtsc() - start;
	end(window, before);
	munmap(memory, bytes);
	show(window, "pages", bytes / PAGE);
	show(window, "instructions", ticks);
}

/*
 * Asks for more than is free, while the balloon has the rest and its target is not set by hand. The
 * policy has plenty of memory, and at its next decision gives everything back; if that has just
 * happened, this tries again.
 */
static void grow(void)
{
	for (int try = 0; try < 3 && !number(MODULE "grown"); try++) {
		u64 bytes, now;
		char *memory;

		ask(PAGES);
		for (int i = 0; slice(SLICE, &now), now < PAGES; i++)
			if (i == STALLED)
				fail("grow: stalled, the balloon is %lu pages", now);
		put(TARGET "pages", "-1");
		bytes = (free_pages() + (100 << 8)) * PAGE;
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED)
			fail("mmap of %lu bytes", bytes);
		for (u64 i = 0; i < bytes; i += PAGE)
			memory[i] = 1;
		munmap(memory, bytes);
	}
	show("grow", "pages", number(MODULE "grown"));
	show("grow", "instructions", number(MODULE "grow_cycles"));
}

/* --- the start --- */

static void load(const char *path, const char *words)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, words, 0))
		fail("%s", path);
	close(fd);
}

static void load_modules(void)
{
	char path[32];

	for (int i = 0; !own_driver; i++) { /* the first driver gets the balloon */
		snprintf(path, sizeof(path), "/modules/%d", i);
		if (access(path, R_OK))
			break;
		load(path, "");
	}
	if (!kvm)
		load("/settarget.ko", "");
	if (own_driver)
		load("/aerostat.ko", "report=0");
}

static void cpu_flags(void)
{
	static char text[65536];
	int fd = open("/proc/cpuinfo", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail("/proc/cpuinfo");
	close(fd);
	if (strstr(text, " erms") || !strstr(text, " rep_good"))
		fail("its kernel zeroes not by rep stosq");
}

int main(void)
{
	char words[1024] = "";
	FILE *f;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, "");
	mount("sysfs", "/sys", "sysfs", 0, "");
	mount("devtmpfs", "/dev", "devtmpfs", 0, "");
	f = fopen("/proc/cmdline", "r");
	if (!f || !fgets(words, sizeof(words), f))
		fail("/proc");
	kvm = strstr(words, "host=kvm");
	own_driver = strstr(words, "driver=module");
	counting = strstr(words, "counting");
	if (counting && ioperm(PORT_COUNT, 1, 1))
		fail("ioperm");
	if (kvm)
		open_asks();
	load_modules();
	cpu_flags();
	if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }))
		fail("SCHED_IDLE");
	sleep(5); /* work that the boot left, and the first report of free pages */
	calibrate();
	move("asking", 0);
	move("inflate-untouched", PAGES);
	move("deflate-untouched", 0);
	touch("touch-untouched");
	move("inflate-populated", PAGES);
	move("deflate-populated", 0);
	touch("touch-populated");
	if (!kvm) /* between the windows, where the machine had nothing else to do */
		show("all", "zeroed-by-host-while-idle",
		     number(TARGET "scrubbed") - first_scrubbed - scrubbed);
	if (own_driver)
		grow();
	printf("bench: end\n");
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
	return 1;
}
