/* SPDX-License-Identifier: BSD-2-Clause */
/* hv/base/platform.h for CPUs that are threads; tests/fake/fake.c has it for one thread. */
#include <tests/threads/threads.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define ROUNDS 16		  /* steps after which all CPUs stand still once */
#define DAWDLE_MAX 32		  /* the most turns for other CPUs */
#define STEP_TICKS (FAKE_KHZ / 4) /* a step is 250 us of the machine's time */

static _Thread_local u32 this_cpu;
static _Thread_local u64 seed = 1;
static u64 first_seed = 1;

/* (a) */
static u64 clock_now, scrubs, steps_done, steps_in_round, round_ends;
static u32 kicked[CPUS];

static pthread_barrier_t stand;
static u32 rounds_left;
static const char *program;

void threads_fail(const char *what, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: CPU %u: %s", program, this_cpu, what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt + 1, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

u32 any(u32 n)
{
	return (u32)(fake_random(&seed) >> 16) % n;
}

static u64 number(const char *s)
{
	char *end;
	u64 n = strtoull(s, &end, 0);

	threads_assert(*s && !*end, "%s is no number", s);
	return n;
}

/* PROGRAM [-b PART] [-s SEED] [-n STEPS] */
void threads_begin(int argc, char **argv, u64 steps)
{
	int c;

	program = argv[0];
	while ((c = getopt(argc, argv, "b:s:n:")) != -1) {
		threads_assert(c != '?', "usage: %s [-b PART] [-s SEED] [-n STEPS]", program);
		if (c == 'b')
			threads_assert(broken_choose(optarg), "there is no %s to break", optarg);
		else if (c == 's')
			first_seed = number(optarg);
		else
			steps = number(optarg);
	}
	rounds_left = ROUNDS;
	steps_in_round = round_ends = steps / ROUNDS;
	clock_now = 100 * 1000 * FAKE_KHZ;
	pthread_barrier_init(&stand, NULL, CPUS);
}

struct start {
	void (*life)(void);
	u32 cpu;
};

static void *start(void *arg)
{
	const struct start *s = arg;

	this_cpu = s->cpu;
	seed = (first_seed * CPUS + s->cpu) * 0x9e3779b97f4a7c15UL + 1;
	for (int i = 0; i < 8; i++)
		fake_random(&seed);
	s->life();
	return NULL;
}

void threads_run(void (*life)(void))
{
	pthread_t thread[CPUS];
	struct start s[CPUS];

	for (u32 i = 0; i < CPUS; i++) {
		s[i] = (struct start){ life, i };
		if (pthread_create(&thread[i], NULL, start, &s[i]))
			threads_fail("no thread", ": ");
	}
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	printf("%lu steps of %u CPUs\n", steps_done, CPUS);
}

void threads_dawdle(void)
{
	u64 until = atomic_load(&scrubs) + 1 + any(4);

	if (!any(256))
		for (u32 i = 0; i < DAWDLE_MAX && atomic_load(&scrubs) < until; i++)
			sched_yield();
}

bool threads_step(void (*quiet)(void))
{
	__atomic_fetch_add(&clock_now, STEP_TICKS, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&steps_done, 1, __ATOMIC_RELAXED) < atomic_load(&round_ends))
		return true;
	if (pthread_barrier_wait(&stand) == PTHREAD_BARRIER_SERIAL_THREAD) {
		quiet();
		atomic_store(&round_ends, atomic_load(&steps_done) + steps_in_round);
		rounds_left--;
	}
	pthread_barrier_wait(&stand);
	return rounds_left;
}

void threads_leave(void)
{
	pthread_exit(NULL);
}

bool threads_kicked(void)
{
	if (!atomic_load(&kicked[this_cpu]))
		return false;
	atomic_store(&kicked[this_cpu], 0u);
	return true;
}

/* --- the platform ---------------------------------------------------------------------- */

u32 __wrap_plat_cpu(void);
u32 __wrap_plat_cpu(void)
{
	return this_cpu;
}

u64 __wrap_plat_tsc(void);
u64 __wrap_plat_tsc(void)
{
	return __atomic_add_fetch(&clock_now, 1, __ATOMIC_RELAXED);
}

u64 __wrap_plat_time_us(void);
u64 __wrap_plat_time_us(void)
{
	return atomic_load(&clock_now) * 1000 / FAKE_KHZ;
}

/* Relaxed: nothing promises that the kicked CPU sees earlier stores of the sender. */
void __wrap_plat_kick(u32 cpu);
void __wrap_plat_kick(u32 cpu)
{
	threads_assert(cpu < CPUS, "CPU %u", cpu);
	atomic_store(&kicked[cpu], 1u);
}

bool __wrap_plat_random(u64 *bits);
bool __wrap_plat_random(u64 *bits)
{
	*bits = fake_random(&seed);
	return true;
}

void __wrap_plat_scrub(void *p, size_t bytes);
void __wrap_plat_scrub(void *p, size_t bytes)
{
	memset(p, 0, bytes);
	__atomic_fetch_add(&scrubs, 1, __ATOMIC_RELAXED);
}

void __wrap_plat_panic(const char *fmt, ...) __printf(1, 2);
void __wrap_plat_panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	threads_fail("panic", ": %s", text);
}
