/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the TSC's frequency. CPUID may state it, but an emulator's CPUID often copies a real
 * chip's while its TSC runs at another rate. So we measure against a clock of the machine, and use
 * CPUID's figure only if it agrees. We believe an outer hypervisor, which tells the scale of the
 * clock that it keeps for us.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/quirks/identify.h>
#include <arch/x86_64/time/hpet.h>
#include <arch/x86_64/time/tsc.h>
#include <arch/x86_64/time/tsc_measure.h>
#include <arch/x86_64/time/tsc_said.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <mm/frame.h>

#define PM_TIMER_HZ 3579545
#define PIT_HZ 1193182
#define SAID_TOLERANCE 1000 /* crystals are accurate to 1/10000, our windows are not */
#define REFINE_MS 1000
#define HYPERVISOR_BASE 0x40000000u
#define HYPERVISOR_TIMING 0x10 /* kHz in EAX of this leaf */
#define KVM_CLOCKSOURCE2 BIT(3)
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01
#define MSR_AMD_PSTATE0 0xc0010064

static u64 khz; /* (a) */
static u64 start;
u64 tsc_calibration;

static struct ref_clock clock; /* the clock that measured it; hz 0: none did */
static struct tsc_edge first;
static u64 refine_at;
static u16 pm_port;

static u32 read_pm(void)
{
	return inl(pm_port);
}

/* It counts down. */
static u32 read_pit(void)
{
	u32 low;

	outb(0x43, 0x80); /* latch channel 2 */
	low = inb(0x42);
	return 0 - (low | (u32)inb(0x42) << 8);
}

static void start_pit(void)
{
	outb(0x61, (u8)((inb(0x61) & ~2) | 1)); /* gate on, speaker off */
	outb(0x43, 0xb4);			/* channel 2, mode 2, 16 bits */
	outb(0x42, 0);
	outb(0x42, 0);
}

/* Returns the first of the machine's clocks that we can use. */
static u64 measure(void)
{
	const struct ref_clock clocks[] = {
		{ "ACPI PM timer", pm_port ? PM_TIMER_HZ : 0, 0xffffff, read_pm, rdtsc },
		{ "HPET", hpet_hz(), UINT32_MAX, hpet_read, rdtsc },
		{ "PIT", PIT_HZ, 0xffff, read_pit, rdtsc },
	};

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		u64 measured;

		if (clocks[i].read == read_pit)
			start_pit();
		measured = clocks[i].hz ? tsc_measure(&clocks[i], &first) : 0;
		if (measured) {
			clock = clocks[i];
			return measured;
		}
		if (clocks[i].hz)
			log_line("tsc: the %s cannot be used as a clock", clocks[i].name);
	}
	return 0;
}

/* Linux: struct pvclock_vcpu_time_info */
struct kvmclock {
	u32 version, pad;
	u64 tsc, ns;
	u32 mul;
	s8 shift;
	u8 flags[3];
};
_Static_assert(sizeof(struct kvmclock) == 32, "struct pvclock_vcpu_time_info");

/* KVM writes the scale of its clock for us there; Linux: Documentation/virt/kvm/x86/msr.rst. */
static u64 from_kvmclock(void)
{
	volatile struct kvmclock *t = frame_alloc_pages(0);
	u64 said = 0;

	if (!t)
		return 0;
	t->mul = 0;
	if (wrmsr_safe(MSR_KVM_SYSTEM_TIME_NEW, plat_pa((void *)t).v | 1))
		said = tsc_of_pvclock(t->mul, t->shift);
	wrmsr_safe(MSR_KVM_SYSTEM_TIME_NEW, 0);
	frame_free_pages((void *)t);
	return said;
}

/* Some hypervisors show two sets of leaves, KVM's behind Hyper-V's. */
static u64 from_hypervisor(void)
{
	u64 said = 0;

	for (u32 base = HYPERVISOR_BASE; base < HYPERVISOR_BASE + 0x200 && !said; base += 0x100) {
		struct cpuid_regs r = cpuid(base, 0);

		if (r.a >= base + HYPERVISOR_TIMING && r.a < base + 0x100)
			said = cpuid(base + HYPERVISOR_TIMING, 0).a;
		if (!said && r.b == 0x4b4d564b && r.c == 0x564b4d56 && r.d == 0x4d &&
		    cpuid(base + 1, 0).a & KVM_CLOCKSOURCE2)
			said = from_kvmclock();
	}
	return said >= TSC_KHZ_LEAST && said <= TSC_KHZ_MOST ? said : 0;
}

/* The frequency by CPUID, in kHz, or 0. */
static u64 from_cpu(const struct cpu_id *id)
{
	struct tsc_words w = { .cpu = id };
	u32 top = cpuid(0, 0).a;

	if (top >= 0x15) {
		struct cpuid_regs r = cpuid(0x15, 0);

		w.leaf15[0] = r.a;
		w.leaf15[1] = r.b;
		w.leaf15[2] = r.c;
	}
	if (top >= 0x16)
		w.leaf16 = cpuid(0x16, 0).a & 0xffff;
	if (id->amd && !id->hypervisor)
		rdmsr_safe(MSR_AMD_PSTATE0, &w.p0);
	return tsc_said(&w);
}

static bool close_to(u64 a, u64 b)
{
	return a <= b + b / SAID_TOLERANCE && b <= a + a / SAID_TOLERANCE;
}

static const char *choose(void)
{
	struct cpu_id id;
	u64 said;

	cpu_identify(&id);
	khz = id.hypervisor ? from_hypervisor() : 0;
	if (khz)
		return "the outer hypervisor";
	said = from_cpu(&id);
	khz = measure();
	if (said && khz && !close_to(said, khz))
		log_line("tsc: CPUID says %lu kHz, which is wrong here", said);
	if (!said || (khz && !close_to(said, khz)))
		return clock.name;
	khz = said;
	clock.hz = 0; /* nothing to refine */
	return "CPUID";
}

void tsc_init(u16 port)
{
	u64 before = rdtsc();
	const char *source;

	pm_port = port;
	start = before;
	source = choose();
	start = rdtsc();
	tsc_calibration = start - before;
	if (!khz)
		plat_panic(
			"no clock to measure the TSC with: no ACPI PM timer, no HPET, no PIT, no CPUID leaf");
	refine_at = start + REFINE_MS * khz;
	log_line("tsc: %lu.%03lu MHz, from %s", khz / 1000, khz % 1000, source);
}

void tsc_refine(void)
{
	u64 better = clock.hz && clock.hz != PIT_HZ ? tsc_refine_khz(&clock, &first, khz) : khz;

	if (better == khz)
		return;
	log_line("tsc: %lu.%03lu MHz, by the time since then", better / 1000, better % 1000);
	atomic_store(&khz, better);
}

u64 tsc_tick(u64 now)
{
	if (now < refine_at)
		return refine_at;
	if (refine_at != UINT64_MAX)
		tsc_refine();
	refine_at = UINT64_MAX;
	return UINT64_MAX;
}

u64 plat_tsc(void)
{
	return rdtsc();
}

u64 plat_tsc_khz(void)
{
	return atomic_load(&khz);
}

u64 plat_time_us(void)
{
	u64 t = tsc_since(start, rdtsc()), k = plat_tsc_khz();

	return k ? t / k * 1000 + t % k * 1000 / k : 0;
}
