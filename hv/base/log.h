/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: a ring in RAM that also feeds every console.  Whole lines, one
 * writer at a time, each with the time since boot.
 */
#ifndef HV_BASE_LOG_H
#define HV_BASE_LOG_H

#include <hv/base/types.h>

#define LOG_LINE_MAX 256
#define LOG_RING_SIZE 16384

/* One console.  @write gets whole lines or parts of one, never NUL-terminated. */
struct log_sink {
	void (*write)(const char *s, size_t len);
	struct log_sink *next;
	bool quiet; /* its device is lent: it gets no lines, except in a panic. Under log_lock() */
};

/* The sink first gets what the ring still has; nothing happens if it was added before. Boot only. */
void log_add_sink(struct log_sink *sink);

/* One line with a time stamp; a newline is added. Any CPU, any lock held below log.lock. */
void log_line(const char *fmt, ...) __printf(1, 2);

/* The same without the time stamp: guest consoles and machine-readable lines. */
void log_raw(const char *fmt, ...) __printf(1, 2);

/* An error where it arises: file:line is added. Returns @err, so that one can return it. */
int log_error_at(const char *where, int err, const char *fmt, ...) __printf(3, 4);
#define LOG_STR2(x) #x
#define LOG_STR(x) LOG_STR2(x)
#define log_error(err, ...) log_error_at(__FILE__ ":" LOG_STR(__LINE__), (err), __VA_ARGS__)

/* From here on ignores the lock: for a panicking CPU, which may have held it. */
void log_bust_lock(void);

bool log_is_busted(void);

/*
 * Ends the turn of a borrower of a sink's device.  The first byte, ASCII's record
 * separator, tells tools/run so; the rest of that line puts a terminal right.
 */
#define LOG_TURN_OVER '\036'
#define LOG_TAKE_BACK "\036\033[0m\r\n"

/* While it is held nothing is logged, so no sink writes: for code that shares a sink's device. */
void log_lock(void);
void log_unlock(void);

/* Lines ever. */
u64 log_lines(void);

/*
 * The ring by position: bytes ever written, the oldest that is still there, and
 * the byte at a position between them.  Without the lock a reader may get a byte
 * that is being replaced; log_written() has moved then.
 */
u64 log_written(void);
u64 log_oldest(void);
char log_byte(u64 at);

#endif
