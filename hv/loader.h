/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a multiboot-1 kernel (ELF32, or any file with load addresses in its
 * header) and its modules into a VM.  "Multiboot Specification version
 * 0.6.96", sections "OS image format", "Machine state", "Boot information".
 */
#ifndef HV_LOADER_H
#define HV_LOADER_H

#include <hv/backend.h>

struct vm;

/* Where execution starts. */
struct loaded {
	u32 entry;
	u32 info; /* EBX */
};

/* Logs what is wrong with an image in words. HV_EINVAL, HV_ENOENT, HV_ENOMEM, HV_ERANGE. */
int loader_load(struct vm *vm, struct loaded *out);

/* The machine state that multiboot promises, for set_state(). */
void loader_state(const struct loaded *l, struct guest_state *s);

#define MULTIBOOT_MAGIC 0x2badb002u

#endif
