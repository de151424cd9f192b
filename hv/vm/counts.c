/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/vm/counts.h>
#include <hv/vm/vm.h>

struct vm_counts vm_counts(const struct vm *vm)
{
	struct vm_counts c = vm->past;

	for (u32 i = 0; i < vm->nr_vcpus; i++)
		c.exits += vm->vcpus[i]->exits;
	c.faults += vm->faults;
	c.locked += vm->balloon.locked;
	c.unlocked += vm->balloon.unlocked;
	c.reported += vm->balloon.reported;
	c.popped += vm->balloon.popped;
	c.refused += vm->balloon.refused;
	c.batches += vm->balloon.batches;
	return c;
}

void vm_counts_keep(struct vm *vm)
{
	vm->past = vm_counts(vm);
	/* A start that fails is tried again: nothing must be added twice. */
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->exits = 0;
	vm->faults = 0;
	vm->balloon.locked = vm->balloon.unlocked = vm->balloon.reported = 0;
	vm->balloon.popped = vm->balloon.refused = vm->balloon.batches = 0;
}
