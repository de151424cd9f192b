/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The init of the Linux that `make bench` boots, bare and as a guest: first reads the TSC, then
 * does one task after another, with a mark for the hypervisor's counts (tests/count.c) between
 * them. Static, no shell: it measures only the kernel. Prints "bench: NAME VALUE".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define PORT_COUNT 0xf6
#define IDLE_SECONDS 10
#define LINES 200
#define LINE 64 /* with its end */

#define BUFFERS 100
#define BUFFER 1000 /* fewer than the driver sends at once */

enum { MARK_INIT = 1, MARK_BEGIN, MARK_IDLE, MARK_TTY, MARK_PRINTK, MARK_HVC };

static void fail(const char *what)
{
	perror(what);
	reboot(RB_POWER_OFF);
	exit(1);
}

static void mark(int n)
{
	outb((unsigned char)n, PORT_COUNT);
}

/* The idle time of the kernel, in hundredths of a second: idle time has no instructions. */
static long idle_cs(void)
{
	double up, idle = -1;
	FILE *f = fopen("/proc/uptime", "r");

	if (!f || fscanf(f, "%lf %lf", &up, &idle) != 2)
		fail("/proc/uptime");
	fclose(f);
	return (long)(idle * 100 + 0.5);
}

static void sleep_s(int seconds)
{
	nanosleep(&(struct timespec){ .tv_sec = seconds }, NULL);
}

static void write_all(int fd, const char *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		fail("write");
}

static void fill(char *line)
{
	memset(line, 'x', LINE - 1);
	line[LINE - 1] = '\n';
}

static void tty(void)
{
	static char text[LINES * LINE];
	struct termios t;
	int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &t))
		fail("/dev/ttyS0");
	t.c_oflag &= ~(tcflag_t)OPOST; /* a byte written is a byte sent */
	tcsetattr(fd, TCSADRAIN, &t);
	for (int i = 0; i < LINES; i++)
		fill(text + i * LINE);
	tcdrain(fd);
	mark(MARK_IDLE);
	write_all(fd, text, sizeof(text));
	tcdrain(fd);
	mark(MARK_TTY);
	close(fd);
}

/* The drivers of the virtio console, in the order in which they need each other. */
static void load_modules(void)
{
	for (int i = 0;; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/modules/%d", i);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0))
			fail(path);
		close(fd);
	}
}

static void hvc(void)
{
	char buffer[BUFFER];
	struct termios t;
	int fd;

	load_modules();
	sleep_s(1);
	fd = open("/dev/hvc0", O_WRONLY | O_NOCTTY);
	if (fd < 0 || tcgetattr(fd, &t))
		fail("/dev/hvc0");
	t.c_oflag &= ~(tcflag_t)OPOST;
	tcsetattr(fd, TCSADRAIN, &t);
	memset(buffer, 'x', BUFFER - 1);
	buffer[BUFFER - 1] = '\n';
	mark(MARK_BEGIN);
	for (int i = 0; i < BUFFERS; i++)
		write_all(fd, buffer, BUFFER);
	tcdrain(fd);
	mark(MARK_HVC);
	close(fd);
}

static void kmsg(void)
{
	char line[3 + LINE] = "<1>"; /* always shown */
	int fd = open("/dev/kmsg", O_WRONLY);

	if (fd < 0)
		fail("/dev/kmsg");
	fill(line + 3);
	mark(MARK_BEGIN);
	for (int i = 0; i < LINES; i++)
		write_all(fd, line, sizeof(line));
	mark(MARK_PRINTK);
	close(fd);
}

int main(void)
{
	unsigned long tsc = __rdtsc();
	char words[1024] = "";
	FILE *f;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	if (mount("proc", "/proc", "proc", 0, "") || ioperm(PORT_COUNT, 1, 1))
		fail("/proc");
	mount("devtmpfs", "/dev", "devtmpfs", 0, "");
	mark(MARK_INIT);
	printf("bench: tsc %lu\nbench: idle-cs %ld\n", tsc, idle_cs());
	fflush(stdout);
	f = fopen("/proc/cmdline", "r");
	if (f && fgets(words, sizeof(words), f) && strstr(words, "more")) {
		sleep_s(2); /* work that the boot left */
		mark(MARK_BEGIN);
		sleep_s(IDLE_SECONDS);
		mark(MARK_IDLE);
		tty();
		kmsg();
		hvc();
	}
	printf("bench: end\n");
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
	return 1;
}
