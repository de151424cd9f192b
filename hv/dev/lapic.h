/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's local APIC.  SDM: "Advanced Programmable Interrupt Controller".
 * IRR is set from any CPU, atomically; all else belongs to the CPU that runs
 * the vCPU.
 */
#ifndef HV_DEV_LAPIC_H
#define HV_DEV_LAPIC_H

#include <hv/base/types.h>

struct vcpu;

#define LAPIC_DEFAULT_BASE 0xfee00000UL
#define LAPIC_NO_DEADLINE UINT64_MAX

struct lapic {
	u64 base;	  /* IA32_APIC_BASE */
	u32 regs[64];	  /* by register offset / 16 */
	u32 irr[8];	  /* (a) */
	u64 deadline;	  /* of the timer, host TSC; LAPIC_NO_DEADLINE */
	u64 period;	  /* TSC ticks, periodic mode */
	u64 armed_at;	  /* TSC at the last write of the initial count */
	u64 tsc_deadline; /* as the guest wrote it */
	u8 sipi_vector;
};

void lapic_reset(struct vcpu *v, bool keep_base);

/* Sets @vector in IRR and notifies. Any CPU. */
void lapic_raise(struct vcpu *v, u8 vector);

/* The vector to inject now, or -1. lapic_accept() moves it from IRR to ISR. */
int lapic_pending(const struct vcpu *v);
void lapic_accept(struct vcpu *v, u8 vector);
/* Undoes lapic_accept(): the CPU could not deliver it after all. */
void lapic_give_back(struct vcpu *v, u8 vector);

/* Fires the timer if it is due at TSC @now. */
void lapic_timer_check(struct vcpu *v, u64 now);

/* MMIO at @offset and MSRs 0x800-0x8ff; false: #GP. */
u32 lapic_mmio_read(struct vcpu *v, u32 offset);
void lapic_mmio_write(struct vcpu *v, u32 offset, u32 value);
bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *value);
bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value);
bool lapic_base_write(struct vcpu *v, u64 value);

u64 lapic_tpr(const struct vcpu *v);
void lapic_set_tpr(struct vcpu *v, u64 tpr);

#endif
