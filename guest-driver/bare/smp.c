/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Local APIC (x2APIC) and starting the other CPUs. */
#include "bare.h"

#define MSR_APIC_BASE 0x1b
#define X2(offset) (0x800 + ((offset) >> 4))
#define TRAMPOLINE 0x8000ul
#define STACK_SIZE 16384ul

extern u8 bare_trampoline[], bare_trampoline_end[], bare_stacks[];
extern u32 bare_ap_stack;
void bare_ap_main(void);

static struct {
	void (*fn)(void *);
	void *arg;
	volatile u32 up;
} ap[BARE_MAX_CPUS];

/* Other hypervisors may give us no x2APIC: then we have no timers and IPIs. */
void bare_apic_init(void)
{
	u32 r[4];

	bare_cpuid(1, 0, r);
	if (!(r[2] & 1u << 21))
		return;
	bare_wrmsr(MSR_APIC_BASE, bare_rdmsr(MSR_APIC_BASE) | 0xc00);
	bare_wrmsr(X2(0xf0), 0x1ff);
}

void bare_apic_eoi(void)
{
	bare_wrmsr(X2(0xb0), 0);
}

void bare_apic_timer(u64 tsc_deadline, u8 vector)
{
	bare_wrmsr(X2(0x320), 0x40000u | vector);
	bare_wrmsr(0x6e0, tsc_deadline);
}

void bare_send_ipi(u32 cpu, u8 vector)
{
	bare_wrmsr(X2(0x300), (u64)cpu << 32 | vector);
}

u32 bare_cpu(void)
{
	u32 r[4];

	bare_cpuid(1, 0, r);
	return r[1] >> 24;
}

u32 bare_nr_cpus(void)
{
	u32 r[4];

	bare_cpuid(0xb, 1, r);
	return r[1] ? r[1] & 0xffff : 1;
}

void bare_ap_main(void)
{
	u32 cpu = bare_cpu();

	bare_init_traps();
	bare_apic_init();
	__atomic_store_n(&ap[cpu].up, 1, __ATOMIC_SEQ_CST);
	ap[cpu].fn(ap[cpu].arg);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void bare_start_cpu(u32 n, void (*fn)(void *), void *arg)
{
	u8 *to = (u8 *)TRAMPOLINE;

	for (u8 *p = bare_trampoline; p < bare_trampoline_end; p++)
		*to++ = *p;
	ap[n].fn = fn;
	ap[n].arg = arg;
	ap[n].up = 0;
	bare_ap_stack = (u32)(u64)(bare_stacks + (n + 1) * STACK_SIZE);
	bare_wrmsr(X2(0x300), (u64)n << 32 | 0x4500);
	bare_wrmsr(X2(0x300), (u64)n << 32 | 0x4600 | TRAMPOLINE >> 12);
	while (!__atomic_load_n(&ap[n].up, __ATOMIC_SEQ_CST))
		__asm__ volatile("pause");
}
