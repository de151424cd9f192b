/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM: "Time-Stamp Counter Adjustment". Firmware leaves the TSCs of CPUs apart, because it wrote to
 * them or to IA32_TSC_ADJUST. We set the latter to 0; then each CPU answers round trips, and we
 * shift its TSC if they show a difference.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/time/tsc_span.h>
#include <arch/x86_64/time/tsc_sync.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>

#define ROUNDS 32
#define ANSWER_US 1000 /* an SMI may take longer: then we look again later */

s64 tsc_sync_skew;

/* One CPU is measured at a time. */
static struct {
	u32 cpu;	     /* (a) the CPU whose turn it is; 0: none */
	u32 asked, answered; /* (a) round trips */
	u64 theirs;	     /* the answer */
	s64 shift;	     /* for the other CPU to do before it answers */
	/* Of the measuring CPU: */
	struct tsc_span span;
	u32 rounds;
	u64 sent; /* the round trip under way */
	struct tsc_fix fix;
} sync __aligned(64);

static u64 rdtsc_ordered(void)
{
	asm volatile("mfence; lfence" ::: "memory");
	return rdtsc();
}

static bool has_adjust(void)
{
	return cpuid(0, 0).a >= 7 && cpuid(7, 0).b & BIT(1);
}

static s64 clear_adjust(void)
{
	s64 was = has_adjust() ? (s64)rdmsr(MSR_IA32_TSC_ADJUST) : 0;

	if (!was)
		return 0;
	wrmsr(MSR_IA32_TSC_ADJUST, 0);
	log_line("cpu %u: the firmware had added %ld ticks to its TSC, which is undone", plat_cpu(),
		 was);
	return was;
}

s64 tsc_sync_boot(void)
{
	this_cpu()->tsc_sync = TSC_SYNC_IN_STEP;
	return clear_adjust();
}

static void shift(s64 by)
{
	if (has_adjust())
		wrmsr(MSR_IA32_TSC_ADJUST, rdmsr(MSR_IA32_TSC_ADJUST) + (u64)by);
	else
		wrmsr(MSR_IA32_TSC, rdtsc() + (u64)by);
}

static void answer(void)
{
	u32 asked = atomic_load_acquire(&sync.asked);

	if (asked == sync.answered)
		return;
	if (sync.shift)
		shift(sync.shift);
	sync.shift = 0;
	sync.theirs = rdtsc_ordered();
	atomic_store_release(&sync.answered, asked);
}

bool tsc_sync_join(struct cpu *c)
{
	if (tsc_sync_skew)
		wrmsr(MSR_IA32_TSC, rdtsc() + (u64)(c->id & 1 ? tsc_sync_skew : -tsc_sync_skew));
	clear_adjust();
	/* An outer hypervisor keeps the TSCs in step, and may not run two of our CPUs at once. */
	if (cpuid(1, 0).c & BIT(31)) {
		atomic_store(&c->tsc_sync, TSC_SYNC_IN_STEP);
		return true;
	}
	/* Otherwise the boot CPU has given it up. */
	if (atomic_cas(&c->tsc_sync, TSC_SYNC_ABSENT, TSC_SYNC_WAITS))
		while (atomic_load_acquire(&c->tsc_sync) == TSC_SYNC_WAITS) {
			if (atomic_load_acquire(&sync.cpu) == c->id)
				answer();
			cpu_pause();
		}
	return c->tsc_sync == TSC_SYNC_IN_STEP;
}

/* One round trip; false: the answer has not come yet. */
static bool round_trip(void)
{
	u64 end = rdtsc() + ANSWER_US * plat_tsc_khz() / 1000;

	if (sync.asked == atomic_load_acquire(&sync.answered)) {
		sync.sent = rdtsc_ordered();
		atomic_store_release(&sync.asked, sync.asked + 1);
	}
	while (atomic_load_acquire(&sync.answered) != sync.asked)
		if (rdtsc() > end)
			return false;
	tsc_span_add(&sync.span, sync.sent, sync.theirs, rdtsc_ordered());
	sync.rounds++;
	return true;
}

static void begin(void)
{
	sync.span = TSC_SPAN_ANY;
	sync.rounds = 0;
}

static void settle(struct cpu *c, u32 state)
{
	sync.cpu = 0;
	atomic_store_release(&c->tsc_sync, state);
}

/* True: there is nothing more to measure. */
static bool decide(struct cpu *c)
{
	struct tsc_fix *f = &sync.fix;
	enum tsc_verdict verdict = tsc_fix(f, &sync.span, has_adjust());

	if (f->shift) {
		sync.shift = f->shift;
		begin();
		return false;
	}
	if (verdict == TSC_EQUAL && f->shifts)
		log_line("cpu %u: its TSC was %ld ticks ahead, now it is in step", c->id, f->ahead);
	if (verdict != TSC_EQUAL)
		log_line("cpu %u: its TSC is out of step, by %ld ticks%s; no guests run there",
			 c->id, f->ahead,
			 verdict == TSC_APART ? ", and cannot be set" : " at first, and changes");
	settle(c, verdict == TSC_EQUAL ? TSC_SYNC_IN_STEP : TSC_SYNC_WARPS);
	return true;
}

bool tsc_sync_measure(struct cpu *c)
{
	if (sync.cpu != c->id) {
		begin();
		sync.fix = (struct tsc_fix){ 0 };
		atomic_store_release(&sync.cpu, c->id);
	}
	do {
		while (sync.rounds < ROUNDS)
			if (!round_trip())
				return false;
	} while (!decide(c));
	return true;
}

u32 tsc_sync_busy(void)
{
	return sync.cpu;
}

u32 tsc_sync_close(struct cpu *c)
{
	atomic_cas(&c->tsc_sync, TSC_SYNC_ABSENT, TSC_SYNC_WARPS);
	return atomic_load_acquire(&c->tsc_sync);
}
