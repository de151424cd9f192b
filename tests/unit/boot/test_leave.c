/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader: how it leaves the firmware, and firmware that refuses. */
#include <tests/unit/boot/efi_fixture.h>

static u64 buffer[8192];

/* --- leaving boot services ---------------------------------------------------------- */

static struct {
	struct efi_memory map[4];
	u32 nr_map;
	UINTN key;
	int changes; /* ends that the firmware refuses, as its map has changed meanwhile */
	int gets, exits, ended;
	UINTN room; /* what the map may take */
} fw;

static EFI_STATUS EFIAPI get_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *at, UINTN *key,
				 UINTN *entry_bytes, UINT32 *version)
{
	fw.gets++;
	fw.room = *bytes;
	*bytes = fw.nr_map * sizeof(fw.map[0]);
	if (*bytes > fw.room)
		return EFI_BUFFER_TOO_SMALL;
	memcpy(at, fw.map, *bytes);
	*key = fw.key;
	*entry_bytes = sizeof(fw.map[0]);
	*version = 1;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI exit_services(EFI_HANDLE image, UINTN key)
{
	assert_ptr_equal(image, &fw);
	fw.exits++;
	if (fw.changes) { /* its own handlers of this event allocate */
		fw.changes--;
		fw.map[fw.nr_map++] = memory(RUNTIME_DATA, MIB(64), MIB(1));
		fw.key++;
	}
	if (key != fw.key)
		return EFI_INVALID_PARAMETER;
	fw.ended++;
	return EFI_SUCCESS;
}

static const char *leave(struct efi_map *map, u64 max)
{
	static EFI_BOOT_SERVICES bs;

	bs.GetMemoryMap = get_map;
	bs.ExitBootServices = exit_services;
	map->at = buffer;
	return leave_boot_services(&bs, &fw, map, max, MIB(1), MIB(2));
}

static void reset(int changes)
{
	memset(&fw, 0, sizeof(fw));
	fw.map[0] = memory(EFI_MEM_CONVENTIONAL, MIB(1), MIB(8));
	fw.nr_map = 1;
	fw.changes = changes;
}

static void leaving(void **state)
{
	struct efi_map map;

	(void)state;
	reset(0);
	assert_null(leave(&map, sizeof(buffer)));
	assert_true(fw.ended == 1 && fw.gets == 1);
	assert_int_equal(map.bytes, sizeof(fw.map[0]));

	reset(2); /* a stale key, twice: the map that we keep is the last one */
	assert_null(leave(&map, sizeof(buffer)));
	assert_true(fw.ended == 1 && fw.gets == 3 && fw.exits == 3);
	assert_int_equal(map.bytes, 3 * sizeof(fw.map[0]));
	assert_memory_equal(map.at, fw.map, map.bytes);
}

static void not_leaving(void **state)
{
	struct efi_map map;

	(void)state;
	reset(0);
	fw.map[0] = memory(RUNTIME_DATA, MIB(1), MIB(8));
	assert_non_null(strstr(leave(&map, sizeof(buffer)), "memory at 1 MiB"));
	assert_int_equal(fw.exits, 0);

	reset(0);
	assert_non_null(strstr(leave(&map, 8), "memory map"));
	assert_int_equal(fw.exits, 0);

	reset(3);
	fw.map[0].pages = 0x80; /* half of what the image needs */
	assert_non_null(strstr(leave(&map, sizeof(buffer)), "memory at 1 MiB"));
	assert_int_equal(fw.exits, 0);
}

static EFI_STATUS EFIAPI never(EFI_HANDLE image, UINTN key)
{
	(void)image;
	(void)key;
	fw.exits++;
	return EFI_INVALID_PARAMETER;
}

static void firmware_that_never_lets_go(void **state)
{
	EFI_BOOT_SERVICES bs = { .GetMemoryMap = get_map, .ExitBootServices = never };
	struct efi_map map = { .at = buffer };

	(void)state;
	reset(0);
	assert_non_null(strstr(leave_boot_services(&bs, &fw, &map, sizeof(buffer), MIB(1), MIB(2)),
			       "does not end"));
	assert_true(fw.exits > 1 && fw.exits < 100);
}

static UINTN watchdog_seconds;
static UINT64 watchdog_code;

static EFI_STATUS EFIAPI set_watchdog(UINTN seconds, UINT64 code, UINTN bytes, CHAR16 *text)
{
	watchdog_seconds = seconds;
	watchdog_code = code;
	return bytes || text ? EFI_INVALID_PARAMETER : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI no_watchdog(UINTN seconds, UINT64 code, UINTN bytes, CHAR16 *text)
{
	set_watchdog(seconds, code, bytes, text);
	return EFI_UNSUPPORTED;
}

static void no_reset_while_loading(void **state)
{
	EFI_BOOT_SERVICES bs = { .SetWatchdogTimer = set_watchdog };

	(void)state;
	watchdog_seconds = watchdog_code = 300;
	assert_true(stop_watchdog(&bs));
	assert_int_equal(watchdog_seconds, 0);
	assert_int_equal(watchdog_code, 0);
	bs.SetWatchdogTimer = no_watchdog;
	assert_false(stop_watchdog(&bs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaving),
		cmocka_unit_test(no_reset_while_loading),
		cmocka_unit_test(not_leaving),
		cmocka_unit_test(firmware_that_never_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
