/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O ports by table. A port that nobody has reads as all ones, like an empty bus. */
#include <hv/base/platform.h>
#include <hv/exit/exit.h>
#include <hv/emulate/insn.h>
#include <hv/exit/io.h>
#include <hv/vm/vm.h>

#define PM1_SLEEP_ENABLE BIT(13)
#define SLEEP_ENABLE BIT(5)
#define SLEEP_TYPE(value) ((value) >> 2 & 7)
#define CONTROL_A_RESET BIT(0)
#define CONTROL_A_A20 BIT(1)
#define KEYBOARD_BUSY BIT(1) /* its input buffer is full */
#define KEYBOARD_RESET 0xfe
#define CHIPSET_RESET BIT(2)
#define PANIC_STOPPED BIT(0)
#define PANIC_CRASH_KERNEL BIT(1)
#define SLEEP_S5 5 /* as \_S5 in dsdt.asl says */

static u32 in_none(struct vm *vm, u16 port)
{
	(void)vm;
	(void)port;
	return UINT32_MAX;
}

static void out_exit(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	vm_end(vm, (int)(value & 0xff), "exit port");
}

static void out_pm1(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value & PM1_SLEEP_ENABLE)
		vm_end(vm, 0, "power off");
}

static u32 in_zero(struct vm *vm, u16 port)
{
	(void)vm;
	(void)port;
	return 0;
}

static void out_nothing(struct vm *vm, u16 port, u32 value)
{
	(void)vm;
	(void)port;
	(void)value;
}

static void out_sleep(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value & SLEEP_ENABLE && SLEEP_TYPE(value) == SLEEP_S5)
		vm_end(vm, 0, "power off");
}

static void out_reset(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value == RESET_VALUE)
		vm_reboot(vm);
}

/* "System control port A": a fast reset; the line A20 is open, whatever is written. */
static u32 in_control_a(struct vm *vm, u16 port)
{
	(void)vm;
	(void)port;
	return CONTROL_A_A20;
}

static void out_control_a(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value & CONTROL_A_RESET)
		vm_reboot(vm);
}

/* There is no keyboard, but many kernels reset a PC through its controller, which is ready. */
static u32 in_keyboard(struct vm *vm, u16 port)
{
	(void)vm;
	(void)port;
	return (u8)~KEYBOARD_BUSY;
}

static void out_keyboard(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if ((value & 0xff) == KEYBOARD_RESET)
		vm_reboot(vm);
}

/* "Reset Control Register" of PC chipsets. */
static void out_chipset(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value & CHIPSET_RESET)
		vm_reboot(vm);
}

static u32 in_panic(struct vm *vm, u16 port)
{
	(void)vm;
	(void)port;
	return PANIC_STOPPED | PANIC_CRASH_KERNEL;
}

/* One that starts a crash kernel goes on with that. */
static void out_panic(struct vm *vm, u16 port, u32 value)
{
	(void)port;
	if (value & PANIC_STOPPED)
		vm_panicked(vm, "by its panic device");
	else if (value & PANIC_CRASH_KERNEL)
		vm_log(vm, "its kernel has panicked, and starts its crash kernel");
}

/* It counts with the guest's TSC: who measures the one by the other finds what CPUID says. */
static u32 in_pm_timer(struct vm *vm, u16 port)
{
	u64 ticks = plat_tsc() + vm->tsc_offset, hz = plat_tsc_khz() * 1000;
	u64 count = ticks / hz * PM_TIMER_HZ + ticks % hz * PM_TIMER_HZ / hz;

	return (u32)count >> (port - PORT_PM_TIMER) * 8;
}

struct port_row {
	u16 first, last;
	u32 (*in)(struct vm *vm, u16 port);
	void (*out)(struct vm *vm, u16 port, u32 value);
};

static const struct port_row rows[] = {
	{ UART_PORT, UART_PORT + 7, uart_in, uart_out },
	{ RTC_PORT, RTC_PORT + 1, rtc_in, rtc_out },
	{ PORT_KEYBOARD, PORT_KEYBOARD, in_keyboard, out_keyboard },
	{ PORT_CONTROL_A, PORT_CONTROL_A, in_control_a, out_control_a },
	{ PORT_CHIPSET, PORT_CHIPSET, in_zero, out_chipset },
	{ PORT_EXIT, PORT_EXIT, in_none, out_exit },
	{ PORT_PANIC, PORT_PANIC, in_panic, out_panic },
	{ PORT_SLEEP_CONTROL, PORT_SLEEP_CONTROL, in_zero, out_sleep },
	{ PORT_SLEEP_STATUS, PORT_SLEEP_STATUS, in_zero, out_nothing },
	{ PORT_RESET, PORT_RESET, in_zero, out_reset },
	{ PORT_PM1_CONTROL, PORT_PM1_CONTROL, in_none, out_pm1 },
	{ PORT_PM_TIMER, PORT_PM_TIMER + 3, in_pm_timer, out_nothing },
};

static const struct port_row *find(u16 port)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (port >= rows[i].first && port <= rows[i].last)
			return &rows[i];
	return NULL;
}

static u32 ones(u8 size)
{
	return UINT32_MAX >> (32 - size * 8);
}

u32 io_read(struct vm *vm, u16 port, u8 size)
{
	const struct port_row *row = find(port);

	return row ? row->in(vm, port) & ones(size) : ones(size);
}

void io_write(struct vm *vm, u16 port, u8 size, u32 value)
{
	const struct port_row *row = find(port);

	if (row)
		row->out(vm, port, value & ones(size));
}

void exit_io(struct vcpu *v, struct vmexit *e)
{
	u64 *rax = &v->gpr[GPR_RAX];

	if (unlikely(e->io.string)) {
		emulate_string_io(v, e->io.port, e->io.size, e->io.in);
		return;
	}
	if (e->io.in)
		*rax = insn_merge(*rax, io_read(v->vm, e->io.port, e->io.size), e->io.size);
	else
		io_write(v->vm, e->io.port, e->io.size, (u32)*rax);
	vcpu_skip(v, e);
}
