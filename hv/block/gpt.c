/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/block/gpt.h>

#define SIGNATURE "EFI PART"
#define HEADER_BYTES 92
#define ENTRY_BYTES 128

/* The IEEE's polynomial, reflected: as in Ethernet. */
u32 crc32(u32 crc, const void *p, size_t n)
{
	const u8 *at = p;

	crc = ~crc;
	while (n--) {
		crc ^= *at++;
		for (u32 bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool crc_good(const u8 *block, u32 bytes)
{
	static const u8 zeroes[4];
	u32 crc = crc32(0, block, 16);

	crc = crc32(crc, zeroes, 4); /* its own place */
	return crc32(crc, block + 20, bytes - 20) == get32(block + 16);
}

/* What cannot be, whatever the CRC says: sums below do not wrap. */
static const char *senseless(const struct gpt_header *h, u64 blocks, u32 block_bytes)
{
	u64 bytes = (u64)h->nr * h->entry_bytes;

	if (h->entry_bytes < ENTRY_BYTES || h->entry_bytes & (h->entry_bytes - 1))
		return "its entries have a size that cannot be";
	if (!h->nr || h->nr > GPT_ENTRIES_MAX || bytes > GPT_ENTRIES_BYTES_MAX)
		return "it has more entries than Aerostat reads";
	if (h->entries < 2 || h->entries >= blocks ||
	    (bytes + block_bytes - 1) / block_bytes > blocks - h->entries)
		return "its entries lie outside of the disk";
	if (h->first > h->last || h->last >= blocks || h->other >= blocks)
		return "it speaks of blocks behind the disk's end";
	return NULL;
}

const char *gpt_header(const void *block, u32 bytes, u64 at, u64 blocks, struct gpt_header *h)
{
	const u8 *b = block;
	u32 size = get32(b + 12);

	if (memcmp(b, SIGNATURE, 8))
		return "there is none";
	if (size < HEADER_BYTES || size > bytes || !crc_good(b, size))
		return "its checksum is wrong";
	if (get64(b + 24) != at)
		return "it says that it is in another block";
	*h = (struct gpt_header){
		.other = get64(b + 32),
		.first = get64(b + 40),
		.last = get64(b + 48),
		.entries = get64(b + 72),
		.nr = get32(b + 80),
		.entry_bytes = get32(b + 84),
		.entries_crc = get32(b + 88),
	};
	return senseless(h, blocks, bytes);
}

bool gpt_entries_good(const struct gpt_header *h, const void *entries)
{
	return crc32(0, entries, (size_t)h->nr * h->entry_bytes) == h->entries_crc;
}

bool gpt_entry(const struct gpt_header *h, const void *entries, u32 n, struct gpt_entry *e)
{
	static const u8 unused[16];
	const u8 *raw = (const u8 *)entries + (size_t)n * h->entry_bytes;

	*e = (struct gpt_entry){ .first = get64(raw + 32), .last = get64(raw + 40) };
	memcpy(e->type, raw, sizeof(e->type));
	for (u32 i = 0; i < BLOCK_NAME_MAX - 1; i++) {
		u16 c = (u16)(raw[56 + 2 * i] | raw[57 + 2 * i] << 8);

		e->label[i] = (char)(c < 128 ? c : '?');
	}
	return memcmp(e->type, unused, sizeof(unused)) && e->first >= h->first &&
	       e->first <= e->last && e->last <= h->last;
}

/* "Legacy Master Boot Record (MBR)": four records of 16 bytes, a type in each. */
bool mbr_divides(const void *sector)
{
	const u8 *s = sector;
	bool any = false;

	for (u32 i = 0; i < 4; i++)
		any |= s[446 + 16 * i + 4];
	return any && s[510] == 0x55 && s[511] == 0xaa;
}
