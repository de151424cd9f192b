/* SPDX-License-Identifier: BSD-2-Clause */
/* Microsoft's Hardware Watchdog Timers Design Specification: "Watchdog Action Table". */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/pc/watchdog.h>
#include <hv/base/log.h>

static u32 get(const struct watchdog_step *s, volatile void *at)
{
	u16 port = (u16)s->reg.address;

	if (at)
		return s->bytes == 1 ? *(volatile u8 *)at :
		       s->bytes == 2 ? *(volatile u16 *)at :
				       *(volatile u32 *)at;
	return s->bytes == 1 ? inb(port) : s->bytes == 2 ? inw(port) : inl(port);
}

static void put(const struct watchdog_step *s, volatile void *at, u32 v)
{
	u16 port = (u16)s->reg.address;

	switch (s->bytes) {
	case 1:
		at ? (void)(*(volatile u8 *)at = (u8)v) : outb(port, (u8)v);
		break;
	case 2:
		at ? (void)(*(volatile u16 *)at = (u16)v) : outw(port, (u16)v);
		break;
	default:
		at ? (void)(*(volatile u32 *)at = v) : outl(port, v);
	}
}

static bool perform(const struct watchdog_step *s)
{
	volatile void *at = NULL;
	u32 v = s->value & s->mask;

	if (s->reg.space == POWER_MEMORY) {
		at = paging_map_mmio(HPA(s->reg.address), s->bytes, PAGING_UC);
		if (!at)
			return false;
	}
	if (s->preserve)
		v |= get(s, at) & ~s->mask;
	put(s, at, v);
	return true;
}

void watchdog_stop(const struct watchdog *w)
{
	bool done = w->nr;

	if (!w->table)
		return;
	for (u32 i = 0; i < w->nr && done; i++)
		done = perform(&w->step[i]);
	if (done)
		log_line("watchdog: stopped, as the firmware's %s table tells", w->table);
	else
		log_line(
			"watchdog: the firmware's %s table names one that Aerostat cannot stop; if the machine resets after some minutes, switch it off in the firmware setup",
			w->table);
}
