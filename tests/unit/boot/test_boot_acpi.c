/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI tables of firmware: CPUs, I/O APICs, timers, watchdogs; and wrong tables. */
#include <tests/unit/boot/acpi_fixture.h>

static void lapic(u32 uid, u32 id, u32 flags)
{
	add8(0);
	add8(8);
	add8(uid);
	add8(id);
	add(flags, 4);
}

static void x2apic(u32 id, u32 flags)
{
	add8(9);
	add8(16);
	add(0, 2);
	add(id, 4);
	add(flags, 4);
	add(0, 4);
}

static void begin_madt(void)
{
	begin("APIC", 4);
	add(0xfee00000, 4);
	add(1, 4);
}

static void madt(void **state)
{
	struct acpi_info info;

	(void)state;
	begin_madt();
	lapic(0, 0, 1);
	lapic(1, 2, 0);	  /* disabled */
	lapic(2, 4, 2);	  /* can be plugged in */
	lapic(3, 255, 0); /* none at all */
	lapic(4, 6, 1);
	x2apic(6, 1); /* the same again */
	x2apic(300, 1);
	x2apic(301, 0);
	x2apic(0xffffffff, 1);
	add(0x0c01, 2); /* I/O APICs */
	add(9, 2);
	add(0xfec00000, 4);
	add(0, 4);
	add(0x0c01, 2);
	add(10, 2);
	add(0xfec01000, 4);
	add(24, 4);
	add(0x0801, 2); /* too short, and kinds that are not ours */
	add(0xfec02000, 6);
	add(0x067f, 2);
	add(0, 4);
	lapic(5, 8, 3);
	parse(&info);
	assert_int_equal(info.nr_cpus, 4);
	assert_int_equal(info.apic_ids[0], 0);
	assert_int_equal(info.apic_ids[1], 6);
	assert_int_equal(info.apic_ids[2], 300);
	assert_int_equal(info.apic_ids[3], 8);
	assert_int_equal(info.cpus_disabled, 3);
	assert_int_equal(info.cpus_left_out, 0);
	assert_int_equal(info.highest_apic_id, 300);
	assert_int_equal(info.nr_ioapics, 2);
	assert_int_equal(info.ioapic[0], 0xfec00000);
	assert_int_equal(info.ioapic[1], 0xfec01000);
}

static void madt_with_many(void **state)
{
	struct acpi_info info;

	(void)state;
	begin_madt();
	for (u32 i = 0; i < 200; i++)
		x2apic(i * 2, 1);
	for (u32 i = 0; i < 100; i++)
		lapic(i, i * 2, 1);
	parse(&info);
	assert_int_equal(info.nr_cpus, MAX_CPUS);
	assert_int_equal(info.apic_ids[MAX_CPUS - 1], (MAX_CPUS - 1) * 2);
	assert_true(info.cpus_left_out >= 200 - MAX_CPUS);
	assert_int_equal(info.highest_apic_id, 398);
}

static void hpet_table(u32 space, u64 at)
{
	begin("HPET", 1);
	add(0x80862201, 4);
	add8(space);
	add8(64);
	add(0, 2);
	add(at, 8);
	add(0, 4);
}

static void hpet(void **state)
{
	struct acpi_info info;

	(void)state;
	hpet_table(0, 0xfed00000);
	parse(&info);
	assert_int_equal(info.hpet, 0xfed00000);
	parse_cut(55, &info);
	assert_int_equal(info.hpet, 0);
	hpet_table(1, 0x4000); /* by ports: there is no such */
	parse(&info);
	assert_int_equal(info.hpet, 0);
}

static void wdat_entry(u32 action, u32 instruction, u32 space, u32 width, u64 address, u32 value,
		       u32 mask)
{
	add8(action);
	add8(instruction);
	add(0, 2);
	gas(space, width, 0, address);
	add(value, 4);
	add(mask, 4);
}

static void begin_wdat(u32 flags, u32 count)
{
	begin("WDAT", 1);
	add(32, 4);
	add(0xffffff, 8);
	add(0, 12);
	add(flags, 4);
	add(count, 4);
}

static void wdat(void **state)
{
	struct acpi_info info;

	(void)state;
	begin_wdat(0x81, 4);
	wdat_entry(1, 3, 1, 16, 0x660, 1, 1); /* the write that stops it */
	wdat_entry(11, 0x82, 1, 16, 0x668, 0x800, 0x800);
	wdat_entry(9, 0x82, 1, 16, 0x668, 0, 0x800);
	wdat_entry(11, 2, 0, 32, 0xfed80000, 1, 3);
	parse(&info);
	assert_string_equal(info.watchdog.table, "WDAT");
	assert_int_equal(info.watchdog.nr, 2);
	assert_int_equal(info.watchdog.step[0].reg.space, POWER_PORT);
	assert_int_equal(info.watchdog.step[0].reg.address, 0x668);
	assert_int_equal(info.watchdog.step[0].bytes, 2);
	assert_int_equal(info.watchdog.step[0].value, 0x800);
	assert_true(info.watchdog.step[0].preserve);
	assert_int_equal(info.watchdog.step[1].reg.space, POWER_MEMORY);
	assert_int_equal(info.watchdog.step[1].bytes, 4);
	assert_int_equal(info.watchdog.step[1].mask, 3);
	assert_false(info.watchdog.step[1].preserve);
	/* Cut short, it has what is there. */
	parse_cut(table_len - 1, &info);
	assert_int_equal(info.watchdog.nr, 1);
	parse_cut(67, &info);
	assert_null(info.watchdog.table);
	/* If one step is not understood, no step is taken. */
	wdat_entry(11, 3, 1, 16, 0x668, 0x800, 0x800);
	table[64] = 5;
	parse(&info);
	assert_non_null(info.watchdog.table);
	assert_int_equal(info.watchdog.nr, 0);
	begin_wdat(0, 1); /* not in use */
	wdat_entry(11, 2, 1, 16, 0x668, 0x800, 0x800);
	parse(&info);
	assert_null(info.watchdog.table);
	begin("WDRT", 1);
	parse(&info);
	assert_string_equal(info.watchdog.table, "WDRT");
	assert_int_equal(info.watchdog.nr, 0);
}

static void ioapics(void **state)
{
	struct acpi_info info;

	(void)state;
	begin_madt();
	for (u32 i = 0; i < 2 * IOAPICS_MAX; i++) {
		add(0x0c01, 2);
		add(0, 10);
	}
	parse(&info);
	assert_int_equal(info.nr_ioapics, IOAPICS_MAX);
}

static void dmar(void **state)
{
	struct acpi_info info;

	(void)state;
	for (u32 flags = 0; flags < 4; flags++) {
		begin("DMAR", 1);
		add8(38);
		add8(flags);
		add(0, 10);
		parse(&info);
		assert_int_equal(info.no_x2apic, flags >> 1);
	}
	parse_cut(37, &info); /* ends before its flags */
	assert_false(info.no_x2apic);
}

static void entries_that_lie(void **state)
{
	struct acpi_info info;

	(void)state;
	begin_madt();
	lapic(0, 1, 1);
	add(0, 2); /* no length: the rest cannot be found */
	lapic(0, 2, 1);
	parse(&info);
	assert_int_equal(info.nr_cpus, 1);
	begin_madt();
	lapic(0, 1, 1);
	add(0x0400, 2); /* too short to be one */
	add(0x0105, 2);
	add(0x0809, 2);
	add(7, 6);
	lapic(0, 3, 1);
	add(0x1009, 2); /* reaches beyond the end */
	add(9, 4);
	parse(&info);
	assert_int_equal(info.nr_cpus, 2);
	assert_int_equal(info.apic_ids[1], 3);
}

/* Tables cut anywhere are not read beyond their end, where nothing is readable. */
static void cut_tables(void **state)
{
	struct acpi_info info;
	u32 full;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		if (kind == 0) {
			begin_madt();
			x2apic(1, 1);
			lapic(0, 2, 1);
			x2apic(3, 1);
		} else if (kind == 1) {
			spcr_table(4, 0, 0, 32, 3, 0xfe042000, 7, 48000000);
		} else {
			dbg2_table(2);
			device(0x8000, 3, 1, 38, 0x2000);
			device(0x8000, 0, 1, 38, 0xfe030000);
		}
		full = table_len;
		for (u32 len = 36; len <= full; len++)
			parse_cut(len, &info);
		assert_true(kind ? info.uart.base : info.nr_cpus == 3);
		parse_cut(full - 1, &info);
		assert_false(kind ? info.uart.base : info.nr_cpus == 3);
	}
}

static void noise_dsdt(u64 *seed)
{
	u32 end = MIB(16), len = 36 + 4 + (u32)fake_random(seed) % 16, at = end - len;

	assert_int_equal(mprotect(ram + end, PAGE_SIZE, PROT_NONE), 0);
	memset(ram + at, 0, 36);
	memcpy(ram + at, "DSDT", 4);
	memcpy(ram + at + 4, &len, 4);
	memcpy(ram + at + 36, "_S5_", 4);
	for (u32 i = 40; i < len; i++)
		ram[at + i] = i == 40 ? 0x12 : (u8)fake_random(seed);
	memcpy(table + 40, &at, 4);
}

static void noise(void **state)
{
	static const char *const names[] = {
		"APIC", "SPCR", "DBG2", "FACP", "DMAR", "HPET", "WDAT"
	};
	struct acpi_info info;
	u64 seed = 5;

	(void)state;
	for (u32 i = 0; i < 20000; i++) {
		begin(names[i % ARRAY_SIZE(names)], i >> 2 & 7);
		while (table_len < 60 + i % 200)
			add8(fake_random(&seed) & 3 ? (u32)fake_random(&seed) & 15 :
						      (u32)fake_random(&seed));
		if (i % ARRAY_SIZE(names) == 3) /* its DSDT, with an _S5_ at the very end */
			noise_dsdt(&seed);
		parse(&info);
		assert_true(info.power.s5_type_a < 8 && info.power.s5_type_b < 8);
		if (!info.uart.base)
			continue;
		assert_true(info.uart.width == 1 || info.uart.width == 2 || info.uart.width == 4);
		assert_true(info.uart.stride >= info.uart.width && info.uart.stride <= 4);
	}
}

/* Without a pointer from the loader: the firmware's places, and only what sums to zero. */
/* Damaged firmware: a large table that names itself half a million times. */
static void tables_in_circles(void **state)
{
	struct acpi_info info = { 0 };
	struct boot_info bi = { .rsdp_size = 36 };
	u64 xsdt = MIB(16);
	u32 length = MIB(4);

	(void)state;
	memcpy(bi.rsdp, "RSD PTR ", 8);
	bi.rsdp[15] = 2;
	memcpy(bi.rsdp + 24, &xsdt, 8);
	memcpy(ram + xsdt, "XSDT", 4);
	memcpy(ram + xsdt + 4, &length, 4);
	for (u32 at = 36; at + 8 <= length; at += 8)
		memcpy(ram + xsdt + at, &xsdt, 8);
	acpi_parse(&bi, &info);
	assert_int_equal(info.nr_cpus, 0);
	memset(ram + xsdt, 0, length);
}

static void finding_the_root(void **state)
{
	struct boot_info bi = { 0 };
	struct acpi_info info = { 0 };
	u8 *bios = ram + 0xe4560, *ebda = ram + 0x9fc00;
	u32 rsdt = MIB(5), at = MIB(6);

	(void)state;
	begin_madt();
	lapic(0, 9, 1);
	memcpy(table + 4, &table_len, 4);
	memcpy(ram + at, table, table_len);
	memset(ram + rsdt, 0, 40);
	memcpy(ram + rsdt, "RSDT", 4);
	ram[rsdt + 4] = 40;
	memcpy(ram + rsdt + 36, &at, 4);
	memcpy(bios, "RSD PTR ", 8);
	memcpy(bios + 16, &rsdt, 4);
	acpi_parse(&bi, &info);
	assert_int_equal(info.nr_cpus, 0); /* the sum is wrong */
	for (int i = 0; i < 20; i++)
		bios[8] = (u8)(bios[8] - (i == 8 ? 0 : bios[i]));
	acpi_parse(&bi, &info);
	assert_int_equal(info.nr_cpus, 1);
	memcpy(ebda, bios, 20);
	memset(bios, 0, 20);
	info = (struct acpi_info){ 0 };
	acpi_parse(&bi, &info);
	assert_int_equal(info.nr_cpus, 0);
	memcpy(ram + 0x40e, &(u16){ 0x9fc0 }, 2);
	acpi_parse(&bi, &info);
	assert_int_equal(info.nr_cpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_in_circles),
		cmocka_unit_test(madt),
		cmocka_unit_test(madt_with_many),
		cmocka_unit_test(ioapics),
		cmocka_unit_test(wdat),
		cmocka_unit_test(hpet),
		cmocka_unit_test(dmar),
		cmocka_unit_test(entries_that_lie),
		cmocka_unit_test(cut_tables),
		cmocka_unit_test(noise),
		cmocka_unit_test(finding_the_root),
	};

	return cmocka_run_group_tests(tests, make_ram, drop_ram);
}
