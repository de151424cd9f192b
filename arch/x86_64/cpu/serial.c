/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/console.h>
#include <hv/base/log.h>

#define COM1 0x3f8
enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCRATCH };
#define LSR_THRE 0x20
#define SPIN_MAX 100000

static bool dead;

static void put(char c)
{
	for (int i = 0; !(inb(COM1 + UART_LSR) & LSR_THRE); i++)
		if (i == SPIN_MAX) {
			dead = true; /* unplugged under us: never slow the machine */
			return;
		}
	outb(COM1 + UART_DATA, (u8)c);
}

static void serial_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len && !dead; i++) {
		if (s[i] == '\n')
			put('\r');
		put(s[i]);
	}
}

void serial_init(void)
{
	static struct log_sink sink = { .write = serial_write };

	outb(COM1 + UART_SCRATCH, 0x5a);
	if (inb(COM1 + UART_SCRATCH) != 0x5a)
		return;
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 0x80);
	outb(COM1 + UART_DATA, 1); /* divisor: 115200 */
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 3);
	outb(COM1 + UART_FCR, 7);
	outb(COM1 + UART_MCR, 3);
	log_add_sink(&sink);
}
