/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guests of KVM know of their CPU beside its clock: how long it waited
 * for a real one (steal time), and the end of an interrupt without an exit (PV
 * EOI).  Linux: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME and
 * MSR_KVM_PV_EOI_EN.  The guest's memory may be gone at each later write: then
 * nothing is written, which harms nobody else.
 */
#ifndef HV_PVCPU_H
#define HV_PVCPU_H

#include <hv/vm/vcpu.h>

#define MSR_PV_STEAL_TIME 0x4b564d03u
#define MSR_PV_EOI 0x4b564d04u

bool pvcpu_read(struct vcpu *v, u32 msr, u64 *value);

/* As pvclock_write(). */
bool pvcpu_write(struct vcpu *v, u32 msr, u64 value);

/* Tells the guest that @v has a CPU again, and for how long it had none. Before it is loaded. */
void pvcpu_steal_begin(struct vcpu *v);

/* And that @v is off its CPU although it would go on. */
void pvcpu_steal_preempted(struct vcpu *v);

/*
 * Lets the guest end the interrupt in service by clearing a bit, if nobody has to hear of it: one
 * in service, by an edge, and none that waits for its end.  By the CPU that runs @v, before entry.
 */
void pvcpu_eoi_offer(struct vcpu *v);

/*
 * Takes the offer back, and ends the interrupt if the guest has done so.  Before anybody looks at
 * ISR or changes it, whenever v->lapic.eoi_offered.  By the CPU that runs @v.
 */
void pvcpu_eoi_collect(struct vcpu *v);

#endif
