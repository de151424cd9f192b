/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/date.h>
#include <hv/base/platform.h>
#include <hv/vm/vm.h>

enum { REG_A = 10, REG_B, REG_C, REG_D };
#define A_UPDATING BIT(7)
#define A_32KHZ 0x26
#define B_24_HOURS BIT(1)
#define B_SET BIT(7)
#define D_VALID BIT(7)

#define SECOND_US 1000000
#define UPDATING_US 244	   /* it says so before, for so long */
#define NO_CLOCK 946684800 /* 2000-01-01, where the host does not know the time */

/* Which of a date's registers: also the place in struct rtc's value[]. */
enum { SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY, NOT_TIME };

static u32 time_register(u8 index)
{
	switch (index) {
	case 0:
		return SECOND;
	case 2:
		return MINUTE;
	case 4:
		return HOUR;
	case 6 ... 9:
		return WEEKDAY + index - 6;
	case RTC_CENTURY:
		return CENTURY;
	default:
		return NOT_TIME;
	}
}

static u64 host_us(void)
{
	u64 us = plat_wall_time_us();

	return us ? us : NO_CLOCK * (u64)SECOND_US + plat_time_us();
}

void rtc_reset(struct vm *vm)
{
	vm->rtc = (struct rtc){ 0 };
}

static void show_time(const struct rtc *r, u8 value[8])
{
	u64 seconds = host_us() / SECOND_US + atomic_load(&r->ahead);
	struct date d = date_of_seconds(seconds);

	value[SECOND] = binary_to_bcd(d.second);
	value[MINUTE] = binary_to_bcd(d.minute);
	value[HOUR] = binary_to_bcd(d.hour);
	value[WEEKDAY] =
		(u8)((seconds / 86400 + 4) % 7 + 1); /* 1970 began on a Thursday; Sunday is 1 */
	value[DAY] = binary_to_bcd(d.day);
	value[MONTH] = binary_to_bcd(d.month);
	value[YEAR] = binary_to_bcd(d.year % 100);
	value[CENTURY] = binary_to_bcd(d.year / 100);
}

/* The guest has written a time; one that is none is forgotten. */
static void take_time(struct rtc *r)
{
	struct date d = {
		.year = bcd_to_binary(r->value[CENTURY]) * 100 + bcd_to_binary(r->value[YEAR]),
		.month = bcd_to_binary(r->value[MONTH]),
		.day = bcd_to_binary(r->value[DAY]),
		.hour = bcd_to_binary(r->value[HOUR]),
		.minute = bcd_to_binary(r->value[MINUTE]),
		.second = bcd_to_binary(r->value[SECOND]),
	};

	if (date_valid(&d))
		atomic_store(&r->ahead, date_to_seconds(&d) - host_us() / SECOND_US);
}

/* While SET is on, the time stands still and can be written. */
static void write_b(struct rtc *r, u32 value)
{
	bool set = value & B_SET;

	if (set && !r->set)
		show_time(r, r->value);
	if (!set && r->set)
		take_time(r);
	r->set = set;
}

static u32 read_a(const struct rtc *r)
{
	bool updating = host_us() % SECOND_US >= SECOND_US - UPDATING_US;

	return A_32KHZ | (updating && !r->set ? A_UPDATING : 0);
}

u32 rtc_in(struct vm *vm, u16 port)
{
	struct rtc *r = &vm->rtc;
	u8 now[8], index = r->index;
	u32 which = time_register(index);

	if (port == RTC_PORT)
		return 0xff; /* the index is write-only */
	if (which != NOT_TIME) {
		if (r->set)
			return r->value[which];
		show_time(r, now);
		return now[which];
	}
	switch (index) {
	case REG_A:
		return read_a(r);
	case REG_B:
		return B_24_HOURS | (r->set ? B_SET : 0);
	case REG_D:
		return plat_wall_time_us() ? D_VALID : 0;
	default:
		return 0;
	}
}

void rtc_out(struct vm *vm, u16 port, u32 value)
{
	struct rtc *r = &vm->rtc;
	u32 which = time_register(r->index);

	if (port == RTC_PORT)
		r->index = value & 0x7f; /* bit 7 masks NMIs; not here */
	else if (r->index == REG_B)
		write_b(r, value);
	else if (which != NOT_TIME && r->set)
		r->value[which] = (u8)value;
}
