/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices at guest-physical addresses: a row each in the table of mmio.c.  The
 * vCPU whose instruction it is is on this CPU; other vCPUs of its VM may be in
 * the same device at the same time.
 */
#ifndef HV_MMIO_H
#define HV_MMIO_H

#include <hv/vm/backend.h>

/*
 * An access that reaches a device is of 1, 2, 4 or 8 bytes, naturally aligned
 * and within its range; one that is not is split into such, lowest first.  A
 * size or place that a device does not have is the device's to answer: reads
 * as all ones, writes are ignored.
 */
struct mmio_range {
	u64 base, size; /* multiples of 8: so no aligned piece is half in it */
	u64 (*read)(struct vcpu *v, u64 offset, u32 size);
	void (*write)(struct vcpu *v, u64 offset, u32 size, u64 value);
	bool (*present)(const struct vcpu *v);
};

/* The device at @gpa, as @v sees it now; NULL: none. */
const struct mmio_range *mmio_find(const struct vcpu *v, gpa_t gpa);

/* @size bytes (1 to 8) at @gpa. Where no device is: all ones, and writes are ignored. */
u64 mmio_read(struct vcpu *v, gpa_t gpa, u32 size);
void mmio_write(struct vcpu *v, gpa_t gpa, u32 size, u64 value);

/* The exit @e was an access to what is not memory: a device, or the end of the VM. */
void mmio_exit(struct vcpu *v, const struct vmexit *e);

/*
 * emulate.c: carries out the instruction at the guest's RIP, which touched the
 * device at @gpa.  It may leave RIP where it is: an exception is injected, the
 * vCPU waits for memory, a string instruction goes on, or the guest has
 * changed the instruction meanwhile.
 */
void emulate_access(struct vcpu *v, gpa_t gpa, bool write);

#endif
