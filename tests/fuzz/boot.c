/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data from firmware and loaders: multiboot 2 and 1 information, ACPI tables. The first 4 GiB can
 * be read, as in the boot map, and nothing above.
 *
 * The first byte of the input chooses the parser. For multiboot 2 the rest is the information. For
 * the others it is pieces of memory, each with its address and length, and then the address at
 * which the parser begins.
 */
#include <tests/fuzz/fuzz.h>

#include <sys/mman.h>

#include <boot/acpi.h>
#include <boot/consoles.h>

#define PIECES_MAX 16

static u8 *ram;
static struct boot_info bi;
static struct acpi_info acpi;

void fuzz_setup(void)
{
	ram = mmap(NULL, GIB(4) + PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	fuzz_assert(ram != MAP_FAILED && !mprotect(ram, GIB(4), PROT_READ | PROT_WRITE),
		    "no addresses");
	plat_direct_base = (uintptr_t)ram;
}

/* The port that consoles.c would open. */
bool serial_open(const struct serial_port *port, const char *by)
{
	(void)port;
	(void)by;
	return false;
}

bool serial_open_com(void)
{
	return false;
}

/* --- what must be so of what was read --------------------------------------------------- */

static bool ends(const char *s, size_t size)
{
	return strnlen(s, size) < size;
}

static void check_info(void)
{
	fuzz_assert(ends(bi.cmdline, sizeof(bi.cmdline)), "the command line has no end");
	fuzz_assert(bi.nr_ram <= BOOT_MAX_REGIONS && bi.nr_modules <= BOOT_MAX_MODULES, "%u, %u",
		    bi.nr_ram, bi.nr_modules);
	for (u32 i = 0; i < bi.nr_ram; i++) {
		struct boot_region r = bi.ram[i];

		fuzz_assert(r.start < r.end && !((r.start | r.end) & PAGE_MASK), "%lx to %lx",
			    r.start, r.end);
		fuzz_assert(!i || r.start > bi.ram[i - 1].end, "%lx is behind %lx", r.start,
			    bi.ram[i - 1].end);
	}
	for (u32 i = 0; i < bi.nr_modules; i++)
		fuzz_assert(ends(bi.modules[i].name, BOOT_NAME_MAX), "module %u", i);
	fuzz_assert(bi.rsdp_size <= sizeof(bi.rsdp), "%u", bi.rsdp_size);
	fuzz_assert(boot_low_page(&bi) < KIB(640), "%lx", boot_low_page(&bi));
}

static void check_acpi(void)
{
	const struct serial_port *uart = &acpi.uart;

	fuzz_assert(acpi.nr_cpus <= MAX_CPUS, "%u", acpi.nr_cpus);
	for (u32 i = 0; i < acpi.nr_cpus; i++)
		for (u32 j = 0; j < i; j++)
			fuzz_assert(acpi.apic_ids[i] != acpi.apic_ids[j], "CPU %u twice", i);
	fuzz_assert(!uart->base || (uart->width && uart->stride >= uart->width), "%u of %u",
		    uart->width, uart->stride);
	fuzz_assert(!uart->base || uart->mmio || uart->base <= 0xffff, "port %lx", uart->base);
	fuzz_assert(acpi.power.s5_type_a < 8 && acpi.power.s5_type_b < 8, "%u",
		    acpi.power.s5_type_a);
}

/* --- the parsers -------------------------------------------------------------------------- */

/* The loader says its length; here that is correct. */
static void multiboot2(struct input *in)
{
	u32 n = (u32)in_left(in);
	u8 *info;

	if (n < 8)
		return;
	info = in_copy(in, n);
	memcpy(info, &n, sizeof(n));
	boot_parse_multiboot2(info, &bi);
}

/* Bytes at an address: mostly a low one, sometimes just below 4 GiB. */
static void pieces(struct input *in)
{
	for (u32 i = 0; i < PIECES_MAX && in_left(in); i++) {
		u64 at = in_number(in) & (GIB(4) - 1);
		size_t n = in_16(in);
		const u8 *bytes;

		if (!n)
			return;
		bytes = in_take(in, &n);
		memcpy(ram + at, bytes, min(n, (size_t)(GIB(4) - at)));
	}
}

static void multiboot1(struct input *in)
{
	pieces(in);
	boot_parse_multiboot1(ram + 0x1000, &bi);
}

static void tables(struct input *in, bool from_loader)
{
	pieces(in);
	if (from_loader) {
		bi.rsdp_size = sizeof(bi.rsdp);
		memcpy(bi.rsdp, ram + 0x1000, sizeof(bi.rsdp));
	}
	acpi_parse(&bi, &acpi);
	check_acpi();
}

void fuzz_one(struct input *in)
{
	u8 form = in_8(in);
	struct serial_port port;

	switch (form % 4) {
	case 0:
		multiboot2(in);
		break;
	case 1:
		multiboot1(in);
		break;
	default:
		tables(in, form % 4 == 2);
	}
	check_info();
	consoles_parse(bi.cmdline, &port);
	madvise(ram, GIB(4), MADV_DONTNEED);
}
