/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers of the host's devices ask of the machine, besides platform.h:
 * arch/x86_64/pc/platform_io.c implements it for a PC, tests fake it.
 */
#ifndef HV_BASE_PLATFORM_IO_H
#define HV_BASE_PLATFORM_IO_H

#include <hv/base/types.h>

/* A function's address as in the second word of port 0xcf8: bus, device, function. */
typedef u16 pci_bdf;

/*
 * PCI configuration space of segment 0, by ports 0xcf8 and 0xcfc: that reaches each function's
 * first 256 bytes.  Further segments, which only very large machines have, are not reached.
 * An aligned @reg; all ones where nothing answers.
 */
bool plat_pci_there(void);
u32 plat_pci_read(pci_bdf at, u8 reg);
void plat_pci_write(pci_bdf at, u8 reg, u32 v);

/* A port of 1, 2 or 4 bytes. */
u32 plat_port_in(u16 port, u32 bytes);
void plat_port_out(u16 port, u32 bytes, u32 value);

/* A device's registers, uncached, for good; NULL: the hypervisor has no memory for tables. */
volatile void *plat_map_device(hpa_t pa, size_t bytes);

/*
 * A message that interrupts this CPU and then calls @fn(@arg), with interrupts off and no lock
 * held.  False: all are in use.  PCI Local Bus Specification 3.0: "MSI and MSI-X Operation".
 */
struct plat_message {
	u64 address;
	u32 data;
};
bool plat_message(void (*fn)(void *arg), void *arg, struct plat_message *m);

/* About a microsecond, also before the TSC's frequency is known. */
void plat_delay(void);

#endif
