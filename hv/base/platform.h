/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The services of the machine that hv/ and mm/ use.  This short block is the
 * whole contract: arch/x86_64/cpu/ implements it for hardware, tests/fake for
 * the host.  (Virtualization itself is behind struct cpu_backend.)
 */
#ifndef HV_BASE_PLATFORM_H
#define HV_BASE_PLATFORM_H

#include <hv/base/types.h>

#define MAX_CPUS 64

/* Index of the CPU that runs, 0 .. plat_nr_cpus() - 1. */
u32 plat_cpu(void);
u32 plat_nr_cpus(void);

/* Time stamp counter, its frequency, and microseconds since boot. */
u64 plat_tsc(void);
u64 plat_tsc_khz(void);
u64 plat_time_us(void);

/* From @then to @now. Another CPU's stamp may be a little ahead of ours: no time has passed then. */
static inline u64 tsc_since(u64 then, u64 now)
{
	return now > then ? now - then : 0;
}

/* Microseconds since 1970-01-01 00:00 UTC, as the machine's clock had it at boot; 0: it has none. */
u64 plat_wall_time_us(void);

/* 64 random bits of the CPU's own generator, if it has one; false: they are not ready. */
bool plat_random(u64 *bits);
bool plat_has_random(void);

/* Makes CPU @cpu leave guest mode or idle soon. Never waits. */
void plat_kick(u32 cpu);

/* Where host-physical address 0 is in our address space: all RAM is mapped there, in one piece. */
extern uintptr_t plat_direct_base;

/* Where a host-physical address is in our address space. RAM only. */
static inline void *plat_ptr(hpa_t pa)
{
	return (void *)(plat_direct_base + pa.v);
}

/* The reverse, for pointers from plat_ptr(). */
static inline hpa_t plat_pa(const void *p)
{
	return HPA((uintptr_t)p - plat_direct_base);
}

/* Zeroes @bytes (a multiple of 4 KiB) at @p, for the next owner. */
void plat_scrub(void *p, size_t bytes);

/* Sleeps until an interrupt or @deadline (TSC), unless *@wake is already set. */
void plat_idle(u64 deadline, const u32 *wake);

/* Powers the machine off. */
void plat_power_off(void) __attribute__((noreturn));

/* Resets the machine, by the first way that works. */
void plat_reboot(void) __attribute__((noreturn));

/* Prints and stops the machine: for broken invariants of our own only. */
void plat_panic(const char *fmt, ...) __printf(1, 2) __attribute__((noreturn));

#define hv_assert(cond)                                                                        \
	do {                                                                                   \
		if (unlikely(!(cond)))                                                         \
			plat_panic("assertion failed: %s (%s:%d)", #cond, __FILE__, __LINE__); \
	} while (0)

#endif
