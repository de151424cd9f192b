/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/block/block.h>

static struct block_device *devices[BLOCK_DEVICES_MAX];
static u32 nr_devices;
static void (*alarm_at)(u64 tsc);

void block_set_alarm(void (*at)(u64 tsc))
{
	alarm_at = at;
}

void block_forget(void)
{
	nr_devices = 0;
	block_forget_parts();
}

int block_add(struct block_device *d)
{
	if (nr_devices == BLOCK_DEVICES_MAX)
		return log_error(HV_ENOMEM, "block: %s is left out: more than %u disks", d->name,
				 BLOCK_DEVICES_MAX);
	devices[nr_devices++] = d;
	log_line("block: %s: %s, serial number %s, %lu MiB in blocks of %u bytes", d->name,
		 d->model, d->serial, d->sectors * BLOCK_SECTOR >> 20, d->block_size);
	return HV_OK;
}

struct block_device *block_device(u32 index)
{
	return index < nr_devices ? devices[index] : NULL;
}

/* --- requests --------------------------------------------------------------------------- */

static bool in_blocks(const struct block_part *p, const struct block_request *r)
{
	u32 blocks = p->device->block_size / BLOCK_SECTOR;
	u64 sectors = r->bytes / BLOCK_SECTOR;
	u32 most;

	if (r->op == BLOCK_FLUSH)
		return !r->bytes;
	most = r->op == BLOCK_DISCARD ? p->device->max_discard :
	       r->op == BLOCK_ZERO    ? p->device->max_zero :
					p->device->max_bytes;
	if (!r->bytes || r->bytes % p->device->block_size || r->bytes > most)
		return false;
	return r->sector <= p->sectors && sectors <= p->sectors - r->sector &&
	       !((p->first + r->sector) % blocks);
}

const char *block_op_name(enum block_op op)
{
	static const char *const names[BLOCK_OPS] = { "read", "write", "flush", "discard",
						      "write of zeroes" };

	return names[op];
}

static u64 poll_ticks(const struct block_device *d)
{
	return plat_tsc_khz() * d->poll_us / 1000;
}

int block_submit(const struct block_part *p, struct block_request *r)
{
	struct block_device *d = p->device;
	u64 now = plat_tsc();
	int err;

	if (!in_blocks(p, r))
		return HV_ERANGE;
	if (atomic_load(&d->dead))
		return HV_ENODEV;
	r->sector += p->first;
	r->since = now;
	atomic_add(&d->in_flight, 1u);
	err = d->ops->submit(d, r);
	if (err) {
		r->sector -= p->first;
		atomic_sub(&d->in_flight, 1u);
	} else if (alarm_at) {
		alarm_at(now + poll_ticks(d));
	}
	return err;
}

static void count(struct block_device *d, const struct block_request *r)
{
	switch (r->op) {
	case BLOCK_READ:
		atomic_add(&d->reads, 1ul);
		atomic_add(&d->bytes_read, (u64)r->bytes);
		break;
	case BLOCK_WRITE:
		atomic_add(&d->writes, 1ul);
		atomic_add(&d->bytes_written, (u64)r->bytes);
		break;
	case BLOCK_FLUSH:
		atomic_add(&d->flushes, 1ul);
		break;
	case BLOCK_DISCARD:
	case BLOCK_ZERO:
		atomic_add(&d->discards, 1ul);
		break;
	}
}

void block_done(struct block_device *d, struct block_request *r, int err)
{
	count(d, r);
	if (err)
		atomic_add(&d->errors, 1ul);
	atomic_add(&d->busy_ticks, tsc_since(r->since, plat_tsc()));
	atomic_sub(&d->in_flight, 1u);
	r->done(r, err);
}

u64 block_poll(u64 now)
{
	u64 due = UINT64_MAX;

	for (u32 i = 0; i < nr_devices; i++) {
		struct block_device *d = devices[i];

		if (!atomic_load(&d->in_flight))
			continue;
		d->ops->poll(d, now);
		due = min(due, now + poll_ticks(d));
	}
	return due;
}
