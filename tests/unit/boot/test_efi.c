/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader: information from the firmware's memory map and tables. */
#include <tests/unit/boot/efi_fixture.h>

#include <boot/acpi.h>
#include <boot/boot_info.h>

static struct boot_info bi;
static u64 buffer[8192];
static struct info info;

static void begin(void)
{
	memset(buffer, 0x55, sizeof(buffer));
	info_begin(&info, buffer, sizeof(buffer));
}

static void parse(void)
{
	info_end(&info);
	assert_false(info.overflow);
	assert_int_equal(*(u32 *)buffer, info.used);
	memset(&bi, 0, sizeof(bi));
	boot_parse_multiboot2(buffer, &bi);
	assert_null(bi.error);
}

static void same_as_from_grub(void **state)
{
	static const u8 rsdp[36] = "RSD PTR 0123456789";
	struct mb2_framebuffer fb = { .address = 0x80000000,
				      .pitch = 5120,
				      .width = 1280,
				      .height = 800,
				      .bpp = 32,
				      .type = FRAMEBUFFER_RGB };

	(void)state;
	begin();
	info_string(&info, MB2_CMDLINE, "crash=nmi");
	info_string(&info, MB2_LOADER, "x");
	info_system_table(&info, 0x123456789);
	info_framebuffer(&info, &fb);
	info_rsdp(&info, MB2_RSDP_NEW, rsdp, sizeof(rsdp));
	info_module(&info, 0x200000, 0x200001, "aerostat.conf");
	info_module(&info, 0xfffff000, 0xffffffff, "guests/a.elf");
	parse();
	assert_string_equal(bi.cmdline, "crash=nmi");
	assert_false(bi.fb.text);
	assert_int_equal(bi.fb.address, 0x80000000);
	assert_int_equal(bi.fb.pitch, 5120);
	assert_int_equal(bi.fb.width, 1280);
	assert_int_equal(bi.fb.height, 800);
	assert_int_equal(bi.fb.bpp, 32);
	assert_int_equal(bi.rsdp_size, 36);
	assert_memory_equal(bi.rsdp, rsdp, 36);
	assert_int_equal(bi.nr_modules, 2);
	assert_string_equal(bi.modules[0].name, "aerostat.conf");
	assert_int_equal(bi.modules[0].start, 0x200000);
	assert_int_equal(bi.modules[0].end, 0x200001);
	assert_string_equal(bi.modules[1].name, "guests/a.elf");
	assert_int_equal(bi.modules[1].end, 0xffffffff);
}

/* A GRUB for UEFI gives no framebuffer tag unless asked: there is still no text screen. */
static void no_text_screen_after_uefi(void **state)
{
	struct mb2_framebuffer none = { .type = FRAMEBUFFER_RGB };

	(void)state;
	begin();
	parse();
	assert_true(bi.fb.text);
	begin();
	info_system_table(&info, 1);
	parse();
	assert_false(bi.fb.text);
	begin();
	info_framebuffer(&info, &none);
	info_system_table(&info, 1);
	parse();
	assert_false(bi.fb.text);
	assert_int_equal(bi.fb.address, 0);
}

static void memory_map(void **state)
{
	/* Descriptors are longer than ours, out of order, and of all kinds. */
	struct {
		struct efi_memory m;
		u64 later_fields;
	} d[] = {
		{ memory(EFI_MEM_CONVENTIONAL, GIB(4), GIB(2)), 1 },
		{ memory(EFI_MEM_CONVENTIONAL, 0, KIB(640)), 1 },
		{ memory(EFI_MEM_LOADER_DATA, MIB(2), MIB(1)), 1 },
		{ memory(EFI_MEM_CONVENTIONAL, MIB(1), MIB(1)), 1 },
		{ memory(EFI_MEM_BOOT_CODE, MIB(3), MIB(1)), 1 },
		{ memory(EFI_MEM_LOADER_CODE, MIB(5), MIB(1)), 1 },
		{ memory(EFI_MEM_BOOT_DATA, MIB(4), MIB(1)), 1 },
		{ memory(RUNTIME_DATA, MIB(6), MIB(1)), 1 },
		{ memory(EFI_MEM_ACPI_NVS, MIB(7), MIB(1)), 1 },
		{ memory(EFI_MEM_ACPI_RECLAIM, MIB(8), MIB(1)), 1 },
		{ memory(EFI_MEM_UNUSABLE, MIB(9), MIB(1)), 1 },
		{ memory(RESERVED, MIB(10), MIB(1)), 1 },
		{ memory(0x80000000, MIB(11), MIB(1)), 1 }, /* the maker's own */
		{ memory(EFI_MEM_CONVENTIONAL, MIB(12), MIB(1)), 1 },
	};
	struct efi_map map = { d, sizeof(d), sizeof(d[0]) };
	u64 blocker;

	(void)state;
	begin();
	info_memory(&info, &map);
	info_module(&info, 1, 2, "after"); /* the tags that follow are found */
	parse();
	assert_int_equal(bi.nr_modules, 1);
	assert_int_equal(bi.nr_ram, 4);
	assert_int_equal(bi.ram[0].end, KIB(640));
	assert_int_equal(bi.ram[1].start, MIB(1));
	assert_int_equal(bi.ram[1].end, MIB(6));
	assert_int_equal(bi.ram[2].start, MIB(12));
	assert_int_equal(bi.ram[2].end, MIB(13));
	assert_int_equal(bi.ram[3].start, GIB(4));
	assert_int_equal(bi.ram[3].end, GIB(6));

	assert_true(map_is_ours(&map, MIB(1), MIB(6), &blocker));
	assert_true(map_is_ours(&map, MIB(1) + 5, MIB(1) + 6, &blocker));
	assert_false(map_is_ours(&map, MIB(1), MIB(6) + 1, &blocker));
	assert_int_equal(blocker, MIB(6));
	assert_false(map_is_ours(&map, KIB(639), MIB(1), &blocker));
	assert_int_equal(blocker, KIB(640));
	assert_false(map_is_ours(&map, MIB(20), MIB(21), &blocker));
}

/* A descriptor that goes beyond the last address once led the search back to the first one. */
static void a_map_that_wraps(void **state)
{
	struct efi_memory d[] = {
		memory(EFI_MEM_CONVENTIONAL, 0, MIB(2)),
		memory(EFI_MEM_CONVENTIONAL, MIB(2), UINT64_MAX),
		memory(EFI_MEM_CONVENTIONAL, MIB(2), 0),
	};
	struct efi_map map = { d, sizeof(d), sizeof(d[0]) };
	u64 blocker;

	(void)state;
	d[1].pages = (1UL << 52) - (MIB(2) >> PAGE_SHIFT);
	d[2].pages = UINT64_MAX;
	assert_true(map_is_ours(&map, MIB(1), GIB(4), &blocker));
	begin();
	info_memory(&info, &map);
	parse();
	assert_int_equal(bi.nr_ram, 1);
	assert_int_equal(bi.ram[0].start, 0);
	assert_true(bi.ram[0].end >= ~0UL - MIB(1));
}

/* Firmware splits its map finely; merged it fits where the hypervisor takes 128 regions. */
static void many_descriptors(void **state)
{
	static struct efi_memory d[1365];
	struct efi_map map = { d, sizeof(d), sizeof(d[0]) };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(d); i++) /* backwards, for the worst of sorting */
		d[ARRAY_SIZE(d) - 1 - i] =
			memory(i % 2 ? EFI_MEM_BOOT_DATA : EFI_MEM_CONVENTIONAL, MIB(i), MIB(1));
	begin();
	info_memory(&info, &map);
	parse();
	assert_int_equal(bi.nr_ram, 1);
	assert_int_equal(bi.ram[0].end, MIB(ARRAY_SIZE(d)));
	map.entry_bytes = 8; /* nonsense */
	begin();
	info_memory(&info, &map);
	parse();
	assert_int_equal(bi.nr_ram, 0);
}

static void what_does_not_fit_is_known(void **state)
{
	static struct efi_memory d[8];
	struct efi_map map = { d, sizeof(d), sizeof(d[0]) };

	(void)state;
	memset(buffer, 0x55, sizeof(buffer));
	info_begin(&info, buffer, 64);
	info_string(&info, MB2_CMDLINE, "0123456789012345678901234567890");
	assert_false(info.overflow);
	info_module(&info, 0, 1, "x");
	assert_true(info.overflow);
	info_begin(&info, buffer, 64);
	info_memory(&info, &map);
	assert_true(info.overflow);
	assert_int_equal(buffer[8], 0x5555555555555555);
}

static void low_page(void **state)
{
	(void)state;
	bi = (struct boot_info){
		.nr_ram = 3, .ram = { { 0, KIB(4) }, { KIB(64), KIB(632) }, { MIB(1), MIB(9) } }
	};
	assert_int_equal(boot_low_page(&bi), KIB(628));
	boot_exclude(&bi, KIB(100), KIB(640)); /* the firmware's */
	assert_int_equal(boot_low_page(&bi), KIB(96));
	boot_exclude(&bi, KIB(8), KIB(640));
	assert_int_equal(boot_low_page(&bi), 0); /* page 0 is not for use */
	bi.nr_ram = 1;
	bi.ram[0] = (struct boot_region){ 0, MIB(2) }; /* no hole at 640 KiB: do not believe it */
	assert_int_equal(boot_low_page(&bi), KIB(636));
}

/* --- ACPI as firmware for UEFI has it ------------------------------------------------ */

#define TABLES MIB(2) /* where the fake's memory begins */

static u8 *table(u32 at, const char *signature, u32 length)
{
	u8 *t = fake.ram + TABLES + at;

	memset(t, 0, length);
	memcpy(t, signature, 4);
	memcpy(t + 4, &length, 4);
	return t;
}

static void set64(u8 *t, u32 at, u64 value)
{
	memcpy(t + at, &value, sizeof(value));
}

static void set32(u8 *t, u32 at, u32 value)
{
	memcpy(t + at, &value, sizeof(value));
}

static struct acpi_info acpi;

/* One FADT of @length bytes, and two DSDTs that differ in their \_S5. */
static void acpi_of(u32 length, u32 dsdt, u64 x_dsdt, u32 port, u64 x_port)
{
	static const u8 s5[] = { '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a };
	u8 *xsdt = table(0x100, "XSDT", 44), *fadt = table(0x1000, "FACP", 276), *t;

	set64(xsdt, 36, TABLES + 0x1000);
	set32(fadt, 4, length);
	set32(fadt, 40, dsdt);
	set32(fadt, 64, port);
	set64(fadt, 140, x_dsdt);
	fadt[172] = POWER_PORT;
	set64(fadt, 176, x_port);
	for (u8 i = 0; i < 2; i++) {
		t = table(0x2000 + i * 0x1000u, "DSDT", 80);
		memcpy(t + 40, s5, sizeof(s5));
		t[48] = i + 5;
	}
	bi = (struct boot_info){ .rsdp = "RSD PTR ", .rsdp_size = 36 };
	bi.rsdp[15] = 2;
	set64(bi.rsdp, 24, TABLES + 0x100);
	memset(&acpi, 0, sizeof(acpi));
	acpi_parse(&bi, &acpi);
}

static void newer_fadt(void **state)
{
	const u32 old = TABLES + 0x2000, new = TABLES + 0x3000;

	(void)state;
	fake_machine_at(TABLES >> PAGE_SHIFT, 16, 1);
	acpi_of(276, old, 0, 0x604, 0);
	assert_true(acpi.power.pm1a_control.address == 0x604 && acpi.power.s5_type_a == 5);
	acpi_of(276, 0, new, 0, 0x1804);
	assert_true(acpi.power.pm1a_control.address == 0x1804 && acpi.power.s5_type_a == 6);
	acpi_of(276, old, new, 0x604, 0x1804); /* what is newer counts */
	assert_true(acpi.power.pm1a_control.address == 0x1804 && acpi.power.s5_type_a == 6);
	acpi_of(276, old, GIB(8), 0x604, 0); /* out of reach: the older one will do */
	assert_true(acpi.power.pm1a_control.address == 0x604 && acpi.power.s5_type_a == 5);
	acpi_of(116, old, new, 0x604, 0x1804); /* ACPI 1.0 has none of the newer fields */
	assert_true(acpi.power.pm1a_control.address == 0x604 && acpi.power.s5_type_a == 5);
	acpi_of(116, 0, new, 0, 0x1804);
	assert_int_equal(acpi.power.pm1a_control.address, 0);
	fake_machine_off();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_from_grub), cmocka_unit_test(no_text_screen_after_uefi),
		cmocka_unit_test(memory_map),	     cmocka_unit_test(a_map_that_wraps),
		cmocka_unit_test(many_descriptors),  cmocka_unit_test(what_does_not_fit_is_known),
		cmocka_unit_test(low_page),	     cmocka_unit_test(newer_fadt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
