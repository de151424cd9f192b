/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Multiboot2 Specification version 2.0", section "Boot information format": the parts that the
 * hypervisor reads and our UEFI loader writes.
 */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include <hv/base/types.h>

#define MULTIBOOT2_MAGIC 0x36d76289
#define MB2_HEADER_MAGIC 0xe85250d6

/* In the header. Its tags have the same alignment as the tags of the information. */
struct mb2_header_tag {
	u16 type, flags;
	u32 size;
};

enum { MB2_HEADER_END = 0, MB2_HEADER_ADDRESS = 2 };

struct mb2_header_address {
	struct mb2_header_tag tag;
	u32 header, load, load_end, bss_end;
};

/* Before the first tag. */
struct mb2_info {
	u32 total_size, reserved;
};

/* Tags begin at multiples of 8; their size does not include that padding. */
struct mb2_tag {
	u32 type, size;
};

enum {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_LOADER = 2,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_FRAMEBUFFER = 8,
	MB2_EFI64 = 12, /* address of the EFI system table */
	MB2_RSDP_OLD = 14,
	MB2_RSDP_NEW = 15,
};

struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
	char name[];
};

struct mb2_mmap {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
};

struct mb2_mmap_entry {
	u64 start, length;
	u32 type, zero;
};

enum {
	MEMORY_AVAILABLE = 1,
	MEMORY_RESERVED = 2,
	MEMORY_ACPI = 3,
	MEMORY_NVS = 4,
	MEMORY_BAD = 5,
};

enum { FRAMEBUFFER_RGB = 1, FRAMEBUFFER_TEXT = 2 };

struct mb2_framebuffer {
	struct mb2_tag tag;
	u64 address;
	u32 pitch, width, height;
	u8 bpp, type;
	u16 reserved;
	/* FRAMEBUFFER_RGB: lowest bit and number of bits of each colour */
	u8 red_at, red_bits, green_at, green_bits, blue_at, blue_bits;
};

struct mb2_efi64 {
	struct mb2_tag tag;
	u64 system_table;
};

#endif
