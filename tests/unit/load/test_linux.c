/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux kernels: the state at their entry. */
#include <tests/unit/load/linux_fixture.h>

/* "64-bit Boot Protocol", its last paragraph. */
static void state_at_the_entry(void **state)
{
	const struct guest_state *s = &out.state;
	u64 pdpt, gdt;

	(void)state;
	assert_int_equal(load(), HV_OK);
	assert_int_equal(s->rip, ADDRESS + 0x200);
	assert_int_equal(s->rflags & 1 << 9, 0);
	assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s->cr4, 1 << 5);
	assert_int_equal(s->efer, 0x500);
	assert_int_equal(s->seg[SEG_CS].selector, 0x10);
	assert_int_equal(s->seg[SEG_CS].attr & 0x6098, 0x2098); /* 64-bit, present, code */
	assert_int_equal(s->seg[SEG_DS].selector, 0x18);
	assert_int_equal(s->seg[SEG_ES].selector, 0x18);
	assert_int_equal(s->seg[SEG_SS].selector, 0x18);
	gdt = s->gdtr_base;
	assert_int_equal(s->gdtr_limit, 0x1f);
	assert_int_equal(peek(gdt, 8), 0);
	assert_int_equal(peek(gdt + 0x10, 8) | BIT(40), 0x00af9b000000ffff);
	assert_int_equal(peek(gdt + 0x18, 8) | BIT(40), 0x00cf93000000ffff);
	/* The first 4 GiB are mapped 1:1. */
	pdpt = peek(s->cr3, 8);
	assert_int_equal(pdpt & PAGE_MASK, 3);
	for (u64 i = 0; i < 4; i++) {
		u64 pd = peek((pdpt & ~PAGE_MASK) + i * 8, 8);

		assert_int_equal(pd & PAGE_MASK, 3);
		for (u64 k = 0; k < 512; k++)
			assert_int_equal(peek((pd & ~PAGE_MASK) + k * 8, 8),
					 (i << 30 | k << 21) | 0x83);
	}
	assert_int_equal(peek(s->cr3 + 8, 8), 0);
	assert_int_equal(peek((pdpt & ~PAGE_MASK) + 32, 8), 0);
	assert_memory(ADDRESS, file + SETUP, CODE);
	assert_int_equal(peek(ADDRESS + CODE, 8), 0);
	tables_check(&vm->p2m);
}

/* The vCPU's state when the VM starts by itself. */
static void registers_of_a_started_vm(void **state)
{
	struct guest_state s;

	(void)state;
	backend->get_state(vm->vcpus[0], &s);
	assert_int_equal(s.rip, ADDRESS + 0x200);
	assert_int_equal(peek(vm->vcpus[0]->gpr[GPR_RSI] + 0x202, 4), 0x53726448);
}

struct expected_e820 {
	u64 start, size;
	u32 type;
} __packed;

/* The whole page, byte by byte: the file's header, our fields, and zeroes. */
static void expect_zero_page(const struct expected_e820 *map, u8 entries, u32 ramdisk, u32 size)
{
	static u8 page[PAGE_SIZE];
	u64 rsdp = ACPI_TABLES;
	u32 at = (u32)z(0x228, 4);

	memset(page, 0, sizeof(page));
	memcpy(page + 0x1f1, file + 0x1f1, 0x26c - 0x1f1);
	memcpy(page + 0x70, &rsdp, 8);
	page[0x1e8] = entries;
	page[0x210] = 0xff;  /* type_of_loader: none of the list */
	page[0x211] &= 0x7f; /* there is no heap */
	memcpy(page + 0x218, &ramdisk, 4);
	memcpy(page + 0x21c, &size, 4);
	memcpy(page + 0x228, &at, 4);
	memset(page + 0x250, 0, 8); /* setup_data */
	memcpy(page + 0x2d0, map, entries * 20UL);
	assert_memory(zero_page(), page, sizeof(page));
	assert_in_range(at, 1, 0x90000 - 2048);
	assert_memory(at, cfg.cmdline, strlen(cfg.cmdline) + 1);
}

/* A kernel without kvmclock gets the frequency on its command line, unless its owner gives one. */
static void frequency_on_the_command_line(void **state)
{
	static const struct {
		const char *given, *added;
	} lines[] = {
		{ "no-kvmclock quiet", " tsc_early_khz=1000000" },
		{ "quiet nopv", " tsc_early_khz=1000000" },
		{ "no-kvmclock tsc_early_khz=5", "" },
		{ "no-kvmclock-vsyscall nopvspin x=nopv", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char want[128];

		snprintf(cfg.cmdline, sizeof(cfg.cmdline), "%s", lines[i].given);
		snprintf(want, sizeof(want), "%s%s", lines[i].given, lines[i].added);
		assert_int_equal(load(), HV_OK);
		assert_memory(z(0x228, 4), want, strlen(want) + 1);
	}
	/*
	 * A command line as long as the configuration allows, and without a word that is too long.
	 */
	memset(cfg.cmdline, 'x', sizeof(cfg.cmdline) - 1);
	memcpy(cfg.cmdline, "nopv ", 5);
	assert_int_equal(load(), HV_OK);
	assert_memory(z(0x228, 4) + CONFIG_TEXT_MAX - 1, " tsc_early_khz=1000000", 23);
}

static void zero_page_of_a_small_vm(void **state)
{
	static const struct expected_e820 map[] = {
		{ 0, 0x90000, 1 },
		{ 0x90000, 0x10000, 3 },
		{ MIB(1), MIB(63), 1 },
	};

	(void)state;
	/* Fields that the loader fills in do not come from the file. */
	put(0x218, 0x1111, 4);
	put(0x21c, 0x2222, 4);
	put(0x228, 0x3333, 4);
	put(0x250, 0x4444, 8);
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 3, 0, 0);
}

static void zero_page_above_3g(void **state)
{
	static const struct expected_e820 map[] = {
		{ 0, 0x90000, 1 },
		{ 0x90000, 0x10000, 3 },
		{ MIB(1), 0xc0000000 - MIB(1), 1 },
		{ GIB(4), GIB(2) + PAGE_SIZE, 1 },
	};
	static const u8 text[100] = "initrd";
	u32 at = 0x80000000 - PAGE_SIZE;

	(void)state;
	setup_with(GIB(5) + PAGE_SIZE);
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 4, 0, 0);
	initrd->data = text;
	initrd->size = sizeof(text);
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
	cfg.nr_modules = 1;
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 4, at, sizeof(text)); /* below initrd_addr_max */
	assert_memory(at, text, sizeof(text));
	put(0x22c, 0xffffffff, 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), 0xc0000000 - PAGE_SIZE); /* in RAM, not in the hole */
	/* 3 GiB to the byte: nothing above 4 GiB is listed. */
	setup_with(GIB(3));
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 3, 0, 0);
}

/*
 * The header's own length counts: a newer kernel's is copied whole, and the bytes after it are not.
 */
static void longer_headers(void **state)
{
	(void)state;
	memset(file + 0x26c, 0x5a, 0x281 - 0x26c);
	file[0x201] = 0x7f;
	assert_int_equal(load(), HV_OK);
	assert_memory(zero_page() + 0x26c, file + 0x26c, 0x281 - 0x26c);
	assert_int_equal(z(0x281, 8), 0);
	file[0x201] = 0x66;
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x264, 4), 0x190);
	assert_int_equal(z(0x268, 8), 0);
	for (u32 n = 0; n < 256; n++) {
		file[0x201] = (u8)n;
		assert_int_equal(load(), n < 0x66 || n > 0x7f ? HV_EINVAL : HV_OK);
	}
	assert_true(fake_log_has("contradicts itself"));
}

static void initrd_goes_high(void **state)
{
	static const size_t sizes[] = { 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, MIB(1) + 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *data = initrd_of(sizes[i]);

		assert_int_equal(load(), HV_OK);
		assert_int_equal(z(0x218, 4), MIB(64) - ALIGN_UP(sizes[i], PAGE_SIZE));
		assert_int_equal(z(0x21c, 4), sizes[i]);
		assert_memory(z(0x218, 4), data, sizes[i]);
		free(data);
	}
	tables_check(&vm->p2m);
}

static u64 late;

/* Time passes with each reading of the clock. */
static u64 ticking(void)
{
	return fake.tsc += late;
}

/* A large image is copied in pieces of 16 KiB, while others go on, and charged to its VM. */
static void large_images_come_in_pieces(void **state)
{
	u8 *data = initrd_of(MIB(1));
	u32 calls = 0;

	(void)state;
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		assert_true(vm_background());
	fake_settle();
	late = FAKE_KHZ; /* a millisecond */
	fake.on_tsc = ticking;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	while (vm->state != VM_RUNNING) {
		assert_true(vm_background());
		assert_true(calls++ < 1000);
	}
	fake.on_tsc = NULL;
	assert_in_range(calls, MIB(1) / KIB(16), MIB(1) / KIB(16) + 8);
	assert_true(vm->vcpus[0]->vruntime >= MIB(1) / KIB(16) * FAKE_KHZ);
	assert_memory(MIB(63), data, MIB(1));
	free(data);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(state_at_the_entry),
		T(registers_of_a_started_vm),
		T(frequency_on_the_command_line),
		T(zero_page_of_a_small_vm),
		T(zero_page_above_3g),
		T(longer_headers),
		T(initrd_goes_high),
		T(large_images_come_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
