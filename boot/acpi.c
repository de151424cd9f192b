/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI Specification 6.4: "RSDP", "XSDT", "MADT", "FADT"; \_S5 by its bytes. */
#include <boot/acpi.h>
#include <hv/base/log.h>
#include <hv/base/string.h>

struct sdt {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;

struct madt_entry {
	u8 type, length;
} __packed;

enum { MADT_LAPIC = 0, MADT_X2APIC = 9 };
#define MADT_ENABLED 1
#define FADT_NO_CMOS BIT(5) /* IAPC_BOOT_ARCH */
#define TABLE_MAX MIB(4)

/* Tables above 4 GiB are not in the boot map; firmware does not put them there. */
static const struct sdt *table_at(u64 pa)
{
	const struct sdt *t;
	u8 sum = 0;

	if (!pa || pa >= GIB(4) - TABLE_MAX)
		return NULL;
	t = plat_ptr(HPA(pa));
	if (t->length < sizeof(*t) || t->length > TABLE_MAX)
		return NULL;
	for (u32 i = 0; i < t->length; i++)
		sum = (u8)(sum + ((const u8 *)t)[i]);
	if (sum)
		log_line("acpi: %.4s has a wrong checksum, used all the same", t->signature);
	return t;
}

static void add_cpu(struct acpi_info *info, u32 id)
{
	for (u32 i = 0; i < info->nr_cpus; i++)
		if (info->apic_ids[i] == id)
			return; /* firmware may list one as both kinds */
	if (info->nr_cpus == MAX_CPUS)
		info->cpus_left_out++;
	else
		info->apic_ids[info->nr_cpus++] = id;
}

static void parse_madt(const struct sdt *t, struct acpi_info *info)
{
	const u8 *p = (const u8 *)t + 44, *end = (const u8 *)t + t->length;

	while (p + sizeof(struct madt_entry) <= end) {
		const struct madt_entry *e = (const void *)p;

		if (e->length < 2 || p + e->length > end)
			break;
		if (e->type == MADT_LAPIC && e->length >= 8 && *(const u32 *)(p + 4) & MADT_ENABLED)
			add_cpu(info, p[3]);
		if (e->type == MADT_X2APIC && e->length >= 16 &&
		    *(const u32 *)(p + 8) & MADT_ENABLED)
			add_cpu(info, *(const u32 *)(p + 4));
		p += e->length;
	}
}

/* AML: NameOp "_S5_" PackageOp length count value value; values may have a BytePrefix. */
static bool parse_s5(const struct sdt *dsdt, struct power_info *power)
{
	const u8 *p = (const u8 *)dsdt;
	u8 *out[2] = { &power->s5_type_a, &power->s5_type_b };

	for (u32 i = sizeof(*dsdt); i + 12 < dsdt->length; i++) {
		u32 at = i + 4;

		if (memcmp(p + i, "_S5_", 4) || p[at] != 0x12)
			continue;
		at += 2 + (p[at + 1] >> 6) + 1; /* PkgLength's lead byte, its followers, count */
		for (int v = 0; v < 2 && at + 1 < dsdt->length; v++) {
			at += p[at] == 0x0a;
			*out[v] = p[at++] & 7;
		}
		return true;
	}
	return false;
}

static void parse_fadt(const struct sdt *t, struct acpi_info *info)
{
	const u8 *p = (const u8 *)t;
	const struct sdt *dsdt;

	if (t->length < 92)
		return;
	info->pm_timer_port = p[91] ? (u16) * (const u32 *)(p + 76) : 0;
	if (t->length >= 111) {
		info->century = p[108];
		info->no_cmos = p[109] & FADT_NO_CMOS;
	}
	dsdt = table_at(*(const u32 *)(p + 40));
	if (dsdt && parse_s5(dsdt, &info->power)) {
		info->power.pm1a_control = (u16) * (const u32 *)(p + 64);
		info->power.pm1b_control = (u16) * (const u32 *)(p + 68);
	}
}

static void parse_table(u64 pa, struct acpi_info *info)
{
	const struct sdt *t = table_at(pa);

	if (!t)
		return;
	if (!memcmp(t->signature, "APIC", 4))
		parse_madt(t, info);
	else if (!memcmp(t->signature, "FACP", 4))
		parse_fadt(t, info);
}

static const u8 *find_rsdp(const struct boot_info *bi)
{
	const u8 *bios = plat_ptr(HPA(0));

	if (bi->rsdp_size)
		return bi->rsdp;
	for (u32 at = 0xe0000; at < 0x100000; at += 16)
		if (!memcmp(bios + at, "RSD PTR ", 8))
			return bios + at;
	return NULL;
}

void acpi_parse(const struct boot_info *bi, struct acpi_info *info)
{
	const u8 *rsdp = find_rsdp(bi);
	const struct sdt *root;
	u64 xsdt;
	u32 width = 4;

	if (!rsdp) {
		log_line("acpi: no tables; one CPU, no power off");
		return;
	}
	xsdt = rsdp[15] >= 2 ? *(const u64 *)(rsdp + 24) : 0;
	root = table_at(xsdt);
	if (root)
		width = 8;
	else
		root = table_at(*(const u32 *)(rsdp + 16));
	if (!root)
		return;
	for (u32 at = sizeof(*root); at + width <= root->length; at += width) {
		u64 pa = 0;

		memcpy(&pa, (const u8 *)root + at, width);
		parse_table(pa, info);
	}
}
