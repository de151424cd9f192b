/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which serial port is the console: the one that the command line names, the
 * firmware's (ACPI: SPCR, then DBG2), COM1 to COM4, a PCI card; the first
 * that answers.
 */
#ifndef BOOT_CONSOLES_H
#define BOOT_CONSOLES_H

#include <arch/x86_64/pc/console.h>
#include <hv/drv/pci.h>

/* With the boot map: those behind ports. @firmware: of the ACPI tables. */
void consoles_early(const char *cmdline, const struct serial_port *firmware);

/* With the final page tables: the others, if there is none yet. */
void consoles_late(const struct pci_uart *card);

/*
 * The command line's serial=none, serial=com2, serial=ADDRESS or
 * serial=ADDRESS,BAUD, where an address beyond the ports is one in memory.
 * 0: no such word, 1: @port (base 0 for none), HV_EINVAL: not understood.
 */
int consoles_parse(const char *cmdline, struct serial_port *port);

#endif
