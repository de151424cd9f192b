/* SPDX-License-Identifier: BSD-2-Clause */
#include <boot/boot_info.h>
#include <hv/base/string.h>

/* Leaves the region out if the list is full: the machine runs with less memory. */
static void append(struct boot_info *bi, u64 start, u64 end)
{
	if (bi->nr_ram < BOOT_MAX_REGIONS)
		bi->ram[bi->nr_ram++] = (struct boot_region){ start, end };
}

void boot_add_ram(struct boot_info *bi, u64 start, u64 length)
{
	u64 end = start + length;

	if (end < start)
		end = ALIGN_DOWN(UINT64_MAX, PAGE_SIZE);
	start = ALIGN_UP(start, PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (start >= end)
		return;
	if (bi->nr_ram == BOOT_MAX_REGIONS)
		boot_finish_ram(bi); /* merges regions that touch */
	append(bi, start, end);
}

void boot_add_module(struct boot_info *bi, u64 start, u64 end, const char *name)
{
	struct boot_module *m = &bi->modules[bi->nr_modules];

	if (bi->nr_modules == BOOT_MAX_MODULES) {
		bi->error = "too many modules: at most 64 are allowed";
		return;
	}
	m->start = start;
	m->end = end;
	if (!str_copy(m->name, name, sizeof(m->name)))
		bi->error = "a module's name is longer than 127 characters";
	bi->nr_modules++;
}

void boot_finish_ram(struct boot_info *bi)
{
	struct boot_region *r = bi->ram;
	u32 n = 0;

	for (u32 i = 1; i < bi->nr_ram; i++)
		for (u32 j = i; j && r[j].start < r[j - 1].start; j--) {
			struct boot_region t = r[j];

			r[j] = r[j - 1];
			r[j - 1] = t;
		}
	for (u32 i = 0; i < bi->nr_ram; i++) {
		if (r[i].start >= r[i].end)
			continue;
		if (n && r[i].start <= r[n - 1].end)
			r[n - 1].end = max(r[n - 1].end, r[i].end);
		else
			r[n++] = r[i];
	}
	bi->nr_ram = n;
}

void boot_exclude(struct boot_info *bi, u64 start, u64 end)
{
	start = ALIGN_DOWN(start, PAGE_SIZE);
	end = ALIGN_UP(min(end, ALIGN_DOWN(UINT64_MAX, PAGE_SIZE)), PAGE_SIZE);
	for (u32 i = 0; i < bi->nr_ram; i++) {
		struct boot_region *r = &bi->ram[i];

		if (end <= r->start || start >= r->end)
			continue;
		if (start > r->start && end < r->end)
			append(bi, end, r->end);
		if (start > r->start)
			r->end = start;
		else
			r->start = min(end, r->end);
	}
	boot_finish_ram(bi);
}

u64 boot_low_page(const struct boot_info *bi)
{
	u64 best = 0;

	for (u32 i = 0; i < bi->nr_ram; i++) {
		u64 end = min(bi->ram[i].end, KIB(640));

		if (end >= bi->ram[i].start + PAGE_SIZE)
			best = max(best, end - PAGE_SIZE);
	}
	return best;
}
