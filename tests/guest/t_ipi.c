/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the vCPUs of a VM: interrupts, INIT and SIPI. */
#include "case.h"

#define X2(offset) (0x800 + ((offset) >> 4))
#define ICR 0x300

static volatile u32 arrived[BARE_MAX_CPUS], go;

static void arrive(void)
{
	__atomic_add_fetch(&arrived[bare_cpu()], 1, __ATOMIC_SEQ_CST);
}

static void listener(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&go, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("sti; hlt");
}

static bool all_have(u32 n, u32 except)
{
	for (u64 end = bare_rdtsc() + 2000 * bare_tsc_khz(); bare_rdtsc() < end;) {
		bool ok = true;

		for (u32 c = 0; c < bare_nr_cpus(); c++)
			ok &= arrived[c] == n || c == except;
		if (ok)
			return true;
		__asm__ volatile("sti; pause; cli");
	}
	return false;
}

/* --- the TSC goes on from vCPU to vCPU -------------------------------------------- */

#define WARP_ROUNDS 20000

static u64 newest;
static volatile u32 newest_lock, backward;

/* Each reading must be later than all readings before, on any vCPU. */
static void look_back(void)
{
	for (u32 i = 0; i < WARP_ROUNDS; i++) {
		u64 now;

		while (__atomic_exchange_n(&newest_lock, 1, __ATOMIC_ACQUIRE))
			__asm__ volatile("pause");
		__asm__ volatile("mfence; lfence" ::: "memory");
		now = bare_rdtsc();
		if (now < newest)
			backward++;
		newest = now;
		__atomic_store_n(&newest_lock, 0, __ATOMIC_RELEASE);
	}
}

static void looker(void *arg)
{
	(void)arg;
	look_back();
	__atomic_add_fetch(&go, 1, __ATOMIC_SEQ_CST);
}

static int warp(void)
{
	u32 n = bare_nr_cpus();

	for (u32 c = 1; c < n; c++)
		bare_start_cpu(c, looker, NULL);
	look_back();
	while (go < n - 1)
		__asm__ volatile("pause");
	bare_printf("%u vCPUs, %lu ms, the TSC went back %u times\n", n,
		    bare_rdtsc() / bare_tsc_khz(), backward);
	CHECK_EQ(backward, 0);
	CHECK(bare_rdtsc() < 60000 * bare_tsc_khz()); /* it began with the VM */
	return 0;
}

static int ipis(void)
{
	u32 n = bare_nr_cpus();

	CHECK(n >= 4);
	bare_on_interrupt(0x80, arrive);
	for (u32 c = 1; c < n; c++)
		bare_start_cpu(c, listener, NULL);
	while (go < n - 1)
		__asm__ volatile("pause");
	for (u32 c = 1; c < n; c++)
		bare_send_ipi(c, 0x80);
	CHECK(all_have(1, 0));
	bare_wrmsr(X2(ICR), 0xc0080); /* all but self */
	CHECK(all_have(2, 0));
	CHECK_EQ(arrived[0], 0);
	bare_wrmsr(X2(ICR), 0xffffffff00000080ul); /* broadcast */
	CHECK(all_have(3, 0));
	bare_take_interrupts();
	CHECK_EQ(arrived[0], 1);
	bare_wrmsr(X2(ICR), 0x600000880ul); /* logical: 1 and 2 */
	for (u64 end = bare_rdtsc() + 2000 * bare_tsc_khz();
	     bare_rdtsc() < end && (arrived[1] != 4 || arrived[2] != 4);)
		__asm__ volatile("pause");
	CHECK_EQ(arrived[1], 4);
	CHECK_EQ(arrived[2], 4);
	CHECK_EQ(arrived[3], 3);
	/* INIT stops a vCPU, and SIPI starts it at the given address. */
	go = 0;
	bare_start_cpu(2, listener, NULL);
	while (!go)
		__asm__ volatile("pause");
	bare_send_ipi(2, 0x80);
	for (u64 end = bare_rdtsc() + 2000 * bare_tsc_khz(); bare_rdtsc() < end && arrived[2] != 5;)
		__asm__ volatile("pause");
	CHECK_EQ(arrived[2], 5);
	return 0;
}

/* --- INIT ---------------------------------------------------------------------------- */

static volatile u64 debug[7];

static void set_debug(void *arg)
{
	u64 v = 0x1234000, enable = 0x1000400; /* a condition, that is not enabled */

	(void)arg;
	__asm__ volatile(
		"mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %0, %%cr2;"
		"mov %1, %%dr7; mov %2, %%dr6" ::"r"(v),
		"r"(enable), "r"(0xffff0ff1ul));
	go = 1;
}

static void get_debug(void *arg)
{
	u64 r[7];

	(void)arg;
	__asm__ volatile(
		"mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4;"
		"mov %%dr7, %5; mov %%cr2, %6"
		: "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]), "=r"(r[4]), "=r"(r[5]),
		  "=r"(r[6]));
	for (int i = 0; i < 7; i++)
		debug[i] = r[i];
	go = 2;
}

/* By the other CPU: a SIPI alone does nothing to one that runs, INIT restarts the machine. */
static void init_boot_cpu(void *arg)
{
	(void)arg;
	bare_wrmsr(X2(ICR), 0x4608);
	for (u64 end = bare_rdtsc() + bare_tsc_khz(); bare_rdtsc() < end;)
		;
	go = 3;
	while (go == 3)
		__asm__ volatile("pause");
	bare_wrmsr(X2(ICR), 0x4500);
}

static int init(void)
{
	if (vm_info(self()).starts > 1)
		return 0;
	bare_start_cpu(1, set_debug, NULL);
	while (go != 1)
		__asm__ volatile("pause");
	bare_start_cpu(1, get_debug, NULL);
	while (go != 2)
		__asm__ volatile("pause");
	for (int i = 0; i < 4; i++)
		CHECK_EQ(debug[i], 0);
	CHECK_EQ(debug[4], 0xffff0ff0);
	CHECK_EQ(debug[5], 0x400);
	CHECK_EQ(debug[6], 0);
	bare_start_cpu(1, init_boot_cpu, NULL);
	while (go != 3)
		__asm__ volatile("pause");
	bare_printf("no SIPI has met the boot CPU\n");
	go = 4;
	for (;;)
		__asm__ volatile("pause");
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "ipis", ipis },
		{ "warp", warp },
		{ "init", init },
		{ NULL, NULL },
	};

	return run_case(cases);
}
