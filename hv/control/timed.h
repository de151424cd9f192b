/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timed actions of aerostat.conf, as in "at = 90s stop web1", for machines without an
 * operator.  hv/config/timed_parse.c (pure) parses them, hv/control/timed.c does them in
 * the scheduler's tick.
 */
#ifndef HV_TIMED_H
#define HV_TIMED_H

#include <hv/config/config.h>

/* Time starts now. Boot. */
void timed_init(struct config *c);

/* Does what is due and asks for the next tick. From the scheduler's tick. */
void timed_tick(u64 now);

/* Is a VM to be started later? Then the host stays up although none runs. */
bool timed_start_pending(void);

#endif
