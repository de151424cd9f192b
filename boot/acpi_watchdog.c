/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Microsoft's Hardware Watchdog Timers Design Specification: "Watchdog Action Table". We read only
 * the action that stops the watchdog.
 */
#include <boot/acpi.h>
#include <hv/base/string.h>

enum { /* offsets */
       WDAT_FLAGS = 60,
       WDAT_COUNT = 64,
       WDAT_ENTRIES = 68,
       ENTRY_ACTION = 0,
       ENTRY_INSTRUCTION = 1,
       ENTRY_REGISTER = 4, /* a Generic Address Structure */
       ENTRY_VALUE = 16,
       ENTRY_MASK = 20,
       ENTRY_BYTES = 24,
};
#define FLAG_ENABLED BIT(0)
#define SET_STOPPED_STATE 11
#define WRITE_VALUE 2
#define PRESERVE BIT(7)

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The access size of a Generic Address Structure, or else the register's width; 0: neither fits. */
static u8 bytes_of(const u8 *gas)
{
	u8 bytes = gas[3] ? (u8)(1 << ((gas[3] - 1) & 7)) : gas[1] / 8;

	return bytes == 1 || bytes == 2 || bytes == 4 ? bytes : 0;
}

static bool read_step(const u8 *e, struct watchdog_step *s)
{
	const u8 *gas = e + ENTRY_REGISTER;

	*s = (struct watchdog_step){
		.reg = { .address = get32(gas + 4) | (u64)get32(gas + 8) << 32, .space = gas[0] },
		.bytes = bytes_of(gas),
		.preserve = e[ENTRY_INSTRUCTION] & PRESERVE,
		.value = get32(e + ENTRY_VALUE),
		.mask = get32(e + ENTRY_MASK),
	};
	return (e[ENTRY_INSTRUCTION] & ~PRESERVE) == WRITE_VALUE && s->bytes && s->reg.address &&
	       (s->reg.space == POWER_MEMORY || s->reg.space == POWER_PORT);
}

void acpi_parse_wdat(const u8 *t, u32 length, struct watchdog *w)
{
	u32 count;

	if (length < WDAT_ENTRIES || !(t[WDAT_FLAGS] & FLAG_ENABLED))
		return;
	*w = (struct watchdog){ .table = "WDAT" };
	count = min(get32(t + WDAT_COUNT), (length - WDAT_ENTRIES) / ENTRY_BYTES);
	for (u32 i = 0; i < count; i++) {
		const u8 *e = t + WDAT_ENTRIES + i * ENTRY_BYTES;

		if (e[ENTRY_ACTION] != SET_STOPPED_STATE)
			continue;
		/* Take all instructions of the action, or none. */
		if (w->nr == WATCHDOG_STEPS || !read_step(e, &w->step[w->nr])) {
			w->nr = 0;
			return;
		}
		w->nr++;
	}
}
