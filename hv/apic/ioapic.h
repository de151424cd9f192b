/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's I/O APIC: 24 pins, each with one source (pins are not shared).
 * Intel 82093AA datasheet; version 0x20 adds the EOI register.  Lines come and
 * go on any CPU: all of it is under ioapic.lock, which is taken after a
 * device's own lock and before sched.lock.
 */
#ifndef HV_DEV_IOAPIC_H
#define HV_DEV_IOAPIC_H

#include <hv/base/lock.h>

#define IOAPIC_BASE 0xfec00000UL
#define IOAPIC_SIZE 0x1000UL
#define IOAPIC_PINS 24
#define IOAPIC_PIN_BALLOON 5 /* of the device AERO0001: load/dsdt.asl */

struct vcpu;
struct vm;

struct ioapic {
	SPINLOCK(LOCK_IOAPIC) lock;
	u32 select; /* IOREGSEL */
	u32 id;
	u32 lines; /* bit per pin: asserted */
	u64 entry[IOAPIC_PINS];
};

/* All pins masked, all lines low. While no vCPU runs. */
void ioapic_reset(struct vm *vm);

/* The source of @pin (below IOAPIC_PINS) asserts or deasserts its line. Any CPU. */
void ioapic_set_line(struct vm *vm, u32 pin, bool asserted);

/* A local APIC has seen the end of level-triggered @vector. Any CPU. */
void ioapic_eoi(struct vm *vm, u8 vector);

/* Accesses at @offset into the page, of @size bytes. */
u64 ioapic_mmio_read(struct vcpu *v, u64 offset, u32 size);
void ioapic_mmio_write(struct vcpu *v, u64 offset, u32 size, u64 value);

#endif
