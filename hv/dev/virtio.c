/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of the transport; the rings are in virtq.c. */
#include <hv/base/nospec.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/bus.h>
#include <hv/dev/virtio.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

/* "MMIO Device Register Layout" */
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_SIZE_MAX = 0x034,
	REG_QUEUE_SIZE = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC = 0x080,
	REG_QUEUE_DRIVER = 0x090,
	REG_QUEUE_DEVICE = 0x0a0,
	REG_SHM_LENGTH = 0x0b0,
	REG_SHM_BASE = 0x0b8,
	REG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};
#define MAGIC 0x74726976  /* "virt" */
#define VENDOR 0x6f726541 /* "Aero" */

/* "Device Status Field" */
#define STATUS_DRIVER_OK BIT(2)
#define STATUS_FEATURES_OK BIT(3)
#define STATUS_NEEDS_RESET BIT(6)

#define ISR_USED BIT(0)
#define ISR_CONFIG BIT(1)

#define MEMORY_RETRY_US 1000

/*
 * Descriptors for which one call of work() goes on.  No driver has more of them on their way,
 * for its tables hold no more; but another vCPU may use them again and again meanwhile, or a
 * chain may have them all, each time.
 */
#define WORK_DESCRIPTORS (VIRTIO_QUEUES * VIRTQ_SIZE)

void virtio_plug(struct virtio *d, const struct virtio_kind *kind, struct vm *vm, u32 slot,
		 void *device)
{
	*d = (struct virtio){ .kind = kind,
			      .vm = vm,
			      .slot = slot,
			      .device = device,
			      .offered = kind->features | VIRTIO_F_VERSION_1,
			      .due = UINT64_MAX };
}

static void update_line(struct virtio *d)
{
	ioapic_set_line(d->vm, VIRTIO_FIRST_PIN + d->slot, d->isr != 0);
}

void virtio_reset(struct virtio *d)
{
	d->status = d->isr = 0;
	d->queue_sel = d->device_features_sel = d->driver_features_sel = 0;
	d->features = 0;
	atomic_store(&d->due, UINT64_MAX);
	memset(d->q, 0, sizeof(d->q));
	if (d->kind->reset)
		d->kind->reset(d);
}

static bool works(const struct virtio *d)
{
	return (d->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

void virtio_again(struct virtio *d, u64 at)
{
	u64 old = atomic_load(&d->due);

	while (at < old && !atomic_cas(&d->due, old, at))
		old = atomic_load(&d->due);
	sched_event_at(at);
}

bool virtio_may_go_on(const struct virtio *d)
{
	return plat_tsc() < d->until;
}

bool virtio_wait_for_memory(struct virtio *d, int err)
{
	if (err != HV_ENOMEM && err != HV_EAGAIN)
		return false;
	memory_wait_device();
	virtio_again(d, plat_tsc() + plat_tsc_khz() * MEMORY_RETRY_US / 1000);
	return true;
}

void virtio_broken(struct virtio *d, const char *what)
{
	if (d->status & STATUS_NEEDS_RESET)
		return;
	vm_log(d->vm, "virtio slot %u: %s; it stands still until its driver resets it", d->slot,
	       what);
	d->status |= STATUS_NEEDS_RESET;
	d->isr |= ISR_CONFIG;
	update_line(d);
}

void virtio_config_changed(struct virtio *d)
{
	d->generation++;
	d->isr |= ISR_CONFIG;
	update_line(d);
}

void virtq_interrupt(struct virtio *d, u32 queue)
{
	if (!virtq_wants_interrupt(d, queue))
		return;
	d->interrupts++;
	d->isr |= ISR_USED;
	update_line(d);
}

void virtio_work(struct virtio *d, u64 now, u32 us)
{
	atomic_store(&d->due, UINT64_MAX);
	if (!works(d))
		return;
	d->budget = WORK_DESCRIPTORS;
	d->until = plat_tsc() + plat_tsc_khz() * us / 1000;
	d->kind->work(d, now);
	for (u32 i = 0; d->features & VIRTIO_F_EVENT_IDX && i < d->kind->nr_queues; i++)
		virtq_ask(d, i);
	if (!d->budget)
		virtio_again(d, now);
}

u64 virtio_work_due(struct virtio *d, u64 now)
{
	if (!d->kind)
		return UINT64_MAX;
	if (atomic_load(&d->due) > now)
		return atomic_load(&d->due);
	spin_lock(&d->lock);
	/* Under the lock, so that the VM is not taken apart meanwhile: see bus_quiesce(). */
	if (atomic_load(&d->vm->state) == VM_RUNNING)
		virtio_work(d, now, VIRTIO_BACKGROUND_US);
	spin_unlock(&d->lock);
	return atomic_load(&d->due);
}

/* --- registers ---------------------------------------------------------------------------- */

static struct virtq *selected(struct virtio *d)
{
	return d->queue_sel < d->kind->nr_queues ?
		       &d->q[index_nospec(d->queue_sel, d->kind->nr_queues)] :
		       NULL;
}

static u64 read_register(struct virtio *d, u32 reg)
{
	const struct virtq *q = selected(d);

	switch (reg) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return 2;
	case REG_DEVICE_ID:
		return d->kind->id;
	case REG_VENDOR_ID:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return d->device_features_sel < 2 ?
			       (u32)(d->offered >> (32 * d->device_features_sel)) :
			       0;
	case REG_QUEUE_SIZE_MAX:
		return q ? VIRTQ_SIZE : 0;
	case REG_QUEUE_READY:
		return q && q->ready;
	case REG_INTERRUPT_STATUS:
		return d->isr;
	case REG_STATUS:
		return d->status;
	case REG_GENERATION:
		return d->generation;
	/* There are no shared memory regions: all ones. */
	case REG_SHM_LENGTH:
	case REG_SHM_LENGTH + 4:
	case REG_SHM_BASE:
	case REG_SHM_BASE + 4:
		return UINT32_MAX;
	default:
		return 0;
	}
}

static void set_half(u64 *address, u32 reg, u32 value)
{
	if (reg & 4)
		*address = (u32)*address | (u64)value << 32;
	else
		*address = (*address & ~(u64)UINT32_MAX) | value;
}

static void write_status(struct virtio *d, u32 value)
{
	bool worked = works(d);

	if (!value) {
		virtio_reset(d);
		update_line(d);
		return;
	}
	if (d->features & ~d->offered || !(d->features & VIRTIO_F_VERSION_1) ||
	    (value & ~d->status & STATUS_FEATURES_OK && d->kind->claim && !d->kind->claim(d)))
		value &= ~(u32)STATUS_FEATURES_OK;
	/* "Device Initialization": not before both sides agree; and the device may be another driver's */
	if (!(value & STATUS_FEATURES_OK))
		value &= ~(u32)STATUS_DRIVER_OK;
	/* NEEDS_RESET is ours. */
	d->status = (value & 0xff & ~(u32)STATUS_NEEDS_RESET) | (d->status & STATUS_NEEDS_RESET);
	if (!worked && works(d) && d->kind->started)
		d->kind->started(d);
}

static void write_features(struct virtio *d, u32 value)
{
	if (d->status & STATUS_FEATURES_OK || d->driver_features_sel > 1)
		return;
	set_half(&d->features, d->driver_features_sel * 4, value);
}

/* A queue in use keeps what it has. */
static void write_queue(struct virtio *d, u32 reg, u32 value)
{
	struct virtq *q = selected(d);

	if (!q)
		return;
	if (reg == REG_QUEUE_READY) {
		if (!value)
			*q = (struct virtq){ 0 };
		else if (!q->ready && !virtq_start(q))
			virtio_broken(d, "a queue has a size or an address that cannot be");
		return;
	}
	if (q->ready)
		return;
	switch (reg & ~4u) {
	case REG_QUEUE_SIZE & ~4u:
		q->num = (u16)min(value, 0xffffu);
		break;
	case REG_QUEUE_DESC:
		set_half(&q->desc, reg, value);
		break;
	case REG_QUEUE_DRIVER:
		set_half(&q->avail, reg, value);
		break;
	case REG_QUEUE_DEVICE:
		set_half(&q->ring, reg, value);
		break;
	}
}

static void write_register(struct virtio *d, u32 reg, u32 value)
{
	switch (reg) {
	case REG_DEVICE_FEATURES_SEL:
		d->device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES:
		write_features(d, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		d->driver_features_sel = value;
		break;
	case REG_QUEUE_SEL:
		d->queue_sel = value;
		break;
	case REG_QUEUE_NOTIFY:
		virtio_work(d, plat_tsc(), VIRTIO_EXIT_US);
		break;
	case REG_INTERRUPT_ACK:
		d->isr &= ~value;
		update_line(d);
		break;
	case REG_STATUS:
		write_status(d, value);
		break;
	case REG_QUEUE_SIZE:
	case REG_QUEUE_READY:
	case REG_QUEUE_DESC:
	case REG_QUEUE_DESC + 4:
	case REG_QUEUE_DRIVER:
	case REG_QUEUE_DRIVER + 4:
	case REG_QUEUE_DEVICE:
	case REG_QUEUE_DEVICE + 4:
		write_queue(d, reg, value);
		break;
	}
}

static struct virtio *device_at(struct vcpu *v, u64 offset)
{
	u64 slot = index_nospec(offset / VIRTIO_STRIDE, VIRTIO_SLOTS);
	struct virtio *d = v->vm->bus ? &v->vm->bus->slot[slot] : NULL;

	return d && d->kind ? d : NULL;
}

/* Registers are of 32 bits, the device's own space of any size; what is not there reads as 0. */
u64 virtio_mmio_read(struct vcpu *v, u64 offset, u32 size)
{
	struct virtio *d = device_at(v, offset);
	u64 value = 0;

	offset %= VIRTIO_STRIDE;
	if (!d)
		return 0; /* no magic: nobody */
	spin_lock(&d->lock);
	if (offset >= REG_CONFIG && offset - REG_CONFIG + size <= d->config_size)
		memcpy(&value,
		       (const u8 *)d->config + index_nospec(offset - REG_CONFIG, d->config_size),
		       size);
	else if (offset < REG_CONFIG && size == 4)
		value = read_register(d, (u32)offset);
	spin_unlock(&d->lock);
	return value;
}

void virtio_mmio_write(struct vcpu *v, u64 offset, u32 size, u64 value)
{
	struct virtio *d = device_at(v, offset);

	offset %= VIRTIO_STRIDE;
	if (!d || size != 4 || offset >= REG_CONFIG)
		return;
	spin_lock(&d->lock);
	write_register(d, (u32)offset, (u32)value);
	spin_unlock(&d->lock);
}
