/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chooses the serial console: the first port that answers of the one that the command line names,
 * the firmware's (ACPI: SPCR, then DBG2), COM1 to COM4, and a PCI card.
 */
#ifndef BOOT_CONSOLES_H
#define BOOT_CONSOLES_H

#include <arch/x86_64/pc/console.h>
#include <hv/drv/pci.h>

/* Tries UARTs behind ports; the boot map is enough. @firmware: the ACPI tables' UART. */
void consoles_early(const char *cmdline, const struct serial_port *firmware);

/* Tries the other UARTs if there is no console yet; needs the final page tables. */
void consoles_late(const struct pci_uart *card);

/*
 * The command line's serial=none, serial=com2, serial=ADDRESS or serial=ADDRESS,BAUD, where an
 * address above the ports' is one in memory. Returns 0: no such word; 1: @port is set (base 0 for
 * none); HV_EINVAL: the word is wrong.
 */
int consoles_parse(const char *cmdline, struct serial_port *port);

#endif
