/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console device, hvc0. "Virtual I/O Device (VIRTIO) Version 1.2": "Console
 * Device".  One notification sends a whole buffer; who has the keyboard is
 * hv/dev/console.h's business.
 */
#ifndef HV_DEV_VIRTIO_CONSOLE_H
#define HV_DEV_VIRTIO_CONSOLE_H

#include <hv/dev/virtio.h>

#define VIRTIO_CONSOLE_INPUT 1024 /* a power of two */

struct virtio_console {
	u64 sent;	/* bytes of the chain in work */
	bool speaks;	/* since its reset: then it is what the guest listens on */
	u32 head, tail; /* of what was typed; they run freely */
	u8 input[VIRTIO_CONSOLE_INPUT];
};

extern const struct virtio_kind virtio_console;

#endif
