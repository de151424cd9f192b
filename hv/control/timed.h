/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timed actions of aerostat.conf, "at = 90s stop web1": what an operator would
 * type, for machines where nobody sits.  Parsed by hv/config/timed_parse.c (pure),
 * done by hv/control/timed.c from the scheduler's tick.
 */
#ifndef HV_TIMED_H
#define HV_TIMED_H

#include <hv/config/config.h>

/* Takes "90s ACTION [VM] [VALUE]". false: @error says what to write. */
bool timed_parse(const char *text, struct timed_action *a, char error[CONFIG_ERROR_MAX]);

/* Finds the VM that @a names, and checks the value against it; as above. */
bool timed_resolve(struct timed_action *a, const struct config *c, char error[CONFIG_ERROR_MAX]);

const char *timed_name(enum timed_kind kind);

/* Time starts now. Boot. */
void timed_init(struct config *c);

/* Does what is due and asks for the next tick. From the scheduler's tick. */
void timed_tick(u64 now);

/* Is a VM to be started later? Then the host stays up although none runs. */
bool timed_start_pending(void);

#endif
