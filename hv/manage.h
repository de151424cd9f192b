/* SPDX-License-Identifier: BSD-2-Clause */
/* Management hypercalls, for VMs with control = yes (checked by hypercall.c). */
#ifndef HV_MANAGE_H
#define HV_MANAGE_H

#include <hv/vcpu.h>

void manage_host_info(struct vcpu *v);
void manage_vm_info(struct vcpu *v);
void manage_set_target(struct vcpu *v);
void manage_audit(struct vcpu *v);
void manage_pause(struct vcpu *v);
void manage_resume(struct vcpu *v);
void manage_stop(struct vcpu *v);
void manage_restart(struct vcpu *v);

#endif
