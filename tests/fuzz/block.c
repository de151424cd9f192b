/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk of the host's with any bytes as its partition table, and requests to what is found there:
 * each stays in its partition, and nobody gets a disk as a whole that is divided.
 */
#include <tests/fuzz/fuzz.h>

#include <hv/base/string.h>
#include <hv/block/block.h>
#include <hv/block/gpt.h>
#include <mm/frame.h>

#define DISK KIB(256)
#define COPY_MAX KIB(20) /* of each copy of the table, with what is before or behind it */

enum { CRC_FIRST = 1, CRC_LAST = 2, LARGE_BLOCKS = 4, LIES = 8, UNREADABLE = 16 };

static u8 *disk;
static struct block_device device;
static const struct block_part *user; /* whose request it is; NULL: the scan's */
static u32 reads, bad_read;
static void *memory; /* a frame for requests */

static void transfer(struct block_request *r)
{
	u64 at = r->sector * BLOCK_SECTOR;

	for (u32 i = 0; i < r->nr_pieces; at += r->piece[i++].bytes) {
		u8 *to = plat_ptr(r->piece[i].at);

		fuzz_assert(r->piece[i].bytes, "an empty piece");
		for (u32 k = 0; k < r->piece[i].bytes; k++)
			if (r->op == BLOCK_READ)
				to[k] = at + k < DISK ? disk[at + k] : 0;
			else if (at + k < DISK)
				disk[at + k] = to[k];
	}
}

static int submit(struct block_device *d, struct block_request *r)
{
	u64 first = user ? user->first : 0, sectors = user ? user->sectors : device.sectors;

	if (r->op != BLOCK_FLUSH) /* which has no place */
		fuzz_assert(r->sector >= first && r->sector - first <= sectors &&
				    r->bytes / BLOCK_SECTOR <= sectors - (r->sector - first),
			    "sector %lu, %u bytes, of %lu from %lu on", r->sector, r->bytes,
			    sectors, first);
	fuzz_assert(user || r->op == BLOCK_READ, "the scan writes");
	fuzz_assert(!(r->bytes % d->block_size), "%u bytes", r->bytes);
	transfer(r);
	block_done(d, r, ++reads == bad_read ? HV_EIO : HV_OK);
	return HV_OK;
}

static void poll(struct block_device *d, u64 now)
{
	(void)d, (void)now;
}

static const struct block_ops ops = { submit, poll };

static void ended(struct block_request *r, int err)
{
	(void)r, (void)err;
}

void fuzz_setup(void)
{
}

/* No fuzzer guesses a CRC.  Of the header at @at, and of the entries that it names. */
static void mend(u64 at)
{
	u64 entries;
	u32 nr, size, zero = 0, crc, length = 92;

	memcpy(&entries, disk + at + 72, 8);
	memcpy(&nr, disk + at + 80, 4);
	memcpy(&size, disk + at + 84, 4);
	if (entries < DISK / device.block_size &&
	    (u64)nr * size <= DISK - entries * device.block_size) {
		crc = crc32(0, disk + entries * device.block_size, (size_t)nr * size);
		memcpy(disk + at + 88, &crc, 4);
	}
	memcpy(disk + at + 12, &length, 4);
	memcpy(disk + at + 16, &zero, 4);
	crc = crc32(0, disk + at, length);
	memcpy(disk + at + 16, &crc, 4);
}

static void make_disk(struct input *in)
{
	u8 form = in_8(in);
	size_t n;
	const u8 *from;

	disk = fuzz_zeroes(DISK);
	device =
		(struct block_device){ .ops = &ops,
				       .name = "fuzz0",
				       .serial = "S",
				       .sectors = form & LIES ? in_number(in) : DISK / BLOCK_SECTOR,
				       .block_size = form & LARGE_BLOCKS ? 4096 : 512,
				       .max_bytes = KIB(64),
				       .max_discard = KIB(64),
				       .max_zero = KIB(64),
				       .poll_us = 100 };
	device.sectors &= ~(u64)(device.block_size / BLOCK_SECTOR - 1);
	bad_read = form & UNREADABLE ? in_8(in) : 0;
	n = in_16(in) % (COPY_MAX + 1);
	from = in_take(in, &n);
	memcpy(disk, from, n);
	n = in_16(in) % (COPY_MAX + 1);
	from = in_take(in, &n);
	memcpy(disk + DISK - n, from, n);
	if (form & CRC_FIRST)
		mend(device.block_size);
	if (form & CRC_LAST)
		mend(DISK - device.block_size);
}

static void use(struct input *in, const struct block_part *p)
{
	static struct block_request r;
	u32 n = in_8(in) % 8;

	user = p;
	while (n--) {
		u8 how = in_8(in);
		u64 bytes;

		/* Most requests are near the end, and short: there the checks are. */
		r = (struct block_request){ .op = (how & 7) % BLOCK_OPS,
					    .sector =
						    how & 8 ? in_number(in) : p->sectors - in_8(in),
					    .done = ended };
		bytes = how & 16	    ? in_number(in) :
			r.op == BLOCK_FLUSH ? 0 :
					      in_8(in) * BLOCK_SECTOR;
		r.bytes = (u32)bytes;
		if (r.op <= BLOCK_WRITE)
			for (u64 left = min(bytes, KIB(64)); left && r.nr_pieces < BLOCK_PIECES;
			     left -= r.piece[r.nr_pieces++].bytes)
				r.piece[r.nr_pieces] =
					(struct block_piece){ plat_pa(memory),
							      (u32)min(left, PAGE_SIZE) };
		block_submit(p, &r);
	}
	user = NULL;
}

static void check(struct input *in, const struct block_part *p)
{
	char name[BLOCK_NAME_MAX + 5] = "part:";
	struct block_part found;
	int err;

	fuzz_assert(p->sectors && p->first < device.sectors &&
			    p->sectors <= device.sectors - p->first,
		    "%lu sectors from %lu on, of %lu", p->sectors, p->first, device.sectors);
	fuzz_assert(memchr(p->label, '\0', sizeof(p->label)), "a label without an end");
	str_copy(name + 5, p->label, sizeof(name) - 5);
	err = block_open(name, true, &found);
	fuzz_assert(!err || err == HV_EINVAL || err == HV_EBUSY || err == HV_ENOENT, "error %d",
		    err);
	if (err)
		return;
	fuzz_assert(found.sectors && found.sectors <= device.sectors, "%lu sectors", found.sectors);
	use(in, &found);
	block_close(&found, true);
}

void fuzz_one(struct input *in)
{
	const struct block_part *p;
	struct block_part whole;
	int err;

	fake_machine(2048, 1);
	memory = frame_alloc_pages(0);
	make_disk(in);
	block_forget();
	fuzz_assert(!block_add(&device), "no room for one disk");
	block_scan();
	for (u32 i = 0; (p = block_partition(i)); i++)
		check(in, p);
	err = block_open("disk:S", true, &whole);
	fuzz_assert(err == (device.partitioned ? HV_EPERM : HV_OK), "error %d", err);
	if (!err)
		use(in, &whole);
}
