/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many frames each VM is entitled to: min-funding revocation with the idle memory tax, in
 * closed form.  A part of the policy (policy.h), and as pure.
 */
#ifndef HV_MEMORY_ENTITLEMENT_H
#define HV_MEMORY_ENTITLEMENT_H

#include <hv/memory/policy.h>

#define IDLE_COST 100
#define LEVEL_ALL UINT64_MAX /* every demand is met */

/* What one decision is made with. */
struct deal {
	const struct policy_in *in;
	struct policy_scratch *of; /* each VM's */
	u64 active_cost;	   /* of a page; an idle one costs IDLE_COST */
	u64 level;
	bool scarce, contended;
};

/* Its balloon and its frames stay as they are: its target is set by hand, or its driver is silent. */
bool entitlement_held(const struct policy_vm *vm);

/* In pages: the largest target that may be asked of @vm where balloons are allowed @percent. */
u64 entitlement_cap(const struct policy_vm *vm, u32 percent);

/* In pages: what of its resident memory is active. */
u64 entitlement_active(const struct policy_vm *vm);

/* Fills in @c what @vm may have at least and at most, and what of it would be active. */
void entitlement_claim(const struct policy_in *in, const struct policy_vm *vm,
		       struct policy_scratch *c);

/* What @pages cost the VM of @c: an idle page costs 1 / (1 - tax) times what an active one does. */
u64 entitlement_cost(const struct deal *d, const struct policy_scratch *c, u64 pages);

/* The level, in cost a share, at which all VMs together may have @memory pages; or LEVEL_ALL. */
u64 entitlement_level(const struct deal *d, u64 memory);

/* In pages: what the VM of @c may have at @level. */
u64 entitlement_at(const struct deal *d, const struct policy_scratch *c, u32 shares, u64 level);

#endif
