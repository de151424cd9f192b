/* SPDX-License-Identifier: BSD-2-Clause */
/* Steal time in simulated time, and the end of interrupts by a bit in a hostile guest's memory. */
#include <tests/fake/guest.h>

#include <hv/apic/lapic_regs.h>
#include <hv/apic/pvclock.h>
#include <hv/apic/pvcpu.h>
#include <hv/vm/sched.h>
#include <mm/epoch.h>
#include <mm/guestmem.h>

#define STEAL 0x200000UL
#define FLAG 0x300004UL

static struct vm_config cfg[2];
static struct vm *vm, *other;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	other = NULL;
	cfg[0] = guest_config("vm");
	vm = guest_start_smp(&cfg[0], 2);
	v = vm->vcpus[0];
	while (frame_scrub_one())
		;
	return 0;
}

/* True: done; false: #GP, and RIP stays. */
static bool wrmsr(u32 msr, u64 value)
{
	return guest_wrmsr(v, msr, value) && v->advance == 2;
}

static void give_away(u64 gfn)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, gfn, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
}

static void what_is_refused(void **state)
{
	static const u64 bad[] = { 0xa0000, MIB(16), 0xfee00000, BIT(52), UINT64_MAX << 6 };

	(void)state;
	assert_true(wrmsr(MSR_PV_STEAL_TIME, STEAL | 1));
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(wrmsr(MSR_PV_STEAL_TIME, bad[i] | 1));
		assert_false(wrmsr(MSR_PV_EOI, bad[i] | 1));
	}
	for (u64 bit = 2; bit < 64; bit <<= 1)
		assert_false(wrmsr(MSR_PV_STEAL_TIME, STEAL | bit | 1));
	assert_false(wrmsr(MSR_PV_EOI, FLAG | 3));
	give_away(0x400);
	assert_false(wrmsr(MSR_PV_STEAL_TIME, 0x400001));
	assert_false(wrmsr(MSR_PV_EOI, 0x400001));
	assert_int_equal(vm->balloon.popped, 0);
	assert_int_equal(guest_rdmsr(v, MSR_PV_STEAL_TIME), STEAL | 1);
	assert_int_equal(guest_rdmsr(v, MSR_PV_EOI), FLAG | 1);
	assert_true(wrmsr(MSR_PV_STEAL_TIME, 0));
	assert_true(wrmsr(MSR_PV_EOI, 0));
	assert_int_equal(guest_rdmsr(v, MSR_PV_STEAL_TIME) | guest_rdmsr(v, MSR_PV_EOI), 0);
	assert_int_equal(vm->state, VM_RUNNING);
}

static void use_up_the_host(void)
{
	u32 frame;

	while (!frame_alloc_hv(0, &frame))
		;
}

/* No frame behind it: no #GP; the vCPU waits, with RIP at the WRMSR. */
static void waits_for_memory(void **state)
{
	(void)state;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x3ff000), "x", 1), HV_OK);
	use_up_the_host();
	for (u32 msr = MSR_PV_STEAL_TIME; msr <= MSR_PV_EOI; msr++) {
		v->next = VCPU_READY;
		wrmsr(msr, 0x500001);
		assert_int_equal(fake_of(v)->exception, -1);
		assert_int_equal(v->advance, 0);
		assert_int_equal(v->next, VCPU_NO_MEMORY);
	}
}

static void gone_with_the_vm(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_STEAL_TIME, STEAL | 1));
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	v->waited = 1;
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	fake_settle();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(guest_rdmsr(v, MSR_PV_STEAL_TIME) | guest_rdmsr(v, MSR_PV_EOI) | v->waited,
			 0);
}

/* --- steal time ------------------------------------------------------------------------- */

struct steal {
	u64 ns;
	u32 version, flags;
	u8 preempted, rest[47];
};

static struct steal steal_at(u64 gpa)
{
	struct steal s;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &s, sizeof(s)), HV_OK);
	assert_int_equal(s.version & 1, 0);
	assert_int_equal(s.flags, 0);
	return s;
}

static u64 end, ran;
static bool sleeps;
static u32 seen_preempted, seen_running;

/*
 * The VM reads its area while it runs; the other VM reads its own at the same time, while it does
 * not run.
 */
static void run(struct vcpu *who, u64 deadline, struct vmexit *e)
{
	u64 from = fake.tsc;

	*e = (struct vmexit){ .kind = EXIT_PREEMPT };
	if (who->vm == vm && v->pv_steal)
		seen_running += !steal_at(STEAL).preempted;
	else if (v->pv_steal)
		seen_preempted += steal_at(STEAL).preempted;
	fake.tsc = max(fake.tsc, min(deadline, end));
	if (who->vm == vm) {
		ran += fake.tsc - from;
		if (sleeps)
			*e = (struct vmexit){ .kind = EXIT_HLT, .length = 1 };
	}
	if (fake.tsc >= end) {
		atomic_store(&vm->state, VM_PAUSED);
		if (other)
			atomic_store(&other->state, VM_PAUSED);
	}
}

static void idle(u64 deadline, const u32 *wake)
{
	if (atomic_load(wake))
		return;
	fake.tsc = max(fake.tsc, min(deadline, end));
	if (fake.tsc >= end) {
		epoch_idle_leave(fake.cpu);
		longjmp(fake.power_off, 1);
	}
}

static void simulate(u64 ticks)
{
	ran = seen_preempted = seen_running = 0;
	end = fake.tsc + ticks;
	fake_cpu.on_run = run;
	fake.on_idle = idle;
	if (!setjmp(fake.power_off))
		sched_loop();
}

static void start_other(u32 shares)
{
	cfg[1] = guest_config("other");
	cfg[1].shares = shares;
	other = guest_start(&cfg[1]);
	while (frame_scrub_one())
		;
}

/*
 * Time in which it does not run is stolen: its shares are for two vCPUs, of which one runs, so two
 * thirds are.
 */
static void stolen_by_another(void **state)
{
	u64 total = 3000 * FAKE_KHZ;
	struct steal s;

	(void)state;
	start_other(1000);
	assert_true(wrmsr(MSR_PV_STEAL_TIME, STEAL | 1));
	assert_int_equal(steal_at(STEAL).ns, 0);
	simulate(total);
	s = steal_at(STEAL);
	assert_in_range(s.ns, total - ran - 20 * FAKE_KHZ, total - ran);
	assert_in_range(s.ns, 1900 * FAKE_KHZ, 2100 * FAKE_KHZ);
	assert_true(s.version > 100);
	assert_true(seen_preempted > 100 && seen_running > 100);
	for (size_t i = 0; i < sizeof(s.rest); i++)
		assert_int_equal(s.rest[i], 0);
	/* At another address the count goes on. */
	assert_true(wrmsr(MSR_PV_STEAL_TIME, 0x280001));
	assert_true(steal_at(0x280000).ns >= s.ns);
	assert_int_equal(steal_at(0x280000).preempted, 0);
}

/* Alone, asleep, or paused by an operator: no time is stolen. */
static void nothing_stolen(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_STEAL_TIME, STEAL | 1));
	simulate(1000 * FAKE_KHZ);
	assert_int_equal(steal_at(STEAL).ns, 0);
	assert_int_equal(ran, 1000 * FAKE_KHZ);
	fake.tsc += 1000 * FAKE_KHZ;
	assert_int_equal(vm_resume(vm), HV_OK);
	simulate(1000 * FAKE_KHZ);
	assert_int_equal(steal_at(STEAL).ns, 0);
	vm_resume(vm);
	sleeps = true;
	start_other(1000);
	simulate(1000 * FAKE_KHZ);
	sleeps = false;
	assert_in_range(steal_at(STEAL).ns, 0, 20 * FAKE_KHZ);
}

/* The area is given to the balloon: nothing is written or backed, and the VM goes on. */
static void steal_area_gone(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_STEAL_TIME, STEAL | 1));
	give_away(STEAL >> PAGE_SHIFT);
	pvcpu_steal_begin(v);
	pvcpu_steal_preempted(v);
	assert_int_equal(vm->p2m.ballooned, 1);
	assert_int_equal(vm->balloon.popped, 0);
	assert_int_equal(vm->state, VM_RUNNING);
}

/* --- EOI by a bit --------------------------------------------------------------------------- */

static u8 flag(void)
{
	u8 f;

	assert_int_equal(guest_read(&vm->p2m, GPA(FLAG), &f, 1), HV_OK);
	return f;
}

/* As Linux's handler does it: true: no EOI has to be written. */
static bool test_and_clear(void)
{
	u8 f = flag(), none = f & 0xfe;

	guest_write(&vm->p2m, GPA(FLAG), &none, 1);
	return f & 1;
}

static void leave(struct vcpu *who, u64 deadline, struct vmexit *e)
{
	(void)deadline;
	*e = (struct vmexit){ .kind = EXIT_NONE };
	who->slice_end = 0;
}

/* One entry into the guest, with delivery of an interrupt; returns its vector, or -1. */
static int enter(void)
{
	fake_cpu.on_run = leave;
	fake_of(v)->interrupt = -1;
	v->slice_end = UINT64_MAX;
	vcpu_execute(v);
	return fake_of(v)->interrupt;
}

static u32 isr(u8 vector)
{
	return v->lapic.regs[(R_ISR >> 4) + vector / 32] >> vector % 32 & 1;
}

static void eoi_without_exit(void **state)
{
	(void)state;
	lapic_raise(v, 0x31);
	assert_int_equal(enter(), 0x31);
	assert_int_equal(flag(), 0); /* not asked for */
	lapic_mmio_write(v, R_EOI, 0);
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	for (int i = 0; i < 5; i++) {
		lapic_raise(v, 0x31);
		assert_int_equal(enter(), 0x31);
		assert_true(isr(0x31));
		assert_int_equal(flag(), 1);
		assert_true(test_and_clear());
	}
	/* One of another class, below it: it sees that the former is over. */
	lapic_raise(v, 0x21);
	assert_int_equal(enter(), 0x21);
	assert_false(isr(0x31));
	assert_true(test_and_clear());
	/* Reads of the registers show that, too. */
	assert_int_equal(lapic_mmio_read(v, R_ISR + 0x10), 0);
	assert_int_equal(lapic_mmio_read(v, R_PPR), 0);
}

/* One interrupt waits for the end of the other: the guest must exit. */
static void another_waits(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_raise(v, 0x35);
	lapic_raise(v, 0x31);
	assert_int_equal(enter(), 0x35);
	assert_false(test_and_clear());
	lapic_mmio_write(v, R_EOI, 0);
	assert_int_equal(enter(), 0x31);
	assert_int_equal(flag(), 1);
	/* It comes when the offer has been made. */
	lapic_raise(v, 0x30);
	assert_int_equal(enter(), -1);
	assert_true(isr(0x31));
	assert_false(test_and_clear());
	lapic_mmio_write(v, R_EOI, 0);
	assert_int_equal(enter(), 0x30);
	/* Nested: the guest writes both EOIs, except the last. */
	lapic_raise(v, 0x80);
	assert_int_equal(enter(), 0x80);
	assert_true(isr(0x30) && isr(0x80));
	assert_false(test_and_clear());
	lapic_mmio_write(v, R_EOI, 0);
	assert_int_equal(enter(), -1);
	assert_true(isr(0x30) && !isr(0x80));
	assert_true(test_and_clear());
	assert_int_equal(lapic_mmio_read(v, R_ISR + 0x10), 0);
}

/* The guest read the flag before the offer came: it writes an EOI, and that is one end, not two. */
static void eoi_in_spite_of_the_offer(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_raise(v, 0x31);
	enter();
	assert_int_equal(flag(), 1);
	lapic_mmio_write(v, R_EOI, 0);
	assert_false(isr(0x31));
	assert_int_equal(flag(), 0);
	assert_int_equal(enter(), -1);
	assert_int_equal(flag(), 0); /* nothing in service */
}

/* The I/O APIC waits for the end of a level-triggered one. */
static void level_triggered(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_accept_vector(v, 0x41, true);
	assert_int_equal(enter(), 0x41);
	assert_false(test_and_clear());
	lapic_mmio_write(v, R_EOI, 0);
	lapic_accept_vector(v, 0x41, false);
	assert_int_equal(enter(), 0x41);
	assert_true(test_and_clear());
}

/* The CPU could not deliver it: it is in IRR again, and the guest must not end it. */
static void given_back(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_raise(v, 0x31);
	assert_int_equal(enter(), 0x31);
	lapic_give_back(v, 0x31);
	assert_int_equal(flag(), 0);
	assert_false(isr(0x31));
	assert_int_equal(enter(), 0x31);
	assert_int_equal(flag(), 1);
}

static void switched_off_and_reset(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_raise(v, 0x31);
	enter();
	assert_true(wrmsr(MSR_PV_EOI, 0)); /* takes it back */
	assert_int_equal(flag(), 0);
	assert_true(isr(0x31));
	assert_false(v->lapic.eoi_offered);
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	enter();
	v->pending |= PENDING_IRQ;
	enter();
	assert_true(v->lapic.eoi_offered);
	lapic_reset(v, true);
	assert_int_equal(guest_rdmsr(v, MSR_PV_EOI), 0);
	assert_false(v->lapic.eoi_offered);
}

/* The flag is given to the balloon in the middle: off, and nothing is stuck. */
static void flag_gone(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_EOI, FLAG | 1));
	lapic_raise(v, 0x31);
	enter();
	give_away(FLAG >> PAGE_SHIFT);
	lapic_raise(v, 0x31);
	assert_int_equal(enter(), 0x31);
	assert_int_equal(guest_rdmsr(v, MSR_PV_EOI), 0);
	lapic_mmio_write(v, R_EOI, 0);
	lapic_raise(v, 0x32);
	assert_int_equal(enter(), 0x32);
	assert_int_equal(vm->p2m.ballooned, 1);
	assert_int_equal(vm->balloon.popped, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_refused),   T(waits_for_memory), T(gone_with_the_vm),
		T(stolen_by_another), T(nothing_stolen),   T(steal_area_gone),
		T(eoi_without_exit),  T(another_waits),	   T(eoi_in_spite_of_the_offer),
		T(level_triggered),   T(given_back),	   T(switched_off_and_reset),
		T(flag_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
