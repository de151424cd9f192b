/* SPDX-License-Identifier: BSD-2-Clause */
/* The HPET: a clock to measure the TSC with.  Its timers stay off. */
#ifndef ARCH_TIME_HPET_H
#define ARCH_TIME_HPET_H

#include <hv/base/types.h>

/*
 * At @pa, 0: there is none.  Ends the interrupts that the firmware may have left on, and lets
 * the counter run.
 */
void hpet_init(u64 pa);

/* The same for registers that are mapped; how many timers were on, or -1: it is no HPET. */
int hpet_quiet(volatile u32 *regs);

/* Of the counter; 0: there is none. */
u64 hpet_hz(void);
/* Its low 32 bits. */
u32 hpet_read(void);

#endif
