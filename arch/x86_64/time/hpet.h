/* SPDX-License-Identifier: BSD-2-Clause */
/* The HPET: a clock to measure the TSC with.  Its timers stay off. */
#ifndef ARCH_TIME_HPET_H
#define ARCH_TIME_HPET_H

#include <hv/base/types.h>

/*
 * Takes the HPET at @pa (0: there is none), ends interrupts that the firmware may have left on, and
 * starts the counter.
 */
void hpet_init(u64 pa);

/* The same for mapped registers. Returns how many timers were on, or -1: it is no HPET. */
int hpet_quiet(volatile u32 *regs);

/* Hz of the counter; 0: there is none. */
u64 hpet_hz(void);
/* Its low 32 bits. */
u32 hpet_read(void);

#endif
