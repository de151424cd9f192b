/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_TRAP_H
#define ARCH_CPU_TRAP_H

#include <hv/base/types.h>

/* What traps.S pushes. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* NMIs without a known source, on all CPUs since the start. (a) */
extern u32 nmi_count;
/* The same for interrupts, and the vector of the last one. (a) */
extern u32 stray_count, stray_vector;

void trap_handler(struct trap_frame *f);

/* Handles a host interrupt: from the IDT while idle, or acknowledged by a VM exit. */
void host_interrupt(u32 vector);

/* Name of an exception vector ("#PF page fault"), never NULL. */
const char *exception_name(u32 vector);

/* The nearest symbol at or below @addr; its name is "?" if there is none. */
const char *symbol_lookup(u64 addr, u64 *offset);

/* Prints the call chain that starts at frame pointer @rbp. */
void backtrace(u64 rip, u64 rbp);

#endif
