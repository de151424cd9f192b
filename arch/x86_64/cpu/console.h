/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own consoles: serial port and VGA text. */
#ifndef ARCH_CPU_CONSOLE_H
#define ARCH_CPU_CONSOLE_H

#include <hv/base/types.h>

/* COM1 at 115200 8N1, polled; silent if no UART answers. */
void serial_init(void);

/* 80x25 text at 0xb8000; @in_text_mode is what the loader said of the screen. */
void vga_init(bool in_text_mode);

#endif
