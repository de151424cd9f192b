/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections named here are those of the PCI, EHCI, OHCI, UHCI, xHCI and AHCI specifications. */
#include <hv/drv/pci.h>
#include <hv/base/log.h>

enum { PCI_ID = 0, PCI_COMMAND = 4, PCI_CLASS = 8, PCI_HEADER = 0xc, PCI_BAR0 = 0x10 };
#define COMMAND_IO BIT(0)
#define COMMAND_MEMORY BIT(1)
#define COMMAND_MASTER BIT(2)
#define STATUS_BITS 0xffff0000u /* in the same word; what is written as 1 there is cleared */
#define HEADER_MULTI BIT(23)

#define CLASS_STORAGE 0x01
#define CLASS_DISPLAY 0x03
#define CLASS_BRIDGE 0x06
#define CLASS_AHCI 0x010601
#define CLASS_16550 0x070002
#define CLASS_UHCI 0x0c0300
#define CLASS_OHCI 0x0c0310
#define CLASS_EHCI 0x0c0320
#define CLASS_XHCI 0x0c0330

#define WAIT_US 1000000 /* "shall be ready within one second" */
#define XHCI_BYTES KIB(64)

#define BDF_FMT "%02x:%02x.%u"
#define BDF_ARGS(at) (at) >> 8, (at) >> 3 & 31, (at)&7

static struct pci_function storage[PCI_STORAGE_MAX];
static u32 nr_storage;

static u64 bar(pci_bdf at, u8 reg)
{
	u32 low = plat_pci_read(at, reg);
	u64 high = (low & 7) == 4 ? plat_pci_read(at, reg + 4) : 0; /* 64 bits, memory */

	return high << 32 | (low & (low & 1 ? ~3u : ~15u));
}

/* The registers behind a memory BAR, or NULL. */
static volatile u32 *map(pci_bdf at, u8 reg, size_t bytes)
{
	u64 pa = bar(at, reg);

	if (plat_pci_read(at, reg) & 1 || !pa || !(plat_pci_read(at, PCI_COMMAND) & COMMAND_MEMORY))
		return NULL;
	return plat_map_device(HPA(pa), bytes);
}

/*
 * Every one of them hands over in this way: we say that we want it, and wait
 * until a bit that the firmware owns goes away.
 */
static void report(pci_bdf at, const char *what, bool gone)
{
	log_line("pci: " BDF_FMT " %s %s", BDF_ARGS(at), what,
		 gone ? "taken over from the firmware" :
			"is not handed over by the firmware; going on");
}

static void wait_mmio(pci_bdf at, const char *what, const volatile u32 *reg, u32 bit)
{
	u32 us = 0;

	for (; *reg & bit && us < WAIT_US; us++)
		plat_delay();
	report(at, what, us < WAIT_US);
}

/* EHCI and xHCI: "USB Legacy Support Extended Capability". */
#define LEGACY_ID 1
#define LEGACY_BIOS BIT(16)
#define LEGACY_OS BIT(24)

static void take_ehci(pci_bdf at)
{
	const volatile u32 *r = map(at, PCI_BAR0, PAGE_SIZE);
	u32 legacy, us = 0;
	u8 cap;

	if (!r)
		return;
	cap = r[2] >> 8 & 0xfc; /* HCCPARAMS: EECP, in configuration space */
	legacy = cap >= 0x40 ? plat_pci_read(at, cap) : 0;
	if ((legacy & 0xff) != LEGACY_ID)
		return;
	if (legacy & LEGACY_BIOS) {
		plat_pci_write(at, cap, legacy | LEGACY_OS);
		for (; plat_pci_read(at, cap) & LEGACY_BIOS && us < WAIT_US; us++)
			plat_delay();
		report(at, "EHCI", us < WAIT_US);
	}
	plat_pci_write(at, cap + 4, 0); /* no more SMIs */
}

#define XHCI_LEGACY_KEEP 0x000e1feeu /* reserved bits of USBLEGCTLSTS; the others enable SMIs */
#define XHCI_LEGACY_EVENTS 0xe0000000u

static void take_xhci(pci_bdf at)
{
	volatile u32 *r = map(at, PCI_BAR0, XHCI_BYTES);
	u32 next, i;

	if (!r)
		return;
	i = next = r[4] >> 16; /* HCCPARAMS1: xECP, in words */
	/* Each link goes forward, so there is an end. */
	for (; next && i + 1 < XHCI_BYTES / 4; i += next) {
		if ((r[i] & 0xff) == LEGACY_ID) {
			if (r[i] & LEGACY_BIOS) {
				r[i] |= LEGACY_OS;
				wait_mmio(at, "xHCI", &r[i], LEGACY_BIOS);
			}
			r[i + 1] = (r[i + 1] & XHCI_LEGACY_KEEP) | XHCI_LEGACY_EVENTS;
			return;
		}
		next = r[i] >> 8 & 0xff;
	}
}

/* OHCI: "SMM Driver"; Hc... registers by word. */
enum { OHCI_CONTROL = 1, OHCI_STATUS = 2, OHCI_INTR_ENABLE = 4, OHCI_INTR_DISABLE = 5 };
#define OHCI_ROUTED BIT(8)
#define OHCI_REQUEST BIT(3)
#define OHCI_CHANGE BIT(30)

static void take_ohci(pci_bdf at)
{
	volatile u32 *r = map(at, PCI_BAR0, PAGE_SIZE);

	if (!r)
		return;
	if (r[OHCI_CONTROL] & OHCI_ROUTED) {
		r[OHCI_INTR_ENABLE] = OHCI_CHANGE;
		r[OHCI_STATUS] = OHCI_REQUEST;
		wait_mmio(at, "OHCI", &r[OHCI_CONTROL], OHCI_ROUTED);
	}
	r[OHCI_INTR_DISABLE] = ~0u;
}

/* UHCI: "Legacy Support Register": what happened is cleared, no more SMIs. */
static void take_uhci(pci_bdf at)
{
	plat_pci_write(at, 0xc0, 0x8f00);
}

/* AHCI: "BIOS/OS Handoff". */
enum { AHCI_CAP2 = 9, AHCI_BOHC = 10 };
#define AHCI_CAP2_BOH BIT(0)
#define AHCI_BIOS BIT(0)
#define AHCI_OS BIT(1)

static void take_ahci(pci_bdf at)
{
	volatile u32 *r = map(at, PCI_BAR0 + 5 * 4, PAGE_SIZE);

	if (!r || !(r[AHCI_CAP2] & AHCI_CAP2_BOH) || !(r[AHCI_BOHC] & AHCI_BIOS))
		return;
	r[AHCI_BOHC] |= AHCI_OS;
	wait_mmio(at, "AHCI", &r[AHCI_BOHC], AHCI_BIOS);
}

static void take_over(pci_bdf at, u32 class)
{
	switch (class) {
	case CLASS_EHCI:
		take_ehci(at);
		break;
	case CLASS_XHCI:
		take_xhci(at);
		break;
	case CLASS_OHCI:
		take_ohci(at);
		break;
	case CLASS_UHCI:
		take_uhci(at);
		break;
	case CLASS_AHCI:
		take_ahci(at);
		break;
	}
}

static void note_uart(pci_bdf at, struct pci_uart *uart)
{
	bool mmio = !(plat_pci_read(at, PCI_BAR0) & 1);
	u64 base = bar(at, PCI_BAR0);

	if (uart->found || !base)
		return;
	*uart = (struct pci_uart){ true, mmio, at, base };
	plat_pci_write(at, PCI_COMMAND,
		       (plat_pci_read(at, PCI_COMMAND) & ~STATUS_BITS) |
			       (mmio ? COMMAND_MEMORY : COMMAND_IO));
}

static void note_storage(pci_bdf at, u32 class)
{
	if (nr_storage < PCI_STORAGE_MAX)
		storage[nr_storage++] =
			(struct pci_function){ at, plat_pci_read(at, PCI_ID), class };
	else
		log_line("pci: " BDF_FMT " is left alone: more than %u storage controllers",
			 BDF_ARGS(at), PCI_STORAGE_MAX);
}

const struct pci_function *pci_storage(u32 index)
{
	return index < nr_storage ? &storage[index] : NULL;
}

volatile void *pci_map_bar(pci_bdf at, u32 bar, size_t bytes)
{
	return map(at, (u8)(PCI_BAR0 + 4 * bar), bytes);
}

u16 pci_port_bar(pci_bdf at, u32 bar)
{
	u32 low = plat_pci_read(at, (u8)(PCI_BAR0 + 4 * bar));

	return low & 1 ? (u16)(low & ~3u) : 0;
}

void pci_enable(pci_bdf at, bool master)
{
	u32 command = plat_pci_read(at, PCI_COMMAND) & ~(STATUS_BITS | COMMAND_MASTER);

	plat_pci_write(at, PCI_COMMAND,
		       command | COMMAND_IO | COMMAND_MEMORY | (master ? COMMAND_MASTER : 0));
}

/* Returns whether bus mastering was on and is now off. */
static bool end_mastering(pci_bdf at)
{
	u32 command = plat_pci_read(at, PCI_COMMAND) & ~STATUS_BITS;

	if (!(command & COMMAND_MASTER))
		return false;
	plat_pci_write(at, PCI_COMMAND, command & ~COMMAND_MASTER);
	if (!(plat_pci_read(at, PCI_COMMAND) & COMMAND_MASTER))
		return true;
	log_line("pci: " BDF_FMT " cannot be kept from mastering the bus", BDF_ARGS(at));
	return false;
}

/*
 * All buses: 8,192 reads, some ten milliseconds on hardware.  Bridges' bus
 * numbers are not trusted, and roots that no bridge leads to are found.  Then
 * those with anything on them once more: the firmware's driver of a USB
 * controller may need others of them while we ask for it.
 */
void pci_quiet(struct pci_uart *uart)
{
	u32 functions = 0, ended = 0, last = 0;

	*uart = (struct pci_uart){ 0 };
	nr_storage = 0;
	if (!plat_pci_there())
		return;
	for (int round = 0; round < 2; round++)
		for (u32 at = 0; at <= (round ? last : 0xffff); at++) {
			u32 class;

			if ((u16)plat_pci_read((pci_bdf)at, PCI_ID) == 0xffff) {
				at |= at & 7 ? 0 : 7; /* no function 0: no others */
				continue;
			}
			class = plat_pci_read((pci_bdf)at, PCI_CLASS) >> 8;
			last = max(last, at);
			if (!round)
				take_over((pci_bdf)at, class);
			else if (class >> 16 != CLASS_BRIDGE && class >> 16 != CLASS_DISPLAY)
				ended += end_mastering((pci_bdf)at);
			if (!round && class >> 16 == CLASS_STORAGE)
				note_storage((pci_bdf)at, class);
			if (!round && class == CLASS_16550)
				note_uart((pci_bdf)at, uart);
			functions += (u32)round;
			if (!(at & 7) && !(plat_pci_read((pci_bdf)at, PCI_HEADER) & HEADER_MULTI))
				at |= 7;
		}
	log_line("pci: %u functions, bus mastering ended of %u", functions, ended);
}
