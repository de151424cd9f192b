/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/load/images.h>

#define MAX_IMAGES 64

static struct image images[MAX_IMAGES];
static u32 count;

void image_add(const char *name, const void *data, size_t size)
{
	if (count < MAX_IMAGES)
		images[count++] = (struct image){ name, data, size };
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_but_case(const char *a, const char *b)
{
	for (; *a && lower(*a) == lower(*b); a++, b++)
		;
	return lower(*a) == lower(*b);
}

/* FAT has names without case, and each reader of FAT chooses one. */
const struct image *image_find(const char *name)
{
	for (u32 i = 0; i < count; i++)
		if (!strcmp(images[i].name, name))
			return &images[i];
	for (u32 i = 0; i < count; i++)
		if (same_but_case(images[i].name, name))
			return &images[i];
	return NULL;
}
