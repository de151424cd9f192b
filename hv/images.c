/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/images.h>

#define MAX_IMAGES 64

static struct image images[MAX_IMAGES];
static u32 count;

void image_add(const char *name, const void *data, size_t size)
{
	if (count < MAX_IMAGES)
		images[count++] = (struct image){ name, data, size };
}

const struct image *image_find(const char *name)
{
	for (u32 i = 0; i < count; i++)
		if (!strcmp(images[i].name, name))
			return &images[i];
	return NULL;
}
