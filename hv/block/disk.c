/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/base/nospec.h>
#include <hv/base/string.h>
#include <hv/config/config.h>
#include <hv/block/disk.h>
#include <mm/frame.h>

#define CLOSE_MAX 4096 /* frames a call */

static u8 *frame_at(u32 frame)
{
	return plat_ptr(HPA((u64)frame << PAGE_SHIFT));
}

static u64 size_of(const struct disk_config *cfg, const struct image *image)
{
	return cfg->blank ? cfg->writable : image ? ALIGN_UP(image->size, DISK_SECTOR) : 0;
}

static u32 blocks_of(u64 bytes)
{
	return (u32)((bytes + DISK_BLOCK - 1) / DISK_BLOCK);
}

/* Frames for blocks that are written. */
static u32 spare_of(const struct disk_config *cfg, u64 bytes)
{
	return (u32)min((u64)blocks_of(bytes), cfg->writable / DISK_BLOCK);
}

u64 disk_frames(const struct disk_config *cfg)
{
	u64 bytes = size_of(cfg, cfg->blank ? NULL : image_find(cfg->file));

	if (!cfg->writable || !bytes)
		return 0;
	return spare_of(cfg, bytes) + (1UL << frame_order(blocks_of(bytes) * sizeof(u32))) +
	       (1UL << frame_order(spare_of(cfg, bytes) * sizeof(u32)));
}

static int take_frames(struct disk *d, const struct disk_config *cfg)
{
	u32 nr = spare_of(cfg, d->bytes);

	d->nr_blocks = blocks_of(d->bytes);
	d->block = frame_alloc_pages(frame_order(d->nr_blocks * sizeof(u32)));
	d->spare = frame_alloc_pages(frame_order(nr * sizeof(u32)));
	if (!d->block || !d->spare)
		return HV_ENOMEM;
	for (; d->nr_spare < nr; d->nr_spare++) {
		int err = frame_alloc_hv(0, &d->spare[d->nr_spare]);

		if (err)
			return err;
	}
	return HV_OK;
}

int disk_open(struct disk *d, const struct disk_config *cfg)
{
	int err;

	*d = (struct disk){ .image = cfg->blank ? NULL : image_find(cfg->file),
			    .writable = cfg->writable };
	if (!cfg->blank && !d->image)
		return HV_ENOENT;
	d->bytes = size_of(cfg, d->image);
	err = d->writable ? take_frames(d, cfg) : HV_OK;
	/* All of it or nothing, for the start will be tried again. */
	while (err && !disk_close(d))
		;
	return err;
}

bool disk_close(struct disk *d)
{
	u32 work = 0;

	for (; d->nr_spare && work < CLOSE_MAX; work++)
		hv_assert(!frame_free_hv(d->spare[--d->nr_spare]));
	for (; d->block && d->closed < d->nr_blocks && work < CLOSE_MAX; d->closed++, work++)
		if (d->block[d->closed])
			hv_assert(!frame_free_hv(d->block[d->closed]));
	if (work == CLOSE_MAX)
		return false;
	frame_free_pages(d->block);
	frame_free_pages(d->spare);
	*d = (struct disk){ 0 };
	return true;
}

/* What is in the file at @offset, up to the end of the block; NULL and zeroes behind its end. */
static const u8 *image_at(const struct disk *d, u64 offset, size_t *length)
{
	if (!d->image || offset >= d->image->size)
		return NULL;
	*length = min(*length, d->image->size - (size_t)offset);
	return d->image->data + index_nospec(offset, d->image->size);
}

static void clip(u64 offset, size_t *length)
{
	*length = min(*length, (size_t)(DISK_BLOCK - offset % DISK_BLOCK));
}

int disk_read(const struct disk *d, u64 offset, size_t *length, const u8 **at)
{
	static const u8 zeroes[DISK_SECTOR];
	u32 frame = d->block ? d->block[index_nospec(offset / DISK_BLOCK, d->nr_blocks)] : 0;

	clip(offset, length);
	if (frame) {
		*at = frame_at(frame) + offset % DISK_BLOCK;
		return HV_OK;
	}
	*at = image_at(d, offset, length);
	if (!*at) {
		*at = zeroes;
		*length = min(*length, sizeof(zeroes));
	}
	return HV_OK;
}

int disk_write(struct disk *d, u64 offset, size_t *length, u8 **at)
{
	u64 start = ALIGN_DOWN(offset, (u64)DISK_BLOCK);
	u32 *frame = &d->block[index_nospec(offset / DISK_BLOCK, d->nr_blocks)];
	size_t there = DISK_BLOCK;
	const u8 *old;

	clip(offset, length);
	if (!*frame) {
		if (!d->nr_spare)
			return HV_ERANGE;
		*frame = d->spare[--d->nr_spare];
		/* Whole, even if the guest overwrites all of it: that may yet fail. */
		old = image_at(d, start, &there);
		if (old)
			memcpy(frame_at(*frame), old, there);
		else
			there = 0;
		memset(frame_at(*frame) + there, 0, DISK_BLOCK - there);
	}
	*at = frame_at(*frame) + offset % DISK_BLOCK;
	return HV_OK;
}
