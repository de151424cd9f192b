/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI, once at boot: devices that the firmware or the loader left running
 * stop writing to memory.
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

#endif
