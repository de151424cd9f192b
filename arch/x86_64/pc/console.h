/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own consoles: serial port, VGA text, keyboard. Pixels are in fb.h. */
#ifndef ARCH_CPU_CONSOLE_H
#define ARCH_CPU_CONSOLE_H

#include <hv/control/screen.h>

/* A 16550 and the like. */
struct serial_port {
	u64 base; /* port or physical address; 0: none */
	bool mmio;
	u8 stride; /* bytes from one register to the next */
	u8 width;  /* bytes of an access: 1, 2 or 4 */
	u32 baud;  /* 0: leave it as the firmware set it */
	u32 clock; /* Hz; 0: 1,843,200 */
};

/*
 * Makes it a console, 8N1, polled; false if no UART answers there, or one
 * already is.  Memory-mapped ones only once the final page tables are there.
 * What was logged before, the port gets first.  @from: who named it.
 */
bool serial_open(const struct serial_port *port, const char *from);

/* The first of COM1 to COM4 that answers. */
bool serial_open_com(void);

/*
 * From now on the port is read, too: by interrupt where it has that of a PC's COM port,
 * else by polling.  Boot CPU, once its APIC works.
 */
void serial_listen(void);

/* Takes what has been typed, at most @max bytes. From the scheduler's tick, which it asks for. */
u32 serial_read(char *bytes, u32 max);

/* Line @irq of the 8259 has interrupted this CPU. */
void serial_interrupt(u32 irq);

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
