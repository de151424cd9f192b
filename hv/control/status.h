/* SPDX-License-Identifier: BSD-2-Clause */
/* What people look at: the table of VMs, and the words at the end. */
#ifndef HV_STATUS_H
#define HV_STATUS_H

#include <hv/base/types.h>

struct vm;

/* The table, in lines that start with @ and that tools/run draws from. */
void status_print(void);

/* A word for what @vm does. */
const char *status_vm_state(const struct vm *vm);

/* Time since boot, to be read by people: "3 d 04:05:06". Returns @text. */
const char *status_uptime(char text[16]);

/* One VM has ended. */
void status_vm_ended(const struct vm *vm);

/* All have; returns 0 only if every one ended with 0. */
int status_summary(void);

#endif
