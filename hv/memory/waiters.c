/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

#define MEMORY_TURN 4	 /* in 1/256 of an entitlement */
#define WAIT_LOG_MS 1000 /* a VM that waits again and again gets one line in this time */
#define WOKEN_SLICES 2UL /* a woken vCPU counts as waiting for so many slices */

/*
 * The part of its entitlement that a VM has, in 1/256: large and small ones suffer alike by
 * the same part.  A VM that no decision has seen yet has nothing.
 */
static u64 memory_rank(const struct vm *vm)
{
	u64 e = atomic_load(&vm->entitlement);

	return e ? atomic_load(&vm->p2m.acct.resident) * 256 / e : 0;
}

bool memory_wanted_by(const struct vm *vm, u64 now)
{
	return atomic_load(&vm->waiting) || now < atomic_load(&vm->woken_until);
}

bool memory_stands_still(const struct vm *vm)
{
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		if (atomic_load(&vm->vcpus[i]->stood_since) > STOOD_BY_PAUSE)
			return true;
	return false;
}

bool memory_at_max(const struct vm *vm)
{
	return atomic_load(&vm->p2m.acct.resident) >= atomic_load(&vm->cfg->max) >> PAGE_SHIFT;
}

/* A VM at its max waits for itself, and one that does not run takes nothing. */
static bool in_queue(const struct vm *vm, u64 now)
{
	return memory_wanted_by(vm, now) && atomic_load(&vm->state) == VM_RUNNING &&
	       !memory_at_max(vm);
}

/*
 * The last rank whose turn it is.  The width of a turn keeps two that are equal from handing
 * the CPU to each other page by page.
 */
static u64 turn_ends(void)
{
	u64 least = UINT64_MAX - MEMORY_TURN, now = plat_tsc();
	const struct vm *vm;

	for_each_vm(vm)
		if (in_queue(vm, now))
			least = min(least, memory_rank(vm));
	return least + MEMORY_TURN;
}

/* Kept out of the way of the common case. */
static unsigned int __attribute__((noinline)) grant_while_scarce(const struct vm *vm)
{
	return memory_at_max(vm) || memory_rank(vm) > turn_ends() ? FRAME_PROMISED : 0;
}

unsigned int memory_grant(const struct vm *vm)
{
	unsigned int flags = balloon_below_target(vm) ? FRAME_USE_RESERVE : 0;
	u64 most = atomic_load(&vm->cfg->max) >> PAGE_SHIFT;

	/* Large pages only while there is plenty: they take memory that may never be used. */
	if (likely(atomic_load(&vm->p2m.acct.resident) + (1UL << ORDER_2M) <= most &&
		   !frames_scarce()))
		return flags | (governor_state() == POLICY_HIGH ? MEMORY_GRANT_LARGE : 0);
	return flags | grant_while_scarce(vm);
}

unsigned int memory_grant_p2m(const struct p2m *p)
{
	return memory_grant(container_of(p, struct vm, p2m)) & ~(unsigned int)MEMORY_GRANT_LARGE;
}

/* Frames that are promised to @vm are no reason to wait for others. */
static bool has_promise(const struct vm *vm)
{
	return atomic_load(&vm->p2m.acct.min_promised) ||
	       (atomic_load(&vm->p2m.acct.reserve) && balloon_below_target(vm));
}

void memory_wake_waiters(void)
{
	u64 turn = turn_ends();
	struct vm *vm;

	for_each_vm(vm) {
		if (!atomic_load(&vm->waiting) ||
		    ((memory_rank(vm) > turn || memory_at_max(vm)) && !has_promise(vm)))
			continue;
		atomic_store(&vm->woken_until, plat_tsc() + WOKEN_SLICES * sched_slice_ticks());
		sched_wake_no_memory(vm);
	}
}

static void log_wait(struct vm *vm)
{
	u64 now = plat_tsc();

	if (vm->wait_logged && tsc_since(vm->wait_logged, now) <= WAIT_LOG_MS * plat_tsc_khz())
		return;
	vm->wait_logged = now;
	if (memory_at_max(vm))
		vm_log(vm,
		       "stands still at its max of %lu MiB until its guest gives memory back; raise max if it cannot",
		       atomic_load(&vm->cfg->max) >> 20);
	else
		vm_log(vm, "paused until memory comes back: the host has none left");
}

void memory_wait(struct vcpu *v, int err)
{
	/* Frames in quarantine come soon: then this CPU just tries again. */
	if (quarantine_drain(64)) {
		memory_wake_waiters();
		return;
	}
	if (err == HV_EAGAIN) {
		/* Others must pass a quiescent point first; this CPU does so by coming back. */
		for (u32 i = 0; i < plat_nr_cpus(); i++)
			if (i != plat_cpu())
				plat_kick(i);
		v->slice_end = 0;
		return;
	}
	log_wait(v->vm);
	/* Free frames belong to the VMs ahead of us in the queue; wake those. */
	if (frames_available())
		memory_wake_waiters();
	sched_block(v, VCPU_NO_MEMORY);
	governor_hurry();
}

bool memory_idle_work(void)
{
	if (quarantine_drain(64)) {
		memory_wake_waiters();
		return true;
	}
	return frame_scrub_one();
}

void memory_wait_device(void)
{
	governor_hurry();
}
