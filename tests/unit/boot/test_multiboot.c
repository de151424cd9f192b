/* SPDX-License-Identifier: BSD-2-Clause */
/* Information of boot loaders, good and damaged: maps, tags, texts. */
#include <tests/unit/boot/acpi_fixture.h>

/* --- memory maps --- */

struct mb1 {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
};

struct mb1_entry {
	u32 size;
	u64 start, length;
	u32 type;
} __packed;

/* The list of RAM after both kinds of multiboot information with these entries. */
static void parse_maps(const struct mb1_entry *e, u32 n, struct boot_info *one,
		       struct boot_info *two)
{
	struct mb1 *info = (void *)(ram + 0x1000);
	u32 *mb2 = (void *)(ram + 0x10000), *tag = mb2 + 2;
	u8 *p;

	*info = (struct mb1){ .flags = BIT(6), .mmap_length = n * sizeof(*e), .mmap_addr = 0x2000 };
	memcpy(ram + 0x2000, e, n * sizeof(*e));
	tag[0] = 6;
	tag[1] = 16 + n * 24;
	tag[2] = 24;
	p = (u8 *)(tag + 4);
	for (u32 i = 0; i < n; i++, p += 24) {
		memcpy(p, &e[i].start, 16);
		memcpy(p + 16, &e[i].type, 4);
	}
	memset(p, 0, 8);
	((u32 *)p)[1] = 8;
	mb2[0] = (u32)(p + 8 - (u8 *)mb2);
	*one = *two = (struct boot_info){ 0 };
	boot_parse_multiboot1(info, one);
	boot_parse_multiboot2(mb2, two);
}

static bool in_ram(const struct boot_info *bi, u64 pa)
{
	for (u32 i = 0; i < bi->nr_ram; i++)
		if (pa >= bi->ram[i].start && pa < bi->ram[i].end)
			return true;
	return false;
}

static void well_formed(const struct boot_info *bi)
{
	for (u32 i = 0; i < bi->nr_ram; i++) {
		assert_true(bi->ram[i].start < bi->ram[i].end);
		assert_int_equal((bi->ram[i].start | bi->ram[i].end) & PAGE_MASK, 0);
		assert_true(!i || bi->ram[i].start > bi->ram[i - 1].end);
	}
}

static void a_sparse_map(void **state)
{
	static const struct mb1_entry map[] = {
		{ 20, GIB(1024), GIB(64), 1 },
		{ 20, 0, 0x9fc00, 1 },
		{ 20, GIB(4), GIB(80), 1 },
		{ 20, MIB(1), GIB(2), 1 },
		{ 20, GIB(2), MIB(512), 1 },
		{ 20, GIB(2) + 5, 3, 1 },
		{ 20, GIB(1), MIB(2) + 1, 2 },
		{ 20, GIB(83), GIB(1), 2 },
		{ 20, ~0UL - 0xfff, 0x1000, 2 },
		{ 20, 1UL << 52, ~0UL, 1 },
		{ 20, GIB(2048), 0, 1 },
		{ 20, ~0UL - 0x2000, ~0UL, 2 },
		{ 20, GIB(1030) + 1, PAGE_SIZE, 3 },
	};
	struct boot_info bi[2];

	(void)state;
	parse_maps(map, ARRAY_SIZE(map), &bi[0], &bi[1]);
	for (int i = 0; i < 2; i++) {
		assert_null(bi[i].error);
		well_formed(&bi[i]);
		assert_true(in_ram(&bi[i], 0x9efff));
		assert_false(in_ram(&bi[i], 0x9f000));
		assert_true(in_ram(&bi[i], GIB(1) - 1));
		assert_false(in_ram(&bi[i], GIB(1)));
		assert_false(in_ram(&bi[i], GIB(1) + MIB(2) + 1)); /* a part of the page */
		assert_true(in_ram(&bi[i], GIB(1) + MIB(2) + PAGE_SIZE));
		assert_true(in_ram(&bi[i], GIB(2) + MIB(512) - 1));
		assert_false(in_ram(&bi[i], GIB(3)));
		assert_true(in_ram(&bi[i], GIB(83) - 1));
		assert_false(in_ram(&bi[i], GIB(83)));
		assert_true(in_ram(&bi[i], GIB(1024)));
		assert_false(in_ram(&bi[i], GIB(1030)));
		assert_false(in_ram(&bi[i], GIB(1030) + PAGE_SIZE));
		assert_true(in_ram(&bi[i], GIB(1030) + 2 * PAGE_SIZE));
		assert_true(in_ram(&bi[i], 1UL << 53));	     /* no such memory, but who knows */
		assert_false(in_ram(&bi[i], ~0UL - 0x1fff)); /* it ends with the addresses */
	}
}

/*
 * More regions than there is room for: regions that touch are merged, and the rest has no invented
 * memory.
 */
static void many_regions(void **state)
{
	struct mb1_entry map[600];
	struct boot_info bi[2];

	(void)state;
	for (u32 i = 0; i < 600; i++) /* as UEFI has them: in pieces, but together */
		map[i] = (struct mb1_entry){ 20, MIB(1) + i * PAGE_SIZE, PAGE_SIZE, 1 };
	parse_maps(map, 600, &bi[0], &bi[1]);
	for (int i = 0; i < 2; i++) {
		assert_null(bi[i].error);
		assert_int_equal(bi[i].nr_ram, 1);
		assert_int_equal(bi[i].ram[0].end, MIB(1) + 600 * PAGE_SIZE);
	}
	for (u32 i = 0; i < 600; i++)
		map[i].start = MIB(1) + i * 2 * PAGE_SIZE;
	parse_maps(map, 600, &bi[0], &bi[1]);
	for (int i = 0; i < 2; i++) {
		assert_null(bi[i].error); /* a machine with less memory, but it runs */
		assert_true(bi[i].nr_ram > 100);
		well_formed(&bi[i]);
		for (u32 p = 0; p < 1200; p++)
			assert_false((p & 1) && in_ram(&bi[i], MIB(1) + p * PAGE_SIZE));
	}
}

static void random_maps(void **state)
{
	u64 seed = 11;

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct mb1_entry map[24];
		struct boot_info bi[2];
		u32 n = fake_random(&seed) % ARRAY_SIZE(map);

		for (u32 i = 0; i < n; i++)
			map[i] = (struct mb1_entry){ 20, fake_random(&seed) % KIB(64),
						     fake_random(&seed) % KIB(16),
						     1 + (u32)fake_random(&seed) % 3 };
		parse_maps(map, n, &bi[0], &bi[1]);
		for (int k = 0; k < 2; k++) {
			well_formed(&bi[k]);
			for (u64 pa = 0; pa < KIB(96); pa += PAGE_SIZE) {
				bool free = false, taken = false;

				for (u32 i = 0; i < n; i++) {
					u64 s = map[i].start, e = s + map[i].length;

					if (map[i].type != 1)
						taken |= s < pa + PAGE_SIZE && e > pa && s < e;
					else
						free |= s <= pa && e >= pa + PAGE_SIZE;
				}
				if (free && !taken)
					assert_true(in_ram(&bi[k], pa));
				if (taken)
					assert_false(in_ram(&bi[k], pa));
			}
		}
	}
}

/* --- information that is damaged --- */

/* Multiboot 2 information of these tags; nothing is readable behind it. */
static void parse_tags(const void *tags, u32 n, struct boot_info *bi)
{
	u8 *info = ram + MIB(8) - ALIGN_UP(n, 8u) - 8;
	u32 size = 8 + n;

	assert_int_equal(mprotect(ram + MIB(8), PAGE_SIZE, PROT_NONE), 0);
	memcpy(info, &size, sizeof(size));
	memcpy(info + 8, tags, n);
	memset(bi, 0xff, sizeof(*bi)); /* what has no end is seen */
	bi->nr_ram = bi->nr_modules = bi->rsdp_size = 0;
	bi->error = NULL;
	boot_parse_multiboot2(info, bi);
	assert_int_equal(mprotect(ram + MIB(8), PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
}

/* A size that becomes 0 when it is rounded up once made the parser loop for ever. */
static void a_tag_longer_than_the_rest(void **state)
{
	static const u32 sizes[] = { 0xfffffff9, 0xfffffffc, 0xffffffff, 0x80000000, 0, 7, 33 };
	struct boot_info bi;

	(void)state;
	for (u32 kind = 1; kind < 20; kind++)
		for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
			u32 tags[8] = { kind, sizes[i] };

			parse_tags(tags, sizeof(tags), &bi);
			assert_non_null(bi.error);
			assert_non_null(strstr(bi.error, "damaged"));
			assert_int_equal(bi.nr_modules, 0);
		}
}

static void tags_of_all_sizes(void **state)
{
	struct boot_info bi;

	(void)state;
	for (u32 kind = 1; kind < 20; kind++)
		for (u32 n = 8; n <= 64; n++) {
			u32 tags[16] = { kind, n, 24, 24, 24, 24, 24, 24, 24, 24 };

			parse_tags(tags, n, &bi);
			assert_true(bi.rsdp_size <= sizeof(bi.rsdp));
			if (kind == 3 && n < 16)
				assert_non_null(strstr(bi.error, "damaged"));
			if (kind == 6 && n < 16)
				assert_non_null(strstr(bi.error, "map is damaged"));
		}
}

static void texts_without_an_end(void **state)
{
	struct boot_info bi;
	u8 tags[16 + 8];

	(void)state;
	memset(tags, 'x', sizeof(tags));
	memcpy(tags, &(u32[]){ 1, sizeof(tags) }, 8);
	parse_tags(tags, sizeof(tags), &bi);
	assert_string_equal(bi.cmdline, "xxxxxxxxxxxxxxxx");
	memcpy(tags, &(u32[]){ 3, sizeof(tags) }, 8);
	parse_tags(tags, sizeof(tags), &bi);
	assert_null(bi.error);
	assert_int_equal(bi.nr_modules, 1);
	assert_string_equal(bi.modules[0].name, "xxxxxxxx");
}

static void odd_entries(void **state)
{
	u32 tags[18] = { 6, 72, 25 };
	struct boot_info bi;

	(void)state;
	parse_tags(tags, sizeof(tags), &bi); /* two of 25 bytes: read where they are */
	assert_null(bi.error);
	tags[2] = 23;
	parse_tags(tags, sizeof(tags), &bi);
	assert_non_null(strstr(bi.error, "map is damaged"));
}

static const char *parse_one(const struct mb1 *info, struct boot_info *bi)
{
	memcpy(ram + 0x1000, info, sizeof(*info));
	*bi = (struct boot_info){ 0 };
	boot_parse_multiboot1(ram + 0x1000, bi);
	return bi->error;
}

static void damaged_multiboot1(void **state)
{
	struct mb1 info = { .flags = BIT(6), .mmap_length = 72, .mmap_addr = 0x2000 };
	static const struct mb1_entry map[3] = { { 20, 0, MIB(1), 1 } };
	static const u32 sizes[] = { 0xfffffffc, 0, 19 };
	struct boot_info bi;

	(void)state;
	memcpy(ram + 0x2000, map, sizeof(map));
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(ram + 0x2000, &sizes[i], sizeof(sizes[i]));
		assert_non_null(strstr(parse_one(&info, &bi), "map is damaged"));
	}
	memcpy(ram + 0x2000, map, sizeof(map));
	info.mmap_addr = 0xfffffff0; /* beyond the boot map */
	assert_non_null(strstr(parse_one(&info, &bi), "map is damaged"));
	info.mmap_addr = 0x2000;
	info.mmap_length = 0xffffffff;
	assert_non_null(strstr(parse_one(&info, &bi), "map is damaged"));
	info.mmap_length = 24;
	info.flags |= BIT(3) | BIT(2);
	info.mods_count = 0xffffffff;
	info.mods_addr = 0x4001;
	info.cmdline = 0xffffffff;
	assert_non_null(strstr(parse_one(&info, &bi), "too many modules"));
	info.mods_addr = 0xffffffe0; /* two of them */
	memset(ram + 0xffffffe0, 0xff, 0x20);
	assert_non_null(strstr(parse_one(&info, &bi), "damaged"));
	assert_int_equal(bi.nr_modules, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sparse_map),	     cmocka_unit_test(many_regions),
		cmocka_unit_test(random_maps),	     cmocka_unit_test(a_tag_longer_than_the_rest),
		cmocka_unit_test(tags_of_all_sizes), cmocka_unit_test(texts_without_an_end),
		cmocka_unit_test(odd_entries),	     cmocka_unit_test(damaged_multiboot1),
	};

	return cmocka_run_group_tests(tests, make_ram, drop_ram);
}
