/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a fuzz target: fuzz_one() decodes an input and acts on it. fuzz.c gives it the same
 * fresh process each time: all variables of the sources under test and of the fakes have their
 * first values again.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <tests/fake/fake.h>

struct input {
	const u8 *at, *end;
};

/*
 * Called once, before the variables are saved; each input begins with the state that this leaves.
 */
void fuzz_setup(void);

/* Runs one input. It must keep no memory; fake_machine_off() follows. */
void fuzz_one(struct input *in);

/* A property does not hold: prints why and the hypervisor's log, and stops. */
void fuzz_fail(const char *fmt, ...) __printf(1, 2) __attribute__((noreturn));

#define fuzz_assert(cond, fmt, ...)                                                             \
	do {                                                                                    \
		if (unlikely(!(cond)))                                                          \
			fuzz_fail("%s:%d: %s: " fmt, __FILE__, __LINE__, #cond, ##__VA_ARGS__); \
	} while (0)

/* From now on no line of the log may have bytes that control a terminal: guests fill them. */
void fuzz_watch_log(void);

/* frames.c: allows access to all of the fake's memory again, for the next owner. */
void fuzz_frames_off(void);

static inline size_t in_left(const struct input *in)
{
	return (size_t)(in->end - in->at);
}

/* The next bytes, little endian; zeroes behind the end. */
u64 in_bytes(struct input *in, size_t n);

static inline u8 in_8(struct input *in)
{
	return (u8)in_bytes(in, 1);
}

static inline u16 in_16(struct input *in)
{
	return (u16)in_bytes(in, 2);
}

static inline u32 in_32(struct input *in)
{
	return (u32)in_bytes(in, 4);
}

static inline u64 in_64(struct input *in)
{
	return in_bytes(in, 8);
}

/* A number with its length before it: small numbers are short, all are possible. */
u64 in_number(struct input *in);

/* The next @n bytes, fewer at the end; not a copy. */
const u8 *in_take(struct input *in, size_t *n);

/*
 * A copy of the next @n bytes, no larger, so that a read beyond it is noticed. Freed before the
 * next input.
 */
u8 *in_copy(struct input *in, size_t n);

/* @n bytes of zero, the same way. */
u8 *fuzz_zeroes(size_t n);

#endif
