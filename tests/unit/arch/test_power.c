/* SPDX-License-Identifier: BSD-2-Clause */
/* Facts on power, reset, keyboard and screen from the firmware and the loader. */
#include <tests/fake/fake.h>

#include <boot/acpi.h>

#define BASE MIB(2)
#define ROOT (BASE + 0x1000)
#define FADT (BASE + 0x2000)
#define DSDT (BASE + 0x3000)
#define SSDT (BASE + 0x4000)

static struct boot_info bi;
static struct acpi_info info;

static u8 *at(u64 pa)
{
	return plat_ptr(HPA(pa));
}

static void put(u64 pa, u64 v, u32 bytes)
{
	memcpy(at(pa), &v, bytes);
}

static void gas(u64 pa, u8 space, u64 address)
{
	*at(pa) = space;
	put(pa + 4, address, 8);
}

static void table(u64 pa, const char *name, u32 length, u8 revision)
{
	u8 sum = 0;

	memcpy(at(pa), name, 4);
	put(pa + 4, length, 4);
	*at(pa + 8) = revision;
	*at(pa + 9) = 0;
	for (u32 i = 0; i < length; i++)
		sum = (u8)(sum + *at(pa + i));
	*at(pa + 9) = (u8)-sum;
}

/* A machine as QEMU's "pc" has it, whose FADT is of revision 1. */
static int setup(void **state)
{
	static const u8 s5[] = {
		0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 7, 0, 0
	};

	(void)state;
	fake_machine(64, 1);
	memset(at(BASE), 0, 32 * PAGE_SIZE);
	memset(&bi, 0, sizeof(bi));
	memset(&info, 0, sizeof(info));
	memcpy(bi.rsdp, "RSD PTR ", 8);
	bi.rsdp_size = 20;
	*(u32 *)(bi.rsdp + 16) = ROOT;
	put(ROOT + 36, FADT, 4);
	put(FADT + 40, DSDT, 4);
	put(FADT + 48, 0xb2, 4);
	*at(FADT + 52) = 0xf1;
	put(FADT + 64, 0x604, 4);
	put(FADT + 76, 0x608, 4);
	*at(FADT + 91) = 4;
	memcpy(at(DSDT + 100), s5, sizeof(s5));
	return 0;
}

static const struct power_info *parse(u32 fadt_length, u8 revision)
{
	table(DSDT, "DSDT", 200, 1);
	table(SSDT, "SSDT", 200, 1);
	table(FADT, "FACP", fadt_length, revision);
	table(ROOT, "RSDT", 44, 1);
	memset(&info, 0, sizeof(info));
	acpi_parse(&bi, &info);
	assert_false(fake_log_has("checksum"));
	return &info.power;
}

static void revision_1(void **state)
{
	const struct power_info *p;

	(void)state;
	/* Bytes behind its end must not be used. */
	put(FADT + 112, 0, 4);
	put(FADT + 109, 0, 2);
	gas(FADT + 116, POWER_PORT, 0xcf9);
	gas(FADT + 172, POWER_PORT, 0x999);
	p = parse(116, 1);
	assert_true(p->has_s5);
	assert_int_equal(p->s5_type_a, 5);
	assert_int_equal(p->s5_type_b, 7);
	assert_int_equal(p->pm1a_control.address, 0x604);
	assert_int_equal(p->pm1a_control.space, POWER_PORT);
	assert_int_equal(p->pm1b_control.address, 0);
	assert_int_equal(p->smi_command, 0xb2);
	assert_int_equal(p->acpi_enable, 0xf1);
	assert_false(p->no_i8042);
	assert_int_equal(info.pm_timer_port, 0x608);
}

static void revision_1_has_no_flags_of_2(void **state)
{
	(void)state;
	put(FADT + 112, 0, 4);
	assert_int_equal(parse(116, 1)->reset.address, 0);
	assert_int_equal(info.power.sleep_control.address, 0);
}

static void revision_3(void **state)
{
	const struct power_info *p;

	(void)state;
	put(FADT + 112, BIT(10), 4);
	gas(FADT + 116, POWER_PORT, 0xcf9);
	*at(FADT + 128) = 0x0f;
	gas(FADT + 172, POWER_MEMORY, 0xfed00604);
	gas(FADT + 184, POWER_PORT, 0x704);
	p = parse(244, 3);
	assert_true(p->no_i8042); /* the bit is clear */
	assert_int_equal(p->reset.address, 0xcf9);
	assert_int_equal(p->reset.space, POWER_PORT);
	assert_int_equal(p->reset_value, 0x0f);
	assert_int_equal(p->pm1a_control.address, 0xfed00604);
	assert_int_equal(p->pm1a_control.space, POWER_MEMORY);
	assert_int_equal(p->pm1b_control.address, 0x704);
	put(FADT + 109, 2, 2);
	assert_false(parse(244, 3)->no_i8042);
	/* A register that is there, but not to be used. */
	put(FADT + 112, 0, 4);
	assert_int_equal(parse(244, 3)->reset.address, 0);
}

static void hardware_reduced(void **state)
{
	const struct power_info *p;

	(void)state;
	put(FADT + 112, BIT(20) | BIT(10), 4);
	gas(FADT + 116, POWER_MEMORY, 0xfea00002);
	*at(FADT + 128) = 0x42;
	gas(FADT + 244, POWER_MEMORY, 0xfea00000);
	gas(FADT + 256, POWER_MEMORY, 0xfea00001);
	p = parse(276, 6);
	assert_int_equal(p->sleep_control.address, 0xfea00000);
	assert_int_equal(p->sleep_control.space, POWER_MEMORY);
	assert_int_equal(p->sleep_status.address, 0xfea00001);
	assert_int_equal(p->reset.address, 0xfea00002);
	assert_int_equal(p->reset_value, 0x42);
	/* There are no PM1 registers and no PM timer there, whatever the fields say. */
	assert_int_equal(p->pm1a_control.address, 0);
	assert_int_equal(p->smi_command, 0);
	assert_int_equal(info.pm_timer_port, 0);
}

static void s5_in_all_forms(void **state)
{
	static const struct {
		u8 bytes[16];
		u8 a, b;
	} forms[] = {
		{ { '_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 5, 0x0a, 6, 0, 0 }, 5, 6 },
		{ { '_', 'S', '5', '_', 0x12, 0x04, 4, 0, 0, 0, 0 }, 0, 0 },
		{ { '_', 'S', '5', '_', 0x12, 0x04, 4, 1, 1, 0, 0 }, 1, 1 },
		{ { '_', 'S', '5', '_', 0x12, 0x47, 0, 4, 0x0a, 7, 0x0a, 7, 0, 0 }, 7, 7 },
		{ { '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0a, 0xff, 0x0a, 3 }, 7, 3 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		memset(at(DSDT + 36), 0, 164);
		/* The name alone, before it, is not the package. */
		memcpy(at(DSDT + 50), "\x5c_S5_\x70", 6);
		memcpy(at(DSDT + 100), forms[i].bytes, 16);
		parse(116, 1);
		assert_true(info.power.has_s5);
		assert_int_equal(info.power.s5_type_a, forms[i].a);
		assert_int_equal(info.power.s5_type_b, forms[i].b);
	}
	/* In a table beside the DSDT; at the very end of it; nowhere. */
	memset(at(DSDT + 36), 0, 164);
	memcpy(at(SSDT + 100), forms[0].bytes, 16);
	assert_false(parse(116, 1)->has_s5);
	put(ROOT + 40, SSDT, 4);
	assert_true(parse(116, 1)->has_s5);
	assert_int_equal(info.power.s5_type_b, 6);
	put(ROOT + 40, 0, 4);
	/* The last bytes of its table; and cut there. */
	memset(at(SSDT + 36), 0, 164);
	memcpy(at(DSDT + 189), forms[1].bytes, 11);
	assert_true(parse(116, 1)->has_s5);
	memset(at(DSDT + 36), 0, 164);
	memcpy(at(DSDT + 190), forms[0].bytes, 10);
	assert_true(parse(116, 1)->has_s5);
	assert_int_equal(info.power.s5_type_a, 5);
	memset(at(DSDT + 190), 0, 10);
	memcpy(at(DSDT + 195), forms[0].bytes, 5);
	assert_false(parse(116, 1)->has_s5);
}

static void dsdt_by_the_long_address(void **state)
{
	(void)state;
	put(FADT + 40, 0, 4);
	put(FADT + 140, DSDT, 8);
	assert_true(parse(244, 3)->has_s5);
	/* Above what is mapped at boot: the short one. */
	put(FADT + 140, 0x100000000UL, 8);
	put(FADT + 40, DSDT, 4);
	assert_true(parse(244, 3)->has_s5);
}

/* --- the loader's word on the screen --- */

static u8 mb2[256] __aligned(8);

static void add_tag(u32 *end, u32 type, const void *data, u32 bytes)
{
	*(u32 *)(mb2 + *end) = type;
	*(u32 *)(mb2 + *end + 4) = bytes + 8;
	memcpy(mb2 + *end + 8, data, bytes);
	*end = ALIGN_UP(*end + 8 + bytes, 8u);
	*(u32 *)mb2 = *end + 8;
}

static void multiboot2_screen(void **state)
{
	struct __packed {
		u64 address;
		u32 pitch, width, height;
		u8 bpp, type;
		u16 reserved;
		u8 fields[6];
	} fb = { 0xe0000000, 4096, 1024, 768, 32, 1, 0, { 16, 8, 8, 8, 0, 8 } };
	u32 end = 8;

	(void)state;
	boot_parse_multiboot2(memset(mb2, 0, 16), &bi);
	assert_true(bi.fb.text);
	add_tag(&end, 8, &fb, sizeof(fb));
	boot_parse_multiboot2(mb2, &bi);
	assert_false(bi.fb.text);
	assert_int_equal(bi.fb.address, 0xe0000000);
	assert_int_equal(bi.fb.pitch, 4096);
	assert_int_equal(bi.fb.height, 768);
	assert_int_equal(bi.fb.red_at, 16);
	assert_int_equal(bi.fb.red_bits, 8);
	assert_int_equal(bi.fb.green_at, 8);
	assert_int_equal(bi.fb.blue_at, 0);
	/* Indexed colours: nothing that we can draw on. */
	end = 8;
	fb.type = 0;
	add_tag(&end, 8, &fb, sizeof(fb));
	boot_parse_multiboot2(mb2, &bi);
	assert_false(bi.fb.text);
	assert_int_equal(bi.fb.address, 0);
	end = 8;
	fb.type = 2;
	add_tag(&end, 8, &fb, 24);
	boot_parse_multiboot2(mb2, &bi);
	assert_true(bi.fb.text);
}

static void multiboot1_screen(void **state)
{
	u8 mb1[128] __aligned(8) = { 0 };

	(void)state;
	*(u64 *)(mb1 + 88) = 0xe0000000;
	*(u32 *)(mb1 + 96) = 3200;
	*(u32 *)(mb1 + 100) = 800;
	*(u32 *)(mb1 + 104) = 600;
	mb1[108] = 32;
	mb1[109] = 1;
	memcpy(mb1 + 110, (u8[]){ 16, 8, 8, 8, 0, 8 }, 6);
	boot_parse_multiboot1(mb1, &bi);
	assert_true(bi.fb.text); /* the flag is clear: those bytes are not there */
	*(u32 *)mb1 = BIT(12);
	boot_parse_multiboot1(mb1, &bi);
	assert_false(bi.fb.text);
	assert_int_equal(bi.fb.address, 0xe0000000);
	assert_int_equal(bi.fb.width, 800);
	assert_int_equal(bi.fb.red_at, 16);
	assert_int_equal(bi.fb.blue_bits, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(revision_1, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(revision_1_has_no_flags_of_2, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(revision_3, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(hardware_reduced, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(s5_in_all_forms, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(dsdt_by_the_long_address, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(multiboot2_screen, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(multiboot1_screen, setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
