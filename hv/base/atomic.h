/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Atomics, on compiler builtins: no assembly, so the same
 * code runs in host tests.  Memory order is in the name; plain = relaxed.
 */
#ifndef HV_BASE_ATOMIC_H
#define HV_BASE_ATOMIC_H

#include <hv/base/types.h>

#define atomic_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_load_seq(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define atomic_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_store_seq(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v) __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_swap(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_cas(p, old, new)                                                       \
	({                                                                            \
		__typeof__(*(p)) _o = (old);                                          \
		__atomic_compare_exchange_n((p), &_o, (new), false, __ATOMIC_SEQ_CST, \
					    __ATOMIC_RELAXED);                        \
	})

/*
 * For a number that the holder of one lock changes and others look at without it: they see an
 * old one or a new one.  Cheaper than atomic_add(), and wrong with two writers.  Written as +=
 * it is one instruction, and a naturally aligned word is stored whole; as two relaxed atomics
 * it is three, which only ThreadSanitizer needs.
 */
#ifdef __SANITIZE_THREAD__
#define HV_TALLY_ATOMIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HV_TALLY_ATOMIC 1
#endif
#endif
#ifdef HV_TALLY_ATOMIC
#define tally_add(p, v) atomic_store((p), atomic_load(p) + (v))
#define tally_sub(p, v) atomic_store((p), atomic_load(p) - (v))
#else
#define tally_add(p, v) ((void)(*(p) += (v)))
#define tally_sub(p, v) ((void)(*(p) -= (v)))
#endif

/* A structure of whole words that others look at meanwhile: of each word they see the old or the new one. */
static inline void atomic_copy(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(u64); i++)
		atomic_store((u64 *)to + i, atomic_load((const u64 *)from + i));
}

static inline void barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
