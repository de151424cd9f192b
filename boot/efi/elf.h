/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's ELF file, as a plan of what goes where. Pure. */
#ifndef BOOT_EFI_ELF_H
#define BOOT_EFI_ELF_H

#include <hv/base/types.h>

#define ELF_MAX_SEGMENTS 8

/* Copy @bytes from @src to @dst, then @zeroes bytes of zero: read by enter.S. */
struct copy {
	u32 dst, src, bytes, zeroes;
};

struct elf_plan {
	/* A copy with dst 0 ends the list; its src is the entry point. */
	struct copy copies[ELF_MAX_SEGMENTS + 1];
	u32 start, end; /* what the image will occupy, its boot room included; physical, bytes */
};

/*
 * Plans the loading of the file of @size bytes at @file, which lies at the
 * physical address @where.  NULL, or what is wrong with the file.
 */
const char *elf_plan(const void *file, u64 size, u32 where, struct elf_plan *plan);

#endif
