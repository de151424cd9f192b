/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that the boot loader put into memory, by name. */
#ifndef HV_IMAGES_H
#define HV_IMAGES_H

#include <hv/base/types.h>

struct image {
	const char *name;
	const u8 *data;
	size_t size;
};

/* Registers a file; boot only. */
void image_add(const char *name, const void *data, size_t size);

/* The one of that name, or else one that differs in case only; NULL if there is none. */
const struct image *image_find(const char *name);

#endif
