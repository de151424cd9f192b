/* SPDX-License-Identifier: BSD-2-Clause */
/* All of hv/control that takes time: boot/main.c starts it, gives it ticks and stops it. */
#ifndef HV_CONTROL_CONTROL_H
#define HV_CONTROL_CONTROL_H

#include <hv/config/config.h>

/* VMs have been created and will run. @keyboard: screen_key() will be called. Boot. */
void control_start(struct config *c, bool keyboard);

/* Does the work that is due at TSC @now. From the scheduler's tick. */
void control_tick(u64 now);

/* Should the host end? No VM is left, and none will be started, or the host was told to end. */
bool control_is_over(void);

/* The host ends: every line goes to the terminal and the screen at once from now on. */
void control_stop(void);

#endif
