/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program for a Linux guest: checks the CPU as a process sees it.
 *
 *   cpu clock SECONDS         time never goes back from one CPU to the next
 *   cpu sleep SECONDS PERCENT a sleep takes that long, to so many percent; never less
 *   cpu fpu SECONDS NUMBER    registers keep their values, in NUMBER processes a CPU
 *   cpu step                  a debugger steps over each instruction once
 *   cpu signals               faults arrive as signals, with the right address
 *   cpu vsyscall              the page at the fixed address (vsyscall=emulate)
 *
 * Says what is wrong and ends with 1, else says what it did and ends with 0.
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void __attribute__((format(printf, 1, 2), noreturn)) wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("cpu: WRONG: ");
	vprintf(fmt, ap);
	putchar('\n');
	exit(1);
}

static int nr_cpus(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		wrong("sched_setaffinity to CPU %d", cpu);
}

static uint64_t ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- clock ---------------------------------------------------------------------------- */

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME };
/* The TSC, those, and the first by the kernel itself: the vDSO looks at one CPU's kvmclock only. */
#define NR_TIMES 5

static struct {
	int turn, last_cpu;
	uint64_t last[NR_TIMES], turns, back;
} times;
static uint64_t clock_end;

static void read_times(uint64_t t[NR_TIMES])
{
	struct timespec now;
	unsigned int aux;

	_mm_lfence();
	t[0] = __rdtscp(&aux);
	_mm_lfence();
	for (int i = 1; i < NR_TIMES - 1; i++)
		t[i] = ns(clocks[i - 1]);
	syscall(SYS_clock_gettime, clocks[0], &now);
	t[NR_TIMES - 1] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Each CPU in turn reads some clocks, and compares them with the readings of the CPU before. */
static void *clock_thread(void *arg)
{
	int cpu = (int)(intptr_t)arg, n = nr_cpus();
	uint64_t t[NR_TIMES];

	pin(cpu);
	for (;;) {
		while (__atomic_load_n(&times.turn, __ATOMIC_ACQUIRE) % n != cpu)
			sched_yield();
		for (int round = 0; round < 100; round++) {
			read_times(t);
			for (int i = 0; i < NR_TIMES; i++) {
				if (t[i] < times.last[i] && !times.back++)
					printf("cpu: time %d went from %lu on CPU %d to %lu on CPU %d\n",
					       i, times.last[i], times.last_cpu, t[i], cpu);
				times.last[i] = t[i];
			}
			times.last_cpu = cpu;
		}
		times.turns++;
		__atomic_store_n(&times.turn, times.turn + 1, __ATOMIC_RELEASE);
		if (times.last[1] > clock_end) /* so will the others see */
			return NULL;
	}
}

static void test_clock(int seconds)
{
	pthread_t thread[64];
	int n = nr_cpus();

	clock_end = ns(CLOCK_MONOTONIC) + (uint64_t)seconds * 1000000000;
	for (int i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, clock_thread, (void *)(intptr_t)i))
			wrong("no thread");
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	if (times.back)
		wrong("time went back %lu times", times.back);
	if (times.turns < 50)
		wrong("only %lu turns in %d seconds", times.turns, seconds);
	printf("cpu: %lu turns of %d CPUs, no time went back\n", times.turns, n);
}

/* --- sleep ---------------------------------------------------------------------------- */

static void test_sleep(int seconds, int percent)
{
	uint64_t asked = (uint64_t)seconds * 1000000000, slept = ns(CLOCK_MONOTONIC);
	struct timespec t = { .tv_sec = seconds };

	if (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL))
		wrong("no sleep of %d s", seconds);
	slept = ns(CLOCK_MONOTONIC) - slept;
	if (slept < asked || slept - asked > asked * (uint64_t)percent / 100)
		wrong("a sleep of %d s took %lu ns", seconds, slept);
	printf("cpu: a sleep of %d s took %lu ns\n", seconds, slept);
}

/* --- fpu ------------------------------------------------------------------------------ */

typedef uint64_t vector[16][4] __attribute__((aligned(32)));

/*
 * Loads sixteen registers, leaves them alone for a while, and stores them: with a system call in
 * between or without.
 */
static void __attribute__((target("avx")))
hold(const vector in, vector out, long spins, long yields)
{
	__asm__ volatile("vmovdqa 0(%0), %%ymm0; vmovdqa 32(%0), %%ymm1\n"
			 "vmovdqa 64(%0), %%ymm2; vmovdqa 96(%0), %%ymm3\n"
			 "vmovdqa 128(%0), %%ymm4; vmovdqa 160(%0), %%ymm5\n"
			 "vmovdqa 192(%0), %%ymm6; vmovdqa 224(%0), %%ymm7\n"
			 "vmovdqa 256(%0), %%ymm8; vmovdqa 288(%0), %%ymm9\n"
			 "vmovdqa 320(%0), %%ymm10; vmovdqa 352(%0), %%ymm11\n"
			 "vmovdqa 384(%0), %%ymm12; vmovdqa 416(%0), %%ymm13\n"
			 "vmovdqa 448(%0), %%ymm14; vmovdqa 480(%0), %%ymm15\n"
			 "1: dec %2; jnz 1b\n"
			 "2: mov %4, %%eax; syscall; dec %3; jnz 2b\n"
			 "vmovdqa %%ymm0, 0(%1); vmovdqa %%ymm1, 32(%1)\n"
			 "vmovdqa %%ymm2, 64(%1); vmovdqa %%ymm3, 96(%1)\n"
			 "vmovdqa %%ymm4, 128(%1); vmovdqa %%ymm5, 160(%1)\n"
			 "vmovdqa %%ymm6, 192(%1); vmovdqa %%ymm7, 224(%1)\n"
			 "vmovdqa %%ymm8, 256(%1); vmovdqa %%ymm9, 288(%1)\n"
			 "vmovdqa %%ymm10, 320(%1); vmovdqa %%ymm11, 352(%1)\n"
			 "vmovdqa %%ymm12, 384(%1); vmovdqa %%ymm13, 416(%1)\n"
			 "vmovdqa %%ymm14, 448(%1); vmovdqa %%ymm15, 480(%1)\n"
			 "vzeroupper\n"
			 : "+r"(in), "+r"(out), "+r"(spins), "+r"(yields)
			 : "i"(SYS_sched_yield)
			 : "rax", "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
			   "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
			   "xmm12", "xmm13", "xmm14", "xmm15");
}

/* Values that name the VM, the process, the round, the register and its part. */
static void fpu_process(uint64_t vm, int who, uint64_t end)
{
	static vector in, out;
	uint64_t round = 0;

	for (; ns(CLOCK_MONOTONIC) < end; round++) {
		for (uint64_t i = 0; i < 64; i++)
			in[i / 4][i % 4] =
				vm << 56 | (uint64_t)who << 48 | (round & 0xffffffff) << 16 | i;
		memset(out, 0xee, sizeof(out));
		hold(in, out, round & 1 ? 1 : 200000, round & 1 ? 20 : 1);
		for (uint64_t i = 0; i < 64; i++)
			if (in[i / 4][i % 4] != out[i / 4][i % 4])
				wrong("ymm%lu part %lu of process %d is %lx, not %lx", i / 4, i % 4,
				      who, out[i / 4][i % 4], in[i / 4][i % 4]);
	}
	if (round < 2)
		wrong("process %d did nothing", who);
	exit(0);
}

static void test_fpu(int seconds, int each, uint64_t vm)
{
	uint64_t end = ns(CLOCK_MONOTONIC) + (uint64_t)seconds * 1000000000;
	int n = nr_cpus() * each, status, bad = 0;

	if (!__builtin_cpu_supports("avx"))
		wrong("no AVX");
	fflush(stdout);
	for (int i = 0; i < n; i++)
		if (!fork())
			fpu_process(vm, i, end);
	while (wait(&status) > 0)
		bad += status != 0;
	if (bad)
		wrong("%d of %d processes", bad, n);
	printf("cpu: %d processes kept 16 AVX registers each\n", n);
}

/* --- step ----------------------------------------------------------------------------- */

extern const char step_begin[], step_end[];
#define STEPS 12 /* instructions between the two labels */

static void stepped(void)
{
	/* CPUID exits, and the hypervisor must raise the #DB behind it; RDTSC and SYSCALL too. */
	__asm__ volatile("step_begin: nop; xor %%eax, %%eax; cpuid; nop; mov $0x40000000, %%eax\n"
			 "cpuid; rdtsc; mov %0, %%eax; syscall; nop; push %%rax; pop %%rax\n"
			 "step_end: nop"
			 :
			 : "i"(SYS_getpid)
			 : "rax", "rbx", "rcx", "rdx", "r11", "memory");
}

static void test_step(void)
{
	struct user_regs_struct regs;
	int status, inside = 0, total = 0;
	uint64_t last = 0;
	pid_t child = fork();

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		stepped();
		_exit(7);
	}
	waitpid(child, &status, 0);
	for (; !WIFEXITED(status); total++) {
		if (!WIFSTOPPED(status))
			wrong("the child ended with %x", (unsigned int)status);
		if (total && WSTOPSIG(status) != SIGTRAP)
			wrong("step %d: signal %d", total, WSTOPSIG(status));
		ptrace(PTRACE_GETREGS, child, NULL, &regs);
		if (regs.rip >= (uintptr_t)step_begin && regs.rip < (uintptr_t)step_end) {
			if (regs.rip <= last)
				wrong("instruction at %lx seen twice", (long)regs.rip);
			last = regs.rip;
			inside++;
		}
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) || total > 100000)
			wrong("no end of steps");
		waitpid(child, &status, 0);
	}
	if (WEXITSTATUS(status) != 7 || inside != STEPS)
		wrong("%d of %d instructions stepped, status %d", inside, STEPS,
		      WEXITSTATUS(status));
	printf("cpu: %d steps, %d instructions where they were looked for\n", total, inside);
}

/* --- signals -------------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile int caught;
static void *volatile caught_at;
static volatile uint64_t alarms;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	caught = number;
	caught_at = info->si_addr;
	siglongjmp(back, 1);
}

static void on_alarm(int number)
{
	(void)number;
	/* Puts the handler's own values into the registers. */
	__asm__ volatile(
		"pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
			: "xmm0", "xmm7", "xmm15");
	alarms++;
}

#define EXPECT(number, at, code)                                                             \
	do {                                                                                 \
		caught = 0;                                                                  \
		if (!sigsetjmp(back, 1))                                                     \
			code;                                                                \
		if (caught != (number) || ((at) && caught_at != (at)))                       \
			wrong("%s: signal %d at %p, not %d at %p", #code, caught, caught_at, \
			      number, at);                                                   \
	} while (0)

static void test_signals(void)
{
	static const int faults[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction tick = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	void *hole = (void *)0x123456789000;
	static vector in, out;
	uint64_t end;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &fault, NULL);
	for (volatile int round = 0; round < 1000; round++) {
		EXPECT(SIGSEGV, hole, *(volatile char *)hole = 1);
		EXPECT(SIGSEGV, hole, (void)*(volatile char *)hole);
		EXPECT(SIGILL, NULL, __asm__ volatile("ud2"));
		EXPECT(SIGTRAP, NULL, __asm__ volatile("int3"));
		EXPECT(SIGFPE, NULL,
		       __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" ::"a"(1), "d"(0)
					: "ecx"));
		EXPECT(SIGSEGV, NULL, __asm__ volatile("hlt")); /* #GP in ring 3 */
		EXPECT(SIGSEGV, NULL, __asm__ volatile("inb $0x71, %%al" ::: "eax"));
	}
	sigaction(SIGALRM, &tick, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	memset(in, 0x5a, sizeof(in));
	for (end = ns(CLOCK_MONOTONIC) + 1000000000; ns(CLOCK_MONOTONIC) < end;) {
		hold(in, out, 300000, 1);
		if (memcmp(in, out, sizeof(in)))
			wrong("a signal handler's registers are another's");
	}
	if (alarms < 20)
		wrong("only %lu signals of a timer in a second", alarms);
	printf("cpu: 7000 faults, %lu signals of a timer\n", alarms);
}

/* --- vsyscall ------------------------------------------------------------------------- */

static void test_vsyscall(void)
{
	time_t (*fixed)(time_t *) = (time_t(*)(time_t *))0xffffffffff600400;
	time_t before = time(NULL), t = fixed(NULL), after = time(NULL);

	if (t < before || t > after)
		wrong("time by vsyscall is %ld, not %ld to %ld", t, before, after);
	printf("cpu: vsyscall knows the time\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int seconds = argc > 2 ? atoi(argv[2]) : 1;

	if (!strcmp(what, "clock"))
		test_clock(seconds);
	else if (!strcmp(what, "sleep"))
		test_sleep(seconds, argc > 3 ? atoi(argv[3]) : 2);
	else if (!strcmp(what, "fpu"))
		test_fpu(seconds, argc > 3 ? atoi(argv[3]) : 3,
			 argc > 4 ? (uint64_t)atoi(argv[4]) : 0);
	else if (!strcmp(what, "step"))
		test_step();
	else if (!strcmp(what, "signals"))
		test_signals();
	else if (!strcmp(what, "vsyscall"))
		test_vsyscall();
	else
		wrong("no test \"%s\"", what);
	return 0;
}
