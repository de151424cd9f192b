/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VM may have a frame now, and which VMs wait for one.  memory_grant() is the one decision:
 * faults and the hypervisor's own writes to guest memory both ask it.
 */
#ifndef HV_MEMORY_WAITERS_H
#define HV_MEMORY_WAITERS_H

#include <hv/base/types.h>

struct p2m;
struct vcpu;
struct vm;

/*
 * By which promises @vm may take a frame now (enum frame_flags):
 * - above its min while another VM waits that is further below its entitlement, or at its
 *   max: only by a promise (FRAME_PROMISED);
 * - while its balloon is smaller than its target: also out of its reserve (FRAME_USE_RESERVE).
 * and MEMORY_GRANT_LARGE: it may take 2 MiB at once.  Takes no lock.
 */
#define MEMORY_GRANT_LARGE BIT(31)
unsigned int memory_grant(const struct vm *vm);

/* The same for the VM of @p, for 4 KiB: what mm/ calls (struct p2m). */
unsigned int memory_grant_p2m(const struct p2m *p);

/* Has @vm as many frames as its max allows? */
bool memory_at_max(const struct vm *vm);

/*
 * @v cannot go on for want of a frame (@err: HV_ENOMEM or HV_EAGAIN): it does the same
 * again once there may be one.  RIP must still be at the instruction.
 */
void memory_wait(struct vcpu *v, int err);

/* A device cannot go on for want of a frame: the policy decides soon. */
void memory_wait_device(void);

/*
 * Wakes VMs that wait for memory and may have some now: the VM furthest below its
 * entitlement, those that are as far, and those with a promise.  The others follow when
 * these have theirs or have stopped waiting.  Any CPU.
 */
void memory_wake_waiters(void);

/* A bounded piece for a CPU with nothing to run: quarantine, scrubbing. False: there is none. */
bool memory_idle_work(void);

/*
 * Is a vCPU of @vm without the memory that it needs?  A vCPU that was woken for it counts
 * until it has had a CPU and time to take some.  @now: TSC.  Takes no lock.
 */
bool memory_wanted_by(const struct vm *vm, u64 now);

/* Does a vCPU of @vm get no further for want of memory, whether it waits or is just trying again? */
bool memory_stands_still(const struct vm *vm);

#endif
