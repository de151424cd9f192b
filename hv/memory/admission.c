/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/memory/admission.h>
#include <hv/vm/vm.h>

u64 admission_tables(const struct vm *vm)
{
	return p2m_tables_max(vm->pages, vm_top_gfn(vm));
}

/* In frames: what @vm needs beside its min. */
static u64 overhead_of(const struct vm *vm)
{
	return (vm->cfg->reserve >> PAGE_SHIFT) + admission_tables(vm) + bus_frames(vm);
}

u64 admission_start_frames(const struct vm *vm)
{
	const struct frame_acct *a = &vm->p2m.acct;
	u64 needs = ((atomic_load(&vm->cfg->min) + vm->cfg->reserve) >> PAGE_SHIFT) +
		    admission_tables(vm);

	return needs - min(needs, atomic_load(&a->min_promised) + atomic_load(&a->tables_promised) +
					  atomic_load(&a->reserve));
}

/* In frames: all of the machine's but the hypervisor's own; disks of VMs are not its own. */
static u64 frames_for_vms(void)
{
	struct frame_stats s = frames_stats();
	const struct vm *vm;
	u64 disks = 0;

	for_each_vm(vm)
		disks += vm_disk_frames(vm);
	return s.total - min(s.total, s.hv - min(s.hv, disks));
}

/* Does @vm hold promises, or is it about to? */
static bool has_promises(const struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	return vm_alive(vm) || atomic_load(&vm->again) || state == VM_STARTING || state == VM_BUILT;
}

/* In frames: what VMs other than @vm may count on.  *@most: the one that may on most, or NULL. */
static u64 promised_to_others(const struct vm *vm, const struct vm **most)
{
	u64 promised = 0, largest = 0;
	const struct vm *o;

	*most = NULL;
	for_each_vm(o) {
		u64 p = (atomic_load(&o->cfg->min) >> PAGE_SHIFT) + overhead_of(o);

		if (o == vm || !has_promises(o))
			continue;
		promised += p;
		if (p > largest) {
			largest = p;
			*most = o;
		}
	}
	return promised;
}

bool admission_allows_min(const struct vm *vm, u64 min)
{
	const struct vm *most;

	return promised_to_others(vm, &most) + min + overhead_of(vm) <= frames_for_vms();
}

/*
 * Memory above the mins must have somewhere to go: balloons take it, up to balloon_max.  If
 * all VMs together could fill more than there is even then, one of them will be asked for
 * more or paused some day, and the log says so today.
 */
static void check_room(struct vm *vm)
{
	u64 total = frames_for_vms(), left = 0;
	const struct vm *o;

	for_each_vm(o) {
		u64 balloon = o->pages * host_config->balloon_max / 100;
		u64 least = max(o->pages - balloon, atomic_load(&o->cfg->min) >> PAGE_SHIFT);

		if (o == vm || has_promises(o))
			left += min(least, atomic_load(&o->cfg->max) >> PAGE_SHIFT) +
				overhead_of(o);
	}
	if (left > total)
		vm_log(vm,
		       "with it, full VMs whose balloons are at balloon_max need %lu KiB more than there is; lower a max",
		       (left - total) * 4);
}

int admission_check(struct vm *vm)
{
	u64 least = atomic_load(&vm->cfg->min) >> PAGE_SHIFT, disks = bus_frames(vm);
	u64 needs = least + overhead_of(vm), total = frames_for_vms();
	const struct vm *most;
	u64 others = promised_to_others(vm, &most);

	if (others + needs <= total) {
		check_room(vm);
		return HV_OK;
	}
	return log_error(
		HV_ENOMEM,
		"vm %s: not started: it needs %lu KiB (min %lu, disks %lu, tables %lu, reserve %lu), %lu KiB too many; %lu of %lu KiB are promised to others%s%s; lower a min",
		vm->cfg->name, needs * 4, least * 4, disks * 4, admission_tables(vm) * 4,
		vm->cfg->reserve >> 10, (others + needs - total) * 4, others * 4, total * 4,
		most ? ", most to vm " : "", most ? most->cfg->name : "");
}
