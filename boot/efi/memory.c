/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes memory from the firmware. All of it is below 4 GiB, because multiboot2 has 32-bit addresses
 * and the hypervisor first maps no more. None of it overlaps the image's place.
 */
#include <boot/efi/loader.h>

#define MAX_TAKEN 96 /* files, some buffers, and pages that lay in the hole */
#define BELOW_4G 0xffffffffUL

static struct {
	u64 at, pages;
} taken[MAX_TAKEN];
static u32 nr_taken;
static u64 hole_start, hole_end;

void memory_set_hole(u64 start, u64 end)
{
	hole_start = start;
	hole_end = end;
}

u64 memory_take(u64 bytes, EFI_MEMORY_TYPE type)
{
	UINTN pages = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;

	while (nr_taken < MAX_TAKEN) {
		EFI_PHYSICAL_ADDRESS at = BELOW_4G;

		if (EFI_ERROR(firmware->BootServices->AllocatePages(AllocateMaxAddress, type, pages,
								    &at)))
			return 0;
		taken[nr_taken].at = at;
		taken[nr_taken++].pages = pages;
		if (at >= hole_end || at + (pages << PAGE_SHIFT) <= hole_start)
			return at;
		/* It is in the hole: keep it, so that the firmware does not offer it again. */
	}
	return 0;
}

void memory_free_all(void)
{
	while (nr_taken--)
		firmware->BootServices->FreePages(taken[nr_taken].at, taken[nr_taken].pages);
	nr_taken = 0;
}
