/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock, which Linux knows: system time from the TSC by a
 * factor that never changes, and the wall clock at boot.  Linux:
 * Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW and
 * MSR_KVM_WALL_CLOCK_NEW; Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef HV_PVCLOCK_H
#define HV_PVCLOCK_H

#include <hv/base/types.h>

struct vcpu;

#define PVCLOCK_CPUID_BASE 0x40000100u
#define PVCLOCK_CPUID_FEATURES 0x40000101u
#define MSR_PV_WALL_CLOCK 0x4b564d00u
#define MSR_PV_SYSTEM_TIME 0x4b564d01u

/* ns = (ticks << shift) * mul >> 32; a negative shift goes right. */
struct pvclock_scale {
	u32 mul;
	s8 shift;
};

/* For a TSC of @khz; pure. Off by less than one in 2^30. */
struct pvclock_scale pvclock_scale(u64 khz);

/* The CPUID leaf @leaf, from PVCLOCK_CPUID_BASE on. */
void pvclock_cpuid(u32 leaf, u32 r[4]);

bool pvclock_read(struct vcpu *v, u32 msr, u64 *value);

/*
 * False, and nothing is changed: not on four bytes, or not in the VM's memory (in its
 * balloon neither).  Without a frame in the host the vCPU waits: see memory_wait().
 */
bool pvclock_write(struct vcpu *v, u32 msr, u64 value);

/*
 * Tells the guest that @v stood still, paused or without memory, so that its watchdogs do not
 * take that for a lockup (PVCLOCK_GUEST_STOPPED; the guest clears it).  Before @v is loaded.
 */
void pvclock_stopped(struct vcpu *v);

/* By the CPU that runs @v: the guest has changed its TSC, and its system time goes on. */
void pvclock_tsc_written(struct vcpu *v);

/*
 * For a WRMSR that says where: @bytes of @data to the guest's @gpa.  False: there is no memory.
 * If only the host has none now, the vCPU waits, and does the WRMSR again.
 */
bool pvclock_give(struct vcpu *v, u64 gpa, const void *data, size_t bytes);

#endif
