/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device is at which guest-physical address, by table. */
#include <hv/base/log.h>
#include <hv/apic/ioapic.h>
#include <hv/dev/virtio.h>
#include <hv/load/load.h>
#include <hv/emulate/mmio.h>
#include <hv/vm/vm.h>

static u64 ones(u32 size)
{
	return UINT64_MAX >> (64 - size * 8);
}

static bool lapic_present(const struct vcpu *v)
{
	return (v->lapic.base & (BIT(11) | BIT(10))) == BIT(11); /* on, and not x2APIC */
}

/* SDM: "Local APIC Register Address Map": 32 bits at a time, else undefined. */
static u64 lapic_read(struct vcpu *v, u64 offset, u32 size)
{
	return size == 4 ? lapic_mmio_read(v, (u32)offset) : ones(size);
}

static void lapic_write(struct vcpu *v, u64 offset, u32 size, u64 value)
{
	if (size == 4)
		lapic_mmio_write(v, (u32)offset, (u32)value);
}

static bool always_present(const struct vcpu *v)
{
	(void)v;
	return true;
}

static bool has_bus(const struct vcpu *v)
{
	return v->vm->bus;
}

static const struct mmio_range ranges[] = {
	{ LAPIC_DEFAULT_BASE, PAGE_SIZE, lapic_read, lapic_write, lapic_present },
	{ IOAPIC_BASE, IOAPIC_SIZE, ioapic_mmio_read, ioapic_mmio_write, always_present },
	{ VIRTIO_BASE, VIRTIO_SLOTS *VIRTIO_STRIDE, virtio_mmio_read, virtio_mmio_write, has_bus },
};

const struct mmio_range *mmio_find(const struct vcpu *v, gpa_t gpa)
{
	for (const struct mmio_range *r = ranges; r < ranges + ARRAY_SIZE(ranges); r++)
		if (gpa.v - r->base < r->size && r->present(v))
			return r;
	return NULL;
}

/* The largest naturally aligned piece at the start of @size bytes at @gpa. */
static u32 piece(gpa_t gpa, u32 size)
{
	u32 n = 8;

	while (n > size || gpa.v & (n - 1))
		n >>= 1;
	return n;
}

static u64 access(struct vcpu *v, gpa_t gpa, u32 size, bool write, u64 value)
{
	u64 result = 0;

	for (u32 done = 0, n; done < size; done += n) {
		gpa_t at = GPA(gpa.v + done);
		const struct mmio_range *r = mmio_find(v, at);
		u64 part;

		n = piece(at, size - done);
		part = ones(n);
		if (r && write)
			r->write(v, at.v - r->base, n, value >> (done * 8) & part);
		else if (r)
			part &= r->read(v, at.v - r->base, n);
		result |= part << (done * 8);
	}
	return result;
}

u64 mmio_read(struct vcpu *v, gpa_t gpa, u32 size)
{
	return access(v, gpa, size, false, 0);
}

void mmio_write(struct vcpu *v, gpa_t gpa, u32 size, u64 value)
{
	access(v, gpa, size, true, value);
}

/*
 * Where a PC has its adapters and firmware, kernels look for what may be there; what
 * is not reads as an empty bus does.  A VM that strays anywhere else is stopped.
 */
static bool is_bus(gpa_t gpa)
{
	return (gpa.v >= LOAD_LOW_END && gpa.v < LOAD_HIGH_START) ||
	       (gpa.v >= LOAD_HOLE_START && gpa.v < LOAD_ABOVE_HOLE);
}

void mmio_exit(struct vcpu *v, const struct vmexit *e)
{
	const char *what = e->fault.write ? "write" : "read";
	bool somebody = mmio_find(v, e->fault.gpa) || is_bus(e->fault.gpa);

	if (likely(somebody && !e->fault.exec)) {
		emulate_access(v, e->fault.gpa, e->fault.write);
		return;
	}
	/* A process jumps into a device's page. All ones are what a bus would give: #UD. */
	if (somebody && backend->get_reg(v, GREG_CPL) == 3) {
		vcpu_inject_ud(v);
		return;
	}
	vcpu_dump(v);
	if (e->fault.exec)
		vm_end(v->vm, VM_STATUS_CRASHED, "execution at %lx: no memory", e->fault.gpa.v);
	else
		vm_end(v->vm, VM_STATUS_CRASHED, "%s at %lx: no memory, no device", what,
		       e->fault.gpa.v);
}
