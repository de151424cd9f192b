/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/bus.h>
#include <hv/dev/virtio_rng.h>
#include <hv/load/load.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

static bool is_linux(const struct vm *vm)
{
	const struct image *kernel = image_find(vm->cfg->kernel);

	return kernel && load_is_linux(kernel);
}

u64 bus_frames(const struct vm *vm)
{
	u64 frames = 0;

	for (u32 i = 0; i < vm->cfg->nr_disks; i++)
		frames += disk_frames(&vm->cfg->disk[i]);
	return frames;
}

static int open_disk(struct vm *vm, u32 i)
{
	const struct disk_config *cfg = &vm->cfg->disk[i];
	struct virtio_blk *blk = &vm->bus->disk[i];
	int err = HV_OK;

	if (!blk->disk.bytes) {
		memset(blk, 0, sizeof(*blk));
		str_format(blk->id, sizeof(blk->id), "aerostat-disk%u", i);
		err = disk_open(&blk->disk, cfg);
	}
	if (err == HV_ENOENT)
		return log_error(err, "vm %s: disk %s was not loaded with the hypervisor",
				 vm->cfg->name, cfg->file);
	if (!err)
		virtio_blk_plug(&vm->bus->slot[SLOT_DISK + i], vm, SLOT_DISK + i, blk,
				cfg->latency_us * plat_tsc_khz() / 1000);
	return err;
}

int bus_start(struct vm *vm)
{
	struct virtio *slot;
	bool standard = is_linux(vm);

	if (!standard && !vm->cfg->nr_disks)
		return HV_OK;
	if (!vm->bus)
		vm->bus = frame_alloc_pages(frame_order(sizeof(*vm->bus)));
	if (!vm->bus)
		return HV_ENOMEM;
	slot = vm->bus->slot;
	memset(slot, 0, sizeof(vm->bus->slot));
	if (standard)
		virtio_plug(&slot[SLOT_CONSOLE], &virtio_console, vm, SLOT_CONSOLE,
			    &vm->bus->console);
	if (standard && (vm->cfg->balloon == BALLOON_AUTO || vm->cfg->balloon == BALLOON_VIRTIO))
		virtio_balloon_plug(&slot[SLOT_BALLOON], vm, SLOT_BALLOON, &vm->bus->balloon);
	if (standard && plat_has_random())
		virtio_plug(&slot[SLOT_RNG], &virtio_rng, vm, SLOT_RNG, NULL);
	for (u32 i = 0; i < vm->cfg->nr_disks; i++) {
		int err = open_disk(vm, i);

		if (err)
			return err;
	}
	for (u32 i = 0; i < VIRTIO_SLOTS; i++)
		if (slot[i].kind)
			virtio_reset(&slot[i]);
	return HV_OK;
}

u32 bus_slots(const struct vm *vm)
{
	u32 slots = 0;

	for (u32 i = 0; vm->bus && i < VIRTIO_SLOTS; i++)
		slots |= vm->bus->slot[i].kind ? 1u << i : 0;
	return slots;
}

void bus_quiesce(struct vm *vm)
{
	for (u32 i = 0; vm->bus && i < VIRTIO_SLOTS; i++) {
		spin_lock(&vm->bus->slot[i].lock);
		spin_unlock(&vm->bus->slot[i].lock);
	}
}

bool bus_stop(struct vm *vm)
{
	for (u32 i = 0; vm->bus && i < MAX_VM_DISKS; i++)
		if (!disk_close(&vm->bus->disk[i].disk))
			return false;
	return true;
}

void bus_tick(u64 now)
{
	for (u32 i = 0; i < nr_vms; i++) {
		u64 due = UINT64_MAX;

		for (u32 s = 0; vm_alive(vms[i]) && vms[i]->bus && s < VIRTIO_SLOTS; s++)
			due = min(due, virtio_work_due(&vms[i]->bus->slot[s], now));
		if (due != UINT64_MAX)
			sched_event_at(due);
	}
}
