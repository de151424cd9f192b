/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fuzz/machine/machine.h>

#include <hv/apic/lapic_regs.h>
#include <hv/dev/console.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/dev/bus.h>
#include <hv/emulate/mmio.h>
#include <hv/exit/io.h>
#include <hv/memory/governor.h>
#include <hv/vm/sched.h>

#define TOUCHES_MAX 64
#define SPINS_MAX 8	 /* pieces of background work in a row before other work */
#define END_STEPS 100000 /* entries and idle turns until all VMs must have ended */
#define END_IDLE_TICKS (FAKE_KHZ)

static struct input *in;
static u32 nr_cpus, spins, end_steps;
static bool tracing;

/* Pages that a vCPU is about to touch: it tries again after a fault, a limited number of times. */
static struct {
	u32 gfn, left, faulted;
} touches[VMS_MAX][2];

/* An operation of the guest on @v; true: it is an exit, which is in @e. */
typedef bool (*op_fn)(struct vcpu *v, struct vmexit *e);

static bool touch(struct vcpu *v, u32 gfn, struct vmexit *e)
{
	if (gfn >= GFNS_MAX || oracle_touch(v, gfn))
		return false;
	*e = (struct vmexit){ .kind = EXIT_P2M_FAULT };
	e->fault.gpa = GPA((u64)gfn << PAGE_SHIFT);
	e->fault.write = true;
	return true;
}

/* The pages that guests use; few, so that their uses meet. */
static u32 some_gfn(const struct vcpu *v)
{
	return FIRST_GFN + in_16(in) % ((u32)v->vm->pages - FIRST_GFN);
}

static bool op_touch(struct vcpu *v, struct vmexit *e)
{
	return touch(v, some_gfn(v), e);
}

static bool go_on(struct vcpu *v, struct vmexit *e)
{
	__typeof__(touches[0][0]) *t = &touches[v->vm->id][v->index];

	for (; t->left; t->left--, t->gfn++)
		if (touch(v, t->gfn, e)) {
			if (t->faulted == t->gfn)
				t->left = 0; /* again */
			t->faulted = t->gfn;
			return true;
		}
	return false;
}

static bool op_touch_many(struct vcpu *v, struct vmexit *e)
{
	u32 gfn = some_gfn(v), n = 1 + in_8(in) % TOUCHES_MAX;

	touches[v->vm->id][v->index].gfn = gfn;
	touches[v->vm->id][v->index].left = n;
	return go_on(v, e);
}

/* An exit that a CPU may report at any address. */
static bool op_fault(struct vcpu *v, struct vmexit *e)
{
	u8 how = in_8(in);

	(void)v;
	*e = (struct vmexit){ .kind = EXIT_P2M_FAULT };
	e->fault.gpa = GPA(how & 16 ? 0xffff0 : /* where a CPU begins after a reset */
				   how & 8 ? in_number(in) & (BIT(52) - 1) :
					     (u64)in_16(in) << PAGE_SHIFT);
	e->fault.read = how & 1;
	e->fault.write = how & 2;
	e->fault.exec = how & 4;
	return true;
}

/* --- hypercalls --- */

static bool hypercall(struct vcpu *v, struct vmexit *e, u64 rax, u64 rbx, u64 rcx, u64 rdx)
{
	v->gpr[GPR_RAX] = rax;
	v->gpr[GPR_RBX] = rbx;
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RDX] = rdx;
	*e = (struct vmexit){ .kind = EXIT_HYPERCALL, .length = 3 };
	return true;
}

/* Pages in a row or scattered; the input says where the driver's own bytes are. */
static bool op_batch(struct vcpu *v, struct vmexit *e)
{
	static const u32 calls[] = { AERO_CALL_LOCK, AERO_CALL_UNLOCK, AERO_CALL_REPORT,
				     AERO_CALL_LOCK };
	u8 form = in_8(in);
	u64 entry[AERO_BATCH_MAX], gfn = some_gfn(v), step = form & 4 ? 512 : 1 + (form >> 6);
	u32 n = 1 + (form & 8 ? in_16(in) % AERO_BATCH_MAX : in_8(in) % 16);
	bool large = form & 4;

	if (form & 16) /* from the start of the VM's memory, where its kernel is */
		gfn -= FIRST_GFN;
	for (u32 i = 0; i < n; i++, gfn += step) {
		u64 at = large ? ALIGN_DOWN(gfn, 512UL) : gfn;

		entry[i] = at << PAGE_SHIFT | large;
		if (form & 32 && i % 16 == 7)
			entry[i] = in_number(in);
	}
	if (guest_write(&v->vm->p2m, GPA(BATCH_GPA), entry, n * sizeof(entry[0])))
		return false;
	return hypercall(v, e, calls[form & 3], BATCH_GPA, n, 0);
}

static bool op_driver(struct vcpu *v, struct vmexit *e)
{
	switch (in_8(in) % 8) {
	case 0:
		return hypercall(v, e, AERO_CALL_POLL, 0, 0, 0);
	case 1:
		return hypercall(v, e, AERO_CALL_GROW, in_16(in), 0, 0);
	case 2:
		return hypercall(v, e, AERO_CALL_DOORBELL, in_16(in) % 300, in_8(in), 0);
	case 3:
		return hypercall(v, e, AERO_CALL_STATS, (u64)in_16(in) << 8, 0, 0);
	default:
		return hypercall(v, e, AERO_CALL_START, AERO_ABI_VERSION, UINT64_MAX, 0);
	}
}

static bool op_manage(struct vcpu *v, struct vmexit *e)
{
	u64 number = AERO_CALL_HOST_INFO + in_8(in) % 13, id = in_8(in) % (VMS_MAX + 1);

	switch (number) {
	case AERO_CALL_HOST_INFO:
		return hypercall(v, e, number, in_number(in), 0, 0);
	case AERO_CALL_SET:
		return hypercall(v, e, number, id, in_8(in) % 4, in_number(in));
	default:
		return hypercall(v, e, number, id, in_number(in), 0);
	}
}

static bool op_any_call(struct vcpu *v, struct vmexit *e)
{
	u64 rax = in_number(in), rbx = in_number(in), rcx = in_number(in), rdx = in_number(in);

	hypercall(v, e, rax ^ AERO_CALL_START, rbx, rcx, rdx);
	e->cpl = rax & BIT(20) ? 3 : 0;
	return true;
}

/* --- other exits --- */

static bool op_port(struct vcpu *v, struct vmexit *e)
{
	static const u16 ports[] = { UART_PORT,	   UART_PORT + 1, UART_PORT + 3,      RTC_PORT,
				     RTC_PORT + 1, PORT_EXIT,	  PORT_SLEEP_CONTROL, PORT_RESET };
	u8 form = in_8(in);

	*e = (struct vmexit){ .kind = EXIT_IO, .length = 1 };
	e->io.port = form & 8 ? in_16(in) : ports[form & 7];
	e->io.size = (u8)(1 << (form >> 4) % 3);
	e->io.in = form & 0x40;
	v->gpr[GPR_RAX] = in_8(in);
	return true;
}

static bool op_msr(struct vcpu *v, struct vmexit *e)
{
	static const u32 bases[] = { 0x800, 0x4b564d00, 0xc0000080, 0 };
	u8 form = in_8(in);
	u64 value = in_number(in);

	*e = (struct vmexit){ .kind = form & 4 ? EXIT_RDMSR : EXIT_WRMSR, .length = 2 };
	v->gpr[GPR_RCX] = bases[form & 3] + in_8(in);
	v->gpr[GPR_RAX] = (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	return true;
}

static bool op_simple_exit(struct vcpu *v, struct vmexit *e)
{
	static const enum vmexit_kind kinds[] = {
		EXIT_INTERRUPT, EXIT_PREEMPT,	       EXIT_HLT,	EXIT_PAUSE,
		EXIT_CPUID,	EXIT_INTERRUPT_WINDOW, EXIT_NMI_WINDOW, EXIT_CACHE,
		EXIT_UNDEFINED, EXIT_SHUTDOWN,	       EXIT_NONE,	EXIT_HLT,
	};

	(void)v;
	*e = (struct vmexit){ .kind = kinds[in_8(in) % ARRAY_SIZE(kinds)], .length = 1 };
	return true;
}

static bool op_cpu(struct vcpu *v, struct vmexit *e)
{
	u8 how = in_8(in);

	(void)e;
	fake_of(v)->interruptible = how & 1;
	fake_of(v)->nmi_allowed = how & 2;
	return false;
}

/* --- devices; the guest's instruction is left out --- */

static bool op_apic(struct vcpu *v, struct vmexit *e)
{
	u32 at = (in_8(in) & 0x3fu) << 4, value = (u32)in_number(in);

	*e = (struct vmexit){ .kind = EXIT_NONE };
	mmio_write(v, GPA(LAPIC_DEFAULT_BASE + at), 4, value);
	return true;
}

/* A CPU switches its APIC on, and starts the others. */
static bool op_smp(struct vcpu *v, struct vmexit *e)
{
	*e = (struct vmexit){ .kind = EXIT_NONE };
	mmio_write(v, GPA(LAPIC_DEFAULT_BASE + R_SVR), 4, SVR_ENABLE | 0xff);
	mmio_write(v, GPA(LAPIC_DEFAULT_BASE + R_ICR), 4, 0xc4500);
	mmio_write(v, GPA(LAPIC_DEFAULT_BASE + R_ICR), 4, 0xc4610);
	return true;
}

static u64 device_at(u8 slot, u32 reg)
{
	return VIRTIO_BASE + slot % VIRTIO_SLOTS * VIRTIO_STRIDE + reg;
}

static bool op_device(struct vcpu *v, struct vmexit *e)
{
	u8 slot = in_8(in), reg = in_8(in);

	*e = (struct vmexit){ .kind = EXIT_NONE };
	if (slot & 8)
		mmio_read(v, GPA(device_at(slot, reg * 2u)), 1u << (slot >> 4 & 3));
	else
		mmio_write(v, GPA(device_at(slot, reg * 4u)), 4, in_number(in));
	return true;
}

/* A driver starts: reset, features, a queue of 8 where it belongs. */
static bool op_device_start(struct vcpu *v, struct vmexit *e)
{
	static const u32 steps[][2] = {
		{ 0x070, 0 },	  { 0x070, 3 },	    { 0x024, 1 },     { 0x020, 1 }, { 0x024, 0 },
		{ 0x020, 0 },	  { 0x070, 11 },    { 0x030, 0 },     { 0x038, 8 }, { 0x080, 0 },
		{ 0x090, 0x80 },  { 0x0a0, 0xa0 },  { 0x044, 1 },     { 0x030, 1 }, { 0x038, 8 },
		{ 0x080, 0x100 }, { 0x090, 0x180 }, { 0x0a0, 0x1a0 }, { 0x044, 1 }, { 0x070, 15 },
	};
	u8 slot = in_8(in) % VIRTIO_SLOTS;
	u32 features = in_8(in);

	*e = (struct vmexit){ .kind = EXIT_NONE };
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		u32 reg = steps[i][0], value = steps[i][1];

		if (reg >= 0x080)
			value += RINGS_GPA + slot * PAGE_SIZE;
		if (i == 5)
			value = features;
		mmio_write(v, GPA(device_at(slot, reg)), 4, value);
	}
	return true;
}

/* Descriptors and indices of such a queue, and notice of it. */
static bool op_ring(struct vcpu *v, struct vmexit *e)
{
	u8 slot = in_8(in), n = in_8(in) % 8;
	u64 at = RINGS_GPA + slot % VIRTIO_SLOTS * PAGE_SIZE + (slot & 8 ? 0x100 : 0);

	*e = (struct vmexit){ .kind = EXIT_NONE };
	for (u32 i = 0; i < n; i++) {
		u8 form = in_8(in);
		struct {
			u64 gpa;
			u32 length;
			u16 flags, next;
		} d = { (u64)in_16(in) << 8, in_16(in), form & 3, (u16)((i + 1) % 8) };

		if (form & 4)
			d.length <<= 8;
		guest_write(&v->vm->p2m, GPA(at + i * sizeof(d)), &d, sizeof(d));
	}
	for (u32 i = 0; i < 2; i++) { /* index, and the first entry */
		u16 value = in_8(in) % 16;

		guest_write(&v->vm->p2m, GPA(at + 0x82 + 2 * i), &value, sizeof(value));
	}
	mmio_write(v, GPA(device_at(slot, 0x050)), 4, slot >> 3 & 3);
	return true;
}

/* A byte of memory: mostly memory that a device reads. */
static bool op_poke(struct vcpu *v, struct vmexit *e)
{
	u64 gpa = in_32(in) % MIB(2);
	u64 value = in_number(in);

	(void)e;
	guest_write(&v->vm->p2m, GPA(ALIGN_DOWN(gpa, 4)), &value, 4);
	return false;
}

/* --- the world outside --- */

static bool op_time(struct vcpu *v, struct vmexit *e)
{
	(void)v;
	(void)e;
	fake.tsc += 1UL << in_8(in) % 36;
	return false;
}

static bool op_switch(struct vcpu *v, struct vmexit *e)
{
	(void)v;
	(void)e;
	cpus_switch(in_8(in) % nr_cpus);
	return false;
}

static bool op_host(struct vcpu *v, struct vmexit *e)
{
	u8 what = in_8(in);
	struct vm *vm = vms[(what >> 4) % nr_vms];

	(void)v;
	(void)e;
	switch (what & 15) {
	case 0:
		frame_poison(fake.first + in_16(in) % (fake.nr_frames - fake.first));
		break;
	case 1:
		vm_pause(vm);
		break;
	case 2:
		vm_resume(vm);
		break;
	case 3:
		vm_queue_start(vm);
		break;
	case 4:
		vm_press_power(vm);
		break;
	case 5:
		vm_end(vm, 1, "by hand");
		break;
	case 6:
		manage_target(vm, in_16(in));
		break;
	case 7:
		manage_min(vm, in_16(in));
		break;
	case 8:
		manage_max(vm, in_16(in));
		break;
	case 9:
		operator_typed((const char *)"\001ab\001?x", in_8(in) % 7);
		break;
	case 10:
		oracle_check();
		break;
	}
	return false;
}

#define OP(name)                 \
	{                        \
		op_##name, #name \
	}

/* make_seeds knows this order. */
static const struct {
	op_fn fn;
	const char *name;
} ops[] = {
	OP(touch),    OP(touch_many), OP(batch),	OP(batch), OP(driver),	    OP(manage),
	OP(any_call), OP(port),	      OP(msr),		OP(fault), OP(simple_exit), OP(cpu),
	OP(apic),     OP(device),     OP(device_start), OP(ring),  OP(poke),	    OP(time),
	OP(switch),   OP(host),	      OP(smp),
};

/* --- the end: all VMs are stopped, and all their frames must come back ------------------ */

static void end_step(void)
{
	for (u32 i = 0; i < nr_vms; i++)
		vm_end(vms[i], 0, "the input ends");
	fuzz_assert(++end_steps < END_STEPS, "VMs do not end");
	fake.tsc += END_IDLE_TICKS;
	if (vm_all_ended() && !frames_stats().quarantine)
		cpus_leave();
	cpus_switch((fake.cpu + 1) % nr_cpus);
}

/* --- seams ---------------------------------------------------------------------------- */

/* The next operation of @v; true: an exit. */
static bool step(struct vcpu *v, struct vmexit *e)
{
	u8 op = in_8(in);

	fake.tsc += FAKE_KHZ / 1000;
	/* A kick arrives later. */
	if (fake.kicked & BIT(fake.cpu) && op & 0x80) {
		fake.kicked &= ~BIT(fake.cpu);
		e->kind = EXIT_INTERRUPT;
		return true;
	}
	op = (op & 0x7f) % ARRAY_SIZE(ops);
	if (tracing)
		fprintf(stderr, "cpu %u, vm %s/%u: %s\n", fake.cpu, v->vm->cfg->name, v->index,
			ops[op].name);
	return ops[op].fn(v, e);
}

static void run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	spins = 0;
	*e = (struct vmexit){ .kind = EXIT_PREEMPT };
	while (in_left(in)) {
		if (go_on(v, e) || step(v, e))
			return;
		if (fake.tsc >= deadline) {
			*e = (struct vmexit){ .kind = EXIT_PREEMPT };
			return;
		}
	}
	end_step();
	fake.tsc = max(fake.tsc, deadline);
}

/* Uses up a byte of the input each time, so that it ends even if no guest may run. */
static void idle(u64 deadline, const u32 *wake)
{
	u8 how;

	spins = 0;
	if (!in_left(in)) {
		end_step();
		return;
	}
	how = in_8(in);
	fake.kicked &= ~BIT(fake.cpu);
	if (atomic_load(wake))
		return;
	if (how & 1)
		cpus_switch((how >> 1) % nr_cpus);
	else if (deadline != UINT64_MAX)
		fake.tsc = max(fake.tsc, deadline);
	else /* only other CPUs can make something happen here */
		cpus_switch((fake.cpu + 1) % nr_cpus);
}

/* While another CPU still runs a VM, the CPU that takes it apart tries again. */
bool guests_worked(bool worked)
{
	if (worked && ++spins > SPINS_MAX) {
		spins = 0;
		if (!in_left(in))
			end_step();
		else
			cpus_switch((fake.cpu + 1) % nr_cpus);
	}
	return worked;
}

void guests_start(struct input *input, u32 cpus)
{
	in = input;
	tracing = getenv("V");
	nr_cpus = cpus;
	fake.on_idle = idle;
	fake_cpu.on_run = run;
	fake_cpu.on_flush = oracle_flush;
}
