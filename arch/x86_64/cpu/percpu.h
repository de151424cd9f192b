/* SPDX-License-Identifier: BSD-2-Clause */
/* The record and stacks of one CPU. The base of GS points to the CPU's struct cpu. */
#ifndef ARCH_CPU_PERCPU_H
#define ARCH_CPU_PERCPU_H

#include <hv/base/platform.h>

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap;
} __packed;
_Static_assert(sizeof(struct tss) == 104, "SDM: Task Management in 64-bit Mode");

/* IST numbers (1-based, as in a gate). */
enum { IST_NONE, IST_NMI, IST_DF, IST_MC, IST_COUNT = 3 };

#define STACK_PAGES 4

struct cpu {
	struct cpu *self; /* %gs:0 */
	u32 id;		  /* %gs:8 */
	u32 apic_id;
	u32 online;
	u32 kicks;	 /* kick interrupts received; statistics */
	u64 timer_armed; /* TSC deadline of the local timer, 0 = off */
	void *stack_top;
	struct tss tss;
	u64 gdt[5];
	void *backend; /* the VMX or SVM back end's data for this CPU */
	u64 last_run;  /* vm->run of the VM that ran here last; 0: none */
	u32 tsc_sync;  /* (a) time/tsc_sync.h */
};

extern struct cpu *cpus[MAX_CPUS];

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	asm("mov %%gs:0, %0" : "=r"(c));
	return c;
}

/* Allocates a CPU's record and its guarded stacks. HV_ENOMEM. */
int percpu_create(u32 id, u32 apic_id);

/* Loads GS, GDT, TSS and IDT of @c on this CPU. */
void percpu_load(struct cpu *c);

#endif
