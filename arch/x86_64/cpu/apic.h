/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's local APIC, by MMIO or, in x2APIC mode, by MSRs. */
#ifndef ARCH_CPU_APIC_H
#define ARCH_CPU_APIC_H

#include <hv/base/types.h>

/*
 * Chooses the mode (errata.h) and maps the registers. Boot CPU, once. @highest_id: the largest APIC
 * id of all CPUs; @opted_out: the firmware asks us not to use x2APIC.
 */
int apic_init(u32 highest_id, bool opted_out);
/* Enables this CPU's APIC and masks all its interrupts except the timer's. */
void apic_enable(void);
u32 apic_id(void);
void apic_eoi(void);

void apic_send_ipi(u32 apic_id, u8 vector);
/* Sends an NMI to all other CPUs of the machine, also to those that we do not know. */
void apic_init_others(void);
void apic_startup_others(u8 page);
void apic_nmi_others(void);

bool apic_is_x2(void);

/* The largest id that an IPI reaches. */
u32 apic_id_max(void);

/* Arms interrupt VECTOR_TIMER at TSC @deadline; 0 disarms it. */
void apic_timer_set(u64 deadline);
/* Measures the timer against the TSC where there is no deadline mode. */
void apic_timer_calibrate(void);

/* Masks the two 8259s, so that only the APIC interrupts us. */
void pic_mask(void);

/* Lets line @irq (0 to 7) of the first interrupt this CPU, at VECTOR_PIC + @irq; each wants an EOI. */
void pic_unmask(u32 irq);
void pic_eoi(void);

#endif
