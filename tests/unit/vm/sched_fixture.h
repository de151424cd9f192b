/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs that run vCPUs in simulated time. */
#ifndef TESTS_UNIT_VM_SCHED_FIXTURE_H
#define TESTS_UNIT_VM_SCHED_FIXTURE_H

#include <tests/fake/guest.h>

#include <hv/apic/pvclock.h>
#include <hv/base/log.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <mm/epoch.h>
#include <mm/guestmem.h>

#define MS (FAKE_KHZ)
#define SLICE (SCHED_SLICE_US * FAKE_KHZ / 1000)

static struct vm_config cfg[4];
static struct vm *vm[4];
static u64 ran[4][MAX_VCPUS]; /* ticks, by VM and vCPU */
static u64 end;		      /* of the simulation */
static void (*guest)(struct vcpu *v, struct vmexit *e);

static inline int setup(void **state)
{
	(void)state;
	guest_machine(MIB(128), 2);
	fake.nr_cpus = 1;
	memset(ran, 0, sizeof(ran));
	guest = NULL;
	while (frame_scrub_one())
		; /* no background work in the way */
	return 0;
}

static inline void start(u32 i, u32 shares, u32 vcpus)
{
	cfg[i] = guest_config((const char *[]){ "a", "b", "c", "d" }[i]);
	cfg[i].shares = shares;
	cfg[i].vcpus = vcpus;
	vm[i] = guest_start(&cfg[i]);
	for (u32 k = 1; k < vcpus; k++)
		sched_start(vm[i]->vcpus[k]);
	while (frame_scrub_one())
		;
}

/* A guest computes until it is stopped; at the end of the simulation all VMs are paused. */
static inline void run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	u64 from = fake.tsc;

	*e = (struct vmexit){ .kind = EXIT_PREEMPT };
	assert_true(deadline != 0);
	if (guest)
		guest(v, e);
	if (e->kind == EXIT_PREEMPT)
		fake.tsc = max(fake.tsc, min(deadline, end));
	ran[v->vm->id][v->index] += fake.tsc - from;
	if (fake.tsc >= end)
		for (u32 i = 0; i < nr_vms; i++)
			if (vms[i]->state == VM_RUNNING)
				atomic_store(&vms[i]->state, VM_PAUSED);
}

static inline void idle(u64 deadline, const u32 *wake)
{
	if (atomic_load(wake))
		return;
	fake.tsc = max(fake.tsc, min(deadline, end));
	if (fake.tsc >= end) {
		epoch_idle_leave(fake.cpu);
		longjmp(fake.power_off, 1);
	}
}

/* Runs this CPU for @ticks. */
static inline void simulate(u64 ticks)
{
	end = fake.tsc + ticks;
	fake_cpu.on_run = run;
	fake.on_idle = idle;
	if (!setjmp(fake.power_off))
		sched_loop();
	for (u32 i = 0; i < nr_vms; i++)
		if (vms[i]->state == VM_PAUSED)
			atomic_store(&vms[i]->state, VM_RUNNING);
}

static inline u64 total(u32 i)
{
	u64 t = 0;

	for (u32 k = 0; k < MAX_VCPUS; k++)
		t += ran[i][k];
	return t;
}

static inline void halt_when_first(struct vcpu *v, struct vmexit *e)
{
	if (v->vm->id == 0) {
		fake.tsc += 1000;
		*e = (struct vmexit){ .kind = EXIT_HLT, .length = 1 };
	}
}

/* Takes a ready vCPU onto this CPU, without running it. */
static inline void on_cpu(struct vcpu *v)
{
	list_del(&v->ready);
	v->state = VCPU_RUNNING;
	v->cpu = plat_cpu();
	v->started = fake.tsc;
}

#endif
