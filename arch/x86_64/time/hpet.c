/* SPDX-License-Identifier: BSD-2-Clause */
/* IA-PC HPET Specification: "Register Overview". */
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/time/hpet.h>
#include <hv/base/log.h>

enum { /* 32-bit words */
       CAPABILITIES = 0x00 / 4,
       PERIOD = 0x04 / 4, /* of the counter, in femtoseconds */
       CONFIGURATION = 0x10 / 4,
       STATUS = 0x20 / 4,
       COUNTER = 0xf0 / 4,
       TIMERS = 0x100 / 4,
       TIMER_WORDS = 0x20 / 4,
};
#define PERIOD_MAX 100000000
#define FS_PER_S 1000000000000000UL
#define ENABLE BIT(0)
#define LEGACY_ROUTE BIT(1)
#define TIMER_INTERRUPT BIT(2)
#define TIMER_FSB BIT(14)

static volatile u32 *hpet;

int hpet_quiet(volatile u32 *regs)
{
	u32 timers = (regs[CAPABILITIES] >> 8 & 31) + 1;
	int on = 0;

	if (!regs[PERIOD] || regs[PERIOD] > PERIOD_MAX)
		return -1;
	for (u32 i = 0; i < timers; i++) {
		volatile u32 *config = &regs[TIMERS + i * TIMER_WORDS];

		on += !!(*config & TIMER_INTERRUPT);
		*config &= ~(u32)(TIMER_INTERRUPT | TIMER_FSB);
	}
	regs[CONFIGURATION] = (regs[CONFIGURATION] & ~(u32)LEGACY_ROUTE) | ENABLE;
	regs[STATUS] = UINT32_MAX; /* cleared by writing one */
	return on;
}

void hpet_init(u64 pa)
{
	volatile u32 *regs = pa ? paging_map_mmio(HPA(pa), 1024, PAGING_UC) : NULL;
	int on = regs ? hpet_quiet(regs) : -1;

	if (on < 0)
		return;
	hpet = regs;
	if (on)
		log_line("interrupts: the firmware had left %d timers of the HPET on", on);
}

u64 hpet_hz(void)
{
	return hpet ? FS_PER_S / hpet[PERIOD] : 0;
}

u32 hpet_read(void)
{
	return hpet[COUNTER];
}
