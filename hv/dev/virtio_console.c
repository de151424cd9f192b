/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/dev/virtio_console.h>
#include <hv/vm/vm.h>

enum { QUEUE_RX, QUEUE_TX };

#define CHUNK 16 /* bytes between two looks at the time: a serial port takes 87 us for each */

/* --- what is typed --- */

static u32 take(const struct virtio_console *con, u8 *bytes, u64 room)
{
	u32 n = (u32)min(room, (u64)min(con->head - con->tail, (u32)CHUNK));

	for (u32 i = 0; i < n; i++)
		bytes[i] = con->input[(con->tail + i) % VIRTIO_CONSOLE_INPUT];
	return n;
}

/* Into buffers that wait for it; what finds none stays. */
static void receive(struct virtio *d)
{
	struct virtio_console *con = d->device;
	struct virtq_chain c;
	bool any = false;

	while (con->head != con->tail && !virtq_peek(d, QUEUE_RX, &c)) {
		u8 bytes[CHUNK];
		u32 n = take(con, bytes, c.bytes_in);
		int err = virtq_write(d, &c, 0, bytes, n);

		if (!err)
			err = virtq_done(d, QUEUE_RX, &c, n);
		if (err && !virtio_wait_for_memory(d, err))
			virtio_broken(d, "a buffer for what is typed is not in memory");
		if (err)
			break;
		con->tail += n;
		any = true;
	}
	if (any)
		virtq_interrupt(d, QUEUE_RX);
}

static u32 typed(struct vm *vm, const char *bytes, size_t n)
{
	struct virtio *d = &vm->bus->slot[SLOT_CONSOLE];
	struct virtio_console *con = d->device;
	u32 room;

	spin_lock(&d->lock);
	for (size_t i = 0; i < n && con->head - con->tail < VIRTIO_CONSOLE_INPUT; i++)
		con->input[con->head++ % VIRTIO_CONSOLE_INPUT] = (u8)bytes[i];
	if (n && vm_alive(vm))
		virtio_work(d, plat_tsc(), VIRTIO_EXIT_US);
	room = VIRTIO_CONSOLE_INPUT - (con->head - con->tail);
	spin_unlock(&d->lock);
	return room;
}

/* --- what the guest says --- */

/* Shows the rest of @c, as long as it may; false: it is not done. */
static bool show(struct virtio *d, const struct virtq_chain *c)
{
	struct virtio_console *con = d->device;

	/* Its driver gives buffers also if no program reads. A guest that speaks here reads here. */
	if (!con->speaks)
		console_listen(d->vm, typed);
	con->speaks = true;
	while (con->sent < c->bytes_out && virtio_may_go_on(d)) {
		char bytes[CHUNK];
		u32 n = (u32)min(c->bytes_out - con->sent, (u64)CHUNK);

		if (virtq_read(d, c, con->sent, bytes, n)) {
			virtio_broken(d, "what is to be shown is not in memory");
			return false;
		}
		console_output(d->vm, bytes, n);
		con->sent += n;
	}
	return con->sent == c->bytes_out;
}

static void transmit(struct virtio *d, u64 now)
{
	struct virtio_console *con = d->device;
	u32 waiting = virtq_waiting(d, QUEUE_TX);
	struct virtq_chain c;
	bool any = false;

	for (; waiting && !virtq_peek(d, QUEUE_TX, &c); waiting--) {
		if (!show(d, &c)) {
			virtio_again(d, now);
			break;
		}
		if (virtio_wait_for_memory(d, virtq_done(d, QUEUE_TX, &c, 0)))
			break;
		con->sent = 0;
		any = true;
	}
	if (any)
		virtq_interrupt(d, QUEUE_TX);
}

static void work(struct virtio *d, u64 now)
{
	transmit(d, now);
	receive(d);
}

static void reset(struct virtio *d)
{
	struct virtio_console *con = d->device;

	con->sent = 0;
	con->speaks = false;
	con->head = con->tail = 0;
}

const struct virtio_kind virtio_console = {
	.id = 3,
	.nr_queues = 2,
	.reset = reset,
	.work = work,
};
