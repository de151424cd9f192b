/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/vm.h>

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };
#define LCR_DLAB 0x80
#define LSR_IDLE 0x60
#define MSR_READY 0xb0 /* DCD, DSR, CTS */

/* Guests write any byte; only text reaches the console. */
static char printable(u32 c)
{
	return (c >= ' ' && c < 0x7f) || c == '\t' ? (char)c : '?';
}

static void show(struct vm *vm)
{
	struct uart *u = &vm->uart;

	u->line[u->length] = '\0';
	log_raw("%s| %s", vm->cfg->name, u->line);
	u->length = 0;
}

static void put(struct vm *vm, u32 c)
{
	struct uart *u = &vm->uart;

	c &= 0xff;
	if (c == '\n') {
		show(vm);
		return;
	}
	if (c == '\r')
		return;
	if (u->length == UART_LINE_MAX)
		show(vm);
	u->line[u->length++] = printable(c);
}

void uart_flush(struct vm *vm)
{
	spin_lock(&vm->uart.lock);
	if (vm->uart.length)
		show(vm);
	spin_unlock(&vm->uart.lock);
}

u32 uart_in(struct vm *vm, u16 port)
{
	struct uart *u = &vm->uart;

	switch (port - UART_PORT) {
	case DATA:
		return u->lcr & LCR_DLAB ? u->dll : 0;
	case IER:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case IIR_FCR:
		return 0x01; /* no interrupt pending */
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return LSR_IDLE;
	case MSR:
		return MSR_READY;
	default:
		return u->scratch;
	}
}

void uart_out(struct vm *vm, u16 port, u32 value)
{
	struct uart *u = &vm->uart;

	spin_lock(&u->lock);
	switch (port - UART_PORT) {
	case DATA:
		if (u->lcr & LCR_DLAB)
			u->dll = (u8)value;
		else
			put(vm, value);
		break;
	case IER:
		if (u->lcr & LCR_DLAB)
			u->dlm = (u8)value;
		else
			u->ier = value & 0x0f;
		break;
	case LCR:
		u->lcr = (u8)value;
		break;
	case MCR:
		u->mcr = value & 0x1f;
		break;
	case SCRATCH:
		u->scratch = (u8)value;
		break;
	}
	spin_unlock(&u->lock);
}
