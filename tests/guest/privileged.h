/* SPDX-License-Identifier: BSD-2-Clause */
/* Privileged instructions; most of them must fail in a guest. */
#ifndef TESTS_GUEST_PRIVILEGED_H
#define TESTS_GUEST_PRIVILEGED_H

#include "case.h"

static u32 msr;

static void read_msr(void)
{
	bare_rdmsr(msr);
}

static void write_msr(void)
{
	bare_wrmsr(msr, 0x123456789abcdef0ul);
}

static void vmxon(void)
{
	u64 pa = 0x8000;

	__asm__ volatile("vmxon %0" ::"m"(pa));
}

static void vmrun(void)
{
	__asm__ volatile("vmrun" ::"a"(0x8000ul));
}

static void set_vmxe(void)
{
	u64 v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	__asm__ volatile("mov %0, %%cr4" ::"r"(v | 1ul << 13));
}

static void bad_cr0(void)
{
	__asm__ volatile("mov %0, %%cr0" ::"r"(0x80000000ul)); /* PG without PE */
}

static void bad_xcr0(void)
{
	u64 v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	__asm__ volatile("mov %0, %%cr4" ::"r"(v | 1ul << 18));
	__asm__ volatile("xsetbv" ::"c"(0), "a"(0), "d"(0)); /* x87 must stay on */
}

static void rdpmc(void)
{
	__asm__ volatile("rdpmc" ::"c"(0) : "rax", "rdx");
}

static u64 cr0_read(void)
{
	u64 v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static u64 cr4_read(void)
{
	u64 v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

#endif
