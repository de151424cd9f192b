/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock of an MC146818 at ports 0x70 and 0x71: date and time, UTC, in BCD
 * and 24 hours, with the century at 0x32.  It has no interrupts (its alarms
 * and rates read as off) and no memory; a guest may set it for itself.
 * There is no lock: two vCPUs that use it at once spoil their own time only.
 */
#ifndef HV_DEV_RTC_H
#define HV_DEV_RTC_H

#include <hv/base/types.h>

#define RTC_PORT 0x70
#define RTC_CENTURY 0x32

struct vm;

struct rtc {
	u8 index;
	bool set;    /* register B: the guest writes a new time */
	u8 value[8]; /* what it has written; see rtc.c */
	u64 ahead;   /* (a) of the host's clock, in seconds, modulo 2^64 */
};

void rtc_reset(struct vm *vm);

u32 rtc_in(struct vm *vm, u16 port);
void rtc_out(struct vm *vm, u16 port, u32 value);

#endif
