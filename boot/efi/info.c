/* SPDX-License-Identifier: BSD-2-Clause */
#include <boot/efi/info.h>
#include <hv/base/string.h>

void info_begin(struct info *info, void *buffer, u32 max)
{
	*info = (struct info){ .at = buffer, .used = sizeof(struct mb2_info), .max = max };
}

/* Makes room for a tag of @size bytes and fills in its head; NULL: there is no room. */
static void *add_tag(struct info *info, u32 type, u32 size)
{
	struct mb2_tag *tag = (void *)(info->at + info->used);
	u32 padded = ALIGN_UP(size, 8u);

	if (padded < size || padded > info->max - info->used) {
		info->overflow = true;
		return NULL;
	}
	memset(tag, 0, padded);
	*tag = (struct mb2_tag){ type, size };
	info->used += padded;
	return tag;
}

static void add_copy(struct info *info, u32 type, const void *content, u32 bytes)
{
	struct mb2_tag *tag = add_tag(info, type, (u32)sizeof(*tag) + bytes);

	if (tag)
		memcpy(tag + 1, content, bytes);
}

void info_string(struct info *info, u32 type, const char *text)
{
	add_copy(info, type, text, (u32)strlen(text) + 1);
}

void info_module(struct info *info, u32 start, u32 end, const char *name)
{
	u32 bytes = (u32)strlen(name) + 1;
	struct mb2_module *m = add_tag(info, MB2_MODULE, (u32)sizeof(*m) + bytes);

	if (!m)
		return;
	m->start = start;
	m->end = end;
	memcpy(m->name, name, bytes);
}

void info_rsdp(struct info *info, u32 type, const void *rsdp, u32 bytes)
{
	add_copy(info, type, rsdp, bytes);
}

void info_system_table(struct info *info, u64 address)
{
	add_copy(info, MB2_EFI64, &address, sizeof(address));
}

void info_framebuffer(struct info *info, struct mb2_framebuffer *fb)
{
	add_copy(info, MB2_FRAMEBUFFER, &fb->address, (u32)(sizeof(*fb) - sizeof(fb->tag)));
}

static u32 kind_of(u32 efi_type)
{
	switch (efi_type) {
	case EFI_MEM_LOADER_CODE:
	case EFI_MEM_LOADER_DATA:
	case EFI_MEM_BOOT_CODE:
	case EFI_MEM_BOOT_DATA:
	case EFI_MEM_CONVENTIONAL:
		return MEMORY_AVAILABLE;
	case EFI_MEM_ACPI_RECLAIM:
		return MEMORY_ACPI;
	case EFI_MEM_ACPI_NVS:
		return MEMORY_NVS;
	case EFI_MEM_UNUSABLE:
		return MEMORY_BAD;
	}
	return MEMORY_RESERVED; /* runtime services, devices, types that we do not know */
}

static u64 nr_entries(const struct efi_map *map)
{
	return map->entry_bytes < sizeof(struct efi_memory) ? 0 : map->bytes / map->entry_bytes;
}

/* A range that goes beyond the last address ends there. */
static struct mb2_mmap_entry entry_at(const struct efi_map *map, u64 i)
{
	struct efi_memory m;

	memcpy(&m, (const u8 *)map->at + i * map->entry_bytes, sizeof(m));
	m.pages = min(m.pages, (UINT64_MAX - m.start) >> PAGE_SHIFT);
	return (struct mb2_mmap_entry){ m.start, m.pages << PAGE_SHIFT, kind_of(m.type), 0 };
}

/* Insertion sort: firmware's map is nearly sorted. */
static void sort(struct mb2_mmap_entry *e, u64 n)
{
	for (u64 i = 1; i < n; i++) {
		struct mb2_mmap_entry moving = e[i];
		u64 j = i;

		for (; j && moving.start < e[j - 1].start; j--)
			e[j] = e[j - 1];
		e[j] = moving;
	}
}

static u32 merge(struct mb2_mmap_entry *e, u64 n)
{
	u32 kept = 0;

	for (u64 i = 0; i < n; i++) {
		struct mb2_mmap_entry *last = kept ? &e[kept - 1] : NULL;

		if (last && last->type == e[i].type && last->start + last->length == e[i].start)
			last->length += e[i].length;
		else
			e[kept++] = e[i];
	}
	return kept;
}

void info_memory(struct info *info, const struct efi_map *map)
{
	u64 n = nr_entries(map), fit = (info->max - info->used) / sizeof(struct mb2_mmap_entry);
	struct mb2_mmap_entry *e;
	struct mb2_mmap *tag;
	u32 bytes;

	tag = n > fit ? NULL : add_tag(info, MB2_MMAP, (u32)(sizeof(*tag) + n * sizeof(*e)));
	if (!tag) {
		info->overflow = true;
		return;
	}
	e = (void *)(tag + 1);
	for (u64 i = 0; i < n; i++)
		e[i] = entry_at(map, i);
	sort(e, n);
	bytes = (u32)sizeof(*tag) + merge(e, n) * (u32)sizeof(*e);
	info->used -= tag->tag.size - bytes; /* both are multiples of 8 */
	tag->tag.size = bytes;
	tag->entry_size = sizeof(*e);
}

void info_end(struct info *info)
{
	add_tag(info, MB2_END, sizeof(struct mb2_tag));
	*(struct mb2_info *)info->at = (struct mb2_info){ info->used, 0 };
}

bool map_is_ours(const struct efi_map *map, u64 start, u64 end, u64 *blocker)
{
	bool found = true;

	/* Descriptors come in any order: each round extends the range that is known to be ours. */
	while (start < end && found) {
		found = false;
		for (u64 i = 0; i < nr_entries(map); i++) {
			struct mb2_mmap_entry e = entry_at(map, i);

			if (e.type != MEMORY_AVAILABLE || e.start > start ||
			    start - e.start >= e.length)
				continue;
			start = e.start + e.length;
			found = true;
		}
	}
	*blocker = start;
	return start >= end;
}
