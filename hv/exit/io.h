/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of the VM as a machine; the ACPI tables tell a guest about them. */
#ifndef HV_IO_H
#define HV_IO_H

#include <hv/base/types.h>

#define PORT_KEYBOARD 0x64	 /* the controller's commands and status */
#define PORT_CONTROL_A 0x92	 /* "System Control Port A" of the PS/2 */
#define PORT_CHIPSET 0xcf9	 /* PIIX3 and later: "Reset Control Register" */
#define PORT_EXIT 0xf4		 /* QEMU's isa-debug-exit */
#define PORT_PANIC 0x505	 /* "pvpanic", which QEMU has and Linux knows */
#define PORT_SLEEP_CONTROL 0x600 /* ACPI: "Sleep Control Register" */
#define PORT_SLEEP_STATUS 0x601
#define PORT_RESET 0x602       /* ACPI: "Reset Register" */
#define PORT_PM1_CONTROL 0x604 /* where QEMU and Linux's reference firmware have it */
#define PORT_PM_TIMER 0x608    /* and three more: ACPI, "Power Management Timer" */

#define RESET_VALUE 1
#define PM_TIMER_HZ 3579545UL

struct vcpu;
struct vm;

/* @size bytes (1, 2, 4) from and to @port. One that nobody has is an empty bus. */
u32 io_read(struct vm *vm, u16 port, u8 size);
void io_write(struct vm *vm, u16 port, u8 size, u32 value);

/* emulate.c: carries out the INS or OUTS at the guest's RIP, 64 elements at most; see mmio.h. */
void emulate_string_io(struct vcpu *v, u16 port, u8 size, bool in);

#endif
