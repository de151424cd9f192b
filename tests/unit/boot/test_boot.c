/* SPDX-License-Identifier: BSD-2-Clause */
/* What firmware and loaders hand over: memory maps, ACPI tables, a command line. */
#include <tests/fake/fake.h>

#include <sys/mman.h>

#include <boot/acpi.h>
#include <boot/consoles.h>
#include <hv/base/string.h>

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

/* All of it is there, nothing of it touched; and beyond the end there is nothing. */
static u8 *ram;

static int make_ram(void **state)
{
	(void)state;
	ram = mmap(NULL, GIB(4) + PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	assert_true(ram != MAP_FAILED);
	assert_int_equal(mprotect(ram, GIB(4), PROT_READ | PROT_WRITE), 0);
	plat_direct_base = (uintptr_t)ram;
	return 0;
}

static int drop_ram(void **state)
{
	(void)state;
	munmap(ram, GIB(4) + PAGE_SIZE);
	return 0;
}

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

/* More regions than there is room for: what touches is one, and of the rest none is invented. */
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

/* A size that becomes 0 when it is rounded up led the parser in circles. */
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

/* --- ACPI tables --- */

static u8 table[4096];
static u32 table_len;

static void add8(u32 v)
{
	table[table_len++] = (u8)v;
}

static void add(u64 v, u32 bytes)
{
	for (; bytes--; v >>= 8)
		add8((u32)v);
}

static void begin(const char *signature, u32 revision)
{
	memset(table, 0, sizeof(table));
	memcpy(table, signature, 4);
	table[8] = (u8)revision;
	table_len = 36;
}

/* Puts @len bytes of the table so that nothing is readable behind them, and all that leads there. */
static void parse_cut(u32 len, struct acpi_info *info)
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

static void parse(struct acpi_info *info)
{
	parse_cut(table_len, info);
}

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

static void gas(u32 space, u32 width, u32 access, u64 address)
{
	add8(space);
	add8(width);
	add8(0);
	add8(access);
	add(address, 8);
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
	wdat_entry(1, 3, 1, 16, 0x660, 1, 1); /* what keeps it from biting */
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
	/* One step that is not understood, and none is done. */
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

static void spcr_table(u32 revision, u32 subtype, u32 space, u32 width, u32 access, u64 address,
		       u32 baud, u32 clock)
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

static void is_port(const struct serial_port *p, u64 base, bool mmio, u32 stride, u32 width,
		    u32 baud)
{
	assert_int_equal(p->base, base);
	if (!base)
		return;
	assert_int_equal(p->mmio, mmio);
	assert_int_equal(p->stride, stride);
	assert_int_equal(p->width, width);
	assert_int_equal(p->baud, baud);
}

static void spcr(void **state)
{
	struct acpi_info info;

	(void)state;
	spcr_table(1, 0, 1, 8, 0, 0x2f8, 7, 0);
	parse(&info);
	is_port(&info.uart, 0x2f8, false, 1, 1, 115200);
	spcr_table(2, 1, 1, 8, 1, 0x3e8, 3, 0x12345); /* reserved in this revision */
	parse(&info);
	is_port(&info.uart, 0x3e8, false, 1, 1, 9600);
	assert_int_equal(info.uart.clock, 0);
	spcr_table(4, 0x12, 0, 32, 3, 0xfe042000, 0, 48000000);
	parse(&info);
	is_port(&info.uart, 0xfe042000, true, 4, 4, 0);
	assert_int_equal(info.uart.clock, 48000000);
	spcr_table(2, 0, 0, 32, 1, 0xfedc9000, 6, 0); /* bytes, four apart */
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 4, 1, 57600);
	spcr_table(2, 0, 0, 32, 0, 0xfedc9000, 4, 0);
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 4, 4, 19200);
	spcr_table(2, 0, 0, 8, 2, 0xfedc9000, 200, 0); /* no such speed */
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 2, 2, 0);

	spcr_table(2, 3, 0, 32, 3, 0xfe042000, 0, 0); /* an ARM PL011 */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 1, 0, 7, 0); /* redirection is off */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 2, 8, 1, 0x2f8, 7, 0); /* in PCI configuration space? */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 1, 0x102f8, 7, 0); /* beyond the ports */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 4, 0x2f8, 7, 0); /* by 64 bits */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
}

static void device(u32 type, u32 subtype, u32 addresses, u32 size, u64 address)
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

static void dbg2_table(u32 count)
{
	begin("DBG2", 0);
	add(44, 4);
	add(count, 4);
}

static void dbg2(void **state)
{
	struct acpi_info info;

	(void)state;
	dbg2_table(3);
	device(0x8003, 0, 1, 38, 0x1000); /* a network card */
	device(0x8000, 3, 1, 38, 0x2000); /* not a 16550 */
	device(0x8000, 0, 1, 38, 0xfe030000);
	parse(&info);
	is_port(&info.uart, 0xfe030000, true, 4, 4, 0);
	dbg2_table(2); /* no more than it says */
	device(0x8003, 0, 1, 38, 0x1000);
	device(0x8000, 0, 0, 38, 0x2000); /* no address */
	device(0x8000, 0, 1, 38, 0xfe030000);
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	dbg2_table(0xffffffff);
	device(0x8003, 0, 1, 0, 0x1000); /* for ever */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	dbg2_table(1);
	device(0x8000, 0, 1, 33, 0x1000); /* its address lies outside of it */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
}

/* Cut anywhere, no table is read beyond its end: there is nothing to read there. */
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

/* --- serial= --- */

static struct serial_port opened[8];
static u32 nr_opened, answering;

bool serial_open(const struct serial_port *port, const char *from)
{
	(void)from;
	if (port->base)
		opened[nr_opened++] = *port;
	return port->base && port->base == answering;
}

bool serial_open_com(void)
{
	static const struct serial_port any = { .base = 1 };

	return serial_open(&any, "probing");
}

static void words(void **state)
{
	static const struct {
		const char *line;
		int found;
		u64 base;
		bool mmio;
		u32 baud;
	} t[] = {
		{ "", 0, 0, 0, 0 },
		{ "crash=nmi noserial=none", 0, 0, 0, 0 },
		{ "serial=none", 1, 0, 0, 0 },
		{ "x serial=com2 y", 1, 0x2f8, false, 115200 },
		{ "serial=com4,9600", 1, 0x2e8, false, 9600 },
		{ "serial=0x3f8,38400", 1, 0x3f8, false, 38400 },
		{ "serial=1016", 1, 0x3f8, false, 115200 },
		{ "serial=0xFE042000,115200", 1, 0xfe042000, true, 115200 },
		{ "serial=none serial=com1", 1, 0x3f8, false, 115200 },
		{ "serial=", HV_EINVAL, 0, 0, 0 },
		{ "serial=com5", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,fast", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,0", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,9600n8", HV_EINVAL, 0, 0, 0 },
		{ "serial=0", HV_EINVAL, 0, 0, 0 },
		{ "serial=0x", HV_EINVAL, 0, 0, 0 },
		{ "serial=nonesuch", HV_EINVAL, 0, 0, 0 },
		{ "serial=0x12345678901234567890", HV_EINVAL, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct serial_port p = { 0 };

		assert_int_equal(consoles_parse(t[i].line, &p), t[i].found);
		if (t[i].found <= 0)
			continue;
		assert_int_equal(p.base, t[i].base);
		assert_int_equal(p.mmio, t[i].mmio);
		assert_int_equal(p.baud, t[i].baud);
	}
}

/* What is tried, in order: "i" a port, "m" memory, "c" COM1 to COM4, "p" PCI, "w" by the word. */
static void tried(const char *cmdline, struct serial_port firmware, u32 answer, const char *want)
{
	struct pci_uart card = { true, false, 0, 0xc000 };
	char got[ARRAY_SIZE(opened) + 1] = "";

	nr_opened = 0;
	answering = answer;
	consoles_early(cmdline, &firmware);
	if (!answer || !nr_opened || opened[nr_opened - 1].base != answer)
		consoles_late(&card);
	for (u32 i = 0; i < nr_opened; i++)
		got[i] = opened[i].base == 1	  ? 'c' :
			 opened[i].base == 0xc000 ? 'p' :
			 opened[i].base == 0x2f8  ? 'w' :
			 opened[i].mmio		  ? 'm' :
						    'i';
	assert_string_equal(got, want);
}

static void order_of_consoles(void **state)
{
	struct serial_port no = { 0 }, io = { .base = 0x3e8 },
			   mem = { .base = GIB(5), .mmio = true };

	(void)state;
	tried("", no, 0, "ccp");
	tried("", no, 1, "c");
	tried("", io, 0x3e8, "i");
	tried("", io, 0, "icicp"); /* once more, for what a device may have woken up to be */
	tried("", mem, 0, "mcp");  /* memory only when it is mapped */
	tried("serial=none", io, 0, "");
	tried("serial=com2", mem, 0x2f8, "w");
	tried("serial=com9", io, 0x3e8, "i");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sparse_map),
		cmocka_unit_test(many_regions),
		cmocka_unit_test(random_maps),
		cmocka_unit_test(a_tag_longer_than_the_rest),
		cmocka_unit_test(tags_of_all_sizes),
		cmocka_unit_test(texts_without_an_end),
		cmocka_unit_test(odd_entries),
		cmocka_unit_test(damaged_multiboot1),
		cmocka_unit_test(tables_in_circles),
		cmocka_unit_test(madt),
		cmocka_unit_test(madt_with_many),
		cmocka_unit_test(ioapics),
		cmocka_unit_test(wdat),
		cmocka_unit_test(hpet),
		cmocka_unit_test(dmar),
		cmocka_unit_test(entries_that_lie),
		cmocka_unit_test(spcr),
		cmocka_unit_test(dbg2),
		cmocka_unit_test(cut_tables),
		cmocka_unit_test(noise),
		cmocka_unit_test(finding_the_root),
		cmocka_unit_test(words),
		cmocka_unit_test(order_of_consoles),
	};

	return cmocka_run_group_tests(tests, make_ram, drop_ram);
}
