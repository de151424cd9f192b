/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/vm/counts.h>
#include <hv/vm/vm.h>

struct vm_counts vm_counts(const struct vm *vm)
{
	struct vm_counts c = vm->past;

	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		c.exits += atomic_load(&vm->vcpus[i]->exits);
	c.faults += atomic_load(&vm->faults);
	c.locked += atomic_load(&vm->balloon.locked);
	c.unlocked += atomic_load(&vm->balloon.unlocked);
	c.reported += atomic_load(&vm->balloon.reported);
	c.popped += atomic_load(&vm->balloon.popped);
	c.refused += atomic_load(&vm->balloon.refused);
	c.batches += vm->balloon.batches;
	return c;
}

void vm_counts_keep(struct vm *vm)
{
	vm->past = vm_counts(vm);
	/* A start that fails is tried again: nothing must be added twice. */
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		atomic_store(&vm->vcpus[i]->exits, 0UL);
	atomic_store(&vm->faults, 0UL);
	atomic_store(&vm->balloon.locked, 0UL);
	atomic_store(&vm->balloon.unlocked, 0UL);
	atomic_store(&vm->balloon.reported, 0UL);
	atomic_store(&vm->balloon.popped, 0UL);
	atomic_store(&vm->balloon.refused, 0UL);
	vm->balloon.batches = 0;
}
