/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/dev/virtio_rng.h>
#include <hv/vm/vm.h>

#define REQUEST_MAX 64 /* bytes; a driver that wants more asks again */

/* False: it has to wait. */
static bool serve(struct virtio *d, const struct virtq_chain *c)
{
	u64 bytes[REQUEST_MAX / sizeof(u64)];
	u32 n = (u32)min(c->bytes_in, (u64)REQUEST_MAX);
	int err;

	/* The CPU's generator may be behind for a moment: fewer then. */
	for (u32 i = 0; i < ARRAY_SIZE(bytes); i++)
		if (!plat_random(&bytes[i]))
			n = min(n, i * (u32)sizeof(u64));
	err = virtq_write(d, c, 0, bytes, n);
	if (!err)
		err = virtq_done(d, 0, c, n);
	if (err && !virtio_wait_for_memory(d, err))
		virtio_broken(d, "a request for entropy is not in memory");
	return !err;
}

static void work(struct virtio *d, u64 now)
{
	struct virtq_chain c;
	u32 waiting = virtq_waiting(d, 0);
	bool any = false;

	(void)now;
	for (; waiting && !virtq_peek(d, 0, &c) && serve(d, &c); waiting--)
		any = true;
	if (any)
		virtq_interrupt(d, 0);
}

const struct virtio_kind virtio_rng = { .id = 4, .nr_queues = 1, .work = work };
