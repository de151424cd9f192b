/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: vCPUs that sleep, wake, wait, start and end. */
#include <tests/unit/vm/sched_fixture.h>

static u64 latency, wakes, armed_at;

/* VM 0 sleeps on its timer, and takes the interrupt when it comes. */
static void sleeper(struct vcpu *v, struct vmexit *e)
{
	if (v->vm->id)
		return;
	if (fake_of(v)->interrupt == 0x50) {
		u64 due = armed_at + 20 * MS;

		latency = max(latency, fake.tsc - due);
		wakes++;
		fake_of(v)->interrupt = -1;
		lapic_mmio_write(v, 0xb0, 0);
	}
	lapic_mmio_write(v, 0x3e0, 11);
	lapic_mmio_write(v, 0x320, 0x50);
	lapic_mmio_write(v, 0x380, 20 * MS);
	armed_at = fake.tsc;
	halt_when_first(v, e);
}

static void a_sleeper_wakes_in_time(void **state)
{
	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	lapic_mmio_write(vm[0]->vcpus[0], 0xf0, 0x1ff);
	guest = sleeper;
	latency = wakes = 0;
	simulate(2000 * MS);
	assert_in_range(wakes, 90, 100);
	assert_true(latency <= SLICE);
	assert_true(total(1) > 1850 * MS); /* of 2000 */ /* the other has the rest */
}

/* An idle CPU sleeps until the timer of a halted vCPU. */
static void idle_until_the_timer(void **state)
{
	(void)state;
	start(0, 1000, 1);
	lapic_mmio_write(vm[0]->vcpus[0], 0xf0, 0x1ff);
	guest = sleeper;
	latency = wakes = 0;
	simulate(2000 * MS);
	assert_in_range(wakes, 95, 100);
	assert_true(latency < MS);
	assert_true(fake.idles >= wakes);
}

static void pause_and_resume(void **state)
{
	u64 before;

	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	simulate(100 * MS);
	assert_int_equal(vm_pause(vm[0]), HV_OK);
	before = total(0);
	end = fake.tsc + 100 * MS;
	if (!setjmp(fake.power_off))
		sched_loop();
	assert_int_equal(total(0), before);
	atomic_store(&vm[1]->state, VM_RUNNING);
	atomic_store(&vm[0]->state, VM_PAUSED);
	assert_int_equal(vm_resume(vm[0]), HV_OK);
	assert_int_equal(vm_resume(vm[0]), HV_ESTATE);
	simulate(100 * MS);
	assert_true(total(0) > before + 30 * MS);
}

static void memory_waiters(void **state)
{
	struct vcpu *v;

	(void)state;
	start(0, 1000, 1);
	v = vm[0]->vcpus[0];
	on_cpu(v);
	sched_block(v, VCPU_NO_MEMORY);
	assert_int_equal(vm[0]->waiting, 0); /* it is still on its CPU */
	sched_put(v);
	assert_int_equal(vm[0]->waiting, 1);
	memory_wake_waiters();
	assert_int_equal(vm[0]->waiting, 0);
	assert_int_equal(v->state, VCPU_READY);
}

#define CLOCK_GPA 0x3000UL
#define CLOCK_FLAGS 29 /* in struct pvclock_vcpu_time_info */
#define STOPPED 2

static void wait_for_memory(struct vcpu *v, u64 ticks)
{
	on_cpu(v);
	sched_block(v, VCPU_NO_MEMORY);
	sched_put(v);
	fake.tsc += ticks;
	memory_wake_waiters();
	assert_int_equal(v->state, VCPU_READY);
}

/* True: @v runs now and sees that it stood still. It clears the mark, as Linux does. */
static bool is_told(struct vcpu *v)
{
	u64 before = total(0);
	u8 flags, none = 1;

	simulate(50 * MS);
	assert_true(total(0) > before);
	assert_int_equal(guest_read(&v->vm->p2m, GPA(CLOCK_GPA + CLOCK_FLAGS), &flags, 1), HV_OK);
	assert_int_equal(guest_write(&v->vm->p2m, GPA(CLOCK_GPA + CLOCK_FLAGS), &none, 1), HV_OK);
	assert_int_equal(flags & ~STOPPED, 1);
	guest_touch(v, 1024); /* its fault is served: from now on it does not stand still */
	return flags & STOPPED;
}

/* Its watchdogs would take it for a lockup. */
static void who_stood_still_is_told(void **state)
{
	struct vcpu *v;

	(void)state;
	start(0, 1000, 1);
	v = vm[0]->vcpus[0];
	wait_for_memory(v, 2000 * MS);
	simulate(50 * MS); /* without a clock the guest cannot be told */
	guest_touch(v, 1024);
	assert_true(guest_wrmsr(v, MSR_PV_SYSTEM_TIME, CLOCK_GPA | 1));
	assert_false(is_told(v));
	wait_for_memory(v, 900 * MS);
	assert_false(is_told(v));
	wait_for_memory(v, 600 * MS);
	wait_for_memory(v, 600 * MS); /* it got none, and waits on */
	assert_true(is_told(v));
	assert_false(is_told(v));
	assert_int_equal(vm_pause(vm[0]), HV_OK);
	assert_int_equal(vm_resume(vm[0]), HV_OK);
	assert_true(is_told(v));
	assert_false(is_told(v));
}

static u64 stood_when_resumed;

static void see_line(const char *line, size_t length)
{
	if (length > 8 && !memcmp(line + length - 8, "resumed\n", 8))
		stood_when_resumed = vm[0]->vcpus[0]->stood_since;
}

/*
 * A CPU that sees a VM resumed sees its vCPUs marked, because the guest's watchdogs look at once.
 */
static void told_of_a_pause_in_time(void **state)
{
	static struct log_sink sink = { .write = see_line };

	(void)state;
	start(0, 1000, 1);
	assert_int_equal(vm_pause(vm[0]), HV_OK);
	log_add_sink(&sink);
	assert_int_equal(vm_resume(vm[0]), HV_OK);
	assert_int_equal(stood_when_resumed, STOOD_BY_PAUSE);
}

/* An interrupt that comes while it goes to sleep keeps it awake. */
static void no_lost_wakeup(void **state)
{
	struct vcpu *v;

	(void)state;
	start(0, 1000, 1);
	v = vm[0]->vcpus[0];
	on_cpu(v);
	sched_block(v, VCPU_HALTED);
	/* While its registers are still on this CPU no other CPU may run it. */
	vcpu_notify(v, PENDING_IRQ);
	assert_int_equal(v->state, VCPU_RUNNING);
	assert_false(sched_retire(v));
	sched_put(v);
	assert_int_equal(v->state, VCPU_READY);
	v->pending = 0;
	on_cpu(v);
	sched_block(v, VCPU_HALTED);
	sched_put(v);
	assert_int_equal(v->state, VCPU_HALTED);
	vcpu_notify(v, PENDING_IRQ);
	assert_int_equal(v->state, VCPU_READY);
	assert_true(sched_retire(v));
	assert_int_equal(v->state, VCPU_DEAD);
	sched_wake(v);
	assert_int_equal(v->state, VCPU_DEAD);
}

static void wake_second(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	if (v->vm->id == 0 && vm[1]->state == VM_PAUSED) {
		fake.kicked = 0;
		vm_resume(vm[1]);
	}
}

/* A CPU that found work by itself is no longer idle: the next one is for the other. */
static void a_busy_cpu_is_not_idle(void **state)
{
	(void)state;
	fake.nr_cpus = 2;
	start(0, 1000, 1);
	start(1, 1000, 1);
	atomic_store(&vm[0]->state, VM_PAUSED);
	atomic_store(&vm[1]->state, VM_PAUSED);
	for (fake.cpu = 0; fake.cpu < 2; fake.cpu++) { /* both go to sleep */
		end = fake.tsc + MS;
		fake_cpu.on_run = run;
		fake.on_idle = idle;
		if (!setjmp(fake.power_off))
			sched_loop();
	}
	fake.cpu = 0;
	atomic_store(&vm[0]->state, VM_RUNNING); /* nobody is told */
	guest = wake_second;
	end = fake.tsc + 2 * MS;
	if (!setjmp(fake.power_off))
		sched_loop();
	assert_true(fake.kicked & BIT(1));
}

/* INIT and SIPI take a vCPU from OFF to real mode at the page that was named. */
static void init_sipi_starts_a_vcpu(void **state)
{
	struct vcpu *ap;

	(void)state;
	cfg[0] = guest_config("a");
	cfg[0].vcpus = 2;
	vm[0] = guest_start(&cfg[0]);
	ap = vm[0]->vcpus[1];
	lapic_mmio_write(vm[0]->vcpus[0], 0x310, 1 << 24);
	lapic_mmio_write(vm[0]->vcpus[0], 0x300, 0x41); /* an interrupt does not start it */
	lapic_mmio_write(vm[0]->vcpus[0], 0x300, 0x400);
	simulate(20 * MS);
	assert_int_equal(ran[0][1], 0);
	lapic_mmio_write(vm[0]->vcpus[0], 0x300, 0x4040); /* an interrupt starts nobody */
	simulate(20 * MS);
	assert_int_equal(ran[0][1], 0);
	lapic_mmio_write(vm[0]->vcpus[0], 0x300, 0x4500);
	simulate(20 * MS);
	assert_int_equal(ap->state, VCPU_OFF);
	assert_int_equal(ran[0][1], 0);
	lapic_mmio_write(vm[0]->vcpus[0], 0x300, 0x69a);
	simulate(20 * MS);
	assert_true(ran[0][1] > 0);
	assert_int_equal(fake_of(ap)->state.seg[SEG_CS].base, 0x9a000);
	assert_int_equal(fake_of(ap)->state.seg[SEG_CS].selector, 0x9a00);
	assert_int_equal(fake_of(ap)->state.cr0, 0x60000010);
}

/* Interrupts wait for the window; the window is closed when it has been used. */
static void interrupts_wait_for_the_window(void **state)
{
	struct vcpu *v;
	struct vmexit e = { .kind = EXIT_INTERRUPT_WINDOW };

	(void)state;
	start(0, 1000, 1);
	v = vm[0]->vcpus[0];
	lapic_mmio_write(v, 0xf0, 0x1ff);
	fake_of(v)->interruptible = false;
	lapic_raise(v, 0x41);
	lapic_raise(v, 0x61);
	simulate(MS);
	assert_true(fake_of(v)->window);
	assert_int_equal(fake_of(v)->interrupts, 0);
	fake_of(v)->interruptible = true;
	exit_dispatch(v, &e);
	assert_false(fake_of(v)->window);
	simulate(MS);
	assert_int_equal(fake_of(v)->interrupt, 0x61);
	assert_int_equal(fake_of(v)->interrupts, 1);
	fake_of(v)->nmi_allowed = false;
	vcpu_notify(v, PENDING_NMI);
	simulate(MS);
	assert_int_equal(fake_of(v)->nmis, 0);
	assert_true(fake_of(v)->nmi_window);
	fake_of(v)->nmi_allowed = true;
	e.kind = EXIT_NMI_WINDOW;
	exit_dispatch(v, &e);
	simulate(MS);
	assert_int_equal(fake_of(v)->nmis, 1);
}

/* A flush at the first entry, one after each change, and one after a move to another CPU. */
static void flushes_when_stale(void **state)
{
	struct vcpu *v;
	u32 n;

	(void)state;
	fake.nr_cpus = 2;
	start(0, 1000, 1);
	v = vm[0]->vcpus[0];
	simulate(50 * MS);
	n = fake_of(v)->flushes;
	assert_int_equal(n, 1);
	simulate(50 * MS);
	assert_int_equal(fake_of(v)->flushes, n);
	p2m_flush(&vm[0]->p2m);
	simulate(20 * MS);
	assert_int_equal(fake_of(v)->flushes, n + 1);
	fake.cpu = 1;
	simulate(20 * MS);
	assert_int_equal(fake_of(v)->flushes, n + 2);
	fake.cpu = 0;
	simulate(20 * MS);
	assert_int_equal(fake_of(v)->flushes, n + 3);
}

static void shutdown_once(struct vcpu *v, struct vmexit *e)
{
	if (v->vm->id == 0)
		*e = (struct vmexit){ .kind = EXIT_SHUTDOWN };
}

/* A triple fault ends that VM, its memory comes back, and the other goes on. */
static void one_ends_the_other_goes_on(void **state)
{
	u64 free;

	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	free = frames_stats().free_clean + frames_stats().free_dirty;
	guest = shutdown_once;
	simulate(100 * MS);
	assert_int_equal(vm[0]->exit_status, VM_STATUS_CRASHED);
	assert_true(fake_log_has("triple fault on vCPU 0"));
	assert_true(total(1) > 90 * MS);
	atomic_store(&vm[1]->state, VM_PAUSED);
	simulate(MS);
	fake_settle();
	assert_int_equal(vm[0]->state, VM_ENDED);
	assert_int_equal(vm[0]->p2m.acct.resident, 0);
	assert_int_equal(vm[0]->p2m.acct.tables, 0);
	assert_true(frames_stats().free_clean + frames_stats().free_dirty > free);
	/* All frames in use are the other's. */
	assert_int_equal(frames_stats().guest, vm[1]->p2m.acct.resident);
	assert_int_equal(frames_stats().table, vm[1]->p2m.acct.tables);
	assert_int_equal(frames_stats().quarantine, 0);
	/* And it starts again. */
	guest = NULL;
	memset(ran, 0, sizeof(ran));
	assert_int_equal(vm_queue_start(vm[0]), HV_OK);
	vm_background();
	simulate(50 * MS);
	assert_true(total(0) > 20 * MS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_sleeper_wakes_in_time),
		T(idle_until_the_timer),
		T(pause_and_resume),
		T(memory_waiters),
		T(told_of_a_pause_in_time),
		T(who_stood_still_is_told),
		T(no_lost_wakeup),
		T(init_sipi_starts_a_vcpu),
		T(interrupts_wait_for_the_window),
		T(one_ends_the_other_goes_on),
		T(flushes_when_stale),
		T(a_busy_cpu_is_not_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
