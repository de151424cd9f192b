/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's console.  Any number of devices are one: what a guest says on them becomes
 * lines of the log, without anything that a terminal would obey, or goes to the terminal
 * as it is while the VM has that; what is typed for the VM goes to one of them.
 *
 * A line of the log says whose it is and whether it ends: "NAME| text" ends a line of the
 * VM, "NAME|+text" is a piece of one that goes on.
 */
#ifndef HV_DEV_CONSOLE_H
#define HV_DEV_CONSOLE_H

#include <hv/base/lock.h>
#include <hv/base/types.h>

#define CONSOLE_LINE_MAX 160

struct vm;

/*
 * Takes bytes that were typed for @vm and drops those that find no room; returns how many
 * more there is room for.  Any CPU.
 */
typedef u32 (*console_input_fn)(struct vm *vm, const char *bytes, size_t n);

struct console {
	SPINLOCK(LOCK_CONSOLE) lock;
	u8 escape;		/* within an escape sequence: see put() */
	bool open;		/* the log has a piece of the unfinished line, and waits for more */
	u32 length, logged;	/* of the unfinished line, and how much of it was shown */
	u64 written;		/* TSC of the last byte */
	console_input_fn input; /* (a) of the device that the guest listens on, or NULL */
	console_input_fn polled; /* (a) of the device that a guest may poll, or NULL */
	char line[CONSOLE_LINE_MAX + 1];
};

/* --- for devices --- */

/* As after power-on: no device is there. While no vCPU runs. */
void console_reset(struct vm *vm);

/* The guest may poll this device: it gets what is typed while the guest listens on none. */
void console_attach(struct vm *vm, console_input_fn input);

/* The guest listens on this device; the last one gets what is typed. Any CPU. */
void console_listen(struct vm *vm, console_input_fn input);

/* The guest says something. Any CPU. */
void console_output(struct vm *vm, const char *bytes, size_t n);

/* --- for the host --- */

/* Gives the guest what was typed; returns how many more bytes there is room for.  @vm is alive. */
u32 console_input(struct vm *vm, const char *bytes, size_t n);

/* @vm is over: its unfinished line ends and is shown. */
void console_flush(struct vm *vm);

/* Lends the terminal to @vm and shows its unfinished line there. From the scheduler's tick. */
void console_lend(struct vm *vm);

/* Shows unfinished lines of all VMs that are quiet at TSC @now. From the scheduler's tick. */
void console_tick(u64 now);

#endif
