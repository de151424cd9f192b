/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: how it divides time. */
#include <tests/unit/vm/sched_fixture.h>

static u32 looked;

static void tick_that_looks(u64 now)
{
	sched_event_at(now);
	assert_true(sched_next_event() > now);
	looked++;
	fake.tsc += 10;
}

static void time_is_divided_by_shares(void **state)
{
	(void)state;
	start(0, 1000, 1);
	start(1, 2000, 1);
	start(2, 3000, 1);
	simulate(6000 * MS);
	assert_in_range(total(0), 970 * MS, 1030 * MS);
	assert_in_range(total(1), 1970 * MS, 2030 * MS);
	assert_in_range(total(2), 2970 * MS, 3030 * MS);
}

/* More vCPUs do not mean more time. */
static void shares_are_a_vms_not_a_vcpus(void **state)
{
	(void)state;
	start(0, 1000, 4);
	start(1, 1000, 1);
	simulate(4000 * MS);
	assert_in_range(total(0), 1950 * MS, 2050 * MS);
	for (u32 k = 0; k < 4; k++)
		assert_in_range(ran[0][k], 470 * MS, 530 * MS);
}

static void extreme_shares(void **state)
{
	(void)state;
	start(0, 1, 1);
	start(1, 1000000, 1);
	start(2, 1, 16); /* less than one share for each vCPU */
	simulate(2000 * MS);
	assert_true(total(1) > 1800 * MS);
	assert_true(total(0) > 0); /* once, at least */
}

static u64 last_seen, gap; /* of VM 1 */

static void note_gap(struct vcpu *v, struct vmexit *e)
{
	(void)e;
	if (v->vm->id != 1)
		return;
	gap = max(gap, fake.tsc - min(fake.tsc, last_seen));
	last_seen = fake.tsc + SLICE; /* the longest run */
}

/* A device that always has work, in pieces of 20 us. */
static void never_done(struct virtio *d, u64 now)
{
	while (virtio_may_go_on(d))
		fake.tsc += 20 * FAKE_KHZ / 1000;
	virtio_again(d, now);
}

static const struct virtio_kind hog = { .id = 2, .nr_queues = 1, .work = never_done };

static void give_hogs(u32 i, u32 slots)
{
	vm[i]->bus = frame_alloc_pages(frame_order(sizeof(struct bus)));
	for (u32 s = 0; s < slots; s++) {
		struct virtio *d = &vm[i]->bus->slot[s];

		virtio_plug(d, &hog, vm[i], s, NULL);
		d->status = 0xf;
		virtio_again(d, fake.tsc);
	}
}

/* A VM that computes has its part of the CPU, without gaps, whatever other VMs' devices do. */
static void devices_cost_their_own_vm(void **state)
{
	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	give_hogs(0, VIRTIO_SLOTS);
	guest = note_gap;
	last_seen = fake.tsc;
	gap = 0;
	simulate(4000 * MS);
	assert_true(total(1) > 1800 * MS);
	assert_true(gap < 20 * MS);
	/* The time of a VM's devices is subtracted from its vCPU's. */
	assert_true(total(0) < 400 * MS);
}

/* Several such neighbours together take no more. */
static void devices_of_all_have_one_budget(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++)
		start(i, 1000, 1);
	give_hogs(0, VIRTIO_SLOTS);
	give_hogs(2, VIRTIO_SLOTS);
	simulate(6000 * MS);
	assert_true(total(1) > 1850 * MS); /* of 2000 */
}

/* The devices of a paused VM do nothing; they go on when it does. */
static void paused_devices_rest(void **state)
{
	u64 before;

	(void)state;
	start(0, 1000, 1);
	give_hogs(0, 1);
	assert_int_equal(vm_pause(vm[0]), HV_OK);
	before = fake.tsc;
	assert_false(bus_work(true));
	assert_int_equal(fake.tsc, before);
	assert_int_equal(vm_resume(vm[0]), HV_OK);
	assert_true(sched_next_event() <= fake.tsc);
	assert_true(bus_work(true));
}

/* While one CPU is in the tick, its events do not end the runs of other CPUs. */
static void a_tick_shortens_no_run(void **state)
{
	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	give_hogs(0, 1);
	sched_set_work((struct sched_work){ .tick = tick_that_looks });
	simulate(50 * MS);
	assert_true(looked > 0);
}

/* A VM that has slept for long does not get the CPU for long. */
static void sleeping_earns_one_slice(void **state)
{
	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	guest = halt_when_first;
	simulate(3000 * MS);
	assert_int_equal(vm[0]->vcpus[0]->state, VCPU_HALTED);
	guest = NULL;
	memset(ran, 0, sizeof(ran));
	vm[0]->vcpus[0]->halted = false;
	sched_wake(vm[0]->vcpus[0]);
	simulate(100 * MS);
	assert_in_range(total(0), 45 * MS, 60 * MS);
}

/* Another CPU's TSC is some ticks behind: the difference must not become a huge age. */
static void clocks_a_little_apart(void **state)
{
	struct vcpu *v;

	(void)state;
	start(0, 1000, 1);
	start(1, 1000, 1);
	v = vm[0]->vcpus[0];
	on_cpu(v);
	fake.tsc -= 50;
	vm[1]->vcpus[0]->vruntime = v->vruntime;
	assert_false(sched_should_yield(v));
	sched_put(v);
	assert_true(v->ran < MS && v->vruntime < UINT64_MAX / 2);
	v->ready_since = fake.tsc + 50;
	end = fake.tsc + MS;
	fake_cpu.on_run = run;
	fake.on_idle = idle;
	if (!setjmp(fake.power_off))
		sched_loop();
	assert_true(v->waited < SLICE + MS);
}

/* Spins from the beginning, 10 us to each exit. */
static void spinner(struct vcpu *v, struct vmexit *e)
{
	if (v->vm->id)
		return;
	fake.tsc += MS / 100;
	*e = (struct vmexit){ .kind = EXIT_PAUSE, .length = 2 };
}

/* A VM that spins leaves the CPU to one that computes, although it has had less time. */
static void a_spinner_lets_others_go(void **state)
{
	u64 unloads;

	(void)state;
	guest = spinner;
	start(0, 1000, 1);
	start(1, 1000, 1);
	simulate(1000 * MS);
	assert_in_range(total(1), 990 * MS, 1000 * MS);
	assert_true(total(0) > 0);
	/* Alone it stays where it is. */
	vm_end(vm[1], 0, "test");
	while (vm[1]->state != VM_ENDED)
		vm_background();
	while (frame_scrub_one())
		;
	unloads = fake_cpu.runs;
	simulate(100 * MS);
	assert_in_range(fake_cpu.runs - unloads, 9900, 10100);
	assert_int_equal(vm[0]->vcpus[0]->yields, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(time_is_divided_by_shares),
		T(devices_cost_their_own_vm),
		T(devices_of_all_have_one_budget),
		T(paused_devices_rest),
		T(a_tick_shortens_no_run),
		T(shares_are_a_vms_not_a_vcpus),
		T(extreme_shares),
		T(sleeping_earns_one_slice),
		T(clocks_a_little_apart),
		T(a_spinner_lets_others_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
