/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APICs: we do not use them, but firmware may have left them on, and a level interrupt that
 * nobody ends comes again for ever.
 */
#ifndef ARCH_PC_IOAPIC_H
#define ARCH_PC_IOAPIC_H

#include <hv/base/types.h>

#define IOAPICS_MAX 32

/* Masks all entries of the @n I/O APICs at @pa, except the firmware's own (SMI). */
void ioapic_quiet(const u32 *pa, u32 n);

/* Pure: the new value of the low half of a redirection entry. */
u32 ioapic_quiet_entry(u32 low);

/* For tests: an entry of the first I/O APIC delivers the PIT's ticks to this CPU, @apic_id. */
void ioapic_play_firmware(u32 pa, u32 apic_id);

#endif
