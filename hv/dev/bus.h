/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's virtio devices: which slot has what.  A VM has a bus if its kernel is
 * a Linux, which gets the standard set, or if it has disks.
 */
#ifndef HV_DEV_BUS_H
#define HV_DEV_BUS_H

#include <hv/config/config.h>
#include <hv/dev/virtio_balloon.h>
#include <hv/dev/virtio_blk.h>
#include <hv/dev/virtio_console.h>

enum { SLOT_CONSOLE, SLOT_RNG, SLOT_DISK, SLOT_BALLOON = SLOT_DISK + MAX_VM_DISKS };

struct bus {
	struct virtio slot[VIRTIO_SLOTS];
	struct virtio_blk disk[MAX_VM_DISKS];
	struct virtio_console console;
	struct virtio_balloon balloon;
};

/* No VM has devices yet. Boot. */
void bus_init(void);

/* In frames: memory of the VM's disks while it is on, which cannot be reclaimed. */
u64 bus_frames(const struct vm *vm);

/* Devices as after power-on; disks keep what was written if the VM only reboots. HV_ENOENT, HV_ENOMEM. */
int bus_start(struct vm *vm);

/*
 * The VM is no longer alive: on return no CPU works in its devices, and none will.  False: requests
 * to a disk of the host are still on their way; come again.
 */
bool bus_quiesce(struct vm *vm);

/* It is off for good: gives the disks' frames back, a bounded piece; true when all are. */
bool bus_stop(struct vm *vm);

/*
 * A bounded piece of what is due in the devices of all VMs, charged to them (sched_charge).
 * Each VM has its turn; between two pieces the CPU rests from it for longer than they took, if
 * it is not @idle.  One CPU at a time.  False: nothing was done.
 */
bool bus_work(bool idle);

#endif
