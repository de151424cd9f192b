/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "UEFI Specification 2.10", section "EFI_BOOT_SERVICES.ExitBootServices()": the map's key must be
 * the newest, and firmware may change the map while it handles our call. Then it refuses the call,
 * and we try again.
 */
#include <boot/efi/loader.h>

#define TRIES 8

bool stop_watchdog(EFI_BOOT_SERVICES *bs)
{
	return !EFI_ERROR(bs->SetWatchdogTimer(0, 0, 0, NULL));
}

const char *leave_boot_services(EFI_BOOT_SERVICES *bs, EFI_HANDLE image, struct efi_map *map,
				u64 map_max, u64 start, u64 end)
{
	for (int i = 0; i < TRIES; i++) {
		UINTN bytes = map_max, key, entry_bytes;
		UINT32 version;
		u64 blocker;

		if (EFI_ERROR(bs->GetMemoryMap(&bytes, (void *)(uintptr_t)map->at, &key,
					       &entry_bytes, &version)))
			return "the firmware does not tell its memory map";
		map->bytes = bytes;
		map->entry_bytes = entry_bytes;
		if (!map_is_ours(map, start, end, &blocker))
			return "the firmware keeps the memory at 1 MiB for itself, and Aerostat must be there";
		if (!EFI_ERROR(bs->ExitBootServices(image, key)))
			return NULL;
	}
	return "the firmware does not end its boot services";
}
