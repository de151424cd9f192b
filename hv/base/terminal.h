/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's one terminal, which is a sink of the log.  It is the hypervisor's, or lent to
 * one VM: then the VM's bytes go there as they come, and the log waits in its ring.  This
 * module knows VMs only as addresses and names.
 */
#ifndef HV_BASE_TERMINAL_H
#define HV_BASE_TERMINAL_H

#include <hv/base/log.h>
#include <hv/base/types.h>

struct vm;

/* @write writes bytes as they are to the device behind @sink. Once, at boot. */
void terminal_open(void (*write)(const char *bytes, size_t n), struct log_sink *sink);

/* Is there a terminal? */
bool terminal_present(void);

/* The VM that has the terminal, or NULL: the hypervisor has it.  Any CPU. */
struct vm *terminal_borrower(void);

/* Writes what @vm says; false: @vm does not have the terminal.  Any CPU; takes log_lock(). */
bool terminal_send(const struct vm *vm, const char *bytes, size_t n);

/* --- from the scheduler's tick --- */

/*
 * @vm, called @name, gets the terminal.  The log or the terminal has had the first
 * @repeated bytes that it sends: tools/run leaves them out of the VM's log.
 */
void terminal_lend(struct vm *vm, const char *name, u32 repeated);

/*
 * The terminal is the hypervisor's from now on.  @for_good: undoes whatever the VM may
 * have done to it; otherwise the VM gets it again at once.
 */
void terminal_take_back(bool for_good);

/* Writes a line to the terminal alone.  The hypervisor has the terminal. */
void terminal_say(const char *fmt, ...) __printf(1, 2);

/* Writes at most @lines of the log that the terminal has missed; true: there are more. */
bool terminal_catch_up(u32 lines);

#endif
