/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one serial console: a 16550 behind ports or in memory. An interrupt only asks for a
 * serial_read(). The port is polled until its first interrupt comes, and for ever if none can come.
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>

enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCRATCH };
#define LCR_8N1 3
#define LCR_DLAB 0x80
#define LSR_READY 1
#define LSR_BAD 0x1c /* parity, framing, break: the byte is not valid */
#define LSR_THRE 0x20
#define IER_RX 1
#define IER_TX 2
#define MCR_DTR_RTS 3
#define MCR_OUT2 8	  /* on a PC it gates the interrupt */
#define MCR_LOOPBACK 0x1a /* with OUT2 and RTS, which come back as DCD and CTS */
#define MSR_LOOPED 0x90
#define CLOCK 1843200
#define SPIN_MAX 100000
#define POLL_MS 10
#define POLL_BUSY_MS 1 /* the FIFO of 16 bytes is full after 1.4 ms at 115,200 baud */

static struct serial_port uart;
static volatile u8 *regs; /* mapping of a UART in memory */
static bool is_open, dead;
static void (*read_at)(u64 tsc); /* asks for a serial_read(); NULL: the port is not read */
static u32 irq;			 /* of the 8259; 0: none */
static u32 masked;		 /* (a) it has interrupted, and serial_read() is due */
static bool interrupts;		 /* they work */

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
			dead = true; /* unplugged: it must not slow the machine down */
			return;
		}
	out(UART_DATA, (u8)c);
}

void serial_write(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && is_open && !dead; i++)
		put(bytes[i]);
}

static void write_lines(const char *s, size_t len)
{
	for (size_t i = 0; i < len && !dead; i++) {
		if (s[i] == '\n')
			put('\r');
		put(s[i]);
	}
}

static struct log_sink sink = { .write = write_lines };

/* Tests the scratch register, or, for UARTs without it, the loopback. */
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

struct log_sink *serial_sink(void)
{
	return is_open ? &sink : NULL;
}

void serial_listen(void (*ask)(u64 tsc))
{
	if (!is_open)
		return;
	read_at = ask;
	read_at(plat_tsc());
	if (uart.mmio || (uart.base & ~0x110UL) != 0x2e8)
		return; /* not COM1 to COM4 */
	irq = uart.base & 0x100 ? 4 : 3;
	out(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	pic_unmask(irq);
	/*
	 * The transmitter is empty and so interrupts at once: that tests whether interrupts reach
	 * us.
	 */
	out(UART_IER, IER_RX | IER_TX);
}

/* The 8259 sees edges: the line goes down here, and up once serial_read() has read. */
void serial_interrupt(u32 line)
{
	if (!irq || line != irq)
		return;
	out(UART_IER, 0);
	pic_eoi();
	atomic_store_release(&masked, 1u);
	read_at(plat_tsc());
}

u32 serial_read(char *bytes, u32 max)
{
	u32 n = 0, tries;

	if (!read_at || dead)
		return 0;
	for (tries = 0; tries < max; tries++) {
		u8 status = in(UART_LSR), byte;

		if (status == 0xff) /* unplugged */
			dead = true;
		if (dead || !(status & LSR_READY))
			break;
		byte = in(UART_DATA);
		if (!(status & LSR_BAD))
			bytes[n++] = (char)byte;
	}
	if (atomic_swap(&masked, 0u)) {
		out(UART_IER, IER_RX); /* a byte that already waits makes an edge */
		if (!interrupts)
			log_line("console: serial port %lx interrupts", uart.base);
		interrupts = true;
	}
	if (tries || !interrupts)
		read_at(plat_tsc() + (tries ? POLL_BUSY_MS : POLL_MS) * plat_tsc_khz());
	return n;
}
