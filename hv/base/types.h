/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fixed-width names, address types and small helpers used everywhere.
 * Guest-physical and host-physical addresses are distinct types, so that the
 * compiler refuses to mix them up.
 */
#ifndef HV_BASE_TYPES_H
#define HV_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int32_t s32;
typedef int64_t s64;

/* guest-physical address, in bytes */
typedef struct {
	u64 v;
} gpa_t;

/* host-physical address, in bytes */
typedef struct {
	u64 v;
} hpa_t;

#define GPA(x) ((gpa_t){ (x) })
#define HPA(x) ((hpa_t){ (x) })

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (PAGE_SIZE - 1)

/* Orders (log2 of 4 KiB frames) of the three page sizes the CPU maps. */
#define ORDER_4K 0
#define ORDER_2M 9
#define ORDER_1G 18

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define BIT(n) (1UL << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* clang-format off */
#define ALIGN_UP(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
/* clang-format on */
/* Arguments are evaluated once; __COUNTER__ keeps nested uses from shadowing. */
#define MINMAX3(a, b, op, n)                    \
	({                                      \
		__typeof__(a) _a##n = (a);      \
		__typeof__(b) _b##n = (b);      \
		_a##n op _b##n ? _a##n : _b##n; \
	})
#define MINMAX2(a, b, op, n) MINMAX3(a, b, op, n)
#define min(a, b) MINMAX2(a, b, <, __COUNTER__)
#define max(a, b) MINMAX2(a, b, >, __COUNTER__)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
/* Seldom called: built for size. */
#define __seldom __attribute__((cold))
#define __printf(f, a) __attribute__((format(printf, f, a)))

#endif
