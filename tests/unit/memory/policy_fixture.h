/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine of 1 GiB for the policy: its VMs, their memory, and the policy's decisions. */
#ifndef TESTS_UNIT_MEMORY_POLICY_FIXTURE_H
#define TESTS_UNIT_MEMORY_POLICY_FIXTURE_H

#include <tests/fake/fake.h>

#include <hv/memory/policy.h>

#define TOTAL (MIB(1024) >> PAGE_SHIFT)
#define P(mib) (MIB(mib) >> PAGE_SHIFT)

#define MAX_VMS 64

static struct policy_vm vm[MAX_VMS];
static struct policy_vm_out vm_out[MAX_VMS];
static struct policy_scratch scratch[MAX_VMS];
static struct policy_in in;
static struct policy_out out = { .vm = vm_out, .scratch = scratch };

/* @n VMs of @mib each, all of it resident, drivers alive. */
static inline void vms(u32 n, u64 mib)
{
	in = (struct policy_in){ .total = TOTAL,
				 .tax = 75,
				 .balloon_max = 90,
				 .beyond_balloon = true,
				 .nr_vms = n,
				 .vm = vm };
	for (u32 i = 0; i < n; i++)
		vm[i] = (struct policy_vm){ .size = P(mib),
					    .min = P(mib) / 8,
					    .max = P(mib),
					    .shares = 1000,
					    .resident = P(mib),
					    .active_permille = 500,
					    .responsive = true };
	memset(vm_out, 0xee, sizeof(vm_out));
	memset(scratch, 0xee, sizeof(scratch));
}

static inline void decide(void)
{
	policy_decide(&in, &out);
	in.state = out.state;
}

/* Two VMs of 900 MiB that are pressed; free memory is at the threshold of high. */
static inline void squeezed_pair(void)
{
	vms(2, 900);
	in.free = policy_thresholds(TOTAL).high;
	for (u32 i = 0; i < 2; i++) {
		vm[i].resident = (TOTAL - in.free) / 2;
		vm[i].balloon = vm[i].target = vm[i].size - vm[i].resident;
	}
}

static inline bool held(const struct policy_vm *v)
{
	return v->manual || !v->responsive;
}

#endif
