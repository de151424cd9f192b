/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of a PC: UART, clock, local APICs and the I/O APIC, by port, MSR and memory, from
 * two vCPUs, with interrupts delivered in between; and the terminal's input and output.
 */
#include <tests/fake/guest.h>
#include <tests/fuzz/fuzz.h>

#include <hv/apic/lapic_regs.h>
#include <hv/apic/pvclock.h>
#include <hv/apic/pvcpu.h>
#include <hv/dev/console.h>
#include <hv/control/operator.h>
#include <hv/base/terminal.h>
#include <hv/base/log.h>
#include <hv/emulate/mmio.h>
#include <hv/exit/cpuid.h>
#include <hv/exit/io.h>
#include <hv/vm/sched.h>
#include <mm/epoch.h>

#define VCPUS 3

static struct vm_config cfg;
static struct vm *vm;
static struct input *in;

void fuzz_setup(void)
{
}

static struct vcpu *some(u8 which)
{
	return vm->vcpus[which % VCPUS];
}

static void op_port(void)
{
	static const u16 bases[] = { 0x3f8, 0x70, 0x600, 0 };
	u8 form = in_8(in);
	u16 port = form & 3 ? bases[(form & 3) - 1] + (form >> 2 & 7) : in_16(in);
	u64 rax;

	rax = guest_port(some(0), port, (u8)(1 << (form >> 5) % 3), form & 0x80, in_8(in));
	fuzz_assert(!(form & 0x80) || (form >> 5) % 3 != 2 || !(rax >> 32), "%lx", rax);
}

static void op_lapic(void)
{
	u8 form = in_8(in);
	gpa_t at = GPA(LAPIC_DEFAULT_BASE + (in_8(in) << 4));

	if (form & 0x80)
		mmio_read(some(form), at, 4);
	else
		mmio_write(some(form), at, form & 0x40 ? 1 + in_8(in) % 8 : 4, in_number(in));
}

static void op_ioapic(void)
{
	static const u8 registers[] = { 0x00, 0x10, 0x40, 0x20 };
	u8 form = in_8(in);
	gpa_t at = GPA(IOAPIC_BASE + (form & 4 ? in_8(in) : registers[form & 3]));

	if (form & 0x80)
		mmio_read(some(form >> 4), at, 1 + (form >> 3 & 7));
	else
		mmio_write(some(form >> 4), at, 4, in_number(in));
}

static void op_line(void)
{
	u8 form = in_8(in);

	ioapic_set_line(vm, form % IOAPIC_PINS, form & 0x80);
}

static void op_msr(void)
{
	static const u32 bases[] = {
		0x800, MSR_PV_WALL_CLOCK, MSR_PV_STEAL_TIME, 0x10, 0x6e0, 0x1b
	};
	u8 form = in_8(in);
	u32 msr = bases[(form & 7) % 6] + in_8(in) % 64;
	struct vcpu *v = some(form >> 4);

	v->state = VCPU_RUNNING;
	if (form & 8)
		guest_rdmsr(v, msr);
	else
		guest_wrmsr(v, msr, in_number(in));
}

/* Plays an entry without a guest: delivers interrupts and lets timers run out. */
static void op_enter(void)
{
	struct vcpu *v = some(in_8(in));

	fake_of(v)->interruptible = in_8(in) & 1;
	fake_of(v)->nmi_allowed = in_8(in) & 1;
	v->state = VCPU_RUNNING;
	v->slice_end = fake.tsc + 1000;
	v->halted = false;
	vcpu_execute(v);
	v->state = VCPU_HALTED;
}

static void op_time(void)
{
	fake.tsc += 1UL << in_8(in) % 44;
}

static void op_raise(void)
{
	u8 form = in_8(in);

	lapic_accept_vector(some(form), in_8(in), form & 0x80);
}

static void op_console(void)
{
	char bytes[OPERATOR_TYPED_MAX];
	size_t n = in_8(in) % sizeof(bytes);
	const u8 *from = in_take(in, &n);

	memcpy(bytes, from, n);
	if (in_8(in) & 1)
		operator_typed(bytes, n);
	else
		console_output(vm, bytes, n);
	operator_tick(fake.tsc);
	console_tick(fake.tsc);
}

static void op_cpuid(void)
{
	struct vcpu *v = some(0);
	struct vmexit e = { .kind = EXIT_CPUID, .length = 2 };

	v->gpr[GPR_RAX] = in_number(in);
	v->gpr[GPR_RCX] = in_8(in);
	exit_dispatch(v, &e);
}

static void (*const ops[])(void) = {
	op_port, op_lapic, op_ioapic,  op_line,	 op_msr,   op_enter,
	op_time, op_raise, op_console, op_cpuid, op_lapic, op_ioapic,
};

/* Interrupts that an APIC has taken must have valid vectors. */
static void check(void)
{
	for (u32 i = 0; i < VCPUS; i++) {
		const struct lapic *l = &vm->vcpus[i]->lapic;

		fuzz_assert(!(l->irr[0] & 0xffff), "vCPU %u: IRR %x", i, l->irr[0]);
		fuzz_assert(!(l->regs[R_ISR / 16] & 0xffff), "vCPU %u: ISR %x", i,
			    l->regs[R_ISR / 16]);
	}
}

/* The host CPU's features: mostly all of them, else the input chooses. */
static void make_cpu(u8 form)
{
	static const u32 leaves[] = {
		0, 1, 4, 7, 0xb, 0xd, 0x15, 0x80000000, 0x80000001, 0x80000008
	};

	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
		u32 *c = fake_cpu.cpuid[fake_cpu.nr_cpuid++];

		memset(c, form & 1 ? 0xff : 0, 6 * sizeof(u32));
		c[0] = leaves[i];
		c[1] = 0;
		for (u32 r = 2; form & 2 && r < 6; r++)
			c[r] = in_32(in);
	}
	fake_cpu.cpuid[0][2] = 0x15;
	fake_cpu.cpuid[7][2] = 0x80000008;
	fake_cpu.arch_capabilities = form & 4 ? UINT64_MAX : 0;
	fake_cpu.xcr0 = form & 8 ? 0xe7 : 7;
	cpuid_init();
}

/* The terminal gets the bytes of the VM that has it unchanged. */
static void show(const char *bytes, size_t n)
{
	fuzz_assert(bytes && n, "nothing is shown");
}

static struct log_sink terminal = { .write = show };

void fuzz_one(struct input *input)
{
	in = input;
	guest_machine(MIB(8), 1);
	fuzz_watch_log();
	make_cpu(in_8(in));
	terminal_open(show, &terminal);
	cfg = guest_config("vm");
	cfg.memory = cfg.max = MIB(4);
	vm = guest_start_smp(&cfg, VCPUS);
	fake.wall_us = 1700000000000000;
	operator_begin(vm);
	while (in_left(in) && vm->state == VM_RUNNING) {
		ops[in_8(in) % ARRAY_SIZE(ops)]();
		epoch_quiescent(0, epoch_now());
	}
	check();
	tables_check(&vm->p2m);
}
