/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over MMIO, and its split rings.  "Virtual I/O Device (VIRTIO) Version
 * 1.2": "Virtio Over MMIO", "Split Virtqueues".  This is the transport; each
 * device is a struct virtio_kind in a file of its own.
 *
 * Rings, descriptors and lengths are the guest's: they are read anew, checked,
 * and used from the copy.  Addresses are translated at each use, so that a ring
 * may be reclaimed under us like any memory; a device that finds its ring
 * senseless or gone stops, says so once, and waits for a reset.
 */
#ifndef HV_DEV_VIRTIO_H
#define HV_DEV_VIRTIO_H

#include <hv/base/lock.h>

struct vcpu;
struct vm;

/* Where the slots are, as dsdt.asl says; slot n has I/O APIC pin 16 + n. */
#define VIRTIO_BASE 0xd0000000UL
#define VIRTIO_STRIDE 0x200UL
#define VIRTIO_SLOTS 8
#define VIRTIO_FIRST_PIN 16

#define VIRTIO_QUEUES 4
#define VIRTQ_SIZE 128 /* the most; a power of two */

/* How long one call of work() goes on: in an exit, which is the guest's own time, or in the background. */
#define VIRTIO_EXIT_US 500
#define VIRTIO_BACKGROUND_US 250

/* "Reserved Feature Bits" */
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)

struct virtio;

/* What a device is and does. */
struct virtio_kind {
	u32 id; /* "Device Types" */
	u32 nr_queues;
	u64 features;
	/* May a driver have it?  Once its features are agreed; NULL: any. */
	bool (*claim)(struct virtio *d);
	/* The driver is ready; may be NULL. */
	void (*started)(struct virtio *d);
	/* Everything that was begun is forgotten; may be NULL. */
	void (*reset)(struct virtio *d);
	/*
	 * Work on all queues, a bounded piece; virtio_again() if there is more.  Any CPU.
	 * Whatever happens to the rings meanwhile, virtq_peek() ends each loop over chains.
	 */
	void (*work)(struct virtio *d, u64 now);
};

struct virtq {
	bool ready;
	u16 num;
	u16 next; /* in the available ring: the chain to take next */
	u16 used; /* what we have put into the used ring */
	/* with EVENT_IDX */
	u16 told;  /* used, when an interrupt was last considered */
	u16 seen;  /* the available index, when it was last looked at */
	u16 asked; /* the index whose passing the driver notifies of */
	u16 ahead; /* the device's: chains that may wait unnoticed, because it comes by anyway */
	bool has_asked;
	u64 desc, avail, ring;
};

struct virtio {
	SPINLOCK(LOCK_VIRTIO) lock;
	const struct virtio_kind *kind; /* NULL: the slot is empty */
	struct vm *vm;
	void *device;
	const void *config; /* the device's configuration space, read-only */
	u32 config_size;
	u64 offered; /* kind->features, less what this one lacks */
	u64 features;
	u32 slot;
	u32 status, isr, generation;
	u32 queue_sel, device_features_sel, driver_features_sel;
	u64 due; /* (a) TSC at which work() is called, UINT64_MAX: not before the guest notifies */
	u32 budget;	/* descriptors that this call of work() may still read */
	u64 until;	/* TSC at which this call of work() ends */
	u64 interrupts; /* statistics */
	struct virtq q[VIRTIO_QUEUES];
};

/* An empty slot becomes a device; @device is the kind's own. While the VM is off. */
void virtio_plug(struct virtio *d, const struct virtio_kind *kind, struct vm *vm, u32 slot,
		 void *device);

/* As after power-on. */
void virtio_reset(struct virtio *d);

u64 virtio_mmio_read(struct vcpu *v, u64 offset, u32 size);
void virtio_mmio_write(struct vcpu *v, u64 offset, u32 size, u64 value);

/* The slot's work, if it is due at @now; returns when it is next. Any CPU. */
u64 virtio_work_due(struct virtio *d, u64 now);

/* --- for devices, with d->lock held --------------------------------------------------- */

struct virtq_segment {
	u64 gpa;
	u32 length;
};

/* A request: first what the device reads, then what it writes. */
struct virtq_chain {
	u16 head;
	u16 nr_in, nr_out; /* segments: out are the driver's to the device, and first */
	u64 bytes_in, bytes_out;
	struct virtq_segment segment[VIRTQ_SIZE];
};

/* How many chains wait; 0 also if the queue is not in use, or broken. */
u32 virtq_waiting(struct virtio *d, u32 queue);

/*
 * Copies the next chain, which stays the next.  HV_ENOENT: none waits; HV_EFAULT: broken;
 * HV_EBUSY: this call of work() has taken enough, another is due.
 */
int virtq_peek(struct virtio *d, u32 queue, struct virtq_chain *c);

/*
 * Reads a chain again that was taken before: whoever keeps its head need not keep all of it.  As
 * the guest may have changed it, all that is said of it holds for this copy.  HV_EFAULT: broken;
 * HV_EBUSY: later.
 */
int virtq_walk(struct virtio *d, u32 queue, u16 head, struct virtq_chain *c);

/*
 * The chain @c is done, @written bytes of it; the next one follows.  HV_ENOMEM,
 * HV_EAGAIN: no memory for the used ring now, nothing has changed.
 */
int virtq_done(struct virtio *d, u32 queue, const struct virtq_chain *c, u32 written);

/* The same in two parts, for devices that have several chains at a time: the next one follows... */
void virtq_take(struct virtio *d, u32 queue);
/* ...and one that was taken is done, in any order. */
int virtq_complete(struct virtio *d, u32 queue, u16 head, u32 written);

/* After some were done: interrupts the guest, if it wants that. */
void virtq_interrupt(struct virtio *d, u32 queue);

/*
 * @length bytes at @offset of what the device reads, or writes.  HV_ERANGE: the
 * chain is shorter; HV_EFAULT: not memory; writing also HV_ENOMEM, HV_EAGAIN.
 */
int virtq_read(struct virtio *d, const struct virtq_chain *c, u64 offset, void *to, size_t length);
int virtq_write(struct virtio *d, const struct virtq_chain *c, u64 offset, const void *from,
		size_t length);

/* The configuration space is another now: tells the driver. */
void virtio_config_changed(struct virtio *d);

/* Works for @us microseconds at most, if the driver is ready. */
void virtio_work(struct virtio *d, u64 now, u32 us);

/* work() is called again at TSC @at, or earlier. */
void virtio_again(struct virtio *d, u64 at);

/* May this call of work() begin another piece?  Asked before each, of some microseconds. */
bool virtio_may_go_on(const struct virtio *d);

/* Is @err a lack of memory, now?  Then work() is called again soon, and the rest waits. */
bool virtio_wait_for_memory(struct virtio *d, int err);

/* The guest's driver has done what cannot be understood: stops until a reset. */
void virtio_broken(struct virtio *d, const char *what);

/* --- between virtio.c and virtq.c ----------------------------------------------------- */

/* The guest has said where @q is: ready, if that can be. */
bool virtq_start(struct virtq *q);

/* Is an interrupt wanted for what has been done since the last time that this was asked? */
bool virtq_wants_interrupt(struct virtio *d, u32 queue);

/* With EVENT_IDX, after work(): says which further chain the driver has to notify of. */
void virtq_ask(struct virtio *d, u32 queue);

#endif
