/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What somebody types at the host's terminal.  Ctrl-a and the key after it are the
 * hypervisor's, as are all keys while no VM has the terminal; the rest goes to the VM that
 * has it.  Everything here runs in the scheduler's tick.
 */
#ifndef HV_CONTROL_OPERATOR_H
#define HV_CONTROL_OPERATOR_H

#include <hv/base/types.h>

struct vm;

/* @vm gets the terminal as soon as it runs. Boot. */
void operator_begin(struct vm *vm);

/*
 * False: typed bytes should wait in the port, because the guest has no room for
 * OPERATOR_TYPED_MAX of them.  After a second it is true all the same: Ctrl-a must come
 * through.  @now: TSC.
 */
#define OPERATOR_TYPED_MAX 64
bool operator_ready(u64 now);

/* Somebody typed @n bytes. */
void operator_typed(const char *bytes, size_t n);

/* The terminal comes back from a VM that has ended, and shows what it has missed. */
void operator_tick(u64 now);

/* The host ends: the terminal comes back and shows all that it has missed. */
void operator_stop(void);

#endif
