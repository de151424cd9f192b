/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by message.  PCI Local Bus Specification 3.0: "MSI and MSI-X". */
#include <hv/drv/pci.h>

enum { PCI_STATUS = 4, PCI_BAR0 = 0x10, PCI_CAPABILITIES = 0x34 };
#define STATUS_CAPABILITIES BIT(20)
#define CAP_MSI 0x05
#define CAP_MSIX 0x11
#define CAPS_MAX 48 /* what fits into configuration space: a loop has an end */

#define MSI_ENABLE BIT(16)
#define MSI_64BIT BIT(23)
#define MSI_COUNT (7u << 20) /* enabled messages, as a power of two */
#define MSIX_ENABLE BIT(31)
#define MSIX_MASK_ALL BIT(30)

static u8 find(pci_bdf at, u8 id)
{
	u8 cap;

	if (!(plat_pci_read(at, PCI_STATUS) & STATUS_CAPABILITIES))
		return 0;
	cap = plat_pci_read(at, PCI_CAPABILITIES) & 0xfc;
	for (u32 i = 0; cap >= 0x40 && i < CAPS_MAX; i++) {
		u32 word = plat_pci_read(at, cap);

		if ((word & 0xff) == id)
			return cap;
		cap = word >> 8 & 0xfc;
	}
	return 0;
}

/* "MSI-X Table": four words an entry; the last one's bit 0 masks it. */
static bool use_msix(pci_bdf at, u8 cap, const struct plat_message *m)
{
	u32 where = plat_pci_read(at, cap + 4);
	volatile u32 *table;

	if ((where & 7) > 5 || where > MIB(1))
		return false;
	table = pci_map_bar(at, where & 7, (where & ~7u) + 16);
	if (!table)
		return false;
	plat_pci_write(at, cap, plat_pci_read(at, cap) | MSIX_ENABLE | MSIX_MASK_ALL);
	table += (where & ~7u) / 4;
	table[0] = (u32)m->address;
	table[1] = (u32)(m->address >> 32);
	table[2] = m->data;
	table[3] = 0;
	plat_pci_write(at, cap, (plat_pci_read(at, cap) & ~(u32)MSIX_MASK_ALL) | MSIX_ENABLE);
	return true;
}

static void use_msi(pci_bdf at, u8 cap, const struct plat_message *m)
{
	u32 control = plat_pci_read(at, cap);
	bool wide = control & MSI_64BIT;

	plat_pci_write(at, cap + 4, (u32)m->address);
	if (wide)
		plat_pci_write(at, cap + 8, (u32)(m->address >> 32));
	plat_pci_write(at, cap + (wide ? 12 : 8), m->data);
	plat_pci_write(at, cap, (control & ~MSI_COUNT) | MSI_ENABLE);
}

bool pci_interrupt(pci_bdf at, void (*fn)(void *arg), void *arg)
{
	u8 msix = find(at, CAP_MSIX), msi = find(at, CAP_MSI);
	struct plat_message m;

	if ((!msix && !msi) || !plat_message(fn, arg, &m))
		return false;
	if (msix && use_msix(at, msix, &m))
		return true;
	if (msi)
		use_msi(at, msi, &m);
	return msi;
}
