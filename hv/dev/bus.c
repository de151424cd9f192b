/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/bus.h>
#include <hv/dev/virtio_rng.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

u64 bus_frames(const struct vm *vm)
{
	u64 frames = 0;

	for (u32 i = 0; i < vm->cfg->nr_disks; i++)
		frames +=
			vm->cfg->disk[i].host ? blk_host_frames() : disk_frames(&vm->cfg->disk[i]);
	return frames;
}

static const char *why_not(int err)
{
	switch (err) {
	case HV_ENOENT:
		return "is on no disk of this machine; the log says above what there is";
	case HV_EINVAL:
		return "is there more than once";
	case HV_EPERM:
		return "has partitions: name one of them";
	case HV_EBUSY:
		return "is another VM's, and one of both would write";
	default:
		return hv_strerror(err);
	}
}

static int open_host_disk(struct vm *vm, struct virtio_blk *blk, const struct disk_config *cfg)
{
	int err;

	blk->host = blk_host_open(cfg->file, !cfg->read_only, &err);
	if (err && err != HV_ENOMEM)
		log_line("vm %s: disk %s %s", vm->cfg->name, cfg->file, why_not(err));
	if (!err)
		str_copy(blk->id, cfg->file, sizeof(blk->id));
	return err;
}

static int open_disk(struct vm *vm, u32 i)
{
	const struct disk_config *cfg = &vm->cfg->disk[i];
	struct virtio_blk *blk = &vm->bus->disk[i];
	int err = HV_OK;

	if (!blk->disk.bytes && !blk->host) {
		memset(blk, 0, sizeof(*blk));
		str_format(blk->id, sizeof(blk->id), "aerostat-disk%u", i);
		err = cfg->host ? open_host_disk(vm, blk, cfg) : disk_open(&blk->disk, cfg);
		if (err == HV_ENOENT && !cfg->host)
			log_error(err, "vm %s: disk %s was not loaded with the hypervisor",
				  vm->cfg->name, cfg->file);
	}
	if (!err)
		virtio_blk_plug(&vm->bus->slot[SLOT_DISK + i], vm, SLOT_DISK + i, blk,
				cfg->latency_us * plat_tsc_khz() / 1000);
	return err;
}

int bus_start(struct vm *vm)
{
	struct virtio *slot;

	vm->slots = 0;
	if (!vm->is_linux && !vm->cfg->nr_disks)
		return HV_OK;
	if (!vm->bus)
		vm->bus = frame_alloc_pages(frame_order(sizeof(*vm->bus)));
	if (!vm->bus)
		return HV_ENOMEM;
	slot = vm->bus->slot;
	memset(slot, 0, sizeof(vm->bus->slot));
	if (vm->is_linux)
		virtio_plug(&slot[SLOT_CONSOLE], &virtio_console, vm, SLOT_CONSOLE,
			    &vm->bus->console);
	if (vm->is_linux &&
	    (vm->cfg->balloon == BALLOON_AUTO || vm->cfg->balloon == BALLOON_VIRTIO))
		virtio_balloon_plug(&slot[SLOT_BALLOON], vm, SLOT_BALLOON, &vm->bus->balloon);
	if (vm->is_linux && plat_has_random())
		virtio_plug(&slot[SLOT_RNG], &virtio_rng, vm, SLOT_RNG, NULL);
	for (u32 i = 0; i < vm->cfg->nr_disks; i++) {
		int err = open_disk(vm, i);

		if (err)
			return err;
	}
	for (u32 i = 0; i < VIRTIO_SLOTS; i++)
		if (slot[i].kind) {
			virtio_reset(&slot[i]);
			vm->slots |= 1u << i;
		}
	return HV_OK;
}

bool bus_quiesce(struct vm *vm)
{
	for (u32 i = 0; vm->bus && i < VIRTIO_SLOTS; i++) {
		spin_lock(&vm->bus->slot[i].lock);
		spin_unlock(&vm->bus->slot[i].lock);
	}
	for (u32 i = 0; vm->bus && i < MAX_VM_DISKS; i++)
		if (vm->bus->disk[i].host && !blk_host_idle(vm->bus->disk[i].host))
			return false;
	return true;
}

bool bus_stop(struct vm *vm)
{
	for (u32 i = 0; vm->bus && i < MAX_VM_DISKS; i++) {
		struct virtio_blk *blk = &vm->bus->disk[i];

		if (!disk_close(&blk->disk))
			return false;
		if (blk->host)
			blk_host_close(blk->host);
		blk->host = NULL;
	}
	return true;
}

/*
 * Background work on devices takes at most 2/5 of a CPU that has something to run: of the
 * rest, the change from one to the other and the tick take 8/100 on a slow CPU.
 */
#define BUDGET_US 1000
#define REST(spent) ((spent)*3 / 2)

static struct {
	u32 busy;	/* (a) a CPU is at it */
	u32 first;	/* the VM to begin with: each has its turn */
	u64 rest_until; /* (a) TSC */
} work;

void bus_init(void)
{
	work.first = 0;
	work.rest_until = 0;
}

/* Devices of @vm that are due, one piece each; returns the TSC ticks that it took. */
static u64 work_for(struct vm *vm, u64 now)
{
	u64 begin = plat_tsc(), spent;

	for (u32 s = 0; s < VIRTIO_SLOTS; s++)
		virtio_work_due(&vm->bus->slot[s], now);
	spent = plat_tsc() - begin;
	sched_charge(vm, spent);
	return spent;
}

static bool has_devices(const struct vm *vm)
{
	return vm->bus && atomic_load(&vm->state) == VM_RUNNING;
}

/* TSC at which a device of a VM is due. */
static u64 next_due(void)
{
	u64 due = UINT64_MAX;
	const struct vm *vm;

	for_each_vm(vm)
		for (u32 s = 0; has_devices(vm) && s < VIRTIO_SLOTS; s++)
			if (vm->bus->slot[s].kind)
				due = min(due, atomic_load(&vm->bus->slot[s].due));
	return due;
}

static u64 work_for_all(u64 now)
{
	u64 budget = plat_tsc_khz() * BUDGET_US / 1000, spent = 0;
	u32 first = work.first;
	struct vm *vm;

	for_each_vm_from(vm, first) {
		if (has_devices(vm))
			spent += work_for(vm, now);
		if (spent >= budget) {
			work.first = (vm->id + 1) % nr_vms;
			break;
		}
	}
	return spent;
}

bool bus_work(bool idle)
{
	u64 now = plat_tsc(), due = next_due(), spent;

	if (due > now || (!idle && now < atomic_load(&work.rest_until))) {
		if (due != UINT64_MAX)
			sched_event_at(max(due, atomic_load(&work.rest_until)));
		return false;
	}
	if (atomic_swap(&work.busy, 1u))
		return false;
	spent = work_for_all(now);
	if (!idle)
		atomic_store(&work.rest_until, plat_tsc() + REST(spent));
	atomic_store_release(&work.busy, 0u);
	due = next_due();
	if (due != UINT64_MAX)
		sched_event_at(max(due, atomic_load(&work.rest_until)));
	return true;
}
