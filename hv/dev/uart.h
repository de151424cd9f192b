/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 whose output becomes lines on the host's console. */
#ifndef HV_DEV_UART_H
#define HV_DEV_UART_H

#include <hv/base/atomic.h>

#define UART_LINE_MAX 160
#define UART_PORT 0x3f8

struct vm;

struct uart {
	struct spinlock lock;
	u8 ier, lcr, mcr, scratch, dll, dlm;
	u32 length;
	char line[UART_LINE_MAX + 1];
};

u32 uart_in(struct vm *vm, u16 port);
void uart_out(struct vm *vm, u16 port, u32 value);
/* Shows an unfinished line. */
void uart_flush(struct vm *vm);

#endif
