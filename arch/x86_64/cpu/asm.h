/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that C does not have, each in a function of its own. */
#ifndef ARCH_CPU_ASM_H
#define ARCH_CPU_ASM_H

#include <hv/base/types.h>

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

/* Returns false if the CPU raises #GP; *@v is 0 then. */
static inline bool rdmsr_safe(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0;
	u8 ok = 1;

	asm volatile("1: rdmsr\n"
		     "2:\n"
		     ".pushsection .fixup, \"ax\"\n"
		     "3: movb $0, %2\n"
		     "   jmp 2b\n"
		     ".popsection\n"
		     ".pushsection .ex_table, \"a\"\n"
		     ".quad 1b, 3b\n"
		     ".popsection\n"
		     : "+a"(lo), "+d"(hi), "+r"(ok)
		     : "c"(msr));
	*v = ok ? (u64)hi << 32 | lo : 0;
	return ok;
}

static inline bool wrmsr_safe(u32 msr, u64 v)
{
	u8 ok = 1;

	asm volatile("1: wrmsr\n"
		     "2:\n"
		     ".pushsection .fixup, \"ax\"\n"
		     "3: movb $0, %0\n"
		     "   jmp 2b\n"
		     ".popsection\n"
		     ".pushsection .ex_table, \"a\"\n"
		     ".quad 1b, 3b\n"
		     ".popsection\n"
		     : "+r"(ok)
		     : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))
		     : "memory");
	return ok;
}

struct cpuid_regs {
	u32 a, b, c, d;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 sub)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}

#define DEFINE_CR(n)                                                 \
	static inline u64 read_cr##n(void)                           \
	{                                                            \
		u64 v;                                               \
		asm volatile("mov %%cr" #n ", %0" : "=r"(v));        \
		return v;                                            \
	}                                                            \
	static inline void write_cr##n(u64 v)                        \
	{                                                            \
		asm volatile("mov %0, %%cr" #n ::"r"(v) : "memory"); \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

#define DEFINE_DR(n)                                          \
	static inline u64 read_dr##n(void)                    \
	{                                                     \
		u64 v;                                        \
		asm volatile("mov %%dr" #n ", %0" : "=r"(v)); \
		return v;                                     \
	}                                                     \
	static inline void write_dr##n(u64 v)                 \
	{                                                     \
		asm volatile("mov %0, %%dr" #n ::"r"(v));     \
	}
DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)

#define DEFINE_PORT(type, suffix)                                            \
	static inline type in##suffix(u16 port)                              \
	{                                                                    \
		type v;                                                      \
		asm volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port)); \
		return v;                                                    \
	}                                                                    \
	static inline void out##suffix(u16 port, type v)                     \
	{                                                                    \
		asm volatile("out" #suffix " %0, %1" ::"a"(v), "Nd"(port));  \
	}
DEFINE_PORT(u8, b)
DEFINE_PORT(u16, w)
DEFINE_PORT(u32, l)

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

static inline void xsetbv(u32 reg, u64 v)
{
	asm volatile("xsetbv" ::"c"(reg), "a"((u32)v), "d"((u32)(v >> 32)));
}

static inline void invlpg(void *p)
{
	asm volatile("invlpg (%0)" ::"r"(p) : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" ::: "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" ::: "memory");
}

/* Zeroes @bytes, a multiple of 8. */
static inline void zero_qwords(void *p, size_t bytes)
{
	size_t n = bytes / 8;

	asm volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0UL) : "memory");
}

#endif
