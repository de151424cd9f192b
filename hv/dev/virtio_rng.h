/* SPDX-License-Identifier: BSD-2-Clause */
/* An entropy device. "Virtual I/O Device (VIRTIO) Version 1.2": "Entropy Device". */
#ifndef HV_DEV_VIRTIO_RNG_H
#define HV_DEV_VIRTIO_RNG_H

#include <hv/dev/virtio.h>

extern const struct virtio_kind virtio_rng;

#endif
