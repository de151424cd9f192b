/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole hypervisor: each CPU is in sched_loop() on a thread of its own, and the guests
 * (guests.c) run on the fake back end wherever the scheduler puts them.
 */
#include <tests/threads/machine.h>

#include <hv/dev/console.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>

#define STEPS 40000
#define RAM MIB(24) /* for 3 VMs of 16 MiB */
#define AT_ONCE 16  /* the most operations of a guest between two exits */

static struct vm_config cfg[VMS];
static struct cpu_backend machine_backend;

static void quiet(void)
{
	struct p2m *maps[VMS];

	for (u32 i = 0; i < VMS; i++)
		maps[i] = &vms[i]->p2m;
	oracle_check(maps, VMS, vm_p2m_of);
}

/* --- the world outside ------------------------------------------------------------------- */

static void operate(void)
{
	struct vm *vm = vms[any(VMS)];

	switch (any(10)) {
	case 0:
		vm_pause(vm);
		break;
	case 1:
	case 2:
		vm_resume(vm);
		break;
	case 3:
		if (!any(4))
			vm_end(vm, 1, "by hand");
		break;
	case 4:
		vm_queue_start(vm);
		break;
	case 5:
		vm_press_power(vm);
		break;
	case 6:
		manage_target(vm, any(GFNS));
		break;
	case 7:
		manage_min(vm, any(600));
		break;
	case 8:
		manage_max(vm, 2048 + any(2048));
		break;
	default:
		manage_shares(vm, 1 + any(1000));
	}
}

/* --- seams ---------------------------------------------------------------------------------- */

static void step(void)
{
	if (!threads_step(quiet))
		threads_leave();
	if (!any(128))
		operate();
}

static void run(struct vcpu *v, u64 deadline, struct vmexit *e)
{
	lock_order_none("while it enters a guest");
	v->advance = 0;
	for (u32 i = any(AT_ONCE); i; i--) {
		step();
		*e = (struct vmexit){ .kind = EXIT_INTERRUPT };
		if (threads_kicked())
			return;
		if (guest_acts(v, e))
			return;
		*e = (struct vmexit){ .kind = EXIT_PREEMPT };
		if (plat_tsc() >= deadline)
			return;
	}
	*e = (struct vmexit){ .kind = EXIT_INTERRUPT };
}

static void flush(struct vcpu *v)
{
	oracle_flush(v->vm->id, v->index);
}

void __wrap_plat_idle(u64 deadline, const u32 *wake);
void __wrap_plat_idle(u64 deadline, const u32 *wake)
{
	for (u32 i = 0; i < 16 && !atomic_load_seq(wake) && !threads_kicked(); i++) {
		step();
		if (plat_tsc() >= deadline)
			return;
	}
}

int __real_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns);
int __wrap_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns);
int __wrap_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns)
{
	oracle_life(owner);
	guest_begins(owner);
	return __real_p2m_init(p, fmt, owner, nr_gfns);
}

/* As boot/main.c does it, for the parts that are linked. */
static void tick(u64 now)
{
	governor_tick(now);
	operator_tick(now);
	console_tick(now);
	manage_tick();
}

static bool background(void)
{
	bus_work(false);
	return vm_background();
}

static bool idle_work(void)
{
	step();
	return vm_background() || bus_work(true) || memory_idle_work();
}

static void make_vm(u16 id)
{
	struct vm_config *c = &cfg[id];

	*c = guest_config((const char *[]){ "a", "b", "c" }[id]);
	c->min = MIB(id);
	c->vcpus = 2;
	c->control = id != 2;
	c->reserve = KIB(256);
	threads_assert(!vm_create(id, c), "VM %u", id);
	vm_queue_start(vms[id]);
}

static void life(void)
{
	threads_assert(!balloon_cpu_init(),
		       "no memory"); /* again: guest_machine() has only one CPU */
	sched_loop();
}

int main(int argc, char **argv)
{
	threads_begin(argc, argv, STEPS);
	guest_machine(RAM, CPUS);
	machine_backend = fake_backend;
	machine_backend.format = &ept_format;
	machine_backend.run = run;
	machine_backend.flush = flush;
	backend = &machine_backend;
	host_config->policy_ms = 5;
	host_config->sample_ms = 20;
	host_config->sample_pages = 16;
	sched_set_work((struct sched_work){ tick, background, idle_work });
	for (u16 i = 0; i < VMS; i++)
		make_vm(i);
	threads_run(life);
	quiet();
	for (u32 i = 0; i < VMS; i++)
		printf("vm %s: %u starts, %lu faults, %lu locked, %lu flushes\n", cfg[i].name,
		       vms[i]->starts, vms[i]->faults, vms[i]->balloon.locked, vms[i]->p2m.flushes);
	return 0;
}
