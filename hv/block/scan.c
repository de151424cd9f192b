/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on the disks, at boot: partition tables, and the names that stand for them. */
#include <hv/base/lock.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/block/gpt.h>
#include <mm/frame.h>

#define READ_MS 40000 /* a driver has given its device up before that */

#define OPEN_MAX 64

/* Only where there are disks: memory is taken for it then. */
static struct names {
	u32 nr_parts;
	struct block_part part[BLOCK_PARTS_MAX];
	SPINLOCK(LOCK_BLOCK) lock; /* of what follows */
	u32 nr_users;
	struct {
		struct block_part part;
		bool write;
	} user[OPEN_MAX];
} * names;

const struct block_part *block_partition(u32 index)
{
	return names && index < names->nr_parts ? &names->part[index] : NULL;
}

void block_forget_parts(void)
{
	names = NULL;
}

static struct block_part whole(struct block_device *d)
{
	return (struct block_part){ .device = d, .sectors = d->sectors };
}

/* --- reading, while nothing else happens ---------------------------------------------------- */

struct reading {
	struct block_request r;
	u32 ended; /* (a) */
	int err;
};

static void note_end(struct block_request *r, int err)
{
	struct reading *reading = container_of(r, struct reading, r);

	reading->err = err;
	atomic_store_release(&reading->ended, 1u);
}

/* @bytes, at most one request's, in whole blocks from block @at on. */
static int read_now(struct block_device *d, u64 at, u32 bytes, void *to)
{
	static struct reading reading; /* one that never ends keeps its memory */
	struct block_part p = whole(d);
	u64 start = plat_tsc();
	int err;

	reading = (struct reading){ .r = { .op = BLOCK_READ,
					   .sector = at * (d->block_size / BLOCK_SECTOR),
					   .bytes = bytes,
					   .nr_pieces = 1,
					   .piece = { { plat_pa(to), bytes } },
					   .done = note_end } };
	err = block_submit(&p, &reading.r);
	while (!err && !atomic_load_acquire(&reading.ended)) {
		if (tsc_since(start, plat_tsc()) > plat_tsc_khz() * READ_MS)
			plat_panic("block: %s neither ends a request nor dies", d->name);
		d->ops->poll(d, plat_tsc());
	}
	return err ? err : reading.err;
}

/* The entries of @h into @to, which holds the most that there can be. */
static int read_entries(struct block_device *d, const struct gpt_header *h, u8 *to)
{
	u32 left = ALIGN_UP(h->nr * h->entry_bytes, d->block_size);
	u64 at = h->entries;

	while (left) {
		u32 n = min(min(left, d->max_bytes), (u32)PAGE_SIZE);
		int err = read_now(d, at, n, to);

		if (err)
			return err;
		at += n / d->block_size;
		to += n;
		left -= n;
	}
	return HV_OK;
}

/* --- partitions ------------------------------------------------------------------------------ */

static void add_part(struct block_device *d, const struct gpt_entry *e)
{
	u32 sectors = d->block_size / BLOCK_SECTOR;
	struct block_part *p = &names->part[names->nr_parts];

	if (names->nr_parts == BLOCK_PARTS_MAX) {
		log_line("block: %s: partition \"%s\" is left out: there are more than %u", d->name,
			 e->label, BLOCK_PARTS_MAX);
		return;
	}
	*p = (struct block_part){ .device = d,
				  .first = e->first * sectors,
				  .sectors = (e->last - e->first + 1) * sectors };
	str_copy(p->label, e->label, sizeof(p->label));
	names->nr_parts++;
	log_line("block: %s: partition \"%s\", %lu MiB", d->name, p->label,
		 p->sectors * BLOCK_SECTOR >> 20);
}

/* The copy in block @at.  NULL: it was good, and its partitions are known. */
static const char *take_copy(struct block_device *d, u64 at, u8 *buf)
{
	struct gpt_header h;
	struct gpt_entry e;
	const char *why;

	if (read_now(d, at, d->block_size, buf))
		return "it cannot be read";
	why = gpt_header(buf, d->block_size, at, d->sectors / (d->block_size / BLOCK_SECTOR), &h);
	if (why)
		return why;
	if (read_entries(d, &h, buf))
		return "its entries cannot be read";
	if (!gpt_entries_good(&h, buf))
		return "the checksum of its entries is wrong";
	for (u32 i = 0; i < h.nr; i++)
		if (gpt_entry(&h, buf, i, &e))
			add_part(d, &e);
	return NULL;
}

static void scan(struct block_device *d, u8 *buf)
{
	u64 last = d->sectors / (d->block_size / BLOCK_SECTOR) - 1;
	const char *why, *why_last;

	if (read_now(d, 0, d->block_size, buf)) {
		log_line("block: %s: its first block cannot be read; it is left alone", d->name);
		d->partitioned = true;
		return;
	}
	d->partitioned = mbr_divides(buf);
	why = take_copy(d, 1, buf);
	if (!why) {
		d->partitioned = true;
		return;
	}
	why_last = take_copy(d, last, buf);
	if (why_last && !strcmp(why, "there is none"))
		return;
	d->partitioned = true;
	if (why_last)
		log_line("block: %s: both copies of its partition table are bad: the first, %s; "
			 "the last, %s",
			 d->name, why, why_last);
	else
		log_line("block: %s: the first copy of its partition table is bad (%s); the last "
			 "one is used",
			 d->name, why);
}

void block_scan(void)
{
	struct block_device *d;
	u8 *buf;

	if (!block_device(0))
		return;
	names = frame_alloc_pages(frame_order(sizeof(*names)));
	buf = frame_alloc_pages(frame_order(GPT_ENTRIES_BYTES_MAX));
	if (!names || !buf) {
		log_line("block: no memory to read partition tables");
		frame_free_pages(buf);
		return;
	}
	for (u32 i = 0; (d = block_device(i)); i++)
		if (d->sectors >= 8)
			scan(d, buf);
	frame_free_pages(buf);
}

/* --- names ------------------------------------------------------------------------------------ */

static int find_part(const char *label, struct block_part *found)
{
	int err = HV_ENOENT;

	for (u32 i = 0; names && i < names->nr_parts; i++) {
		if (strcmp(names->part[i].label, label))
			continue;
		if (!err)
			return HV_EINVAL;
		*found = names->part[i];
		err = HV_OK;
	}
	return err;
}

static int find_disk(const char *name, struct block_part *found)
{
	struct block_device *d;
	int err = HV_ENOENT;

	for (u32 i = 0; (d = block_device(i)); i++) {
		if (strcmp(d->serial, name) && strcmp(d->name, name))
			continue;
		if (err != HV_ENOENT)
			return HV_EINVAL;
		*found = whole(d);
		err = d->partitioned ? HV_EPERM : HV_OK;
	}
	return err;
}

int block_find(const char *name, struct block_part *p)
{
	if (!strncmp(name, "part:", 5))
		return find_part(name + 5, p);
	if (!strncmp(name, "disk:", 5))
		return find_disk(name + 5, p);
	return HV_ENOENT;
}

bool block_is_name(const char *name)
{
	return !strncmp(name, "part:", 5) || !strncmp(name, "disk:", 5);
}

/* --- users -------------------------------------------------------------------------------------- */

static bool overlap(const struct block_part *a, const struct block_part *b)
{
	return a->device == b->device && a->first < b->first + b->sectors &&
	       b->first < a->first + a->sectors;
}

static int use(const struct block_part *p, bool write)
{
	for (u32 i = 0; i < names->nr_users; i++)
		if ((write || names->user[i].write) && overlap(p, &names->user[i].part))
			return HV_EBUSY;
	if (names->nr_users == OPEN_MAX)
		return HV_ENOMEM;
	names->user[names->nr_users].part = *p;
	names->user[names->nr_users++].write = write;
	return HV_OK;
}

int block_open(const char *name, bool write, struct block_part *p)
{
	int err = block_find(name, p);

	if (!err && !names)
		err = HV_ENOMEM;
	if (err)
		return err;
	spin_lock(&names->lock);
	err = use(p, write);
	spin_unlock(&names->lock);
	return err;
}

void block_close(const struct block_part *p, bool write)
{
	spin_lock(&names->lock);
	for (u32 i = 0; i < names->nr_users; i++)
		if (names->user[i].write == write && names->user[i].part.device == p->device &&
		    names->user[i].part.first == p->first) {
			names->user[i] = names->user[--names->nr_users];
			break;
		}
	spin_unlock(&names->lock);
}
