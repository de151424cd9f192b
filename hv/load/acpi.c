/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/exit/io.h>
#include <hv/load/acpi.h>
#include <hv/load/load.h>
#include <hv/vm/vm.h>

struct header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __packed;

struct address { /* "Generic Address Structure" */
	u8 space, width, offset, access;
	u64 address;
} __packed;
#define SPACE_IO 1

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
	u8 extended_checksum, reserved[3];
} __packed;

struct xsdt {
	struct header h;
	u64 table[2];
} __packed;

/* "Fixed ACPI Description Table"; the fields of ACPI hardware that there is none of are left out. */
struct fadt {
	struct header h;
	u8 legacy[76 - 36];
	u32 pm_timer;
	u8 lengths[91 - 80], pm_timer_length;
	u8 more_lengths[108 - 92];
	u8 century;
	u16 boot_arch;
	u8 reserved;
	u32 flags;
	struct address reset;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor_revision;
	u64 x_firmware_control, x_dsdt;
	u8 x_legacy[208 - 148];
	struct address x_pm_timer;
	u8 x_events[244 - 220];
	struct address sleep_control, sleep_status;
	u64 hypervisor;
} __packed;
_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.3, table 5-33");
#define FADT_WBINVD BIT(0)
#define FADT_NO_POWER_BUTTON BIT(4) /* no fixed one, that is */
#define FADT_NO_SLEEP_BUTTON BIT(5)
#define FADT_NO_RTC_WAKE BIT(6)
#define FADT_32_BIT_TIMER BIT(8)
#define FADT_RESET_REG BIT(10)
#define FADT_HW_REDUCED BIT(20)
#define BOOT_ARCH_NO_VGA BIT(2)

struct local_apic {
	u8 type, length, processor, id;
	u32 flags;
} __packed;
struct io_apic {
	u8 type, length, id, reserved;
	u32 address, first_gsi;
} __packed;

struct madt {
	struct header h;
	u32 local_apic, flags;
	struct io_apic io;
	struct local_apic cpu[MAX_VCPUS];
} __packed;

/* Each table on a boundary of its own, in the order of their addresses. */
struct tables {
	struct rsdp rsdp;
	struct xsdt xsdt __aligned(64);
	struct fadt fadt __aligned(64);
	struct madt madt __aligned(64);
	u8 dsdt[] __aligned(64);
};
#define AT(field) (ACPI_TABLES + offsetof(struct tables, field))

/* dsdt.asl, compiled: a table that says itself how long it is. */
extern const struct header _binary_dsdt_aml_start;

static u8 sum(const void *p, size_t n)
{
	const u8 *b = p;
	u8 s = 0;

	while (n--)
		s = (u8)(s + *b++);
	return s;
}

static void seal(struct header *h, const char *signature, u8 revision, size_t length)
{
	memcpy(h->signature, signature, 4);
	h->length = (u32)length;
	h->revision = revision;
	memcpy(h->oem_id, "AEROST", 6);
	memcpy(h->oem_table_id, "AEROSTAT", 8);
	memcpy(h->creator_id, "AERO", 4);
	h->oem_revision = h->creator_revision = 1;
	h->checksum = (u8)-sum(h, length);
}

static struct address port(u16 number)
{
	return (struct address){ SPACE_IO, 8, 0, 1, number };
}

/*
 * Hardware-reduced machines may have none, but a kernel that knows no paravirtual clock has
 * nothing else to measure its TSC and its APIC timer by.
 */
static void fill_pm_timer(struct fadt *f)
{
	f->pm_timer = PORT_PM_TIMER;
	f->pm_timer_length = 4;
	f->x_pm_timer = (struct address){ SPACE_IO, 32, 0, 3, PORT_PM_TIMER };
}

static void fill_root(struct tables *t)
{
	memcpy(t->rsdp.signature, "RSD PTR ", 8);
	memcpy(t->rsdp.oem_id, "AEROST", 6);
	t->rsdp.revision = 2;
	t->rsdp.length = sizeof(t->rsdp);
	t->rsdp.xsdt = AT(xsdt);
	t->rsdp.checksum = (u8)-sum(&t->rsdp, 20);
	t->rsdp.extended_checksum = (u8)-sum(&t->rsdp, sizeof(t->rsdp));
	t->xsdt.table[0] = AT(fadt);
	t->xsdt.table[1] = AT(madt);
	seal(&t->xsdt.h, "XSDT", 1, sizeof(t->xsdt));
}

static void fill_fadt(struct fadt *f)
{
	f->century = RTC_CENTURY;
	f->boot_arch = BOOT_ARCH_NO_VGA;
	f->flags = FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE |
		   FADT_32_BIT_TIMER | FADT_RESET_REG | FADT_HW_REDUCED;
	f->reset = port(PORT_RESET);
	f->reset_value = RESET_VALUE;
	f->minor_revision = 3;
	f->x_dsdt = AT(dsdt);
	fill_pm_timer(f);
	f->sleep_control = port(PORT_SLEEP_CONTROL);
	f->sleep_status = port(PORT_SLEEP_STATUS);
	seal(&f->h, "FACP", 6, sizeof(*f));
}

static void fill_madt(struct madt *m, const struct vm *vm)
{
	m->local_apic = LAPIC_DEFAULT_BASE;
	m->io = (struct io_apic){ 1, sizeof(m->io), 0, 0, IOAPIC_BASE, 0 };
	for (u32 i = 0; i < vm->cfg->vcpus; i++)
		m->cpu[i] = (struct local_apic){ 0, sizeof(m->cpu[i]), (u8)i, (u8)i, 1 };
	seal(&m->h, "APIC", 5,
	     offsetof(struct madt, cpu) + vm->cfg->vcpus * sizeof(struct local_apic));
}

int acpi_load(struct vm *vm)
{
	struct tables t = { 0 };
	bool balloon = vm->cfg->balloon == BALLOON_AUTO || vm->cfg->balloon == BALLOON_AEROSTAT;
	struct acpi_machine machine = { vm->slots | (balloon ? (u32)ACPI_HAS_BALLOON : 0) };
	size_t dsdt = _binary_dsdt_aml_start.length;
	int err;

	fill_root(&t);
	fill_fadt(&t.fadt);
	fill_madt(&t.madt, vm);
	err = load_put(vm, ACPI_TABLES, &t, sizeof(t), sizeof(t));
	if (!err)
		err = load_put(vm, AT(dsdt), &_binary_dsdt_aml_start, dsdt, dsdt);
	if (!err)
		err = load_put(vm, ACPI_MACHINE, &machine, sizeof(machine), sizeof(machine));
	return err;
}
