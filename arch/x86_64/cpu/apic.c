/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM: "Advanced Programmable Interrupt Controller (APIC)".  IA32_APIC_BASE.EN
 * is never cleared: neither emulated CPU brings the APIC back after that.
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/errata.h>
#include <arch/x86_64/quirks/identify.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <hv/base/err.h>
#include <hv/base/log.h>

enum {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SVR = 0xf0,
	APIC_ISR = 0x100, /* eight words */
	APIC_ICR = 0x300,
	APIC_ICR_HI = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};
#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_STATUS 0x7000 /* read-only bits, and LINT0's and LINT1's polarity */
#define LVT_NMI 0x400
#define LVT_EXTINT 0x700
#define TIMER_TSC_DEADLINE 0x40000
#define ICR_PENDING 0x1000
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_ASSERT 0x4000
#define ICR_ALL_BUT_SELF 0xc0000

static struct {
	bool x2;
	bool deadline_mode;
	volatile u32 *mmio;
	u64 tsc_per_tick_shl16; /* one-shot mode: TSC ticks per tick of the timer, times 65536 */
} apic;

static u32 apic_read(u32 reg)
{
	return apic.x2 ? (u32)rdmsr(MSR_X2APIC_BASE + (reg >> 4)) : apic.mmio[reg / 4];
}

static void apic_write(u32 reg, u32 v)
{
	if (apic.x2)
		wrmsr(MSR_X2APIC_BASE + (reg >> 4), v);
	else
		apic.mmio[reg / 4] = v;
}

/*
 * SDM: "MSR Access in x2APIC Mode", "TSC-Deadline Mode". WRMSR to these registers does not wait for
 * earlier stores and reads of the TSC.
 */
static void fence_before_wrmsr(void)
{
	asm volatile("mfence; lfence" ::: "memory");
}

static void icr_write(u32 dest, u32 low)
{
	if (apic.x2) {
		fence_before_wrmsr(); /* the other CPU must see the stores for which we kick it */
		wrmsr(MSR_X2APIC_BASE + (APIC_ICR >> 4), (u64)dest << 32 | low);
		return;
	}
	while (apic.mmio[APIC_ICR / 4] & ICR_PENDING)
		cpu_pause();
	apic.mmio[APIC_ICR_HI / 4] = dest << 24;
	apic.mmio[APIC_ICR / 4] = low;
}

int apic_init(u32 highest_id, bool opted_out)
{
	struct cpuid_regs one = cpuid(1, 0);
	struct cpu_id id;
	struct apic_facts f = { &id, one.c, rdmsr(MSR_IA32_APIC_BASE), highest_id, opted_out };
	struct apic_choice c;

	if (!(one.d & BIT(9)))
		return log_error(HV_ENODEV, "no local APIC: enable it in the firmware setup");
	cpu_identify(&id);
	c = errata_choose_apic(&f);
	apic.x2 = c.x2;
	apic.deadline_mode = c.deadline;
	if (!apic.x2) {
		apic.mmio = paging_map_mmio(HPA(f.base & 0xffffff000UL), PAGE_SIZE, PAGING_UC);
		if (!apic.mmio)
			return HV_ENOMEM;
	}
	log_line("apic: %s, timer %s", c.why, c.deadline ? "by TSC deadline" : "one-shot");
	if (c.microcode)
		log_line(
			"apic: TSC deadlines are unreliable here before microcode %x; update the firmware",
			c.microcode);
	return HV_OK;
}

static void lvt_write(u32 reg, u32 v)
{
	u32 now;

	apic_write(reg, v);
	now = apic_read(reg) & ~(u32)LVT_STATUS;
	if (now != v)
		log_line("cpu %u: the APIC's register %x is %x, not %x; interrupts there get lost",
			 plat_cpu(), reg, now, v);
}

/* An interrupt that the firmware took and never ended holds back all of lower priority. */
static void end_left_overs(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 in_service = 0;

		for (u32 reg = APIC_ISR; reg < APIC_ISR + 0x80; reg += 0x10)
			in_service |= apic_read(reg);
		if (!in_service)
			break;
		apic_eoi();
	}
}

void apic_enable(void)
{
	if (apic.x2)
		wrmsr(MSR_IA32_APIC_BASE,
		      rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_EN | APIC_BASE_EXTD);
	/* SDM: "Local APIC State After It Has Been Software Disabled": masks stay set before it. */
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	end_left_overs();
	apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	lvt_write(APIC_LVT_LINT0, LVT_MASKED);
	lvt_write(APIC_LVT_LINT1, LVT_NMI);
	lvt_write(APIC_LVT_ERROR, LVT_MASKED);
	lvt_write(APIC_LVT_TIMER, VECTOR_TIMER | (apic.deadline_mode ? TIMER_TSC_DEADLINE : 0));
}

u32 apic_id(void)
{
	return apic.x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send_ipi(u32 dest, u8 vector)
{
	icr_write(dest, vector | ICR_ASSERT);
}

void apic_init_others(void)
{
	icr_write(0, ICR_INIT | ICR_ASSERT | ICR_ALL_BUT_SELF);
}

void apic_startup_others(u8 page)
{
	icr_write(0, ICR_STARTUP | ICR_ASSERT | ICR_ALL_BUT_SELF | page);
}

bool apic_is_x2(void)
{
	return apic.x2;
}

u32 apic_id_max(void)
{
	return apic.x2 ? UINT32_MAX - 1 : 254;
}

void apic_nmi_others(void)
{
	if (apic.x2 || apic.mmio)
		icr_write(0, ICR_NMI | ICR_ASSERT | ICR_ALL_BUT_SELF);
}

/* TSC ticks per tick of the timer, times 65536. A delay between two readings makes it less. */
static u64 measure_timer(void)
{
	u64 start, tsc;
	u32 ticks;

	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	start = rdtsc();
	while ((tsc = rdtsc() - start) < plat_tsc_khz())
		cpu_pause();
	ticks = UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
	return ticks ? (tsc << 16) / ticks : 65536;
}

void apic_timer_calibrate(void)
{
	u64 most = 1;

	if (apic.deadline_mode)
		return;
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	for (int i = 0; i < 3; i++)
		most = max(most, measure_timer());
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic.tsc_per_tick_shl16 = most;
}

void apic_timer_set(u64 deadline)
{
	struct cpu *c = this_cpu();
	u64 now, ticks;

	if (c->timer_armed == deadline)
		return;
	c->timer_armed = deadline;
	if (apic.deadline_mode) {
		fence_before_wrmsr();
		wrmsr(MSR_IA32_TSC_DEADLINE, deadline);
		return;
	}
	now = rdtsc();
	if (!deadline)
		ticks = 0;
	else if (deadline <= now)
		ticks = 1;
	else
		ticks = (min(deadline - now, 1UL << 40) << 16) / apic.tsc_per_tick_shl16 + 1;
	apic_write(APIC_TIMER_INITIAL, (u32)min(ticks, (u64)UINT32_MAX));
}

void pic_mask(void)
{
	/* Initialised first, so that a spurious interrupt has a vector of its own. */
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

/* MultiProcessor Specification: "Virtual Wire Mode". */
void pic_unmask(u32 irq)
{
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	outb(0x21, (u8)~BIT(irq));
}

void pic_eoi(void)
{
	outb(0x20, 0x20);
}
