/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A on pin 4 of the I/O APIC.  TI's PC16550D datasheet.  What the guest
 * sends goes to its console (hv/dev/console.h); what is typed waits in a buffer
 * that is longer than the FIFO, so that pasted text is not lost.
 */
#ifndef HV_DEV_UART_H
#define HV_DEV_UART_H

#include <hv/base/lock.h>

#define UART_INPUT_MAX 1024 /* a power of two */
#define UART_PORT 0x3f8
#define UART_PIN 4

struct vm;

struct uart {
	SPINLOCK(LOCK_UART) lock;
	u8 ier, fcr, lcr, mcr, scratch, dll, dlm;
	u8 msr_delta;	    /* changes of the modem's lines since MSR was read */
	bool thr_interrupt; /* "transmitter empty", not yet read from IIR */
	bool overrun;
	bool line_up;	/* the interrupt line */
	u32 head, tail; /* of input; they run freely */
	u8 input[UART_INPUT_MAX];
};

/* As after power-on, its input empty, and a device of the VM's console. While no vCPU runs. */
void uart_reset(struct vm *vm);

/* Accesses to UART_PORT .. UART_PORT + 7. */
u32 uart_in(struct vm *vm, u16 port);
void uart_out(struct vm *vm, u16 port, u32 value);

/*
 * Typed bytes; those without room are lost, and the guest sees an overrun.  Returns
 * how many bytes there is room for now.  Any CPU.
 */
u32 uart_input(struct vm *vm, const char *bytes, size_t n);

#endif
