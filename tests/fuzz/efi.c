/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UEFI loader's own parsers: the plan for an ELF file, and information made of the
 * firmware's memory map, which the hypervisor's parser then reads.
 */
#include <tests/fuzz/fuzz.h>

#include <boot/boot_info.h>
#include <boot/efi/elf.h>
#include <boot/efi/info.h>

#define ROOM 4096

static struct boot_info bi;

void fuzz_setup(void)
{
}

static void plan(struct input *in)
{
	u32 where = in_32(in);
	size_t n = in_left(in);
	const u8 *file = in_copy(in, n);
	struct elf_plan p;
	u32 i;

	if (elf_plan(file, n, where, &p))
		return;
	fuzz_assert(p.start < p.end, "%x to %x", p.start, p.end);
	for (i = 0; p.copies[i].dst; i++) {
		const struct copy *c = &p.copies[i];

		fuzz_assert(i < ELF_MAX_SEGMENTS, "the list has no end");
		fuzz_assert(c->dst >= MIB(1) && c->dst >= p.start, "%x", c->dst);
		fuzz_assert((u64)c->dst + c->bytes + c->zeroes <= p.end, "%x", c->dst);
		fuzz_assert((u64)(c->src - where) + c->bytes <= n, "%x", c->src);
	}
	fuzz_assert(p.copies[i].src, "it has no entry point");
}

/* The length of descriptors, the size of a buffer, the map; the tags of a loader. */
static void information(struct input *in)
{
	u64 entry = in_8(in), room = 8 + in_16(in) % ROOM / 8 * 8UL, start = in_number(in), blocker;
	u8 tags = in_8(in);
	struct info info;
	struct efi_map map;
	bool ours;

	info_begin(&info, fuzz_zeroes(room), (u32)room);
	if (tags & 1)
		info_string(&info, MB2_CMDLINE, "a command line");
	if (tags & 2)
		info_module(&info, 0x200000, 0x300000, "aerostat.conf");
	if (tags & 4)
		info_system_table(&info, start);
	map.entry_bytes = entry;
	map.bytes = in_left(in);
	map.at = in_copy(in, map.bytes);
	info_memory(&info, &map);
	ours = map_is_ours(&map, start, start + MIB(4), &blocker);
	fuzz_assert(ours == (blocker >= start + MIB(4)), "%lx", blocker);
	info_end(&info);
	fuzz_assert(info.used <= room, "%u of %lu bytes", info.used, room);
	if (!info.overflow)
		boot_parse_multiboot2(info.at, &bi);
}

void fuzz_one(struct input *in)
{
	if (in_8(in) & 1)
		information(in);
	else
		plan(in);
}
