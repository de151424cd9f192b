/* SPDX-License-Identifier: BSD-2-Clause */
/* Two VMs, and the exits of the first one's vCPU. */
#ifndef TESTS_UNIT_EXIT_EXIT_FIXTURE_H
#define TESTS_UNIT_EXIT_EXIT_FIXTURE_H

#include <tests/fake/guest.h>

#include <guest-driver/aerostat_abi.h>
#include <hv/exit/cpuid.h>
#include <mm/guestmem.h>

static struct vm_config cfg, other_cfg;
static struct vm *vm, *other;
static struct vcpu *v;

static inline int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("one");
	other_cfg = guest_config("two");
	vm = guest_start(&cfg);
	other = guest_start(&other_cfg);
	v = vm->vcpus[0];
	return 0;
}

static inline bool msr(bool write, u32 number, u64 value)
{
	struct vmexit e = { .kind = write ? EXIT_WRMSR : EXIT_RDMSR, .length = 2 };

	fake_of(v)->exception = -1;
	v->gpr[GPR_RCX] = 0xdead00000000 | number; /* the upper half does not count */
	v->gpr[GPR_RAX] = 0xdead00000000 | (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	v->advance = 0;
	exit_dispatch(v, &e);
	assert_int_equal(v->advance, fake_of(v)->exception == VEC_GP ? 0 : 2);
	return fake_of(v)->exception != VEC_GP;
}

static inline void cpuid(u32 leaf, u32 sub)
{
	struct vmexit e = { .kind = EXIT_CPUID, .length = 2 };

	v->gpr[GPR_RAX] = leaf;
	v->gpr[GPR_RCX] = sub;
	exit_dispatch(v, &e);
	for (u32 r = GPR_RAX; r <= GPR_RBX; r++)
		assert_true(v->gpr[r] <= UINT32_MAX);
}

#endif
