/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI tables in a firmware's memory, whole or cut. */
#ifndef TESTS_UNIT_BOOT_ACPI_FIXTURE_H
#define TESTS_UNIT_BOOT_ACPI_FIXTURE_H

#include <tests/fake/fake.h>

#include <sys/mman.h>

#include <boot/acpi.h>

/* Memory that is readable and untouched; beyond its end nothing is readable. */
static u8 *ram;

static inline int make_ram(void **state)
{
	(void)state;
	ram = mmap(NULL, GIB(4) + PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	assert_true(ram != MAP_FAILED);
	assert_int_equal(mprotect(ram, GIB(4), PROT_READ | PROT_WRITE), 0);
	plat_direct_base = (uintptr_t)ram;
	return 0;
}

static inline int drop_ram(void **state)
{
	(void)state;
	munmap(ram, GIB(4) + PAGE_SIZE);
	return 0;
}

static u8 table[4096];
static u32 table_len;

static inline void add8(u32 v)
{
	table[table_len++] = (u8)v;
}

static inline void add(u64 v, u32 bytes)
{
	for (; bytes--; v >>= 8)
		add8((u32)v);
}

static inline void begin(const char *signature, u32 revision)
{
	memset(table, 0, sizeof(table));
	memcpy(table, signature, 4);
	table[8] = (u8)revision;
	table_len = 36;
}

/*
 * Places @len bytes of the table so that nothing is readable behind them, and the tables that lead
 * there.
 */
static inline void parse_cut(u32 len, struct acpi_info *info)
{
	u64 end = MIB(8), at = end - len, xsdt = MIB(4);
	struct boot_info bi = { .rsdp_size = 36 };
	u8 sum = 0;

	memcpy(table + 4, &len, 4);
	table[9] = 0;
	for (u32 i = 0; i < len; i++)
		sum = (u8)(sum + table[i]);
	table[9] = (u8)-sum;
	assert_int_equal(mprotect(ram + end, PAGE_SIZE, PROT_NONE), 0);
	memcpy(ram + at, table, len);
	memset(ram + xsdt, 0, 44);
	memcpy(ram + xsdt, "XSDT", 4);
	ram[xsdt + 4] = 44;
	memcpy(ram + xsdt + 36, &at, 8);
	memcpy(bi.rsdp, "RSD PTR ", 8);
	bi.rsdp[15] = 2;
	memcpy(bi.rsdp + 24, &xsdt, 8);
	*info = (struct acpi_info){ 0 };
	acpi_parse(&bi, info);
	assert_true(info->nr_cpus <= MAX_CPUS);
}

static inline void parse(struct acpi_info *info)
{
	parse_cut(table_len, info);
}

static inline void gas(u32 space, u32 width, u32 access, u64 address)
{
	add8(space);
	add8(width);
	add8(0);
	add8(access);
	add(address, 8);
}

static inline void spcr_table(u32 revision, u32 subtype, u32 space, u32 width, u32 access,
			      u64 address, u32 baud, u32 clock)
{
	begin("SPCR", revision);
	add(subtype, 4);
	gas(space, width, access, address);
	add(0, 6);
	add8(baud);
	add(0, 17);
	add(clock, 4);
	assert_int_equal(table_len, 80);
}

static inline void device(u32 type, u32 subtype, u32 addresses, u32 size, u64 address)
{
	add8(0);
	add(size, 2);
	add8(addresses);
	add(0, 8);
	add(type, 2);
	add(subtype, 2);
	add(0, 2);
	add(22, 2);
	add(34, 2);
	gas(0, 32, 3, address);
	add(0x1000, 4);
}

static inline void dbg2_table(u32 count)
{
	begin("DBG2", 0);
	add(44, 4);
	add(count, 4);
}

#endif
