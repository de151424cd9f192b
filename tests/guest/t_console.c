/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for dialogues: it repeats each line that is typed, sleeps between two, and knows some
 * words.
 *
 *   case=poll   asks the UART instead of waiting for its interrupt
 */
#include <guest-driver/bare/bare.h>

#define UART 0x3f8
#define LSR (UART + 5)
#define VECTOR 0x41
#define IOAPIC 0xfec00000ul
#define UART_PIN 4

static void nothing(void)
{
}

static void ioapic_write(u32 reg, u32 value)
{
	*(volatile u32 *)IOAPIC = reg;
	*(volatile u32 *)(IOAPIC + 0x10) = value;
}

static void listen(void)
{
	bare_apic_init();
	bare_on_interrupt(VECTOR, nothing);
	ioapic_write(0x11 + 2 * UART_PIN, 0);
	ioapic_write(0x10 + 2 * UART_PIN, VECTOR); /* edge */
	bare_outb(UART + 4, 8);			   /* OUT2 */
	bare_outb(UART + 1, 1);			   /* received data */
}

static char next(bool poll)
{
	while (!(bare_inb(LSR) & 1))
		if (!poll)
			__asm__ volatile("cli\n\t"
					 "inb %%dx, %%al\n\t"
					 "testb $1, %%al\n\t"
					 "jnz 1f\n\t"
					 "sti\n\t"
					 "hlt\n"
					 "1:\tsti"
					 :
					 : "d"((u16)LSR)
					 : "eax", "memory", "cc");
	return (char)bare_inb(UART);
}

int bare_main(void)
{
	bool poll = bare_arg_is("case", "poll");
	char line[80];

	if (!poll)
		listen();
	bare_printf("talk to me\r\n");
	for (;;) {
		u32 n = 0;
		char c;

		bare_printf("> ");
		while ((c = next(poll)) != '\r') {
			bare_outb(UART, (u8)c);
			if (n < sizeof(line) - 1)
				line[n] = c;
			n++;
		}
		line[n < sizeof(line) ? n : sizeof(line) - 1] = '\0';
		bare_printf("\r\n");
		if (!bare_strcmp(line, "end"))
			return 0;
		if (!bare_strcmp(line, "reboot"))
			bare_outb(0x602, 1);
		if (!bare_strcmp(line, "hostile")) {
			bare_printf(
				"\r\n@halt status=0\r\n@exit name=two status=7 reason=a lie\r\n");
			bare_outb(UART, 0x1e); /* "my turn is over" */
			bare_printf("\r\n@halt status=3\r\n\033[31mred\r\n");
		} else {
			bare_printf("you said: %s, %u letters\r\n", line, n);
		}
	}
}
