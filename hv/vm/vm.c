/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs come, are told things, and pause. */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/memory/admission.h>
#include <hv/memory/waiters.h>
#include <hv/load/load.h>
#include <hv/vm/end.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

#define LOW_END_GFN (LOAD_LOW_END >> PAGE_SHIFT)
/* Where a PC's adapters and firmware have their ROMs: kernels search all of it for signatures. */
#define ROM_START_GFN (0xc0000UL >> PAGE_SHIFT)
#define HIGH_START_GFN (LOAD_HIGH_START >> PAGE_SHIFT)
#define HOLE_START_GFN (LOAD_HOLE_START >> PAGE_SHIFT)
#define ABOVE_4G_GFN (LOAD_ABOVE_HOLE >> PAGE_SHIFT)

struct vm *vms[MAX_VMS];
u32 nr_vms;
static struct host_config before_boot = { .sample_pages = SAMPLE_PAGES, .balloon_max = 95 };
struct host_config *host_config = &before_boot;
static u32 in_background;
static u64 runs; /* begun, by vm_background() */
static u32 ones; /* a frame that reads as an empty bus does */

#define START_RETRY_MS 50

struct p2m *vm_p2m_of(u16 owner)
{
	struct vm *vm = owner < nr_vms ? vms[owner] : NULL;

	return vm && atomic_load(&vm->p2m.root.v) ? &vm->p2m : NULL;
}

u64 vm_top_gfn(const struct vm *vm)
{
	return vm->pages <= HOLE_START_GFN ? vm->pages : ABOVE_4G_GFN + vm->pages - HOLE_START_GFN;
}

static int create_ones(void)
{
	if (nr_vms)
		return HV_OK; /* with the first */
	if (frame_alloc_hv(0, &ones))
		return HV_ENOMEM;
	memset(plat_ptr(HPA((u64)ones << PAGE_SHIFT)), 0xff, PAGE_SIZE);
	return HV_OK;
}

int vm_create(u16 id, struct vm_config *cfg)
{
	struct vm *vm = frame_alloc_pages(frame_order(sizeof(*vm)));

	if (!vm || create_ones())
		return HV_ENOMEM;
	vm->id = id;
	vm->cfg = cfg;
	vm->pages = cfg->memory >> PAGE_SHIFT;
	vm->state = VM_NONE;
	vm->p2m.grant = memory_grant_p2m;
	vms[id] = vm;
	nr_vms = max(nr_vms, id + 1u);
	return HV_OK;
}

/* The guest-physical memory map: see hv/load/load.h. */
static int map_ranges(struct vm *vm)
{
	u64 low = min(vm->pages, HOLE_START_GFN);
	int err = p2m_set_range(&vm->p2m, 0, LOW_END_GFN, P2M_EMPTY);

	if (!err)
		err = p2m_set_range(&vm->p2m, HIGH_START_GFN, low - HIGH_START_GFN, P2M_EMPTY);
	if (!err && vm->pages > low)
		err = p2m_set_range(&vm->p2m, ABOVE_4G_GFN, vm->pages - low, P2M_EMPTY);
	if (!err)
		err = p2m_set_bus(&vm->p2m, ROM_START_GFN, HIGH_START_GFN - ROM_START_GFN, ones);
	return err;
}

/* From p2m_init() on the audit can see the map, so it is filled under the lock. */
static int map_memory(struct vm *vm)
{
	int err = p2m_init(&vm->p2m, backend->format, vm->id, vm_top_gfn(vm));

	if (err)
		return err;
	err = frame_promise(&vm->p2m.acct, atomic_load(&vm->cfg->min) >> PAGE_SHIFT,
			    admission_tables(vm), vm->cfg->reserve >> PAGE_SHIFT);
	if (err)
		return err;
	spin_lock(&vm->p2m.lock);
	err = map_ranges(vm);
	spin_unlock(&vm->p2m.lock);
	return err;
}

static int create_vcpus(struct vm *vm)
{
	while (vm->nr_vcpus < vm->cfg->vcpus) {
		struct vcpu *v = vcpu_alloc(vm, vm->nr_vcpus);

		if (!v)
			return HV_ENOMEM;
		vm->vcpus[vm->nr_vcpus] = v;
		atomic_store_release(&vm->nr_vcpus, vm->nr_vcpus + 1);
	}
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++) {
		int err = vcpu_reset(vm->vcpus[i]);

		if (err)
			return err;
	}
	return HV_OK;
}

u64 vm_disk_frames(const struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	return state >= VM_STARTING && state < VM_ENDED ? bus_frames(vm) : 0;
}

/* Undoes a start that failed half-way; the reaper takes the memory. */
static int give_up(struct vm *vm, int err)
{
	u64 now = plat_tsc();

	if ((err == HV_ENOMEM || err == HV_EAGAIN) && now < atomic_load(&vm->give_up_at)) {
		if (!atomic_load(&vm->again))
			vm_log(vm, "waits for memory to start");
		atomic_store(&vm->again, true);
		vm->next_try = now + START_RETRY_MS * plat_tsc_khz();
		sched_event_at(vm->next_try);
		atomic_store_seq(&vm->state, VM_ENDING);
		return err;
	}
	atomic_store(&vm->again, false);
	vm_end(vm, VM_STATUS_CRASHED, "not started: %s", hv_strerror(err));
	return err;
}

static int prepare(struct vm *vm, struct loaded *image)
{
	int err = map_memory(vm);

	if (!err)
		err = create_vcpus(vm);
	if (err)
		return err;
	err = bus_start(vm);
	return err ? err : loader_load(vm, image);
}

static void enter_image(struct vm *vm, const struct loaded *image)
{
	struct vcpu *v = vm->vcpus[0];

	backend->vcpu_load(v);
	backend->set_state(v, &image->state);
	backend->vcpu_unload(v);
	v->gpr[GPR_RAX] = image->rax;
	v->gpr[GPR_RBX] = image->rbx;
	v->gpr[GPR_RSI] = image->rsi;
}

/* Frames that are not guest memory; the difference over a start is the cost of the VM. */
static u64 overhead_frames(void)
{
	struct frame_stats s = frames_stats();

	return s.hv + s.table;
}

/* Its images are copied piece by piece, in its own time. */
static void go_on_loading(struct vm *vm)
{
	u64 begin = plat_tsc();
	int err = loader_step(vm);

	sched_charge(vm, plat_tsc() - begin);
	if (err == HV_EBUSY)
		return;
	if (err) {
		give_up(vm, err);
		return;
	}
	vm_log(vm, "started, %lu KiB, %u vCPU%s, costs %lu KiB besides, %s", vm->pages * 4,
	       vm->nr_vcpus, vm->nr_vcpus > 1 ? "s" : "",
	       (overhead_frames() - vm->overhead_before) * 4, vm->cfg->kernel);
	atomic_store(&vm->again, false);
	tally_add(&vm->starts, 1);
	atomic_cas(&vm->state, (u32)VM_STARTING, (u32)VM_BUILT); /* or it was ended meanwhile */
}

static int vm_start(struct vm *vm)
{
	struct loaded image;
	int err;

	atomic_store_seq(&vm->preparing, 1u);
	if (!atomic_cas(&vm->state, (u32)VM_QUEUED, (u32)VM_STARTING))
		return HV_ESTATE;
	err = admission_check(vm);
	if (err) {
		atomic_store(&vm->again, false);
		atomic_store(&vm->exit_status, VM_STATUS_CRASHED);
		str_copy(vm->exit_reason, "not admitted", sizeof(vm->exit_reason));
		atomic_store_seq(&vm->state, VM_ENDED);
		vm_say_ended(vm);
		return err;
	}
	vm->overhead_before = overhead_frames();
	vm->run = ++runs;
	vm_counts_keep(vm);
	vm->is_linux = loader_is_linux(vm);
	vm->tsc_offset = 0 - plat_tsc();
	vm->tsc_khz = plat_tsc_khz();
	vm->tsc_uneven = vm->panicked = 0;
	vm->exec_splits = vm->refused_insns = vm->teardown_gfn = vm->pv_wall = 0;
	atomic_store(&vm->active, 0UL);
	atomic_store(&vm->active_permille, 1000u);
	atomic_store(&vm->waiting, 0u);
	atomic_store(&vm->woken_until, 0UL);
	vm->entitlement = 0;
	vm->wait_logged = 0;
	vm->dumped = 0;
	atomic_store(&vm->exit_status, 0);
	balloon_init(vm);
	explain_reset(&vm->explain);
	ioapic_reset(vm);
	console_reset(vm);
	uart_reset(vm);
	rtc_reset(vm);
	sampler_init(&vm->sampler, plat_tsc() ^ vm->id, host_config->sample_pages);
	err = prepare(vm, &image);
	atomic_store_seq(&vm->preparing, 0u);
	if (err)
		return give_up(vm, err);
	enter_image(vm, &image);
	go_on_loading(vm);
	return HV_OK;
}

int vm_queue_start(struct vm *vm)
{
	atomic_store(&vm->give_up_at, plat_tsc() + VM_START_PATIENCE_MS * plat_tsc_khz());
	if (!atomic_cas(&vm->state, VM_ENDED, VM_QUEUED) &&
	    !atomic_cas(&vm->state, VM_NONE, VM_QUEUED))
		return HV_ESTATE;
	sched_event_at(plat_tsc());
	return HV_OK;
}

void vm_panicked(struct vm *vm, const char *how)
{
	if (vm_alive(vm) && !atomic_swap(&vm->panicked, 1u))
		vm_log(vm, "its kernel has panicked (%s); stop it or restart it", how);
}

bool vm_halted(const struct vm *vm)
{
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		if (!atomic_load_seq(&vm->vcpus[i]->deaf) &&
		    atomic_load(&vm->vcpus[i]->state) != VCPU_OFF)
			return false;
	return vm->nr_vcpus;
}

static void pulse(struct vm *vm, u32 pin)
{
	ioapic_set_line(vm, pin, true);
	ioapic_set_line(vm, pin, false);
}

void vm_ring_doorbell(struct vm *vm)
{
	u32 vector = atomic_load(&vm->balloon.doorbell.vector);
	u32 apic = atomic_load(&vm->balloon.doorbell.apic);

	if (vector == AERO_DOORBELL_ACPI)
		pulse(vm, IOAPIC_PIN_BALLOON);
	else if (vector && apic < vm->nr_vcpus)
		lapic_raise(vm->vcpus[apic], (u8)vector);
}

int vm_press_power(struct vm *vm)
{
	if (!vm_alive(vm))
		return HV_ESTATE;
	log_line("vm %s: power button pressed", vm->cfg->name);
	pulse(vm, VM_POWER_PIN);
	/* A Linux that sleeps has its button's interrupt off (a "Generic Event Device" wakes nobody). */
	vm_ring_doorbell(vm);
	return HV_OK;
}

int vm_pause(struct vm *vm)
{
	if (!atomic_cas(&vm->state, VM_RUNNING, VM_PAUSED))
		return HV_ESTATE;
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		sched_kick(vm->vcpus[i]);
	log_line("vm %s: paused", vm->cfg->name);
	return HV_OK;
}

int vm_resume(struct vm *vm)
{
	if (!sched_resume_vm(vm))
		return HV_ESTATE;
	log_line("vm %s: resumed", vm->cfg->name);
	if (vm->bus)
		sched_event_at(plat_tsc()); /* its devices may be due */
	return HV_OK;
}

/* VMs that were queued together run together, or the first would eat the memory that the last starts with. */
static void release_built(void)
{
	struct vm *vm;

	for_each_vm(vm)
		if ((atomic_load(&vm->state) == VM_QUEUED ||
		     atomic_load(&vm->state) == VM_STARTING) &&
		    !atomic_load(&vm->again))
			return;
	for_each_vm(vm)
		if (atomic_cas(&vm->state, (u32)VM_BUILT, (u32)VM_RUNNING))
			sched_start(vm->vcpus[0]);
}

/* One VM's piece of work; false if there is none (now). */
static bool work_on(struct vm *vm)
{
	vm_carry_out_stop(vm);
	switch (atomic_load(&vm->state)) {
	case VM_ENDING:
		vm_reap_step(vm);
		return true;
	case VM_QUEUED:
		if (atomic_load(&vm->again) && plat_tsc() < vm->next_try) {
			sched_event_at(vm->next_try);
			return false;
		}
		vm_start(vm);
		return true;
	case VM_STARTING:
		go_on_loading(vm);
		return true;
	default:
		return false;
	}
}

bool vm_background(void)
{
	bool worked = false;
	struct vm *vm;

	if (atomic_swap(&in_background, 1u))
		return false;
	quarantine_drain(256);
	for_each_vm(vm)
		worked |= work_on(vm);
	release_built();
	atomic_store_release(&in_background, 0u);
	return worked;
}

bool vm_all_ended(void)
{
	const struct vm *vm;

	for_each_vm(vm) {
		u32 s = atomic_load(&vm->state);

		if (s != VM_NONE && s != VM_ENDED)
			return false;
	}
	return true;
}
