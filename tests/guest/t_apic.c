/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: timer in three modes, IPIs, priorities, errors, both register
 * interfaces; and the devices beside it, UART and clock.
 */
#include "case.h"

#define X2(offset) (0x800 + ((offset) >> 4))
#define MSR_APIC_BASE 0x1b
#define ICR 0x300
#define LVT_TIMER 0x320
#define INITIAL 0x380
#define CURRENT 0x390
#define DIVIDE 0x3e0

static volatile u32 hits, order, first, second;

static void count(void)
{
	hits++;
}

static void low(void)
{
	order++;
	if (!first)
		first = 1;
	else
		second = 1;
}

static void high(void)
{
	order++;
	if (!first)
		first = 2;
	else
		second = 2;
}

static void wait_for(volatile u32 *what, u32 value)
{
	while (*what < value)
		__asm__ volatile("sti; hlt; cli");
}

static int timer(void)
{
	u64 khz = bare_tsc_khz(), start, took;

	bare_on_interrupt(0x60, count);
	bare_wrmsr(X2(DIVIDE), 0xb);
	/* one-shot */
	start = bare_rdtsc();
	bare_wrmsr(X2(LVT_TIMER), 0x60);
	bare_wrmsr(X2(INITIAL), 2 * khz);
	/* Where the TSC is real time, an emulator may have been away for long. */
	CHECK(bare_rdmsr(X2(CURRENT)) > 0 || bare_rdtsc() - start >= 2 * khz);
	wait_for(&hits, 1);
	took = bare_rdtsc() - start;
	CHECK(took >= 2 * khz && took < 400 * khz);
	CHECK_EQ(bare_rdmsr(X2(CURRENT)), 0);
	/* divided by 4 */
	bare_wrmsr(X2(DIVIDE), 1);
	start = bare_rdtsc();
	bare_wrmsr(X2(INITIAL), khz);
	wait_for(&hits, 2);
	CHECK(bare_rdtsc() - start >= 4 * khz);
	/* periodic */
	bare_wrmsr(X2(DIVIDE), 0xb);
	start = bare_rdtsc();
	bare_wrmsr(X2(LVT_TIMER), 0x20060);
	bare_wrmsr(X2(INITIAL), 3 * khz);
	wait_for(&hits, 7);
	took = bare_rdtsc() - start;
	CHECK(took >= 14 * khz);
	bare_wrmsr(X2(INITIAL), 0);
	bare_take_interrupts(); /* one more may have come before it stopped */
	/* deadline */
	hits = 7;
	start = bare_rdtsc();
	bare_apic_timer(start + 2 * khz, 0x60);
	wait_for(&hits, 8);
	CHECK(bare_rdtsc() - start >= 2 * khz);
	CHECK_EQ(bare_rdmsr(0x6e0), 0);
	/* masked: nothing comes */
	bare_wrmsr(X2(LVT_TIMER), 0x50060);
	bare_wrmsr(0x6e0, bare_rdtsc() + khz);
	bare_sleep_us(3000);
	CHECK_EQ(hits, 8);
	return 0;
}

/*
 * A timer of @ticks ticks that becomes periodic while it runs as one-shot. False: this CPU did not
 * run for so long that the timer ran out first; a one-shot timer then stops.
 */
static bool becomes_periodic(u64 ticks)
{
	bare_wrmsr(X2(LVT_TIMER), 0x60);
	bare_wrmsr(X2(INITIAL), ticks);
	bare_wrmsr(X2(LVT_TIMER), 0x20060);
	return bare_rdmsr(X2(CURRENT)) > 0;
}

/* Between one-shot and periodic a running timer goes on. */
static int timer_mode(void)
{
	u64 ticks = 2 * bare_tsc_khz(), start;
	u32 before;

	bare_on_interrupt(0x60, count);
	bare_wrmsr(X2(DIVIDE), 0xb);
	for (;; ticks *= 2) {
		start = bare_rdtsc();
		hits = 0;
		if (becomes_periodic(ticks))
			break;
		CHECK(bare_rdtsc() - start >= ticks);
		bare_wrmsr(X2(INITIAL), 0);
		bare_take_interrupts();
	}
	wait_for(&hits, 1);
	CHECK(bare_rdtsc() - start >= ticks);
	wait_for(&hits, 3);
	CHECK(bare_rdtsc() - start >= 3 * ticks);
	before = hits;
	bare_wrmsr(X2(LVT_TIMER), 0x60);
	wait_for(&hits, before + 1);
	bare_sleep_us(5000); /* disarms it, because the sleep uses its LVT */
	/* One period may have ended before the mode changed, without an interrupt. */
	CHECK(hits <= before + 2);
	return 0;
}

/* Only its own timer can wake this CPU in time. */
static int sleeps(void)
{
	u64 ms = bare_tsc_khz(), worst = 0;

	bare_sleep_us(300000); /* until the host has printed and drawn its first lines */
	for (u32 i = 0; i < 200; i++) {
		u64 start = bare_rdtsc(), took;

		bare_sleep_us(1000);
		took = bare_rdtsc() - start;
		if (took - ms > worst)
			worst = took - ms;
	}
	bare_printf("sleeps of 1 ms are late by up to %lu us\n", worst * 1000 / ms);
	CHECK(worst < 2 * ms);
	return 0;
}

static int priorities(void)
{
	bare_on_interrupt(0x60, low);
	bare_on_interrupt(0xe0, high);
	bare_wrmsr(X2(0x3f0), 0x60); /* self IPI */
	bare_wrmsr(X2(0x3f0), 0xe0);
	bare_take_interrupts();
	CHECK_EQ(order, 2);
	/* The higher one came first, or at the first instruction of the other's handler. */
	CHECK_EQ(first, 2);
	CHECK_EQ(second, 1);
	/* The TPR holds interrupts back; CR8 is the same register. */
	__asm__ volatile("mov %0, %%cr8" ::"r"(7ul));
	CHECK_EQ(bare_rdmsr(X2(0x80)), 0x70);
	bare_wrmsr(X2(0x3f0), 0x60);
	bare_take_interrupts();
	CHECK_EQ(order, 2);
	__asm__ volatile("mov %0, %%cr8" ::"r"(0ul));
	bare_take_interrupts();
	CHECK_EQ(order, 3);
	return 0;
}

static void write_cr8(u64 value)
{
	__asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory");
}

static u64 read_cr8(void)
{
	u64 value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value)::"memory");
	return value;
}

/* A kernel that raises and lowers CR8 all the time makes no exits, and gets its interrupts. */
static int cr8(void)
{
	u64 exits = vm_info(self()).exits;

	for (u64 i = 0; i < 10000; i++) {
		write_cr8(i & 15);
		CHECK_EQ(read_cr8(), i & 15);
	}
	exits = vm_info(self()).exits - exits;
	bare_printf("%lu exits\n", exits);
	CHECK(exits < 5000);
	bare_on_interrupt(0x65, count);
	bare_on_interrupt(0x95, count);
	for (u32 i = 0; i < 300; i += 3) {
		write_cr8(6 + i % 9);
		CHECK_EQ(bare_rdmsr(X2(0x80)), (6 + i % 9) << 4);
		CHECK_EQ(bare_rdmsr(X2(0xa0)), (6 + i % 9) << 4);
		bare_wrmsr(X2(0x3f0), 0x65);
		for (u64 level = 6 + i % 9; level >= 6; level--) {
			write_cr8(level);
			bare_take_interrupts();
			CHECK_EQ(hits, i);
		}
		__asm__ volatile("sti");
		write_cr8(5);
		bare_take_interrupts();
		CHECK_EQ(hits, i + 1);
		/* Raised again before IF is set: that interrupt waits; a higher one does not. */
		bare_wrmsr(X2(0x3f0), 0x65);
		write_cr8(8);
		bare_take_interrupts();
		CHECK_EQ(hits, i + 1);
		bare_wrmsr(X2(0x3f0), 0x95);
		bare_take_interrupts();
		CHECK_EQ(hits, i + 2);
		/* By the register, too. */
		bare_wrmsr(X2(0x80), 0x50);
		bare_take_interrupts();
		CHECK_EQ(hits, i + 3);
		CHECK_EQ(read_cr8(), 5);
	}
	return 0;
}

static void gp_write(void)
{
	bare_wrmsr(X2(0x20), 1); /* the ID is read-only */
}

static void gp_reserved(void)
{
	bare_wrmsr(X2(0x80), 1ul << 32);
}

static void gp_hole(void)
{
	bare_rdmsr(X2(0x40));
}

static void gp_eoi(void)
{
	bare_wrmsr(X2(0xb0), 1);
}

static void gp_svr(void)
{
	bare_wrmsr(X2(0xf0), 0x5ff);
}

static void gp_move(void)
{
	bare_wrmsr(MSR_APIC_BASE, bare_rdmsr(MSR_APIC_BASE) - 0x1000);
}

static int x2apic_gp(void)
{
	u64 base = bare_rdmsr(MSR_APIC_BASE);

	CHECK_EQ(bare_catch(gp_write), 13);
	CHECK_EQ(bare_catch(gp_reserved), 13);
	CHECK_EQ(bare_catch(gp_hole), 13);
	CHECK_EQ(bare_catch(gp_eoi), 13);
	CHECK_EQ(bare_catch(gp_svr), 13);
	bare_wrmsr(X2(0xf0), 0x3ff); /* focus checking: a bit that is kept, without effect */
	CHECK_EQ(bare_rdmsr(X2(0xf0)), 0x3ff);
	/* The registers stay at their address; writing that address is allowed. */
	CHECK_EQ(bare_catch(gp_move), 13);
	bare_wrmsr(MSR_APIC_BASE, base);
	CHECK_EQ(bare_rdmsr(MSR_APIC_BASE), base);
	return 0;
}

/* --- errors, and the APIC switched off ------------------------------------------------- */

static int errors(void)
{
	bare_on_interrupt(0x61, count);
	bare_wrmsr(X2(0x370), 0x61);
	bare_wrmsr(X2(ICR), 0x40005); /* no such vector, to itself */
	wait_for(&hits, 1);
	CHECK_EQ(bare_rdmsr(X2(0x280)), 0); /* a write shows it */
	bare_wrmsr(X2(0x280), 0);
	CHECK_EQ(bare_rdmsr(X2(0x280)), 0x20);
	bare_wrmsr(X2(0x280), 0);
	CHECK_EQ(bare_rdmsr(X2(0x280)), 0);
	CHECK_EQ(hits, 1);
	/* Switched off: takes no new interrupts, and the LVT is masked. */
	bare_wrmsr(X2(0x3f0), 0x61);
	bare_wrmsr(X2(0xf0), 0xff);
	CHECK_EQ(bare_rdmsr(X2(0x370)), 0x10061);
	bare_wrmsr(X2(0x3f0), 0x62);
	CHECK_EQ(bare_rdmsr(X2(0x230)), 1u << 1);
	wait_for(&hits, 2);
	bare_wrmsr(X2(0xf0), 0x1ff);
	/* An interrupt in service is in ISR and not level triggered. */
	CHECK_EQ(bare_rdmsr(X2(0x1b0)), 0);
	CHECK_EQ(bare_rdmsr(X2(0x130)), 0);
	return 0;
}

/* --- EOI as KVM's guests do it ------------------------------------------------------- */

#define MSR_PV_STEAL_TIME 0x4b564d03
#define MSR_PV_EOI 0x4b564d04

static volatile u32 pv_flag, pv_seen, pv_after, pv_in_service;

/* The flag alone ends this one; the EOI after the handler ends nothing more. */
static void by_flag(void)
{
	pv_seen = pv_flag;
	pv_flag = 0;
	pv_in_service = (u32)bare_rdmsr(X2(0x130));
	hits++;
}

/* Another one begins to wait: now the hypervisor needs the EOI. */
static void not_by_flag(void)
{
	pv_seen = pv_flag;
	bare_wrmsr(X2(0x3f0), 0x50);
	pv_after = pv_flag;
	pv_in_service = (u32)bare_rdmsr(X2(0x130));
	hits++;
}

static int pv_eoi(void)
{
	static struct {
		u64 steal;
		u32 version, rest[13];
	} __attribute__((aligned(64))) area;
	u32 r[4];

	bare_cpuid(0x40000101, 0, r);
	CHECK_EQ(r[0] >> 5 & 3, 3);
	bare_on_interrupt(0x60, by_flag);
	bare_on_interrupt(0x61, not_by_flag);
	bare_on_interrupt(0x50, count);
	bare_wrmsr(MSR_PV_EOI, (u64)&pv_flag | 1);
	for (u32 i = 1; i <= 3; i++) {
		bare_wrmsr(X2(0x3f0), 0x60);
		wait_for(&hits, i);
		CHECK_EQ(pv_seen, 1);
		CHECK_EQ(pv_in_service, 0);
	}
	bare_wrmsr(X2(0x3f0), 0x61);
	wait_for(&hits, 5);
	CHECK_EQ(pv_seen, 1);
	CHECK_EQ(pv_after, 0);
	CHECK_EQ(pv_in_service, 1u << 1);
	bare_wrmsr(MSR_PV_EOI, 0);
	bare_wrmsr(X2(0x3f0), 0x60);
	wait_for(&hits, 6);
	CHECK_EQ(pv_seen, 0);
	/* The hypervisor writes the area each time that this vCPU gets a CPU. */
	bare_wrmsr(MSR_PV_STEAL_TIME, (u64)&area | 1);
	CHECK_EQ(bare_rdmsr(MSR_PV_STEAL_TIME), (u64)&area | 1);
	while (((volatile u32 *)&area.version)[0] < 10)
		bare_sleep_us(1000);
	CHECK_EQ(area.version & 1, 0);
	return 0;
}

/* --- UART and clock --------------------------------------------------------------------- */

#define COM1 0x3f8

/* The checks of Linux's 8250 driver before it uses the chip. */
static int uart(void)
{
	bare_outb(COM1 + 4, 0x1a); /* loopback, OUT2, RTS */
	CHECK_EQ(bare_inb(COM1 + 6) & 0xf0, 0x90);
	bare_outb(COM1, 'u'); /* to itself, not to the console */
	CHECK_EQ(bare_inb(COM1 + 5) & 1, 1);
	CHECK_EQ(bare_inb(COM1), 'u');
	CHECK_EQ(bare_inb(COM1 + 5), 0x60);
	bare_outb(COM1 + 4, 0);
	bare_outb(COM1 + 2, 1);
	CHECK_EQ(bare_inb(COM1 + 2), 0xc1);
	bare_outb(COM1 + 1, 2);
	CHECK_EQ(bare_inb(COM1 + 2), 0xc2);
	CHECK_EQ(bare_inb(COM1 + 2), 0xc1);
	bare_outb(COM1 + 1, 0);
	return 0;
}

static u8 cmos(u8 index)
{
	bare_outb(0x70, index);
	return bare_inb(0x71);
}

static u32 digits(u8 index)
{
	u8 v = cmos(index);

	return (u32)(v >> 4) * 10 + (v & 15);
}

/* The host's clock, which tools/run sets to November 2023 in Bochs, must go on. */
static int clock(void)
{
	u32 year = digits(0x32) * 100 + digits(9), now = digits(0);

	CHECK_EQ(cmos(11), 2);
	CHECK_EQ(cmos(13), 0x80);
	CHECK(year >= 2023 && year < 2200);
	CHECK(digits(8) >= 1 && digits(8) <= 12);
	CHECK(digits(7) >= 1 && digits(7) <= 31);
	CHECK(digits(4) < 24 && digits(2) < 60 && now < 60);
	for (u64 end = bare_rdtsc() + 1200 * bare_tsc_khz(); digits(0) == now;)
		CHECK(bare_rdtsc() < end);
	return 0;
}

/* --- memory-mapped registers ------------------------------------------------------ */

static volatile u32 *const mmio = (volatile u32 *)0xfee00000ul;

static int xapic(void)
{
	u64 base = bare_rdmsr(MSR_APIC_BASE);
	u32 r[4];

	/* x2APIC to xAPIC goes only through "off"; the CPU has no APIC then. */
	bare_wrmsr(MSR_APIC_BASE, base & ~0xc00ul);
	bare_cpuid(1, 0, r);
	CHECK_EQ(r[3] & 1u << 9, 0);
	bare_wrmsr(MSR_APIC_BASE, (base & ~0xc00ul) | 0x800);
	bare_cpuid(1, 0, r);
	CHECK(r[3] & 1u << 9);
	mmio[0xf0 / 4] = 0x1ff;
	CHECK_EQ(mmio[0x30 / 4] & 0xff, 0x14);
	CHECK_EQ(mmio[0x20 / 4], 0);
	mmio[0x80 / 4] = 0x50;
	CHECK_EQ(mmio[0x80 / 4], 0x50);
	mmio[0x80 / 4] = 0;
	mmio[0xd0 / 4] = 0x01000000; /* logical id 1, flat */
	CHECK_EQ(mmio[0xe0 / 4], 0xffffffff);
	/* IPIs to itself: physical, logical, shorthand. IRR shows them while interrupts are off. */
	mmio[0x310 / 4] = 0;
	mmio[ICR / 4] = 0x71;
	CHECK_EQ(mmio[0x230 / 4], 1u << (0x71 - 0x60));
	mmio[0x310 / 4] = 0x01000000;
	mmio[ICR / 4] = 0x872;
	CHECK_EQ(mmio[0x230 / 4], 3u << (0x71 - 0x60));
	mmio[ICR / 4] = 0x40073;
	CHECK_EQ(mmio[0x230 / 4], 7u << (0x71 - 0x60));
	mmio[0x310 / 4] = 0x02000000; /* nobody */
	mmio[ICR / 4] = 0x874;
	CHECK_EQ(mmio[0x230 / 4], 7u << (0x71 - 0x60));
	mmio[0x280 / 4] = 0;
	CHECK_EQ(mmio[0x280 / 4], 0);
	mmio[0x40 / 4] = 1; /* no such register */
	mmio[0x280 / 4] = 0;
	CHECK_EQ(mmio[0x280 / 4], 0x80);
	mmio[LVT_TIMER / 4] = 0x10075;
	mmio[DIVIDE / 4] = 0xb;
	mmio[INITIAL / 4] = 1000000000;
	CHECK(mmio[CURRENT / 4] > 0);
	/* Back, so that the pending ones can be served. */
	bare_wrmsr(MSR_APIC_BASE, base);
	for (u8 v = 0x71; v <= 0x73; v++)
		bare_on_interrupt(v, count);
	bare_take_interrupts();
	CHECK_EQ(hits, 3);
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "timer", timer },   { "timer-mode", timer_mode }, { "priorities", priorities },
		{ "cr8", cr8 },	      { "x2apic-gp", x2apic_gp },   { "xapic", xapic },
		{ "errors", errors }, { "pv-eoi", pv_eoi },	    { "uart", uart },
		{ "clock", clock },   { "sleeps", sleeps },	    { NULL, NULL },
	};

	return run_case(cases);
}
