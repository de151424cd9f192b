/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own consoles: serial port, VGA text, keyboard. Pixels are in fb.h. */
#ifndef ARCH_CPU_CONSOLE_H
#define ARCH_CPU_CONSOLE_H

#include <hv/base/log.h>
#include <hv/base/screen_face.h>

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
 * Makes the port the console, 8N1, polled, and writes the log to it from its first line
 * on.  False: no UART answers there, or there is a console already.  Memory-mapped ports
 * need the final page tables.  @from: who named the port, for the log.
 */
bool serial_open(const struct serial_port *port, const char *from);

/* The first of COM1 to COM4 that answers. */
bool serial_open_com(void);

/* Writes bytes as they are, or drops them if there is no port. Under log_lock(). */
void serial_write(const char *bytes, size_t n);

/* The sink of the log that writes to the port, with a CR before each LF; NULL: no port is open. */
struct log_sink *serial_sink(void);

/*
 * Starts reading the port: by interrupt if it is a PC's COM port, else by polling. @read_at asks
 * for a serial_read() at that TSC, from any CPU. Boot CPU, after its APIC works.
 */
void serial_listen(void (*read_at)(u64 tsc));

/* Takes at most @max bytes that were typed, and asks for the next call. */
u32 serial_read(char *bytes, u32 max);

/* Line @irq of the 8259 has interrupted this CPU. */
void serial_interrupt(u32 irq);

/* 80x25 text at 0xb8000, for a machine that is in that mode; NULL without memory. */
const struct screen_face *vga_init(void);

/*
 * Looks for the keyboard controller; logs why if there is none.  @absent: the firmware
 * says that there is none.
 */
void i8042_init(bool absent);
bool i8042_present(void);

/* The next scan code of set 1, or -1. Never waits. */
int i8042_read(void);

#endif
