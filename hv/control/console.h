/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has the keyboard: the terminal on the host's serial port is lent to one VM at
 * a time, or is the hypervisor's own.  What a VM says becomes lines of the log,
 * without anything that a terminal would obey; while it has the terminal, its bytes
 * go there as they come, and the log waits in its ring.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <hv/base/atomic.h>
#include <hv/base/log.h>

#define CONSOLE_LINE_MAX 160

struct vm;

/* What is typed for @vm. Any CPU; returns for how many more there is room, the rest is lost. */
typedef u32 (*console_input_fn)(struct vm *vm, const char *bytes, size_t n);

/* A VM's side: its unfinished line (a prompt, mostly), and who listens. */
struct console {
	struct spinlock lock; /* taken below a device's own */
	u8 escape;	      /* within an escape sequence: see put() */
	u32 length, logged;   /* of the line, and what of it was shown already */
	u64 written;	      /* TSC of the last byte */
	console_input_fn input;
	char line[CONSOLE_LINE_MAX + 1];
};

/* --- for devices that are a VM's console; any number of them --- */

/* As after power-on: nobody listens. While no vCPU runs. */
void console_reset(struct vm *vm);

/* The guest says something. Any CPU. */
void console_output(struct vm *vm, const char *bytes, size_t n);

/* The guest listens on this device; the last one gets what is typed, before any the UART. */
void console_listen(struct vm *vm, console_input_fn input);

/* --- for the host --- */

/* The terminal: writes bytes as they are, and is this sink of the log. Once, at boot. */
void console_open(void (*write)(const char *bytes, size_t n), struct log_sink *sink);

/* @vm gets the keyboard as soon as it runs. Boot. */
void console_begin(struct vm *vm);

/* Has a VM the terminal? Nobody sees tables then. */
bool console_lent(void);

/*
 * False: what is typed should wait in the port, for the guest is not ready for
 * CONSOLE_TYPED_MAX bytes.  Not for longer than a second: Ctrl-a must come through.
 * From the scheduler's tick.
 */
#define CONSOLE_TYPED_MAX 64
bool console_ready(u64 now);

/* Somebody typed. From the scheduler's tick. */
void console_typed(const char *bytes, size_t n);

/* Shows @vm's unfinished line: it ends. */
void console_flush(struct vm *vm);

/* Shows unfinished lines of all VMs that are quiet at TSC @now, and what the terminal missed. */
void console_tick(u64 now);

/* The terminal is the hypervisor's from now on, with all that it missed. The host ends. */
void console_stop(void);

#endif
