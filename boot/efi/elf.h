/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns the hypervisor's ELF file into a plan of copies. Pure. */
#ifndef BOOT_EFI_ELF_H
#define BOOT_EFI_ELF_H

#include <hv/base/types.h>

#define ELF_MAX_SEGMENTS 8

/* enter.S copies @bytes from @src to @dst, and zeroes @zeroes bytes after them. */
struct copy {
	u32 dst, src, bytes, zeroes;
};

struct elf_plan {
	/* A copy with dst 0 ends the list; its src is the entry point. */
	struct copy copies[ELF_MAX_SEGMENTS + 1];
	u32 start, end; /* the image's physical addresses, boot room included */
};

/*
 * Plans the loading of the file of @size bytes at @file, whose physical address is @where. Returns
 * NULL, or a message about the file's fault.
 */
const char *elf_plan(const void *file, u64 size, u32 where, struct elf_plan *plan);

#endif
