/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state in which any loader hands the machine to us. Everything here is a copy: we do not read
 * the loader's memory again, except the modules.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include <hv/base/types.h>

#define BOOT_MAX_REGIONS 128
#define BOOT_MAX_MODULES 64
#define BOOT_NAME_MAX 128

struct boot_region {
	u64 start, end; /* bytes, host-physical */
};

struct boot_module {
	u64 start, end;
	char name[BOOT_NAME_MAX];
};

struct boot_framebuffer {
	u64 address;
	u32 pitch, width, height;
	u8 bpp;
	bool text; /* 80x25 characters */
	/*
	 * Place of each colour in a pixel, lowest bit first; all sizes 0: the usual places for bpp.
	 */
	u8 red_at, red_bits, green_at, green_bits, blue_at, blue_bits;
};

struct boot_info {
	const char *loader;
	char cmdline[256];
	u32 nr_ram; /* conventional memory only, sorted, page-aligned inwards */
	struct boot_region ram[BOOT_MAX_REGIONS];
	u32 nr_modules;
	struct boot_module modules[BOOT_MAX_MODULES];
	struct boot_framebuffer fb;
	u8 rsdp[36]; /* a copy; rsdp_size 0 = not given */
	u32 rsdp_size;
	const char *error; /* set if we cannot use the information */
};

/* Fill @bi from the information that GRUB (or QEMU's -kernel) left at @info. */
void boot_parse_multiboot2(const void *info, struct boot_info *bi);
void boot_parse_multiboot1(const void *info, struct boot_info *bi);

/* For the parsers. */
void boot_add_ram(struct boot_info *bi, u64 start, u64 length);
void boot_add_module(struct boot_info *bi, u64 start, u64 end, const char *name);
/* Sorts, merges overlaps, aligns inwards. */
void boot_finish_ram(struct boot_info *bi);
/* The highest page of the RAM list below 640 KiB; 0 if there is none. */
u64 boot_low_page(const struct boot_info *bi);
/* Removes [start, end) from the RAM list. */
void boot_exclude(struct boot_info *bi, u64 start, u64 end);

#endif
