/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory from the firmware.  All below 4 GiB: multiboot2 has 32-bit addresses,
 * and the hypervisor first maps no more.  None where the image will be copied.
 */
#include <boot/efi/loader.h>

#define MAX_TAKEN 96 /* files, some buffers, and what turned out to be in the hole */
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
		/* In the hole: keep it, so that it is not offered again. */
	}
	return 0;
}

void memory_free_all(void)
{
	while (nr_taken--)
		firmware->BootServices->FreePages(taken[nr_taken].at, taken[nr_taken].pages);
	nr_taken = 0;
}
