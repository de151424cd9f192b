/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory as UEFI describes it. */
#ifndef TESTS_UNIT_BOOT_EFI_FIXTURE_H
#define TESTS_UNIT_BOOT_EFI_FIXTURE_H

#include <tests/fake/fake.h>

#include <boot/efi/loader.h>

static inline struct efi_memory memory(u32 type, u64 start, u64 bytes)
{
	return (struct efi_memory){ type, 0, start, 0, bytes >> PAGE_SHIFT, 0xf };
}

#define RUNTIME_DATA 6
#define RESERVED 0

#endif
