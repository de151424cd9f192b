/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of the VM as a machine; the ACPI tables tell a guest about them. */
#ifndef HV_IO_H
#define HV_IO_H

#define PORT_EXIT 0xf4		 /* QEMU's isa-debug-exit */
#define PORT_SLEEP_CONTROL 0x600 /* ACPI: "Sleep Control Register" */
#define PORT_SLEEP_STATUS 0x601
#define PORT_RESET 0x602       /* ACPI: "Reset Register" */
#define PORT_PM1_CONTROL 0x604 /* where QEMU and Linux's reference firmware have it */

#define RESET_VALUE 1

#endif
