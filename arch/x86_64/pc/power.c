/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Powers off and resets the machine. ACPI Specification 6.4: "PM1 Control Registers", "Sleep
 * Control and Status Registers", "Reset Register". No AML is run: some firmware wants \_PTS before
 * S5, but S5 needs nothing that it does.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/pc/power.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>

#define SCI_EN BIT(0)
#define SLP_TYP_SHIFT 10
#define SLP_TYP (7UL << SLP_TYP_SHIFT)
#define SLP_EN BIT(13)
#define SLEEP_TYPE_SHIFT 2 /* of the sleep control register */
#define SLEEP_ENABLE BIT(5)
#define WAKE_STATUS BIT(7)
#define ENABLE_MS 300
#define RESET_MS 100
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define RESET_CONTROL 0xcf9
#define I8042_COMMAND 0x64
#define I8042_PULSE_RESET 0xfe

static struct power_info power;

void power_init(const struct power_info *info)
{
	power = *info;
}

static void map(struct power_reg *r)
{
	if (r->address && r->space == POWER_MEMORY)
		r->mapped = paging_map_mmio(HPA(r->address), 4, PAGING_UC);
}

void power_map(void)
{
	map(&power.pm1a_control);
	map(&power.pm1b_control);
	map(&power.sleep_control);
	map(&power.sleep_status);
	map(&power.reset);
}

static void wait_ms(u64 ms)
{
	for (u64 end = rdtsc() + ms * plat_tsc_khz(); rdtsc() < end;)
		cpu_pause();
}

static u16 read16(const struct power_reg *r)
{
	if (r->space == POWER_PORT)
		return inw((u16)r->address);
	return r->mapped ? *(volatile u16 *)r->mapped : 0;
}

static void write16(const struct power_reg *r, u16 v)
{
	if (!r->address)
		return;
	if (r->space == POWER_PORT)
		outw((u16)r->address, v);
	else if (r->mapped)
		*(volatile u16 *)r->mapped = v;
}

static void write8(const struct power_reg *r, u8 v)
{
	if (!r->address)
		return;
	switch (r->space) {
	case POWER_PORT:
		outb((u16)r->address, v);
		break;
	case POWER_MEMORY:
		if (r->mapped)
			*r->mapped = v;
		break;
	case POWER_PCI: /* bus 0: device, function and offset are 16 bits each */
		outl(PCI_ADDRESS, BIT(31) | (u32)(r->address >> 32 & 31) << 11 |
					  (u32)(r->address >> 16 & 7) << 8 |
					  (u32)(r->address & 0xfc));
		outb(PCI_DATA + (r->address & 3), v);
		break;
	}
}

/* In legacy mode the firmware owns these registers: ask for ACPI mode, once. */
static void enable_acpi(void)
{
	u64 end = rdtsc() + ENABLE_MS * plat_tsc_khz();

	if (!power.smi_command || !power.acpi_enable || read16(&power.pm1a_control) & SCI_EN)
		return;
	outb(power.smi_command, power.acpi_enable);
	while (!(read16(&power.pm1a_control) & SCI_EN) && rdtsc() < end)
		cpu_pause();
}

static void sleep_s5(void)
{
	u16 a, b;

	if (power.sleep_control.address) {
		write8(&power.sleep_status, WAKE_STATUS); /* cleared by writing one */
		write8(&power.sleep_control,
		       (u8)(power.s5_type_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
		return;
	}
	if (!power.pm1a_control.address)
		return;
	enable_acpi();
	a = (u16)((read16(&power.pm1a_control) & ~(SLP_TYP | SLP_EN)) |
		  (u16)(power.s5_type_a << SLP_TYP_SHIFT));
	b = (u16)(power.pm1b_control.address ? (read16(&power.pm1b_control) & ~(SLP_TYP | SLP_EN)) |
						       (u16)(power.s5_type_b << SLP_TYP_SHIFT) :
					       0);
	/* Write the type first: some chip sets look at it only before SLP_EN is set. */
	write16(&power.pm1a_control, a);
	write16(&power.pm1b_control, b);
	write16(&power.pm1a_control, (u16)(a | SLP_EN));
	write16(&power.pm1b_control, (u16)(b | SLP_EN));
}

void power_end_bochs(void)
{
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, (u8)*s);
}

void power_try_off(void)
{
	if (power.has_s5)
		sleep_s5();
	power_end_bochs();
}

void plat_power_off(void)
{
	log_line("power off");
	power_try_off();
	wait_ms(2000); /* some machines take so long */
	log_line("the machine does not power off by ACPI: it is safe to switch it off now");
	for (;;)
		asm volatile("cli; hlt");
}

void plat_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __packed no_idt;

	if (power.reset.address) {
		log_line("reboot by the ACPI reset register");
		write8(&power.reset, power.reset_value);
		wait_ms(RESET_MS);
	}
	if (!power.no_i8042) {
		log_line("reboot by the keyboard controller");
		outb(I8042_COMMAND, I8042_PULSE_RESET);
		wait_ms(RESET_MS);
	}
	log_line("reboot by port cf9");
	outb(RESET_CONTROL, 0x02); /* a hard reset, ... */
	outb(RESET_CONTROL, 0x06); /* ... now */
	wait_ms(RESET_MS);
	log_line("reboot by a triple fault");
	asm volatile("lidt %0; int3" ::"m"(no_idt));
	for (;;)
		asm volatile("cli; hlt");
}
