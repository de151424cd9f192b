/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/dev/console.h>
#include <hv/vm/vm.h>

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_RX BIT(0)
#define IER_TX BIT(1)
#define IER_LSR BIT(2)
#define IER_MSR BIT(3)
/* Identification, in the order of priority; the datasheet's table "Interrupt Control Functions" */
#define IIR_LSR 0x06
#define IIR_RX 0x04
#define IIR_TIMEOUT 0x0c /* less than the trigger level, and nothing follows */
#define IIR_TX 0x02
#define IIR_MSR 0x00
#define IIR_NONE 0x01
#define IIR_FIFOS 0xc0
#define FCR_ENABLE BIT(0)
#define FCR_CLEAR_RX BIT(1)
#define LCR_DLAB 0x80
#define MCR_DTR BIT(0)
#define MCR_RTS BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3) /* on a PC it gates the interrupt */
#define MCR_LOOP BIT(4)
#define LSR_READY BIT(0)
#define LSR_OVERRUN BIT(1)
#define LSR_IDLE 0x60
#define MSR_TERI BIT(2)
#define MSR_CTS BIT(4)
#define MSR_DSR BIT(5)
#define MSR_RI BIT(6)
#define MSR_DCD BIT(7)

void uart_reset(struct vm *vm)
{
	struct uart *u = &vm->uart;

	u->ier = u->fcr = u->lcr = u->mcr = u->scratch = u->dll = u->dlm = u->msr_delta = 0;
	u->thr_interrupt = u->overrun = u->line_up = false;
	u->head = u->tail = 0;
	console_attach(vm, uart_input);
}

/* --- the interrupt ---------------------------------------------------------------- */

static u32 available(const struct uart *u)
{
	return u->head - u->tail;
}

static u32 trigger_level(const struct uart *u)
{
	static const u8 levels[] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

/* The most important thing to tell. */
static u32 identify(const struct uart *u)
{
	if (u->ier & IER_LSR && u->overrun)
		return IIR_LSR;
	if (u->ier & IER_RX && available(u))
		return available(u) >= trigger_level(u) ? IIR_RX : IIR_TIMEOUT;
	if (u->ier & IER_TX && u->thr_interrupt)
		return IIR_TX;
	if (u->ier & IER_MSR && u->msr_delta)
		return IIR_MSR;
	return IIR_NONE;
}

/* With the lock held, or two changes could reach the I/O APIC in the wrong order. */
static void update_line(struct vm *vm)
{
	struct uart *u = &vm->uart;
	bool up = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && identify(u) != IIR_NONE;

	if (up == u->line_up)
		return;
	u->line_up = up;
	ioapic_set_line(vm, UART_PIN, up);
}

/* --- registers ---------------------------------------------------------------------- */

static void receive(struct uart *u, u8 byte)
{
	if (available(u) == UART_INPUT_MAX)
		u->overrun = true;
	else
		u->input[u->head++ % UART_INPUT_MAX] = byte;
}

/* The modem is there and ready; in loopback MCR's outputs are its lines. */
static u32 modem_lines(u32 mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void mcr_write(struct uart *u, u32 value)
{
	u32 before = modem_lines(u->mcr), after = modem_lines(value);

	/* RI tells its end only. */
	u->msr_delta |= (u8)(((before ^ after) >> 4 & ~(u32)MSR_TERI) |
			     ((before & ~after) >> 4 & MSR_TERI));
	u->mcr = value & 0x1f;
}

/* Clears as much as fits into the FIFO: the rest has, so to speak, not arrived yet. */
static void fcr_write(struct uart *u, u32 value)
{
	u32 depth = u->fcr & FCR_ENABLE ? 16 : 1;

	if (value & FCR_CLEAR_RX)
		u->tail += min(available(u), depth);
	u->fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
}

static void ier_write(struct vm *vm, u32 value)
{
	struct uart *u = &vm->uart;

	/* The transmitter is always empty, and says so as soon as it is asked. */
	if (value & ~u->ier & IER_TX)
		u->thr_interrupt = true;
	if (value & ~u->ier & IER_RX)
		console_listen(vm, uart_input);
	u->ier = value & 0x0f;
}

static void transmit(struct vm *vm, u32 byte)
{
	struct uart *u = &vm->uart;

	if (u->mcr & MCR_LOOP)
		receive(u, (u8)byte);
	else
		console_output(vm, &(char){ (char)byte }, 1);
	u->thr_interrupt = true; /* gone already */
}

static u32 read_iir(struct uart *u)
{
	u32 iir = identify(u);

	if (iir == IIR_TX)
		u->thr_interrupt = false;
	return iir | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static u32 read_lsr(struct uart *u)
{
	u32 lsr = LSR_IDLE | (available(u) ? LSR_READY : 0) | (u->overrun ? LSR_OVERRUN : 0);

	u->overrun = false;
	return lsr;
}

static u32 read_register(struct uart *u, u32 index)
{
	u32 value;

	switch (index) {
	case DATA:
		if (u->lcr & LCR_DLAB)
			return u->dll;
		return available(u) ? u->input[u->tail++ % UART_INPUT_MAX] : 0;
	case IER:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case IIR_FCR:
		return read_iir(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return read_lsr(u);
	case MSR:
		value = modem_lines(u->mcr) | u->msr_delta;
		u->msr_delta = 0;
		return value;
	default:
		return u->scratch;
	}
}

static void write_register(struct vm *vm, u32 index, u8 value)
{
	struct uart *u = &vm->uart;

	switch (index) {
	case DATA:
		if (u->lcr & LCR_DLAB)
			u->dll = value;
		else
			transmit(vm, value);
		break;
	case IER:
		if (u->lcr & LCR_DLAB)
			u->dlm = value;
		else
			ier_write(vm, value);
		break;
	case IIR_FCR:
		fcr_write(u, value);
		break;
	case LCR:
		u->lcr = value;
		break;
	case MCR:
		mcr_write(u, value);
		break;
	case SCRATCH:
		u->scratch = value;
		break;
	}
}

/* Guests that poll read LSR before each byte: while it changes nothing, without the lock. */
u32 uart_in(struct vm *vm, u16 port)
{
	struct uart *u = &vm->uart;
	u32 value;

	if (port == UART_PORT + LSR && !atomic_load(&u->overrun))
		return atomic_load(&u->head) == atomic_load(&u->tail) ? LSR_IDLE :
									LSR_IDLE | LSR_READY;
	spin_lock(&vm->uart.lock);
	value = read_register(&vm->uart, port - UART_PORT);
	update_line(vm);
	spin_unlock(&vm->uart.lock);
	return value;
}

void uart_out(struct vm *vm, u16 port, u32 value)
{
	spin_lock(&vm->uart.lock);
	write_register(vm, port - UART_PORT, (u8)value);
	update_line(vm);
	spin_unlock(&vm->uart.lock);
}

u32 uart_input(struct vm *vm, const char *bytes, size_t n)
{
	u32 room;

	spin_lock(&vm->uart.lock);
	for (size_t i = 0; i < n; i++)
		receive(&vm->uart, (u8)bytes[i]);
	update_line(vm);
	room = UART_INPUT_MAX - available(&vm->uart);
	spin_unlock(&vm->uart.lock);
	return room;
}
