/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A freestanding guest runtime: enough kernel to write demo and test guests
 * in C.  Link with crt0.S, bare.c, memory.c, smp.c, driver.c and
 * balloon_core.c; define bare_main().
 */
#ifndef AEROSTAT_BARE_H
#define AEROSTAT_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../balloon_core.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE 4096ul
#define BARE_MAX_CPUS 16

/* The guest program; it returns the VM's exit status. */
int bare_main(void);

/* --- console and the end (bare.c) --- */
void bare_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void bare_exit(int status) __attribute__((noreturn));
void bare_power_off(void) __attribute__((noreturn));
/* Value of NAME in the command line ("NAME=VALUE"); dflt if it is not there. */
u64 bare_arg_number(const char *name, u64 dflt);
bool bare_arg_is(const char *name, const char *value);
int bare_strcmp(const char *a, const char *b);

/* --- the CPU (bare.c) --- */
struct bare_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};
void bare_init_traps(void);
/* An interrupt handler for @vector (>= 32); the caller does the EOI. 2: for NMIs. */
void bare_on_interrupt(u8 vector, void (*fn)(void));
extern struct bare_frame *bare_nmi_frame; /* the registers at the NMI, for its handler */
/* Runs fn; returns the vector of the exception that it raised, or -1. @fn must be tiny. */
int bare_catch(void (*fn)(void));
/* RFLAGS as that exception pushed them. */
extern u64 bare_caught_rflags;
/* The same, in ring 3. */
int bare_catch_user(void (*fn)(void));
/* While set, #DB counts there and goes on. */
void bare_on_step(volatile u32 *counter);
void bare_sleep_us(u64 us);
/*
 * Takes the interrupts that wait. Makes two exits, because QEMU's SVM sometimes takes a virtual
 * interrupt only at the next entry.
 */
static inline void bare_take_interrupts(void)
{
	u32 eax = 0, ecx = 0;

	__asm__ volatile("sti; cpuid; xor %%eax, %%eax; cpuid; cli"
			 : "+a"(eax), "+c"(ecx)::"ebx", "edx", "memory", "cc");
}
u64 bare_tsc_khz(void);

static inline u64 bare_rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

static inline void bare_cpuid(u32 leaf, u32 sub, u32 r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

static inline u64 bare_rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void bare_wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline void bare_outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline u8 bare_inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* --- other CPUs (smp.c) --- */
u32 bare_nr_cpus(void);
u32 bare_cpu(void);
/* Starts CPU @n; it runs fn(arg) and halts. */
void bare_start_cpu(u32 n, void (*fn)(void *), void *arg);
void bare_apic_init(void);
void bare_apic_eoi(void);
void bare_apic_timer(u64 tsc_deadline, u8 vector);
void bare_send_ipi(u32 cpu, u8 vector);

/* --- memory (memory.c): a kernel's page allocator --- */
void bare_memory_init(u64 bytes);
u64 bare_memory_pages(void);
/* Page number, or 0 if there is none. Order 0 or 9. */
u64 bare_page_alloc(unsigned int order);
void bare_page_free(u64 page, unsigned int order);
u64 bare_free_pages(void);
/* Keeps this many pages from the balloon: the kernel's own low-water mark. */
extern u64 bare_keep_free;

static inline void *bare_ptr(u64 page)
{
	return (void *)(page * PAGE);
}

/* --- hypercalls and the balloon (driver.c) --- */
void bare_hypercall(u64 nr, u64 a, u64 b, u64 c, struct aero_result *r);
bool bare_on_aerostat(void);
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
u32 bare_vm_id(void);
extern struct aero_balloon bare_balloon;
extern bool bare_touch_before_lock; /* like a kernel that zeroes pages that it allocates */
bool bare_balloon_start(void);
/* One poll, moving at most @batches batches; true if there is more to do. */
bool bare_balloon_poll(unsigned int batches);
void bare_balloon_report(void);
/* AERO_CALL_* of management, repeated while it returns AGAIN. */
long bare_manage(u64 nr, u64 a, u64 b, u64 *result);

#endif
