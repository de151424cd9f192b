/* SPDX-License-Identifier: BSD-2-Clause */
/* The one serial console: a 16550 behind ports or in memory. It is never read. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/console.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/log.h>

enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCRATCH };
#define LCR_8N1 3
#define LCR_DLAB 0x80
#define LSR_THRE 0x20
#define MCR_DTR_RTS 3
#define MCR_LOOPBACK 0x1a /* with OUT2 and RTS, which come back as DCD and CTS */
#define MSR_LOOPED 0x90
#define CLOCK 1843200
#define SPIN_MAX 100000

static struct serial_port uart;
static volatile u8 *regs; /* of one in memory */
static bool is_open, dead;

static u8 in(u32 reg)
{
	volatile u8 *r = regs + reg * uart.stride;

	if (!uart.mmio)
		return inb((u16)(uart.base + reg * uart.stride));
	if (uart.width == 4)
		return (u8) * (volatile u32 *)r;
	return uart.width == 2 ? (u8) * (volatile u16 *)r : *r;
}

static void out(u32 reg, u8 v)
{
	volatile u8 *r = regs + reg * uart.stride;

	if (!uart.mmio)
		outb((u16)(uart.base + reg * uart.stride), v);
	else if (uart.width == 4)
		*(volatile u32 *)r = v;
	else if (uart.width == 2)
		*(volatile u16 *)r = v;
	else
		*r = v;
}

static void put(char c)
{
	for (int i = 0; !(in(UART_LSR)&LSR_THRE); i++)
		if (i == SPIN_MAX) {
			dead = true; /* unplugged under us: never slow the machine */
			return;
		}
	out(UART_DATA, (u8)c);
}

static void serial_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len && !dead; i++) {
		if (s[i] == '\n')
			put('\r');
		put(s[i]);
	}
}

/* By the scratch register; some have none, but all have a loopback. */
static bool answers(void)
{
	bool found;

	if (in(UART_LSR) == 0xff)
		return false;
	out(UART_SCRATCH, 0x5a);
	if (in(UART_SCRATCH) == 0x5a) {
		out(UART_SCRATCH, 0xa5);
		if (in(UART_SCRATCH) == 0xa5)
			return true;
	}
	out(UART_MCR, MCR_LOOPBACK);
	found = (in(UART_MSR)&0xf0) == MSR_LOOPED;
	out(UART_MCR, 0);
	return found;
}

static void set_up(void)
{
	u32 clock = uart.clock ? uart.clock : CLOCK, divisor;

	out(UART_IER, 0);
	if (uart.baud) {
		divisor = min(max((clock / 16 + uart.baud / 2) / uart.baud, 1u), 0xffffu);
		out(UART_LCR, LCR_DLAB);
		out(UART_DATA, (u8)divisor);
		out(UART_IER, (u8)(divisor >> 8));
	}
	out(UART_LCR, LCR_8N1);
	out(UART_FCR, 7);
	out(UART_MCR, MCR_DTR_RTS);
}

bool serial_open(const struct serial_port *port, const char *from)
{
	static struct log_sink sink = { .write = serial_write };

	if (is_open || !port->base)
		return false;
	uart = *port;
	if (uart.mmio) {
		regs = paging_map_mmio(HPA(uart.base), 8UL * uart.stride, PAGING_UC);
		if (!regs)
			return false;
	}
	if (!answers())
		return false;
	is_open = true;
	set_up();
	log_add_sink(&sink);
	if (uart.baud)
		log_line("console: serial %s %lx, %u baud, from %s", uart.mmio ? "memory" : "port",
			 uart.base, uart.baud, from);
	else
		log_line("console: serial %s %lx, speed as it was, from %s",
			 uart.mmio ? "memory" : "port", uart.base, from);
	return true;
}

bool serial_open_com(void)
{
	static const u16 bases[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		struct serial_port p = { bases[i], false, 1, 1, 115200, 0 };

		if (serial_open(&p, "probing"))
			return true;
	}
	return false;
}
