/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the TSC's frequency against a clock of the machine. The caller supplies the readings;
 * nothing here touches hardware.
 */
#ifndef ARCH_TIME_TSC_MEASURE_H
#define ARCH_TIME_TSC_MEASURE_H

#include <hv/base/types.h>

/* Bochs has 50 MHz. A result outside of these limits means that the clock or the TSC is broken. */
#define TSC_KHZ_LEAST 10000
#define TSC_KHZ_MOST 10000000

struct ref_clock {
	const char *name;
	u64 hz;
	u32 mask;	   /* the bits that count; the clock counts upwards */
	u32 (*read)(void); /* takes about 1 us */
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
 * Finds a moment at which the clock has just changed: the narrowest of a few tries, because an SMI
 * makes a try wide. False: the clock has not changed in 10000 readings.
 */
bool tsc_edge(const struct ref_clock *c, struct tsc_edge *e);

/*
 * Returns the kHz on which most of @n windows agree to 1/@tolerance; 0: most do not agree, or the
 * result is outside of the limits.
 */
#define TSC_WINDOWS 6
u64 tsc_decide(const struct tsc_window *w, u32 n, u64 hz, u32 tolerance);

/* Returns kHz, or 0; @first becomes an edge of the measurement. Takes about 24 ms. */
u64 tsc_measure(const struct ref_clock *c, struct tsc_edge *first);

/*
 * Returns more exact kHz, over all the time since @first, which must be shorter than the clock
 * takes to wrap; @khz if the new value is no better.
 */
u64 tsc_refine_khz(const struct ref_clock *c, const struct tsc_edge *first, u64 khz);

#endif
