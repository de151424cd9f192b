/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI, once at boot: devices that the firmware or the loader left running
 * stop writing to memory.  Segment 0, by ports 0xcf8 and 0xcfc: that reaches
 * each command register of it, so no memory-mapped configuration is needed;
 * further segments, which only very large machines have, are not reached.
 */
#ifndef ARCH_CPU_PCI_H
#define ARCH_CPU_PCI_H

#include <hv/base/types.h>

/* A function's address as in the second word of 0xcf8: bus, device, function. */
typedef u16 pci_bdf;

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

/* pci_ports.c: an aligned @reg; all ones where nothing answers. */
bool pci_there(void);
u32 pci_read(pci_bdf at, u8 reg);
void pci_write(pci_bdf at, u8 reg, u32 v);

/* About a microsecond. There is no clock yet. */
void pci_delay(void);

#endif
