/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's local APIC.  SDM: "Advanced Programmable Interrupt Controller".
 * IRR, TMR and the errors are set from any CPU, atomically; all else belongs
 * to the CPU that runs the vCPU, others only look.
 */
#ifndef HV_DEV_LAPIC_H
#define HV_DEV_LAPIC_H

#include <hv/base/types.h>

struct vcpu;
struct vm;

#define LAPIC_DEFAULT_BASE 0xfee00000UL
#define LAPIC_NO_DEADLINE UINT64_MAX

struct lapic {
	u64 base;	  /* IA32_APIC_BASE */
	u32 regs[64];	  /* by register offset / 16; of these, TMR (a) */
	u32 irr[8];	  /* (a) */
	u32 errors;	  /* (a) since the last write of ESR */
	u64 deadline;	  /* of the timer, host TSC; LAPIC_NO_DEADLINE */
	u64 period;	  /* TSC ticks, periodic mode */
	u64 tsc_deadline; /* as the guest wrote it */
	u64 pv_eoi;	  /* MSR_PV_EOI: hv/apic/pvcpu.h */
	bool eoi_offered; /* the guest may end the interrupt in service in its memory */
	u8 sipi_vector;	  /* (a) */
};

/* SDM: "Interrupt Command Register (ICR)", Delivery Mode; also the I/O APIC's and the LVT's. */
enum { DM_FIXED, DM_LOWEST, DM_SMI, DM_NMI = 4, DM_INIT, DM_SIPI, DM_EXTINT };

/* What travels between APICs. */
struct lapic_message {
	u32 dest;
	u8 mode, vector;
	bool logical;
	bool wide;  /* a 32-bit destination, of an x2APIC; others have 8 bits */
	bool level; /* fixed and lowest priority: the I/O APIC wants to hear of the EOI */
};

void lapic_reset(struct vcpu *v, bool keep_base);

/*
 * Accepts the interrupt @vector, edge or level triggered, and notifies.  False: this APIC
 * takes none, or not this one (vectors below 16).  Any CPU; takes sched.lock.
 */
bool lapic_accept_vector(struct vcpu *v, u8 vector, bool level);

/* The same for an edge, for callers that need no answer. Any CPU. */
void lapic_raise(struct vcpu *v, u8 vector);

/* lapic_ipi.c: delivers @m to whom it names; true if anybody took it. Any CPU. */
bool lapic_send(struct vm *vm, const struct lapic_message *m);
/* A command written to ICR. By the CPU that runs @v. */
void lapic_command(struct vcpu *v, u64 icr);
/* A pulse on pin LINT0 or LINT1 (@pin: 0, 1); its LVT entry says what it means. Any CPU. */
bool lapic_pulse_lint(struct vcpu *v, u32 pin);

/* Notes an error (a bit of ESR), with the interrupt for it if that is wanted. Any CPU. */
void lapic_error(struct vcpu *v, u32 bit);

/* The vector to inject now, or -1. lapic_accept() moves it from IRR to ISR. */
int lapic_pending(const struct vcpu *v);
/* The upper half of the vector that waits for the TPR to be less, or 0. */
u8 lapic_held_back(const struct vcpu *v);
/* Has the guest written CR8?  Before the two; by the CPU that runs @v. */
void lapic_sync_tpr(struct vcpu *v);
void lapic_accept(struct vcpu *v, u8 vector);
/* Undoes lapic_accept(): the CPU could not deliver it after all. */
void lapic_give_back(struct vcpu *v, u8 vector);

/* Fires the timer if it is due at TSC @now. By the CPU that runs @v. */
void lapic_timer_check(struct vcpu *v, u64 now);

/* By the CPU that runs @v: the guest has changed its TSC. */
void lapic_tsc_written(struct vcpu *v);

/* MMIO at @offset and MSRs 0x800-0x8ff; false: #GP. */
u32 lapic_mmio_read(struct vcpu *v, u32 offset);
void lapic_mmio_write(struct vcpu *v, u32 offset, u32 value);
bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *value);
bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value);
bool lapic_base_write(struct vcpu *v, u64 value);

/* As IA32_APIC_BASE says: is it switched on? Is this the boot CPU? */
bool lapic_enabled(const struct vcpu *v);
bool lapic_is_boot_cpu(const struct vcpu *v);

/* By the CPU that runs @v. */
u64 lapic_tpr(struct vcpu *v);
void lapic_set_tpr(struct vcpu *v, u64 tpr);

/* SDM: "Processor Priority Register (PPR)". Any CPU; a snapshot, with the TPR as last seen here. */
u32 lapic_ppr(const struct lapic *a);

#endif
