/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818 clock of a PC, taken to run in UTC. It is read, never written. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/cmos.h>
#include <hv/base/date.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>

enum { SECOND = 0, MINUTE = 2, HOUR = 4, DAY = 7, MONTH = 8, YEAR = 9, REG_A = 10, REG_B = 11 };
#define A_UPDATING 0x80
#define B_BINARY 0x04
#define B_24_HOURS 0x02
#define HOUR_PM 0x80
/* An update takes 2 ms at most and comes once a second. */
#define WAIT_MS 10
#define TRIES 4

static u64 wall_at_boot; /* us since 1970 when plat_time_us() was 0; 0: unknown */

static u8 cmos(u32 index)
{
	outb(0x70, (u8)index);
	return inb(0x71);
}

static u32 number(u32 index, bool binary)
{
	u32 value = cmos(index);

	return binary ? value : bcd_to_binary(value);
}

static bool wait_for_update(void)
{
	u64 end = rdtsc() + WAIT_MS * plat_tsc_khz();

	while (cmos(REG_A) & A_UPDATING)
		if (rdtsc() > end)
			return false; /* there is no clock: all bits read as 1 */
	return true;
}

static void read_date(struct date *d, u8 century)
{
	u32 mode = cmos(REG_B), hour = cmos(HOUR);
	bool binary = mode & B_BINARY;
	u32 hundreds = century ? number(century & 0x7f, binary) : 20;

	d->second = number(SECOND, binary);
	d->minute = number(MINUTE, binary);
	d->hour = binary ? hour & ~HOUR_PM : bcd_to_binary(hour & ~HOUR_PM);
	if (!(mode & B_24_HOURS))
		d->hour = d->hour % 12 + (hour & HOUR_PM ? 12 : 0);
	d->day = number(DAY, binary);
	d->month = number(MONTH, binary);
	/* On firmware without this register the byte has any value. */
	d->year = (hundreds >= 20 && hundreds < 22 ? hundreds : 20) * 100 + number(YEAR, binary);
}

/* Reads until two readings agree: then no update came between them. */
static bool read_steady(struct date *d, u8 century)
{
	struct date again;

	for (int i = 0; i < TRIES; i++) {
		if (!wait_for_update())
			return false;
		read_date(d, century);
		if (!wait_for_update())
			return false;
		read_date(&again, century);
		if (date_valid(d) && date_to_seconds(d) == date_to_seconds(&again))
			return true;
	}
	return false;
}

void cmos_init(u8 century)
{
	struct date d;

	if (!read_steady(&d, century)) {
		log_line("time: this machine has no clock; guests start in the year 2000");
		return;
	}
	wall_at_boot = date_to_seconds(&d) * 1000000 - plat_time_us();
	log_line("time: %u-%02u-%02u %02u:%02u:%02u", d.year, d.month, d.day, d.hour, d.minute,
		 d.second);
}

u64 plat_wall_time_us(void)
{
	return wall_at_boot ? wall_at_boot + plat_time_us() : 0;
}

/* Bit 7 of the RTC's index port; a write to that port wants a read of the data port. */
void cmos_hold_nmi(bool hold)
{
	outb(0x70, hold ? 0x8d : 0x0d);
	inb(0x71);
}
