/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of the balloon's hypercalls: @v's registers hold arguments and results (docs/abi.md).
 * Rows of the table in hypercall.c; those of management are in hv/control/manage.h.
 */
#ifndef HV_EXIT_CALLS_H
#define HV_EXIT_CALLS_H

struct vcpu;

void call_start(struct vcpu *v);
void call_poll(struct vcpu *v);
void call_lock(struct vcpu *v);
void call_unlock(struct vcpu *v);
void call_report(struct vcpu *v);
void call_stats(struct vcpu *v);
void call_doorbell(struct vcpu *v);
void call_grow(struct vcpu *v);
void call_end(struct vcpu *v);

#endif
