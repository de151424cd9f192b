/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 1 and 2 information into boot_info.  "Multiboot2 Specification
 * version 2.0", section "Boot information format"; "Multiboot Specification
 * version 0.6.96", section "Boot information format".
 */
#include <boot/boot_info.h>
#include <boot/multiboot2.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>

#define MAP_MAX MIB(1) /* bytes of a memory map: 40,000 entries; machines have some hundred */

static const char damaged_map[] = "the boot loader's memory map is damaged";
static const char damaged_info[] =
	"the boot loader's information is damaged: a part of it is longer than the whole";

/* The length of text that ends with a NUL, or after @most bytes. */
static void copy_text(char *to, size_t size, const void *from, u64 most)
{
	const char *text = from;
	size_t n = 0;

	for (; n < size - 1 && n < most && text[n]; n++)
		to[n] = text[n];
	to[n] = '\0';
}

/* If firmware lists a range twice, and once as not available, we do not use it. */
static void exclude(struct boot_info *bi, u64 start, u64 length)
{
	if (length)
		boot_exclude(bi, start, start + length < start ? UINT64_MAX : start + length);
}

static void set_framebuffer(struct boot_info *bi, u64 address, u32 pitch, u32 width, u32 height,
			    u8 bpp, u8 type, const u8 *fields)
{
	bi->fb = (struct boot_framebuffer){ .text = type == FRAMEBUFFER_TEXT };
	if (type != FRAMEBUFFER_RGB)
		return;
	bi->fb = (struct boot_framebuffer){
		.address = address,
		.pitch = pitch,
		.width = width,
		.height = height,
		.bpp = bpp,
		.red_at = fields[0],
		.red_bits = fields[1],
		.green_at = fields[2],
		.green_bits = fields[3],
		.blue_at = fields[4],
		.blue_bits = fields[5],
	};
}

static struct mb2_mmap_entry entry2_at(const struct mb2_mmap *m, u32 i)
{
	struct mb2_mmap_entry e;

	memcpy(&e, (const u8 *)(m + 1) + (size_t)i * m->entry_size, sizeof(e));
	return e;
}

static void parse_mmap2(const struct mb2_mmap *m, struct boot_info *bi)
{
	u32 n;

	if (m->tag.size < sizeof(*m) || m->tag.size > MAP_MAX ||
	    m->entry_size < sizeof(struct mb2_mmap_entry)) {
		bi->error = damaged_map;
		return;
	}
	n = (m->tag.size - (u32)sizeof(*m)) / m->entry_size;
	for (u32 i = 0; i < n; i++) {
		struct mb2_mmap_entry e = entry2_at(m, i);

		if (e.type == MEMORY_AVAILABLE)
			boot_add_ram(bi, e.start, e.length);
	}
	boot_finish_ram(bi);
	for (u32 i = 0; i < n; i++) {
		struct mb2_mmap_entry e = entry2_at(m, i);

		if (e.type != MEMORY_AVAILABLE)
			exclude(bi, e.start, e.length);
	}
}

static void parse_module2(const struct mb2_module *m, struct boot_info *bi)
{
	char name[BOOT_NAME_MAX +
		  1]; /* one more than is allowed, so that a name that is too long is noticed */

	if (m->tag.size < sizeof(*m)) {
		bi->error = damaged_info;
		return;
	}
	copy_text(name, sizeof(name), m->name, m->tag.size - sizeof(*m));
	boot_add_module(bi, m->start, m->end, name);
}

static void parse_framebuffer2(const struct mb2_framebuffer *fb, struct boot_info *bi)
{
	if (fb->tag.size < (fb->type == FRAMEBUFFER_RGB ?
				    offsetof(struct mb2_framebuffer, blue_bits) + 1 :
				    offsetof(struct mb2_framebuffer, red_at)))
		return;
	set_framebuffer(bi, fb->address, fb->pitch, fb->width, fb->height, fb->bpp, fb->type,
			&fb->red_at);
}

/* The whole tag is there: its size is at most the rest of the information. */
static void parse_tag(const struct mb2_tag *t, struct boot_info *bi)
{
	switch (t->type) {
	case MB2_CMDLINE:
		copy_text(bi->cmdline, sizeof(bi->cmdline), t + 1, t->size - sizeof(*t));
		break;
	case MB2_MODULE:
		parse_module2((const void *)t, bi);
		break;
	case MB2_MMAP:
		parse_mmap2((const void *)t, bi);
		break;
	case MB2_FRAMEBUFFER:
		if (t->size >= offsetof(struct mb2_framebuffer, red_at))
			parse_framebuffer2((const void *)t, bi);
		break;
	case MB2_EFI64:
		if (!bi->fb.width)
			bi->fb.text = false; /* under UEFI there is no text screen */
		break;
	case MB2_RSDP_OLD:
	case MB2_RSDP_NEW:
		if (t->type == MB2_RSDP_OLD && bi->rsdp_size)
			break; /* the newer one is better */
		bi->rsdp_size = min(t->size - (u32)sizeof(*t), (u32)sizeof(bi->rsdp));
		memcpy(bi->rsdp, t + 1, bi->rsdp_size);
		break;
	}
}

void boot_parse_multiboot2(const void *info, struct boot_info *bi)
{
	u64 at = sizeof(struct mb2_info), size = ((const struct mb2_info *)info)->total_size;

	bi->loader = "multiboot2";
	bi->fb.text = true; /* without a tag the screen is as the BIOS left it: text */
	while (at + sizeof(struct mb2_tag) <= size) {
		const struct mb2_tag *t = (const void *)((const u8 *)info + at);

		if (t->type == MB2_END)
			break;
		if (t->size < sizeof(*t) || t->size > size - at) {
			bi->error = damaged_info;
			break;
		}
		parse_tag(t, bi);
		at += ALIGN_UP((u64)t->size, 8UL);
	}
	boot_finish_ram(bi);
}

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
	u32 drives[2], config_table, boot_loader, apm, vbe[4];
	u64 fb_address;
	u32 fb_pitch, fb_width, fb_height;
	u8 fb_bpp, fb_type, fb_fields[6];
} __packed;

struct mb1_module {
	u32 start, end, name, reserved;
};

struct mb1_mmap_entry {
	u32 size; /* bytes that follow */
	u64 start, length;
	u32 type;
} __packed;

#define MB1_CMDLINE BIT(2)
#define MB1_MODULES BIT(3)
#define MB1_MMAP BIT(6)
#define MB1_FRAMEBUFFER BIT(12)

/* The end of the boot map: we cannot read memory above it. */
#define REACH GIB(4)

static bool in_reach(u64 at, u64 bytes)
{
	return at + bytes <= REACH;
}

static void copy_text1(char *to, size_t size, u32 from)
{
	copy_text(to, size, plat_ptr(HPA(from)), REACH - from);
}

/* The string is the loader's path, a blank, then the user's text: that is the name. */
static void parse_module1(const struct mb1_module *m, struct boot_info *bi)
{
	const char *text = plat_ptr(HPA(m->name));
	u64 most = min(REACH - m->name, PAGE_SIZE), at = 0;
	char name[BOOT_NAME_MAX + 1];

	while (at < most && text[at] && text[at] != ' ')
		at++;
	at = at < most && text[at] ? at + 1 : 0;
	copy_text(name, sizeof(name), text + at, most - at);
	boot_add_module(bi, m->start, m->end, name);
}

static void parse_modules1(const struct mb1_info *mb, struct boot_info *bi)
{
	for (u32 i = 0; i < mb->mods_count && !bi->error; i++) {
		u64 at = mb->mods_addr + i * sizeof(struct mb1_module);
		struct mb1_module m;

		if (!in_reach(at, sizeof(m))) {
			bi->error = damaged_info;
			return;
		}
		memcpy(&m, plat_ptr(HPA(at)), sizeof(m));
		parse_module1(&m, bi);
	}
}

/* Adds RAM that is available, or excludes ranges that are not. */
static void parse_mmap1(const struct mb1_info *mb, struct boot_info *bi, bool available)
{
	u64 at = mb->mmap_addr, end = at + mb->mmap_length;
	struct mb1_mmap_entry e;

	for (; at + sizeof(e) <= end; at += e.size + sizeof(e.size)) {
		memcpy(&e, plat_ptr(HPA(at)), sizeof(e));
		if (e.size < sizeof(e) - sizeof(e.size) || e.size > end - at - sizeof(e.size)) {
			bi->error = damaged_map;
			return;
		}
		if (e.type != MEMORY_AVAILABLE && !available)
			exclude(bi, e.start, e.length);
		else if (e.type == MEMORY_AVAILABLE && available)
			boot_add_ram(bi, e.start, e.length);
	}
}

void boot_parse_multiboot1(const void *info, struct boot_info *bi)
{
	const struct mb1_info *mb = info;

	bi->loader = "multiboot1";
	bi->fb.text = true;
	if (mb->flags & MB1_CMDLINE)
		copy_text1(bi->cmdline, sizeof(bi->cmdline), mb->cmdline);
	if (mb->flags & MB1_MODULES)
		parse_modules1(mb, bi);
	if (mb->flags & MB1_FRAMEBUFFER)
		set_framebuffer(bi, mb->fb_address, mb->fb_pitch, mb->fb_width, mb->fb_height,
				mb->fb_bpp, mb->fb_type, mb->fb_fields);
	if (!(mb->flags & MB1_MMAP)) {
		bi->error = "the boot loader gave no memory map";
		return;
	}
	if (mb->mmap_length > MAP_MAX || !in_reach(mb->mmap_addr, mb->mmap_length)) {
		bi->error = damaged_map;
		return;
	}
	parse_mmap1(mb, bi, true);
	boot_finish_ram(bi);
	parse_mmap1(mb, bi, false);
}
