/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes multiboot2 information, the same as GRUB's, out of UEFI's. Pure: no firmware calls, so that
 * host tests link it.
 */
#ifndef BOOT_EFI_INFO_H
#define BOOT_EFI_INFO_H

#include <boot/multiboot2.h>

/* "UEFI Specification 2.10", section "EFI_BOOT_SERVICES.GetMemoryMap()" */
struct efi_memory {
	u32 type, pad;
	u64 start, virt, pages, attributes;
};

enum {
	EFI_MEM_LOADER_CODE = 1,
	EFI_MEM_LOADER_DATA = 2,
	EFI_MEM_BOOT_CODE = 3,
	EFI_MEM_BOOT_DATA = 4,
	EFI_MEM_CONVENTIONAL = 7,
	EFI_MEM_UNUSABLE = 8,
	EFI_MEM_ACPI_RECLAIM = 9,
	EFI_MEM_ACPI_NVS = 10,
};

/* A memory map as GetMemoryMap returns it; descriptors may be longer than the part that we know. */
struct efi_map {
	const void *at;
	u64 bytes;
	u64 entry_bytes;
};

/* Information under construction, in a buffer of @max bytes at a multiple of 8. */
struct info {
	u8 *at;
	u32 used, max;
	bool overflow; /* a tag did not fit and was left out */
};

void info_begin(struct info *info, void *buffer, u32 max);
void info_string(struct info *info, u32 type, const char *text);
void info_module(struct info *info, u32 start, u32 end, const char *name);
void info_rsdp(struct info *info, u32 type, const void *rsdp, u32 bytes);
void info_system_table(struct info *info, u64 address);
/* Fills in @fb's tag member. */
void info_framebuffer(struct info *info, struct mb2_framebuffer *fb);
/* Adds the map: sorted, with neighbours of one kind merged. */
void info_memory(struct info *info, const struct efi_map *map);
void info_end(struct info *info);

/*
 * True if all bytes of [start, end) will be ours when boot services are gone. False: *@blocker is
 * the first address that will not be.
 */
bool map_is_ours(const struct efi_map *map, u64 start, u64 end, u64 *blocker);

#endif
