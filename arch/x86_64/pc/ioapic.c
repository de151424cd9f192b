/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel's 82093AA: "IOAPIC Registers", "I/O Redirection Table Registers". */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/pc/ioapic.h>
#include <hv/base/log.h>

#define SELECT (0x00 / 4)
#define WINDOW (0x10 / 4)
#define ID_VERSION 1
#define ENTRY(pin) (0x10 + 2 * (pin))
#define DELIVERY 0x700
#define DELIVERY_SMI 0x200
#define REMOTE_IRR 0x4000
#define LEVEL 0x8000
#define MASKED 0x10000
#define PINS_MAX 240
#define PLAY_PIN 2 /* where PCs have the PIT */
#define PLAY_VECTOR 0x40

static u32 get(volatile u32 *regs, u32 reg)
{
	regs[SELECT] = reg;
	return regs[WINDOW];
}

static void put(volatile u32 *regs, u32 reg, u32 v)
{
	regs[SELECT] = reg;
	regs[WINDOW] = v;
}

/* As an edge, because that drops a level interrupt which nobody has ended. */
u32 ioapic_quiet_entry(u32 low)
{
	if ((low & DELIVERY) == DELIVERY_SMI)
		return low;
	return (low & ~(u32)(LEVEL | REMOTE_IRR)) | MASKED;
}

/* Returns how many entries were on. */
static u32 quiet(volatile u32 *regs)
{
	u32 version = get(regs, ID_VERSION), pins = (version >> 16 & 0xff) + 1, on = 0;

	if (version == UINT32_MAX || pins > PINS_MAX)
		return 0; /* nobody there */
	for (u32 i = 0; i < pins; i++) {
		u32 low = get(regs, ENTRY(i)), now = ioapic_quiet_entry(low);

		on += now & MASKED && !(low & MASKED);
		if (now != low)
			put(regs, ENTRY(i), now);
	}
	return on;
}

void ioapic_quiet(const u32 *pa, u32 n)
{
	u32 on = 0;

	for (u32 i = 0; i < n; i++) {
		volatile u32 *regs = paging_map_mmio(HPA(pa[i]), 0x20, PAGING_UC);

		if (regs)
			on += quiet(regs);
	}
	if (on)
		log_line("interrupts: the firmware had left %u entries of I/O APICs on", on);
}

void ioapic_play_firmware(u32 pa, u32 apic_id)
{
	volatile u32 *regs = paging_map_mmio(HPA(pa), 0x20, PAGING_UC);

	outb(0x43, 0x34); /* channel 0 at 1 kHz */
	outb(0x40, 1193 & 0xff);
	outb(0x40, 1193 >> 8);
	if (!regs)
		return;
	put(regs, ENTRY(PLAY_PIN) + 1, apic_id << 24);
	put(regs, ENTRY(PLAY_PIN), PLAY_VECTOR);
}
