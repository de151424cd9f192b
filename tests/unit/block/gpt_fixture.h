/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk image with a GUID partition table, made as the specification has it. */
#ifndef TESTS_UNIT_GPT_FIXTURE_H
#define TESTS_UNIT_GPT_FIXTURE_H

#include <tests/fake/fake.h>

#include <hv/block/gpt.h>

#define GPT_BLOCKS 2048
#define GPT_ENTRIES 128

static u8 gpt_disk[GPT_BLOCKS * 4096];
static u32 gpt_block = 512;

static u8 *gpt_at(u64 block)
{
	return gpt_disk + block * gpt_block;
}

static void gpt_put(u8 *at, u64 value, u32 bytes)
{
	memcpy(at, &value, bytes);
}

/* Checksums of the copy in @block, whose entries are in @entries. */
static void gpt_seal(u64 block, u64 entries)
{
	u8 *h = gpt_at(block);

	gpt_put(h + 88, crc32(0, gpt_at(entries), GPT_ENTRIES * 128), 4);
	gpt_put(h + 16, 0, 4);
	gpt_put(h + 16, crc32(0, h, 92), 4);
}

static void gpt_copy(u64 block, u64 other, u64 entries)
{
	u8 *h = gpt_at(block);

	memcpy(h, "EFI PART", 8);
	gpt_put(h + 8, 0x10000, 4);
	gpt_put(h + 12, 92, 4);
	gpt_put(h + 24, block, 8);
	gpt_put(h + 32, other, 8);
	gpt_put(h + 40, 64, 8);
	gpt_put(h + 48, GPT_BLOCKS - 65, 8);
	gpt_put(h + 72, entries, 8);
	gpt_put(h + 80, GPT_ENTRIES, 4);
	gpt_put(h + 84, 128, 4);
}

/* Partition @n in both copies; sealed afterwards by gpt_make() or gpt_seal(). */
static void gpt_part(u32 n, const char *label, u64 first, u64 last)
{
	u64 length = GPT_ENTRIES * 128 / gpt_block;
	u64 where[] = { 2, GPT_BLOCKS - 1 - length };

	for (u32 copy = 0; copy < 2; copy++) {
		u8 *e = gpt_at(where[copy]) + n * 128;

		memset(e, 0, 128);
		e[0] = 0xaf;
		gpt_put(e + 32, first, 8);
		gpt_put(e + 40, last, 8);
		for (u32 i = 0; label[i]; i++)
			e[56 + 2 * i] = (u8)label[i];
	}
	gpt_seal(1, 2);
	gpt_seal(GPT_BLOCKS - 1, where[1]);
}

/* An empty table in both copies, and the MBR that protects it. */
static void gpt_make(u32 block)
{
	gpt_block = block;
	memset(gpt_disk, 0, sizeof(gpt_disk));
	gpt_disk[446 + 4] = 0xee;
	gpt_disk[510] = 0x55;
	gpt_disk[511] = 0xaa;
	gpt_copy(1, GPT_BLOCKS - 1, 2);
	gpt_copy(GPT_BLOCKS - 1, 1, GPT_BLOCKS - 1 - GPT_ENTRIES * 128 / block);
	gpt_seal(1, 2);
	gpt_seal(GPT_BLOCKS - 1, GPT_BLOCKS - 1 - GPT_ENTRIES * 128 / block);
}

#endif
