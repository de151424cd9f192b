/* SPDX-License-Identifier: BSD-2-Clause */
/* How events reach a guest: each once, in order, and between the right two instructions. */
#include "case.h"

#define X2(offset) (0x800 + ((offset) >> 4))
#define ISR_60 X2(0x130)

/* --- a timer interrupt comes once ------------------------------------------------------------ */

#define TIMER 0x60
#define ROUNDS 1000

static volatile u32 inside, twice, strays, taken, stop;

static void busy(u64 ticks)
{
	u64 end = bare_rdtsc() + ticks;

	while (bare_rdtsc() < end)
		;
}

/* A second delivery of the interrupt, during its handler or soon after it, shows here. */
static void timer_handler(void)
{
	if (inside++)
		twice++;
	busy(bare_tsc_khz() / 100); /* 10 us without an exit */
	if (!(bare_rdmsr(ISR_60) & 1u << (TIMER - 0x60)))
		strays++;
	taken++;
	inside--;
}

/*
 * Locked accesses that are not aligned: QEMU stops all other CPUs for each, which makes them leave
 * their loop at any moment. At such an exit an injected interrupt may be delivered again.
 */
static void disturber(void *arg)
{
	static u8 words[16] __attribute__((aligned(16)));

	(void)arg;
	while (!stop)
		__asm__ volatile("lock incl %0" : "+m"(*(u32 *)(words + 1))::"cc");
	__atomic_store_n(&stop, 2, __ATOMIC_SEQ_CST);
}

static int timer_once(void)
{
	u64 step = bare_tsc_khz() / 15;

	bare_on_interrupt(TIMER, timer_handler);
	bare_start_cpu(1, disturber, NULL);
	for (u32 i = 0; i < ROUNDS; i++) {
		bare_apic_timer(bare_rdtsc() + step, TIMER);
		__asm__ volatile("sti");
		while (taken == i && !twice)
			;
		__asm__ volatile("cli");
		CHECK_EQ(twice, 0);
		CHECK_EQ(strays, 0);
		CHECK_EQ(taken, i + 1);
	}
	stop = 1;
	while (stop != 2)
		__asm__ volatile("pause");
	return 0;
}

/* --- the stack on which an interrupt comes is memory that nobody has touched yet ---------------- */

static void count(void)
{
	taken++;
}

static int fresh_stack(void)
{
	bare_on_interrupt(0x61, count);
	for (u32 i = 0; i < 64; i++) {
		u64 page = bare_page_alloc(0);

		CHECK(page);
		bare_wrmsr(X2(0x3f0), 0x61); /* self IPI */
		__asm__ volatile(
			"mov %%rsp, %%r12; mov %0, %%rsp\n"
			"sti; cpuid; xor %%eax, %%eax; cpuid; cli\n" /* bare_take_interrupts() */
			"mov %%r12, %%rsp" ::"r"((page + 1) * PAGE),
			"a"(0)
			: "rbx", "rcx", "rdx", "r12", "memory", "cc");
		CHECK_EQ(taken, i + 1);
		CHECK_EQ(bare_rdmsr(ISR_60), 0);
	}
	return 0;
}

/* --- a single-step trap and an interrupt are due behind the same instruction, which exits ------- */

static int step_and_interrupt(void)
{
	static volatile u32 steps;

	bare_on_interrupt(0x61, count);
	for (u32 i = 0; i < 100; i++) {
		steps = 0;
		bare_on_step(&steps);
		__asm__ volatile(
			"sti\n"
			"pushfq; orq $0x100, (%%rsp); popfq\n" /* TF from the next one on */
			"wrmsr\n"
			"nop\n"
			"pushfq; andq $~0x100, (%%rsp); popfq\n"
			"cli\n" ::"c"(X2(0x3f0)),
			"a"(0x61), "d"(0)
			: "memory", "cc");
		bare_on_step(NULL);
		bare_take_interrupts();
		CHECK_EQ(taken, i + 1);
		CHECK_EQ(steps, 5); /* wrmsr, nop, pushfq, andq, popfq */
	}
	return 0;
}

/* --- an NMI that comes while the handler of another runs waits for its IRET, and no longer -------- */

#define NMI_TO_ITSELF 0x400

static volatile u32 nmis, nested;
static volatile u64 met[2];

static void nmi_handler(void)
{
	nested += inside++;
	met[nmis & 1] = bare_nmi_frame->rip;
	if (!(nmis++ & 1)) { /* two that come now are one */
		bare_wrmsr(X2(0x300), NMI_TO_ITSELF);
		bare_wrmsr(X2(0x300), NMI_TO_ITSELF);
	}
	inside--;
}

static int nmi_behind_iret(void)
{
	u32 seen;

	bare_on_interrupt(2, nmi_handler);
	for (u32 i = 0; i < 100; i++) {
		nmis = 0;
		if (i & 1)
			__asm__ volatile("sti");
		__asm__ volatile("wrmsr\n\t"
				 "mov %1, %0\n\t" /* behind the first one, and the second */
				 "nop; nop; nop"
				 : "=&r"(seen)
				 : "m"(nmis), "c"(X2(0x300)), "a"(NMI_TO_ITSELF), "d"(0)
				 : "memory");
		__asm__ volatile("cli");
		CHECK_EQ(seen, 2);
		CHECK_EQ(nmis, 2);
		CHECK_EQ(nested, 0);
		CHECK_EQ(met[0], met[1]);
	}
	return 0;
}

/*
 * The IRET for which an NMI waits faults: the fault comes first, as without an NMI, and then the
 * NMI.
 */
static void spoil_frame(void)
{
	if (nmis++)
		return;
	bare_wrmsr(X2(0x300), NMI_TO_ITSELF);
	bare_nmi_frame->cs = 0x7ff8; /* beyond the GDT */
}

static void send_nmi(void)
{
	bare_wrmsr(X2(0x300), NMI_TO_ITSELF);
}

static int nmi_behind_bad_iret(void)
{
	bare_on_interrupt(2, spoil_frame);
	for (u32 i = 0; i < 20; i++) {
		nmis = 0;
		CHECK_EQ(bare_catch(send_nmi), 13);
		CHECK_EQ(bare_caught_rflags & 0x100, 0); /* TF */
		CHECK(bare_caught_rflags & 0x10000);	 /* RF */
		while (nmis != 2)
			__asm__ volatile("pause");
	}
	return 0;
}

static int nmi(void)
{
	return nmi_behind_iret() || nmi_behind_bad_iret();
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "timer-once", timer_once },
		{ "fresh-stack", fresh_stack },
		{ "step-and-interrupt", step_and_interrupt },
		{ "nmi", nmi },
		{ NULL, NULL },
	};

	return run_case(cases);
}
