/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TSC frequency is never guessed: CPUID may state it, but an emulator's
 * CPUID often copies a real chip's while its TSC runs at another rate, so a
 * clock that the machine really has is asked, and CPUID only refines it.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/time/tsc.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>

#define PM_TIMER_HZ 3579545
#define PIT_HZ 1193182
#define CALIBRATE_US 10000

static u64 khz;
static u64 start;
u64 tsc_calibration;

static u64 measure_pm(u16 port)
{
	u32 want = (u32)((u64)PM_TIMER_HZ * CALIBRATE_US / 1000000);
	u32 first = inl(port), now, passed = 0, reads = 0;
	u64 t0 = rdtsc(), t1;

	do {
		now = inl(port);
		passed = (now - first) & 0xffffff; /* 24 bits are always there */
		if (!passed && ++reads > 100000)
			return 0; /* it stands still */
	} while (passed < want);
	t1 = rdtsc();
	return (t1 - t0) * PM_TIMER_HZ / passed / 1000;
}

static u64 measure_pit(void)
{
	u32 ticks = PIT_HZ / (1000000 / CALIBRATE_US), spins = 0;
	u64 t0, t1;

	outb(0x61, (u8)((inb(0x61) & ~2) | 1)); /* gate on, speaker off */
	outb(0x43, 0xb0);			/* channel 2, mode 0, 16 bits */
	outb(0x42, (u8)ticks);
	outb(0x42, (u8)(ticks >> 8));
	t0 = rdtsc();
	while (!(inb(0x61) & 0x20))
		if (++spins > 100000000)
			return 0;
	t1 = rdtsc();
	return (t1 - t0) * PIT_HZ / ticks / 1000;
}

/* CPUID's word on it, or 0. */
static u64 from_cpuid(void)
{
	struct cpuid_regs r;

	if (cpuid(0, 0).a >= 0x15) {
		r = cpuid(0x15, 0);
		if (r.a && r.b && r.c)
			return (u64)r.c * r.b / r.a / 1000;
	}
	if (cpuid(1, 0).c & BIT(31)) {
		r = cpuid(0x40000000, 0);
		if (r.a >= 0x40000010)
			return cpuid(0x40000010, 0).a;
	}
	return 0;
}

void tsc_init(u16 pm_port)
{
	u64 said = from_cpuid(), before = rdtsc(), measured = pm_port ? measure_pm(pm_port) : 0;
	const char *source = "ACPI PM timer";

	if (!measured) {
		measured = measure_pit();
		source = "PIT";
	}
	start = rdtsc();
	tsc_calibration = start - before;
	khz = measured;
	if (said && (!measured || (said > measured / 100 * 98 && said < measured / 100 * 102))) {
		khz = said;
		source = "CPUID";
	}
	if (!khz)
		plat_panic(
			"no clock to measure the TSC with: no ACPI PM timer, no PIT, no CPUID leaf");
	log_line("tsc: %lu.%03lu MHz, from %s", khz / 1000, khz % 1000, source);
	if (said && said != khz)
		log_line("tsc: CPUID says %lu kHz, which is wrong here", said);
}

u64 plat_tsc(void)
{
	return rdtsc();
}

u64 plat_tsc_khz(void)
{
	return khz;
}

u64 plat_time_us(void)
{
	u64 t = tsc_since(start, rdtsc());

	return khz ? t / khz * 1000 + t % khz * 1000 / khz : 0;
}
