/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device accesses by all kinds of instructions, on the APIC's registers: checks the value that the
 * hypervisor computes, the place to which it writes, and the exception that it injects.
 */
#include "case.h"

#define MSR_APIC_BASE 0x1b
#define APIC 0xfee00000ul
#define COUNT 0x380	      /* the timer's initial count, masked: keeps all 32 bits */
#define NOWHERE 0x100000000ul /* above what crt0.S maps */
#define CF 0x1
#define ZF 0x40
#define SF 0x80

static volatile u32 *const reg = (volatile u32 *)(APIC + COUNT);

static int arithmetic(void)
{
	u64 flags, rsp, r8 = 0x1111111111111111;
	u32 value;

	*reg = 0xf0;
	__asm__ volatile("orl $0x0f, %1; pushfq; pop %0" : "=r"(flags), "+m"(*reg)::"cc");
	CHECK_EQ(*reg, 0xff);
	CHECK_EQ(flags & (CF | ZF | SF), 0);
	__asm__ volatile("subl $0x100, %1; pushfq; pop %0" : "=r"(flags), "+m"(*reg)::"cc");
	CHECK_EQ(*reg, 0xffffffff);
	CHECK_EQ(flags & (CF | ZF | SF), CF | SF);
	__asm__ volatile("lock incl %1; pushfq; pop %0" : "=r"(flags), "+m"(*reg)::"cc");
	CHECK_EQ(*reg, 0);
	CHECK_EQ(flags & ZF, ZF);
	__asm__ volatile("btsl $31, %1; pushfq; pop %0" : "=r"(flags), "+m"(*reg)::"cc");
	CHECK_EQ(*reg, 0x80000000);
	CHECK_EQ(flags & CF, 0);
	__asm__ volatile("movslq %1, %0" : "=r"(r8) : "m"(*reg));
	CHECK_EQ(r8, 0xffffffff80000000);
	value = 0x1234;
	__asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*reg));
	CHECK_EQ(value, 0x80000000);
	CHECK_EQ(*reg, 0x1234);
	/* The hypervisor keeps RSP apart from the other registers. */
	__asm__ volatile("mov %%rsp, %0; movl %%esp, %1" : "=r"(rsp), "=m"(*reg));
	CHECK_EQ(*reg, (u32)rsp);
	__asm__ volatile("mov %%rsp, %%rbx; movl %2, %%esp; mov %%rsp, %0; mov %%rbx, %%rsp"
			 : "=r"(rsp), "=m"(*reg)
			 : "m"(*reg)
			 : "rbx");
	CHECK_EQ(rsp, *reg);
	return 0;
}

/* Sizes that the APIC does not have: reads give ones, writes do nothing. */
static int sizes(void)
{
	*reg = 0x12345678;
	*(volatile u8 *)reg = 1;
	*(volatile u16 *)reg = 2;
	*(volatile u64 *)reg = 3;
	CHECK_EQ(*reg, 0x12345678);
	CHECK_EQ(*(volatile u8 *)reg, 0xff);
	CHECK_EQ(*(volatile u64 *)reg, ~0ul);
	CHECK_EQ(*(volatile u32 *)(APIC + 0xffe), 0xffffffff); /* half of it outside */
	return 0;
}

static u32 buffer[256];

static void copy(u64 from, u64 to, u64 n)
{
	__asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(n)::"memory");
}

static int strings(void)
{
	u64 to = APIC, n = 1024, from;

	/* All of its page, in several exits. Only every fourth word is a register. */
	*reg = 0xabcd;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(0u) : "memory");
	CHECK_EQ(to, APIC + 0x1000);
	CHECK_EQ(n, 0);
	CHECK_EQ(*reg, 0);
	*reg = 0x5678;
	copy(APIC, (u64)buffer, 256);
	CHECK_EQ(buffer[0x30 / 4] & 0xff, 0x14);
	CHECK_EQ(buffer[COUNT / 4], 0x5678);
	buffer[7] = 0x99;
	copy((u64)&buffer[7], (u64)reg, 1);
	CHECK_EQ(*reg, 0x99);
	/* downwards */
	from = (u64)reg;
	to = (u64)&buffer[9];
	__asm__ volatile("std; movsl; cld" : "+S"(from), "+D"(to)::"memory");
	CHECK_EQ(buffer[9], 0x99);
	CHECK_EQ(from, (u64)reg - 4);
	return 0;
}

static void copy_nowhere(void)
{
	copy((u64)reg, NOWHERE + 0x123, 3);
}

static void not_canonical(void)
{
	copy((u64)reg, 1ul << 63, 1);
}

static void read_as_user(void)
{
	buffer[0] = *reg;
	__asm__ volatile("ud2"); /* the way back */
}

/* Not emulated: a process gets #UD, and the VM goes on. The way back is another exception. */
static void sse_as_user(void)
{
	__asm__ volatile("movups (%0), %%xmm0; div %1" ::"r"(reg), "r"(0) : "rax", "rdx", "cc");
}

static void jump_as_user(void)
{
	__asm__ volatile("jmp *%0" ::"r"(reg));
}

static int faults(void)
{
	u64 cr2;

	*reg = 0x77;
	CHECK_EQ(bare_catch(copy_nowhere), 14);
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	CHECK_EQ(cr2, NOWHERE + 0x123);
	CHECK(bare_caught_rflags & 1 << 16); /* RF */
	CHECK_EQ(bare_catch(not_canonical), 13);
	CHECK_EQ(bare_catch_user(read_as_user), 6);
	CHECK_EQ(buffer[0], 0x77);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(bare_catch_user(sse_as_user), 6);
		CHECK_EQ(bare_catch_user(jump_as_user), 6);
	}
	return 0;
}

/* --- INS and OUTS ------------------------------------------------------------------ */

#define COM1 0x3f8
#define LSR (COM1 + 5)
#define MCR (COM1 + 4)

static void outsb(const void *from, u64 n, u16 port)
{
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

static void insb(void *to, u64 n, u16 port)
{
	__asm__ volatile("rep insb" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

static void insb_nowhere(void)
{
	insb((void *)(NOWHERE + 0x123), 3, COM1);
}

static void outsb_nowhere(void)
{
	outsb((void *)(NOWHERE + 0x456), 1, COM1);
}

static void outsb_as_user(void)
{
	outsb(buffer, 1, COM1);
}

static int ports(void)
{
	static char line[200];
	u8 *b = (u8 *)buffer;
	u64 cr2, to = (u64)b;

	/* More than an exit does at once; tests/run/apic.conf looks for it. */
	for (u32 i = 0; i < 150; i++)
		line[i] = (char)('a' + i % 26);
	line[150] = '\n';
	outsb(line, 151, COM1);
	insb(b, 130, LSR);
	for (u32 i = 0; i < 130; i++)
		CHECK_EQ(b[i], 0x60);
	b[0] = 1;
	insb(b, 0, LSR);
	CHECK_EQ(b[0], 1);
	/* A port without a device; downwards, four bytes at a time. */
	to += 8;
	buffer[1] = buffer[2] = buffer[3] = 0;
	__asm__ volatile("std; insl; cld" : "+D"(to) : "d"((u16)0x1000) : "memory");
	CHECK_EQ(to, (u64)b + 4);
	CHECK_EQ(buffer[1], 0);
	CHECK_EQ(buffer[2], 0xffffffff);
	CHECK_EQ(buffer[3], 0);
	/* A fault comes before the byte is taken from the port. */
	bare_outb(MCR, 0x10);
	bare_outb(COM1, 'u');
	CHECK_EQ(bare_catch(insb_nowhere), 14);
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	CHECK_EQ(cr2, NOWHERE + 0x123);
	CHECK_EQ(bare_catch(outsb_nowhere), 14);
	CHECK_EQ(bare_catch_user(outsb_as_user), 13);
	insb(b, 1, COM1);
	CHECK_EQ(b[0], 'u');
	bare_outb(MCR, 0);
	return 0;
}

/* The place of adapters' ROMs: reads give ones, and writes do nothing. */
static int empty_bus(void)
{
	volatile u64 *first = (u64 *)0xc0000, *last = (u64 *)(0x100000 - 8);
	u64 value = 5;

	for (volatile u64 *at = first; at <= last; at += 64)
		CHECK_EQ(*at, ~0ul);
	*first = *last = 0x1234;
	CHECK_EQ(*first, ~0ul);
	CHECK_EQ(*last, ~0ul);
	__asm__ volatile("xchgq %0, %1" : "+r"(value), "+m"(*last)); /* reads and writes at once */
	CHECK_EQ(value, ~0ul);
	CHECK_EQ(*last, ~0ul);
	return 0;
}

static int mmio(void)
{
	u64 base = bare_rdmsr(MSR_APIC_BASE);
	int bad;

	/* x2APIC to xAPIC goes only through "off". */
	bare_wrmsr(MSR_APIC_BASE, base & ~0xc00ul);
	bare_wrmsr(MSR_APIC_BASE, (base & ~0xc00ul) | 0x800);
	bad = arithmetic() || sizes() || strings() || faults() || empty_bus();
	bare_wrmsr(MSR_APIC_BASE, base);
	return bad;
}

int bare_main(void)
{
	static const struct test_case cases[] = { { "mmio", mmio },
						  { "ports", ports },
						  { NULL, NULL } };

	return run_case(cases);
}
