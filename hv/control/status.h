/* SPDX-License-Identifier: BSD-2-Clause */
/* The host tells about its VMs: a word for a state, the table of @ lines, the last lines. */
#ifndef HV_CONTROL_STATUS_H
#define HV_CONTROL_STATUS_H

#include <hv/base/types.h>

struct vm;

/* The state of @vm as everybody is told it: AERO_VM_*, and the word for that. */
u32 status_vm_state(const struct vm *vm);
const char *status_vm_word(const struct vm *vm);

/* Time since boot, to be read by people: "3 d 04:05:06". Returns @text. */
const char *status_uptime(char text[16]);

/* The table: lines that start with @, from which tools/run draws. */
void status_print(void);

/* The table is printed every @ms milliseconds from now on; 0: never. Boot. */
void status_start(u32 ms);

/* Prints the table if it is due and no VM has the terminal. From the scheduler's tick. */
void status_tick(u64 now);

/* The last lines, once all VMs have ended; returns 0 only if each ended with status 0. */
int status_summary(void);

#endif
