/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon for guests that have no driver of ours. "Virtual I/O Device
 * (VIRTIO) Version 1.2": "Traditional Memory Balloon Device".  A front end: the
 * balloon itself is hv/memory/balloon.h's.  Its driver does not poll; what it says of
 * its statistics, once a second, shows that it lives.
 */
#ifndef HV_DEV_VIRTIO_BALLOON_H
#define HV_DEV_VIRTIO_BALLOON_H

#include <hv/dev/virtio.h>

struct virtio_balloon {
	u64 done[VIRTIO_QUEUES]; /* of each queue's next request: pages, or bytes of a report */
	u64 next_stats;		 /* TSC at which the guest is asked for them */
	u16 stats_read;		 /* the available index up to which they are known */
	struct {
		u32 pages, actual;
	} config;
};

void virtio_balloon_plug(struct virtio *d, struct vm *vm, u32 slot, struct virtio_balloon *b);

extern const struct balloon_front virtio_balloon_front;

#endif
