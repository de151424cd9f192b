/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's half of the balloon: targets, batches, doorbell.  The
 * protocol is in guest-driver/aerostat_abi.h and docs/abi.md.
 */
#ifndef HV_BALLOON_H
#define HV_BALLOON_H

#include <guest-driver/aerostat_abi.h>
#include <hv/base/types.h>

struct vcpu;
struct vm;

#define BALLOON_BY_POLICY UINT64_MAX

struct balloon {
	bool started;  /* the driver said START and its reset is complete */
	u64 reset_gfn; /* where an unfinished START goes on */
	u64 target;    /* (a) pages */
	u64 manual;    /* (a) set by management, or BALLOON_BY_POLICY */
	u32 hint;      /* (a) pages that the next batch should cover */
	u32 doorbell_vector, doorbell_apic;
	u32 calls;	/* of the driver, ever: that it moves shows that the driver lives */
	u64 hold_until; /* (a) no inflation before this TSC: the guest asked to grow */
	u64 grow_pages; /* (a) asked for and not yet seen by the policy */
	u64 locked, unlocked, reported, refused, popped; /* refused: entries, others: pages */
	u64 batches;
	struct aero_stats stats;
	u64 stats_at; /* TSC */
};

/* This CPU's buffer for batches; on each CPU, once. HV_ENOMEM. */
int balloon_cpu_init(void);

/* Back to the state before any driver. */
void balloon_init(struct vm *vm);

/* Changes the target, and rings the doorbell if that is news. Any CPU. */
void balloon_set_target(struct vm *vm, u64 pages);

/* May this VM use its reserve? While it is on its way to a larger balloon. */
bool balloon_below_target(const struct vm *vm);

/* The calls; @v's registers hold arguments and results (see the ABI). */
void balloon_start(struct vcpu *v);
void balloon_poll(struct vcpu *v);
void balloon_lock(struct vcpu *v);
void balloon_unlock(struct vcpu *v);
void balloon_report(struct vcpu *v);
void balloon_stats(struct vcpu *v);
void balloon_doorbell(struct vcpu *v);
void balloon_grow(struct vcpu *v);

#endif
