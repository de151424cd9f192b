/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log for people: whole lines, without those for programs (which begin with @).  The
 * first SCROLLBACK_PINNED bytes of it stay for ever, the newest lines as far as there is
 * room.
 *
 * Each byte has a position, which never changes; lines are found by their positions.
 * Written by a sink of the log, so under log_lock(); read without a lock: a line that is
 * dropped meanwhile is torn for one picture.
 */
#ifndef HV_CONTROL_SCROLLBACK_H
#define HV_CONTROL_SCROLLBACK_H

#include <hv/base/types.h>

#define SCROLLBACK_PINNED 4096
#define SCROLLBACK_MIN KIB(64)

/*
 * Keeps lines in @memory from now on, and first those that the log's ring still has.
 * @bytes: at least SCROLLBACK_MIN, or 0: keeps nothing.
 */
void scrollback_init(char *memory, u64 bytes);

/* Takes bytes of the log, in pieces of any size. */
void scrollback_add(const char *s, size_t n);

/* The text is [start, end); its newline is at @end, the next line behind that. */
struct scrollback_line {
	u64 start, end;
	u64 lost; /* lines right before this one that are gone */
};

/* Position behind the last line. */
u64 scrollback_end(void);

char scrollback_byte(u64 at);

/* The line that starts at @at, or the oldest one behind it that is left. False: there is none. */
bool scrollback_from(u64 at, struct scrollback_line *l);

/* The line before @at, where one starts or scrollback_end() is. False: there is none. */
bool scrollback_before(u64 at, struct scrollback_line *l);

#endif
