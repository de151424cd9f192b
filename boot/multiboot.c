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

/* Where firmware lists a place twice, the careful word counts. */
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

static void parse_mmap2(const struct mb2_mmap *m, struct boot_info *bi)
{
	const u8 *p = (const u8 *)(m + 1), *end = (const u8 *)m + m->tag.size;

	if (m->entry_size < sizeof(struct mb2_mmap_entry))
		return;
	for (; p + m->entry_size <= end; p += m->entry_size) {
		const struct mb2_mmap_entry *e = (const void *)p;

		if (e->type == MEMORY_AVAILABLE)
			boot_add_ram(bi, e->start, e->length);
	}
	boot_finish_ram(bi);
	for (p = (const u8 *)(m + 1); p + m->entry_size <= end; p += m->entry_size) {
		const struct mb2_mmap_entry *e = (const void *)p;

		if (e->type != MEMORY_AVAILABLE)
			exclude(bi, e->start, e->length);
	}
}

static void parse_tag(const struct mb2_tag *t, struct boot_info *bi)
{
	const struct mb2_module *mod = (const void *)t;
	const struct mb2_framebuffer *fb = (const void *)t;

	switch (t->type) {
	case MB2_CMDLINE:
		str_copy(bi->cmdline, (const char *)(t + 1), sizeof(bi->cmdline));
		break;
	case MB2_MODULE:
		boot_add_module(bi, mod->start, mod->end, mod->name);
		break;
	case MB2_MMAP:
		parse_mmap2((const void *)t, bi);
		break;
	case MB2_FRAMEBUFFER:
		if (t->size >= offsetof(struct mb2_framebuffer, red_at))
			set_framebuffer(bi, fb->address, fb->pitch, fb->width, fb->height, fb->bpp,
					fb->type, &fb->red_at);
		break;
	case MB2_EFI64:
		if (!bi->fb.width)
			bi->fb.text = false; /* UEFI leaves no text screen behind */
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
	const u8 *p = info, *end = p + *(const u32 *)info;

	bi->loader = "multiboot2";
	bi->fb.text = true; /* without a tag the screen is as the BIOS left it */
	for (p += 8; p + sizeof(struct mb2_tag) <= end;) {
		const struct mb2_tag *t = (const void *)p;

		if (t->type == MB2_END || t->size < sizeof(*t))
			break;
		parse_tag(t, bi);
		p += ALIGN_UP(t->size, 8u);
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
	u32 size; /* of what follows */
	u64 start, length;
	u32 type;
} __packed;

#define MB1_CMDLINE BIT(2)
#define MB1_MODULES BIT(3)
#define MB1_MMAP BIT(6)
#define MB1_FRAMEBUFFER BIT(12)

/* The string is the loader's path, a blank, then what the user wrote: that is the name. */
static const char *module_name(const char *s)
{
	for (const char *c = s; *c; c++)
		if (*c == ' ')
			return c + 1;
	return s;
}

/* Adds what is available, or excludes what is not. */
static void parse_mmap1(const struct mb1_info *mb, struct boot_info *bi, bool available)
{
	const u8 *p = plat_ptr(HPA(mb->mmap_addr)), *end = p + mb->mmap_length;

	for (; p + sizeof(struct mb1_mmap_entry) <= end; p += ((const u32 *)p)[0] + 4) {
		const struct mb1_mmap_entry *e = (const void *)p;

		if (e->type != MEMORY_AVAILABLE && !available)
			exclude(bi, e->start, e->length);
		else if (e->type == MEMORY_AVAILABLE && available)
			boot_add_ram(bi, e->start, e->length);
	}
}

void boot_parse_multiboot1(const void *info, struct boot_info *bi)
{
	const struct mb1_info *mb = info;

	bi->loader = "multiboot1";
	bi->fb.text = true;
	if (mb->flags & MB1_CMDLINE)
		str_copy(bi->cmdline, plat_ptr(HPA(mb->cmdline)), sizeof(bi->cmdline));
	if (mb->flags & MB1_MODULES) {
		const struct mb1_module *m = plat_ptr(HPA(mb->mods_addr));

		for (u32 i = 0; i < mb->mods_count; i++)
			boot_add_module(bi, m[i].start, m[i].end,
					module_name(plat_ptr(HPA(m[i].name))));
	}
	if (mb->flags & MB1_FRAMEBUFFER)
		set_framebuffer(bi, mb->fb_address, mb->fb_pitch, mb->fb_width, mb->fb_height,
				mb->fb_bpp, mb->fb_type, mb->fb_fields);
	if (!(mb->flags & MB1_MMAP)) {
		bi->error = "the boot loader gave no memory map";
		return;
	}
	parse_mmap1(mb, bi, true);
	boot_finish_ram(bi);
	parse_mmap1(mb, bi, false);
}
