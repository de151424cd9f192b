/* SPDX-License-Identifier: BSD-2-Clause */
/* Management hypercalls, for VMs with control = yes: hypercall.c checks that. */
#ifndef HV_MANAGE_H
#define HV_MANAGE_H

#include <hv/vm/vcpu.h>

void manage_host_info(struct vcpu *v);
void manage_vm_info(struct vcpu *v);
void manage_set_target(struct vcpu *v);
void manage_audit(struct vcpu *v);
void manage_pause(struct vcpu *v);
void manage_resume(struct vcpu *v);
void manage_stop(struct vcpu *v);
void manage_restart(struct vcpu *v);
void manage_set(struct vcpu *v);
void manage_shutdown(struct vcpu *v);
void manage_explain(struct vcpu *v);
void manage_guest_stats(struct vcpu *v);

/* --- for the keyboard and for timed actions, too --- */

/*
 * Change a limit until the host ends; in pages.  HV_ERANGE: it does not fit the VM's
 * other limits; HV_ENOMEM: so much cannot be promised as min.  Any CPU; min and max take
 * a lock that is above frames.lock.
 */
int manage_target(struct vm *vm, u64 pages);
int manage_min(struct vm *vm, u64 pages);
int manage_max(struct vm *vm, u64 pages);
int manage_shares(struct vm *vm, u32 shares);

/*
 * Ends all VMs with status 0 and then the host, even with stay = yes.  Only the first
 * call does anything.  @who: who asked, for the log.  Any CPU.
 */
void manage_end_host(bool reboot, const char *who);

/* What the first manage_end_host() asked for; HOST_STAYS before it. */
enum host_end { HOST_STAYS, HOST_POWER_OFF, HOST_REBOOT };
enum host_end manage_host_end(void);

/* Ends the VMs that are left, once the host was told to end. From the scheduler's tick. */
void manage_tick(void);

#endif
