/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own consoles: serial port, VGA text, keyboard. Pixels are in fb.h. */
#ifndef ARCH_CPU_CONSOLE_H
#define ARCH_CPU_CONSOLE_H

#include <hv/screen.h>

/* COM1 at 115200 8N1, polled; silent if no UART answers. */
void serial_init(void);

/* 80x25 text at 0xb8000, for a machine that is in that mode; NULL without memory. */
const struct screen_face *vga_init(void);

/*
 * Looks for the keyboard controller; without one, a line in the log says why.
 * @absent: the firmware says that there is none.
 */
void i8042_init(bool absent);
bool i8042_present(void);

/* The next scan code of set 1, or -1. Never waits. */
int i8042_read(void);

#endif
