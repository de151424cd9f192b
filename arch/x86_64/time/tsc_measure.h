/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TSC's frequency, measured against a clock of the machine.  The readings
 * are the caller's; nothing here touches hardware.
 */
#ifndef ARCH_TIME_TSC_MEASURE_H
#define ARCH_TIME_TSC_MEASURE_H

#include <hv/base/types.h>

/* Bochs has 50 MHz; what is outside of this was no clock, or no TSC. */
#define TSC_KHZ_LEAST 10000
#define TSC_KHZ_MOST 10000000

struct ref_clock {
	const char *name;
	u64 hz;
	u32 mask;	   /* of the bits that count, upwards */
	u32 (*read)(void); /* takes a microsecond or so */
	u64 (*tsc)(void);
};

/* One moment by both clocks; both readings lie within @width ticks of the TSC. */
struct tsc_edge {
	u64 tsc;
	u32 count, width;
};

/* Between two edges. */
struct tsc_window {
	u64 tsc, count;
};

/*
 * When the clock has just changed, the sharpest of a few tries: an SMI in one makes it wide.
 * False: the clock stands still, which takes it 10000 readings to prove.
 */
bool tsc_edge(const struct ref_clock *c, struct tsc_edge *e);

/*
 * kHz by most of @n windows, those that agree to 1/@tolerance; 0: most do not, or what they
 * agree on is no TSC.
 */
#define TSC_WINDOWS 6
u64 tsc_decide(const struct tsc_window *w, u32 n, u64 hz, u32 tolerance);

/* kHz, or 0; @first becomes an edge of what was measured. Some 24 ms. */
u64 tsc_measure(const struct ref_clock *c, struct tsc_edge *first);

/*
 * Better kHz: by all the time since @first, which must be less than the clock takes to wrap.
 * @khz where there is nothing better.
 */
u64 tsc_refine_khz(const struct ref_clock *c, const struct tsc_edge *first, u64 khz);

#endif
