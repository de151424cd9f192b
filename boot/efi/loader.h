/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the UEFI loader that talk to the firmware. */
#ifndef BOOT_EFI_LOADER_H
#define BOOT_EFI_LOADER_H

#include <efi.h>

#include <boot/efi/info.h>
#include <hv/base/types.h>

/* The handles that the firmware gave to our entry; set before anything else. */
extern EFI_HANDLE firmware_image;
extern EFI_SYSTEM_TABLE *firmware;

/* --- say.c: the screen, or the serial port where firmware mirrors it there --- */

/* Prints a line of at most 600 characters, in ASCII. */
void say(const char *fmt, ...) __printf(1, 2);
/* Prints the message, waits for a key or 60 s, and returns to the firmware. */
void give_up(const char *fmt, ...) __printf(1, 2) __attribute__((noreturn));
/* A few words for a status of the firmware. */
const char *status_text(EFI_STATUS status);

/* --- memory.c --- */

/*
 * Takes memory below 4 GiB and outside of the addresses [hole_start, hole_end). It stays ours if we
 * reach the hypervisor; memory_free_all() gives it back. 0: there is not enough.
 */
u64 memory_take(u64 bytes, EFI_MEMORY_TYPE type);
void memory_set_hole(u64 start, u64 end);
void memory_free_all(void);

/* --- files.c: the partition that we were started from --- */

struct file {
	u64 at, size; /* bytes, physical; always below 4 GiB */
};

void files_open_volume(void);
/*
 * Reads the whole file @path (ASCII, with / or \, from the root) of at most @limit bytes. On any
 * error it gives up with a message that begins with @who.
 */
struct file file_load(const char *path, const char *who, u64 limit);

/* --- leave.c --- */

/*
 * UEFI Specification 2.10, "EFI_BOOT_SERVICES.SetWatchdogTimer()": it resets the machine when an
 * image has run for 5 minutes. Switches it off; false: the firmware cannot.
 */
bool stop_watchdog(EFI_BOOT_SERVICES *bs);

/*
 * Ends boot services. @map gets the memory map as it is then, in the buffer of @map_max bytes at
 * map->at; [start, end) must be ours in it. Returns NULL: done, and no call of the firmware is
 * allowed from now on; else a message.
 */
const char *leave_boot_services(EFI_BOOT_SERVICES *bs, EFI_HANDLE image, struct efi_map *map,
				u64 map_max, u64 start, u64 end);

#endif
