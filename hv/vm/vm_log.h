/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines that a guest can cause.  The serial port takes some 9 ms for a line, and whoever
 * logs meanwhile waits for it; so a VM has a burst of lines, and then some each second.  What
 * was left out is counted, and the next line that is logged says how many lines that were.
 * Lines of operators and of the policy are log_line()'s, and have no limit.
 */
#ifndef HV_VM_VM_LOG_H
#define HV_VM_VM_LOG_H

#include <hv/base/types.h>

struct vm;

#define VM_LOG_BURST 20UL     /* lines */
#define VM_LOG_EVERY_MS 500UL /* a further line in this time */

struct vm_log {
	u64 paid_until; /* (a) TSC: the last line of the burst and of its time so far */
	u32 left_out;	/* (a) lines since the last one that was logged */
};

/* "vm NAME: " and the text, unless @vm has used up its lines. Any CPU, any lock below log.lock. */
void vm_log(struct vm *vm, const char *fmt, ...) __printf(2, 3);

/* Says how many lines were left out, if any were: @vm ends, and there may be no next line. */
void vm_log_end(struct vm *vm);

#endif
