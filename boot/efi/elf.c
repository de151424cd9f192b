/* SPDX-License-Identifier: BSD-2-Clause */
/* "Tool Interface Standard: ELF Specification", with the 64-bit fields of "ELF-64 Object File Format". */
#include <boot/efi/elf.h>
#include <boot/multiboot2.h>
#include <hv/base/string.h>

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, ph_offset, sh_offset;
	u32 flags;
	u16 size, ph_size, ph_count, sh_size, sh_count, sh_names;
};

struct elf_segment {
	u32 type, flags;
	u64 offset, virt, phys, file_bytes, memory_bytes, align;
};

#define PT_LOAD 1
#define EM_X86_64 62
#define LOWEST MIB(1)
#define HIGHEST MIB(16) /* far more than the image may be */
#define MB2_SEARCH 32768

/* The offset of the header's first tag; 0: there is no header. */
static u64 find_multiboot2(const u8 *file, u64 size)
{
	for (u64 at = 0; at + 4 <= min(size, (u64)MB2_SEARCH); at += 8)
		if (*(const u32 *)(file + at) == MB2_HEADER_MAGIC)
			return at + 16;
	return 0;
}

/* The end of the memory that the header asks for (no segment has the boot room); 0: none. */
static u32 wanted_end(const u8 *file, u64 size, u64 at)
{
	struct mb2_header_tag tag;

	for (; at + sizeof(tag) <= size; at += ALIGN_UP((u64)tag.size, 8UL)) {
		memcpy(&tag, file + at, sizeof(tag));
		if (tag.type == MB2_HEADER_END || tag.size < sizeof(tag))
			break;
		if (tag.type == MB2_HEADER_ADDRESS &&
		    at + sizeof(struct mb2_header_address) <= size)
			return ((const struct mb2_header_address *)(file + at))->bss_end;
	}
	return 0;
}

static bool segment_fits(const struct elf_segment *s, u64 size)
{
	return s->offset <= size && s->file_bytes <= size - s->offset &&
	       s->file_bytes <= s->memory_bytes && s->phys >= LOWEST && s->phys < HIGHEST &&
	       s->memory_bytes <= HIGHEST - s->phys;
}

const char *elf_plan(const void *file, u64 size, u32 where, struct elf_plan *plan)
{
	const struct elf_header *h = file;
	u32 n = 0, entry = 0;
	u64 tags;

	*plan = (struct elf_plan){ .start = UINT32_MAX };
	if (size < sizeof(*h) || memcmp(h->ident, "\177ELF\2\1", 6) || h->machine != EM_X86_64)
		return "is not a 64-bit ELF program";
	tags = find_multiboot2(file, size);
	if (!tags)
		return "has no multiboot2 header, so it is not Aerostat";
	if (h->ph_size != sizeof(struct elf_segment) || h->ph_offset > size ||
	    (u64)h->ph_count * h->ph_size > size - h->ph_offset)
		return "is damaged: its program headers are not in the file";
	for (u32 i = 0; i < h->ph_count; i++) {
		struct elf_segment s;

		memcpy(&s, (const u8 *)file + h->ph_offset + i * sizeof(s), sizeof(s));
		if (s.type != PT_LOAD || !s.memory_bytes)
			continue;
		if (n == ELF_MAX_SEGMENTS || !segment_fits(&s, size))
			return "is damaged: a segment is not in the file, or not for the memory above 1 MiB";
		plan->copies[n++] =
			(struct copy){ (u32)s.phys, where + (u32)s.offset, (u32)s.file_bytes,
				       (u32)(s.memory_bytes - s.file_bytes) };
		plan->start = min(plan->start, (u32)s.phys);
		plan->end = max(plan->end, (u32)(s.phys + s.memory_bytes));
		if (h->entry >= s.virt && h->entry - s.virt < s.file_bytes)
			entry = (u32)(s.phys + (h->entry - s.virt));
	}
	if (!entry)
		return "is damaged: its entry point is not in the file";
	plan->end = max(plan->end, wanted_end(file, size, tags));
	plan->copies[n] = (struct copy){ .src = entry };
	return NULL;
}
