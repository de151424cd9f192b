/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI: devices that the firmware or the loader left running stop writing to
 * memory at boot; then drivers find theirs.
 */
#ifndef HV_DRV_PCI_H
#define HV_DRV_PCI_H

#include <hv/base/platform_io.h>

/* A function whose class says that it is a 16550, for serial.c. */
struct pci_uart {
	bool found, mmio;
	pci_bdf at;
	u64 base;
};

/*
 * Takes USB and AHCI controllers over from the firmware, ends bus mastering
 * of every function but bridges and display controllers, and notes the first
 * 16550.  Bounded whatever the devices answer; nothing happens without PCI.
 */
void pci_quiet(struct pci_uart *uart);

#define PCI_STORAGE_MAX 16
struct pci_function {
	pci_bdf at;
	u32 id;	   /* device << 16 | vendor */
	u32 class; /* class << 16 | subclass << 8 | programming interface */
};

/* Functions of mass storage that pci_quiet() has met; NULL behind the last. */
const struct pci_function *pci_storage(u32 index);

/* The memory BAR @bar, mapped; NULL: it is none, has no address, or there is no memory. */
volatile void *pci_map_bar(pci_bdf at, u32 bar, size_t bytes);

/* The first port of the port BAR @bar; 0: it is none. */
u16 pci_port_bar(pci_bdf at, u32 bar);

/* From now on it decodes its memory and ports, and masters the bus or not. */
void pci_enable(pci_bdf at, bool master);

/*
 * Its first interrupt calls @fn(@arg) on this CPU: by MSI-X, else by MSI.  False: it has neither,
 * or no vector is left; whoever drives it has to poll.  pci_msi.c.
 */
bool pci_interrupt(pci_bdf at, void (*fn)(void *arg), void *arg);

#endif
