/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What runs the policy: collects samples, asks policy_decide(), applies its
 * answer.  Called from the scheduler's tick, one CPU at a time.
 */
#ifndef HV_GOVERNOR_H
#define HV_GOVERNOR_H

#include <hv/config/config.h>
#include <hv/memory/policy.h>

struct vm;

/* HV_ENOMEM. Until then the host has plenty of memory and nothing to decide. */
int governor_init(void);

/* The periodic work of the host, at TSC @now. */
void governor_tick(u64 now);

/* A VM waits for memory: decide at once. Any CPU. */
void governor_hurry(void);

enum policy_state governor_state(void);

/* Why @vm's target is what it is, in words. */
const char *governor_why(const struct vm *vm);

/* The last decision about @vm; zeroes before the first.  It may be half old while one is made. */
struct policy_vm_out governor_last(const struct vm *vm);

/* Pages that are active, of all VMs together. */
u64 governor_active(void);

#endif
