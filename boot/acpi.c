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

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_X2APIC = 9 };
#define MADT_ENABLED 1
#define TABLE_MAX MIB(4)
#define TABLES_MAX MIB(32) /* for all tables: damaged ones may name each other in circles */

static u32 tables_left; /* bytes that may still be looked at */

/* Fields are not aligned. */
static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	return get32(p) | (u64)get32(p + 4) << 32;
}

/* The boot map ends at 4 GiB; firmware puts no tables above that. */
static const struct sdt *table_at(u64 pa)
{
	const struct sdt *t;
	u8 sum = 0;

	if (!pa || pa >= GIB(4) - TABLE_MAX)
		return NULL;
	t = plat_ptr(HPA(pa));
	if (t->length < sizeof(*t) || t->length > TABLE_MAX || t->length > tables_left)
		return NULL;
	tables_left -= t->length;
	for (u32 i = 0; i < t->length; i++)
		sum = (u8)(sum + ((const u8 *)t)[i]);
	if (sum)
		log_line("acpi: %.4s has a wrong checksum, used all the same", t->signature);
	return t;
}

static void add_cpu(struct acpi_info *info, u32 id)
{
	info->highest_apic_id = max(info->highest_apic_id, id);
	for (u32 i = 0; i < info->nr_cpus; i++)
		if (info->apic_ids[i] == id)
			return; /* firmware may list one as both kinds */
	if (info->nr_cpus == MAX_CPUS)
		info->cpus_left_out++;
	else
		info->apic_ids[info->nr_cpus++] = id;
}

/* A processor's entry, of either kind. */
static void madt_cpu(struct acpi_info *info, u32 id, u32 none, u32 flags)
{
	if (flags & MADT_ENABLED && id != none)
		add_cpu(info, id);
	else if (id != none)
		info->cpus_disabled++;
}

static void parse_madt(const struct sdt *t, struct acpi_info *info)
{
	const u8 *p = (const u8 *)t + 44, *end = (const u8 *)t + t->length;

	while (p + sizeof(struct madt_entry) <= end) {
		const struct madt_entry *e = (const void *)p;

		if (e->length < 2 || p + e->length > end)
			break;
		if (e->type == MADT_LAPIC && e->length >= 8)
			madt_cpu(info, p[3], 0xff, get32(p + 4));
		if (e->type == MADT_IOAPIC && e->length >= 12 && info->nr_ioapics < IOAPICS_MAX)
			info->ioapic[info->nr_ioapics++] = get32(p + 4);
		if (e->type == MADT_X2APIC && e->length >= 16)
			madt_cpu(info, get32(p + 4), 0xffffffff, get32(p + 8));
		p += e->length;
	}
}

/* AML: NameOp "_S5_" PackageOp length count value value; values may have a BytePrefix. */
static void find_s5(const struct sdt *dsdt, struct power_info *power)
{
	const u8 *p = (const u8 *)dsdt;
	u8 *out[2] = { &power->s5_type_a, &power->s5_type_b };

	if (!dsdt || power->has_s5)
		return;
	for (u32 i = sizeof(*dsdt); i + 7 < dsdt->length; i++) {
		u32 at = i + 4;

		if (memcmp(p + i, "_S5_", 4) || p[at] != 0x12)
			continue;
		at += 2 + (p[at + 1] >> 6) + 1; /* PkgLength's lead byte, its followers, count */
		for (int v = 0; v < 2; v++) {
			at += at < dsdt->length && p[at] == 0x0a;
			if (at < dsdt->length)
				*out[v] = p[at++] & 7;
		}
		power->has_s5 = true;
		return;
	}
}

/* Offsets in the FADT, and how long it must be to have the later ones. */
enum {
	FADT_DSDT = 40,
	FADT_SMI_CMD = 48,
	FADT_ACPI_ENABLE = 52,
	FADT_PM1A_CNT = 64,
	FADT_PM1B_CNT = 68,
	FADT_PM_TMR = 76,
	FADT_PM_TMR_LEN = 91,
	FADT_V1_LENGTH = 92,
	FADT_CENTURY = 108,
	FADT_BOOT_ARCH = 109,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_CNT = 172,
	FADT_X_PM1B_CNT = 184,
	FADT_SLEEP_CONTROL = 244,
	FADT_SLEEP_STATUS = 256,
};
#define FADT_REVISION_BOOT_ARCH 2 /* in older tables those bytes are reserved */
#define BOOT_ARCH_8042 BIT(1)
#define BOOT_ARCH_NO_CMOS BIT(5)
#define FADT_RESET_REG_SUP BIT(10)
#define FADT_HW_REDUCED BIT(20)

/* The value of @bytes at @at; 0: the table ends before. */
static u64 fadt_value(const struct sdt *t, u32 at, u32 bytes)
{
	u64 v = 0;

	if (at + bytes <= t->length)
		memcpy(&v, (const u8 *)t + at, bytes);
	return v;
}

/* A register as ACPI 2 describes it, or else the port at @old. */
static struct power_reg fadt_reg(const struct sdt *t, u32 at, u32 old)
{
	struct power_reg r = { .space = POWER_PORT };

	r.address = fadt_value(t, at + 4, 8);
	if (r.address)
		r.space = (u8)fadt_value(t, at, 1);
	else if (old)
		r.address = (u16)fadt_value(t, old, 4);
	return r;
}

static void parse_fadt(const struct sdt *t, struct acpi_info *info)
{
	u64 flags = fadt_value(t, FADT_FLAGS, 4);
	struct power_info *power = &info->power;

	if (t->length < FADT_V1_LENGTH)
		return;
	if (!(flags & FADT_HW_REDUCED)) {
		if (fadt_value(t, FADT_PM_TMR_LEN, 1))
			info->pm_timer_port = (u16)fadt_value(t, FADT_PM_TMR, 4);
		power->smi_command = (u16)fadt_value(t, FADT_SMI_CMD, 4);
		power->acpi_enable = (u8)fadt_value(t, FADT_ACPI_ENABLE, 1);
		power->pm1a_control = fadt_reg(t, FADT_X_PM1A_CNT, FADT_PM1A_CNT);
		power->pm1b_control = fadt_reg(t, FADT_X_PM1B_CNT, FADT_PM1B_CNT);
	} else {
		power->sleep_control = fadt_reg(t, FADT_SLEEP_CONTROL, 0);
		power->sleep_status = fadt_reg(t, FADT_SLEEP_STATUS, 0);
	}
	info->century = (u8)fadt_value(t, FADT_CENTURY, 1);
	info->no_cmos = t->revision >= FADT_REVISION_BOOT_ARCH &&
			fadt_value(t, FADT_BOOT_ARCH, 2) & BOOT_ARCH_NO_CMOS;
	if (flags & FADT_RESET_REG_SUP) {
		power->reset = fadt_reg(t, FADT_RESET_REG, 0);
		power->reset_value = (u8)fadt_value(t, FADT_RESET_VALUE, 1);
	}
	power->no_i8042 = t->revision >= FADT_REVISION_BOOT_ARCH &&
			  !(fadt_value(t, FADT_BOOT_ARCH, 2) & BOOT_ARCH_8042);
	find_s5(table_at(fadt_value(t, FADT_X_DSDT, 8)), power);
	find_s5(table_at(fadt_value(t, FADT_DSDT, 4)), power); /* does nothing if that found it */
}

/* VT-d: "DMA Remapping Reporting Structure" */
#define DMAR_FLAGS 37
#define DMAR_X2APIC_OPT_OUT BIT(1)

/* IA-PC HPET Specification: "The ACPI 2.0 HPET Description Table" */
#define HPET_SPACE 40 /* a Generic Address Structure */
#define HPET_LENGTH 56

static void parse_table(u64 pa, struct acpi_info *info)
{
	const struct sdt *t = table_at(pa);

	if (!t)
		return;
	if (!memcmp(t->signature, "APIC", 4))
		parse_madt(t, info);
	else if (!memcmp(t->signature, "FACP", 4))
		parse_fadt(t, info);
	else if (!memcmp(t->signature, "SPCR", 4))
		acpi_parse_spcr((const u8 *)t, t->length, &info->uart);
	else if (!memcmp(t->signature, "DBG2", 4))
		acpi_parse_dbg2((const u8 *)t, t->length, &info->dbg2);
	else if (!memcmp(t->signature, "WDAT", 4))
		acpi_parse_wdat((const u8 *)t, t->length, &info->watchdog);
	else if (!memcmp(t->signature, "WDRT", 4) && !info->watchdog.table)
		info->watchdog.table = "WDRT";
	else if (!memcmp(t->signature, "HPET", 4) && t->length >= HPET_LENGTH)
		info->hpet =
			((const u8 *)t)[HPET_SPACE] ? 0 : get64((const u8 *)t + HPET_SPACE + 4);
	else if (!memcmp(t->signature, "DMAR", 4) && t->length > DMAR_FLAGS)
		info->no_x2apic = ((const u8 *)t)[DMAR_FLAGS] & DMAR_X2APIC_OPT_OUT;
	else if (!memcmp(t->signature, "SSDT", 4))
		find_s5(t, &info->power);
}

static const u8 *search_rsdp(u32 at, u32 end)
{
	for (; at < end; at += 16) {
		const u8 *p = plat_ptr(HPA(at));
		u8 sum = 0;

		for (int i = 0; i < 20; i++)
			sum = (u8)(sum + p[i]);
		if (!sum && !memcmp(p, "RSD PTR ", 8))
			return p;
	}
	return NULL;
}

/* ACPI: "Finding the RSDP on IA-PC Systems" */
static const u8 *find_rsdp(const struct boot_info *bi)
{
	const u8 *p = NULL;
	u32 ebda;

	if (bi->rsdp_size >= 20)
		return bi->rsdp;
	ebda = (u32) * (const u16 *)plat_ptr(HPA(0x40e)) << 4;
	if (ebda >= KIB(128) && ebda < KIB(640))
		p = search_rsdp(ebda, ebda + 1024);
	return p ? p : search_rsdp(0xe0000, 0x100000);
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
	/* If the loader gave only the part of ACPI 1, the rest of the copy is zero. */
	tables_left = TABLES_MAX;
	xsdt = rsdp[15] >= 2 ? get64(rsdp + 24) : 0;
	root = table_at(xsdt);
	if (root)
		width = 8;
	else
		root = table_at(get32(rsdp + 16));
	if (!root)
		return;
	for (u32 at = sizeof(*root); at + width <= root->length; at += width) {
		u64 pa = 0;

		memcpy(&pa, (const u8 *)root + at, width);
		parse_table(pa, info);
	}
	if (!info->uart.base)
		info->uart = info->dbg2;
}
