/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The GUID partition table, as bytes.  UEFI Specification 2.10: "GUID Partition Table (GPT) Disk
 * Layout".  Pure: whoever reads the disk calls this.  Nothing of it is believed without its CRC.
 */
#ifndef HV_BLOCK_GPT_H
#define HV_BLOCK_GPT_H

#include <hv/base/types.h>
#include <hv/block/block.h>

#define GPT_ENTRIES_MAX 512
#define GPT_ENTRIES_BYTES_MAX KIB(64)

struct gpt_header {
	u64 other;	 /* block of the other copy */
	u64 entries;	 /* first block of the entries */
	u64 first, last; /* blocks that partitions may use */
	u32 nr, entry_bytes, entries_crc;
};

struct gpt_entry {
	u64 first, last; /* blocks, both included */
	u8 type[16];
	char label[BLOCK_NAME_MAX]; /* '?' where it is not ASCII */
};

/*
 * The header in block @at of a disk of @blocks; @bytes of it are there, at least 512.
 * NULL: it is good; else why not.
 */
const char *gpt_header(const void *block, u32 bytes, u64 at, u64 blocks, struct gpt_header *h);

/* Are these @h->nr * @h->entry_bytes bytes the entries that @h means? */
bool gpt_entries_good(const struct gpt_header *h, const void *entries);

/* False: entry @n is not in use, or lies outside of what @h says. */
bool gpt_entry(const struct gpt_header *h, const void *entries, u32 n, struct gpt_entry *e);

/* Is this first sector an MBR that divides the disk?  A GPT's protective one does as well. */
bool mbr_divides(const void *sector);

u32 crc32(u32 crc, const void *p, size_t n);

#endif
