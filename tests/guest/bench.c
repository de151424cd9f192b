/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures a guest's costs in TSC ticks; these are instructions if the TSC counts instructions
 * (Bochs, QEMU with -icount). Plain multiboot: it also runs under other hypervisors, and then
 * leaves out the parts that need Aerostat. Prints lines "bench NAME VALUE UNIT".
 */
#include "case.h"

#define ROUNDS 200
#define min(a, b) ((a) < (b) ? (a) : (b))

static u64 overhead;

static void report(const char *name, u64 value, const char *unit)
{
	bare_printf("bench %s %lu %s\n", name, value, unit);
}

/* The least of several runs: the cost of the path without a timer interrupt. */
#define MEASURE(statement)                                    \
	({                                                    \
		u64 best_ = ~0ul;                             \
		for (int run_ = 0; run_ < 5; run_++) {        \
			u64 start_ = bare_rdtsc();            \
			for (int i_ = 0; i_ < ROUNDS; i_++) { \
				statement;                    \
			}                                     \
			start_ = bare_rdtsc() - start_;       \
			if (start_ < best_)                   \
				best_ = start_;               \
		}                                             \
		best_ / ROUNDS - overhead;                    \
	})

static void one_cpuid(void)
{
	u32 r[4];

	bare_cpuid(0, 0, r);
}

/* Only the instruction and its registers: POLL on Aerostat, an unknown number elsewhere. */
static void raw_vmcall(u64 nr)
{
	u64 b, c, d;

	__asm__ volatile("vmcall" : "+a"(nr), "=b"(b), "=c"(c), "=d"(d)::"memory");
}

static void raw_vmmcall(u64 nr)
{
	u64 b, c, d;

	__asm__ volatile("vmmcall" : "+a"(nr), "=b"(b), "=c"(c), "=d"(d)::"memory");
}

static bool is_amd(void)
{
	u32 r[4];

	bare_cpuid(0, 0, r);
	return r[2] == 0x444d4163; /* "cAMD" */
}

static u64 call_number;

static void any_call(void)
{
	if (is_amd())
		raw_vmmcall(call_number);
	else
		raw_vmcall(call_number);
}

static void world_switches(void)
{
	u64 nr = bare_on_aerostat() ? AERO_CALL_POLL : 99;

	overhead = MEASURE(__asm__ volatile("" ::: "memory"));
	report("cpuid", MEASURE(one_cpuid()), "instructions");
	call_number = nr;
	if (bare_catch(any_call) >= 0)
		bare_printf("no hypercalls here\n");
	else if (is_amd())
		report("hypercall", MEASURE(raw_vmmcall(nr)), "instructions");
	else
		report("hypercall", MEASURE(raw_vmcall(nr)), "instructions");
	report("port-read", MEASURE(bare_inb(0x3fd)), "instructions");
	report("port-read-nobody", MEASURE(bare_inb(0x21)), "instructions");
	report("msr-read", MEASURE(bare_rdmsr(0x1b)),
	       "instructions"); /* IA32_APIC_BASE: exits everywhere */
}

#define MSR_APIC_BASE 0x1b
#define APIC_X2 0x400ul
#define APIC_ON 0x800ul

/* The cost of an EOI in a guest without x2APIC: the hypervisor decodes and emulates it. */
static void apic_by_mmio(void)
{
	volatile u32 *eoi = (volatile u32 *)0xfee000b0ul;
	u64 base = bare_rdmsr(MSR_APIC_BASE);

	/* x2APIC to xAPIC goes only through "off". */
	bare_wrmsr(MSR_APIC_BASE, base & ~(APIC_ON | APIC_X2));
	bare_wrmsr(MSR_APIC_BASE, (base & ~APIC_X2) | APIC_ON);
	report("apic-eoi-by-mmio", MEASURE(*eoi = 0), "instructions");
	bare_wrmsr(MSR_APIC_BASE, base);
}

static void nothing(void)
{
}

static void self_ipi(void)
{
	bare_wrmsr(0x83f, 0x60);
	__asm__ volatile("sti; nop; nop; cli");
}

static void raise_and_look(void)
{
	u64 v;

	__asm__ volatile("mov %1, %%cr8; mov %%cr8, %0" : "=r"(v) : "r"(0ul));
}

/* A kernel's work at each tick: it sets its timer, takes the interrupt, ends it. */
static void ticks(void)
{
	u64 never = bare_rdtsc() + 1000000 * bare_tsc_khz();

	bare_on_interrupt(0x60, nothing);
	bare_apic_timer(never, 0x60);
	report("cr8-write-and-read", MEASURE(raise_and_look()), "instructions");
	report("deadline-write", MEASURE(bare_wrmsr(0x6e0, never)), "instructions");
	bare_wrmsr(0x6e0, 0);
	report("interrupt-to-itself-and-its-end", MEASURE(self_ipi()), "instructions");
}

/* --- memory: needs scrubbed frames, so the host is given time to scrub -------------- */

#define PART 8

/*
 * Cost of touching @n pages, @step apart, from @page on, each for the first time: the mean of the
 * middle one of @n / PART parts, so that a tick of the host, which draws its screen and samples its
 * VMs, does not count as faults.
 */
static u64 touch(u64 page, u64 n, u64 step)
{
	u64 part[64], parts = 0;

	for (u64 i = 0; i + PART <= n && parts < 64; i += PART) {
		u64 start = bare_rdtsc(), at = parts++;

		for (u64 j = i; j < i + PART; j++)
			*(volatile u64 *)bare_ptr(page + j * step) = 1;
		start = bare_rdtsc() - start;
		for (; at && part[at - 1] > start; at--)
			part[at] = part[at - 1];
		part[at] = start;
	}
	return part[parts / 2] / PART;
}

/* The host's log tells how much it has scrubbed here on demand. */
static u64 scrubbed(void)
{
	return host_info().scrubbed_demand;
}

static void wait_for_clean_memory(void)
{
	for (int i = 0; i < 10000; i++) {
		struct aero_host_info h = host_info();

		if (h.clean >= h.free - 512)
			return;
		bare_sleep_us(2000);
	}
}

static void populate(void)
{
	u64 first = bare_page_alloc(9), before, cost;

	/* 2 MiB: state high, empty, aligned */
	for (int i = 0; i < 7; i++)
		bare_page_alloc(9);
	before = scrubbed();
	cost = touch(first, 8, 512);
	report("demand-zero-2m", cost, "instructions");
	report("demand-zero-2m-scrubbed-in-place", scrubbed() - before, "frames");
}

static void fill_batch(struct aero_batch *b, u64 first, u64 n, unsigned int order)
{
	for (u64 i = 0; i < n; i++)
		b->entry[i] = (first + (i << order)) << 12 | (order ? AERO_ENTRY_2M : 0);
}

static struct aero_batch batch __attribute__((aligned(4096)));

static u64 batch_call(u64 nr, u64 n)
{
	struct aero_result r = { 0 };
	u64 start = bare_rdtsc(), done = 0;

	do {
		bare_hypercall(nr, (u64)&batch, n, done, &r);
		done = r.value;
	} while (r.status == AERO_AGAIN);
	if (r.status)
		bare_printf("bench: batch answers %ld\n", r.status);
	return bare_rdtsc() - start;
}

static void small_entries(void)
{
	u64 first = bare_page_alloc(9), cost;

	/* One entry splits the 2 MiB leaf; the next 400 are plain 4 KiB locks. */
	*(volatile u64 *)bare_ptr(first) = 1;
	fill_batch(&batch, first, 1, 0);
	report("lock-4k-with-split", batch_call(AERO_CALL_LOCK, 1), "instructions");
	fill_batch(&batch, first + 1, 400, 0);
	report("lock-4k", batch_call(AERO_CALL_LOCK, 400) / 400, "instructions");
	report("unlock-4k", batch_call(AERO_CALL_UNLOCK, 400) / 400, "instructions");
	wait_for_clean_memory();
	cost = scrubbed();
	report("demand-zero-4k", touch(first + 1, 400, 1), "instructions");
	report("demand-zero-4k-scrubbed-in-place", scrubbed() - cost, "frames");
}

static void large_entries(void)
{
	u64 n = bare_arg_number("large", 64), got = 0, looking;
	u64 cost = ~0ul, unlock = ~0ul, exits = ~0ul, flushes = ~0ul;
	struct aero_vm_info before, after;

	wait_for_clean_memory();
	/* Blocks that 2 MiB leaves map. */
	for (u64 i = 0; i < n; i++) {
		u64 p = bare_page_alloc(9);

		if (!p)
			break;
		*(volatile u64 *)bare_ptr(p) = 1;
		batch.entry[got++] = p << 12 | AERO_ENTRY_2M;
	}
	/* The least of three, from the start of a slice, because its end is one more exit. */
	for (int run = 0; run < 3; run++) {
		u64 once;

		wait_for_clean_memory();
		for (u64 i = 0; i < got; i++)
			*(volatile u64 *)bare_ptr(batch.entry[i] >> 12) = 1;
		before = vm_info(self());
		after = vm_info(self());
		looking = after.exits - before.exits;
		bare_sleep_us(100);
		before = vm_info(self());
		once = batch_call(AERO_CALL_LOCK, got) / got;
		cost = min(cost, once);
		after = vm_info(self());
		once = after.exits - before.exits - looking;
		exits = min(exits, once);
		once = after.flushes - before.flushes;
		flushes = min(flushes, once);
		once = batch_call(AERO_CALL_UNLOCK, got) / got;
		unlock = min(unlock, once);
	}
	report("lock-2m", cost, "instructions");
	report("lock-2m-entries-a-batch", got, "entries");
	report("exits-a-full-batch", exits, "exits");
	report("flushes-a-full-batch", flushes, "flushes");
	report("exits-per-gib", exits * 512 / (got < 512 ? 512 : got), "exits");
	report("flushes-per-gib", flushes * 512 / (got < 512 ? 512 : got), "flushes");
	report("unlock-2m", unlock, "instructions");
	report("tables-of-this-vm", after.tables * 4, "KiB");
}

static void zeroing(void)
{
	u64 page = bare_page_alloc(0), start, n = PAGE / 8;
	void *p = bare_ptr(page);

	*(volatile u64 *)p = 1;
	start = bare_rdtsc();
	__asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0ul) : "memory");
	report("zeroing-4k", bare_rdtsc() - start, "instructions");
}

/*
 * A fixed amount of work on all memory, without exits of its own. Its time with sampling and
 * without gives the whole cost of sampling.
 */
static int sampling(void)
{
	u64 pages = bare_arg_number("pages", 262144), sweeps = bare_arg_number("sweeps", 200);
	u64 first = bare_memory_pages() - pages, sum = 0, start = 0;

	wait_for_clean_memory(); /* else there are no large pages */
	for (u64 i = 0; i <= sweeps; i++) {
		if (i == sweeps / 2) /* all of it is there, and has been sampled once */
			start = bare_rdtsc();
		for (u64 page = first; page < first + pages; page++)
			sum += *(volatile u64 *)bare_ptr(page);
	}
	report("sampled-run", bare_rdtsc() - start, "ticks");
	report("ticks-a-ms", bare_tsc_khz(), "ticks");
	return sum != 0; /* nobody has written anything */
}

int bare_main(void)
{
	if (bare_arg_is("case", "sampling"))
		return sampling();
	world_switches();
	ticks();
	zeroing();
	if (!bare_on_aerostat())
		return 0;
	if (!bare_balloon_start())
		return 1;
	wait_for_clean_memory();
	populate();
	small_entries();
	large_entries();
	apic_by_mmio(); /* last: no other timer interrupt comes any more */
	return audit();
}
