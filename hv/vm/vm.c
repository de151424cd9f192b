/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs come, pause, end, and give their memory back. */
#include <stdarg.h>

#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/memory/governor.h>
#include <hv/load/load.h>
#include <hv/vm/sched.h>
#include <hv/control/status.h>
#include <hv/vm/vm.h>

#define LOW_END_GFN (LOAD_LOW_END >> PAGE_SHIFT)
/* Where a PC's adapters and firmware have their ROMs: kernels search all of it for signatures. */
#define ROM_START_GFN (0xc0000UL >> PAGE_SHIFT)
#define HIGH_START_GFN (LOAD_HIGH_START >> PAGE_SHIFT)
#define HOLE_START_GFN (LOAD_HOLE_START >> PAGE_SHIFT)
#define ABOVE_4G_GFN (LOAD_ABOVE_HOLE >> PAGE_SHIFT)

struct vm *vms[MAX_VMS];
u32 nr_vms;
static u32 in_background;
static u32 ones; /* a frame that reads as an empty bus does */

#define START_RETRY_MS 50
#define REBOOT_PERIOD_MS 1000 /* the host's time for a start is not charged to the VM */

struct p2m *vm_p2m_of(u16 owner)
{
	struct vm *vm = owner < nr_vms ? vms[owner] : NULL;

	return vm && vm->p2m.root.v ? &vm->p2m : NULL;
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
	struct vm *vm = frame_alloc_pages(0);

	_Static_assert(sizeof(*vm) <= PAGE_SIZE, "one page");
	if (!vm || create_ones())
		return HV_ENOMEM;
	vm->id = id;
	vm->cfg = cfg;
	vm->pages = cfg->memory >> PAGE_SHIFT;
	vm->state = VM_NONE;
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
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		int err = vcpu_reset(vm->vcpus[i]);

		if (err)
			return err;
	}
	return HV_OK;
}

/* In frames: the tables of @vm, its reserve, its disks. */
static u64 overhead_of(const struct vm *vm)
{
	return (vm->cfg->reserve >> PAGE_SHIFT) + vm->pages / 512 + 8 + bus_frames(vm);
}

u64 vm_disk_frames(const struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	return state >= VM_STARTING && state < VM_ENDED ? bus_frames(vm) : 0;
}

/* In frames: all but what the hypervisor has for itself. */
static u64 frames_for_vms(void)
{
	struct frame_stats s = frames_stats();
	u64 disks = 0;

	for (u32 i = 0; i < nr_vms; i++)
		disks += vm_disk_frames(vms[i]);
	return s.total - min(s.total, s.hv - min(s.hv, disks));
}

/* Does @vm hold promises, or is it about to? */
static bool has_promises(const struct vm *vm)
{
	return vm_alive(vm) || vm->again || atomic_load(&vm->state) == VM_BUILT;
}

/* In frames: what VMs other than @vm may count on.  *@most: the one that may on most, or NULL. */
static u64 promised_to_others(const struct vm *vm, const struct vm **most)
{
	u64 promised = 0, largest = 0;

	*most = NULL;
	for (u32 i = 0; i < nr_vms; i++) {
		u64 p = (vms[i]->cfg->min >> PAGE_SHIFT) + overhead_of(vms[i]);

		if (vms[i] == vm || !has_promises(vms[i]))
			continue;
		promised += p;
		if (p > largest) {
			largest = p;
			*most = vms[i];
		}
	}
	return promised;
}

bool vm_can_promise(const struct vm *vm, u64 min)
{
	const struct vm *most;

	return promised_to_others(vm, &most) + min + overhead_of(vm) <= frames_for_vms();
}

/*
 * What is above the mins must have somewhere to go: balloons take it, up to
 * balloon_max.  If all VMs could fill more than there is even then, some
 * will be asked for more or paused one day, and somebody should know it today.
 */
static void check_room(const struct vm *vm)
{
	u64 total = frames_for_vms(), left = 0;

	for (u32 i = 0; i < nr_vms; i++) {
		u64 balloon = vms[i]->pages * governor_config()->balloon_max / 100;
		u64 least = max(vms[i]->pages - balloon, vms[i]->cfg->min >> PAGE_SHIFT);

		if (vms[i] == vm || has_promises(vms[i]))
			left += min(least, vms[i]->cfg->max >> PAGE_SHIFT) + overhead_of(vms[i]);
	}
	if (left > total)
		log_line(
			"vm %s: with it, full VMs whose balloons are at balloon_max need %lu KiB more than there is; lower a max",
			vm->cfg->name, (left - total) * 4);
}

/* Admission: what is promised to VMs (min and overhead) must exist. */
static int admit(const struct vm *vm)
{
	u64 needs = (vm->cfg->min >> PAGE_SHIFT) + overhead_of(vm), total = frames_for_vms();
	const struct vm *most;
	u64 others = promised_to_others(vm, &most);

	if (others + needs <= total) {
		check_room(vm);
		return HV_OK;
	}
	return log_error(
		HV_ENOMEM,
		"vm %s: not started: its min and overhead need %lu KiB, %lu KiB too many; %lu of %lu KiB are promised to others%s%s; lower a min",
		vm->cfg->name, needs * 4, (others + needs - total) * 4, others * 4, total * 4,
		most ? ", most to vm " : "", most ? most->cfg->name : "");
}

/* Undoes a start that failed half-way; the reaper takes the memory. */
static int give_up(struct vm *vm, int err)
{
	u64 now = plat_tsc();

	if ((err == HV_ENOMEM || err == HV_EAGAIN) && now < vm->give_up_at) {
		if (!vm->again)
			log_line("vm %s: waits for memory to start", vm->cfg->name);
		vm->again = true;
		vm->next_try = now + START_RETRY_MS * plat_tsc_khz();
		sched_event_at(vm->next_try);
		atomic_store_seq(&vm->state, VM_ENDING);
		return err;
	}
	vm->again = false;
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
	vm->p2m.acct.min = vm->cfg->min >> PAGE_SHIFT;
	vm->p2m.acct.reserve_max = vm->cfg->reserve >> PAGE_SHIFT;
	frame_reserve_fill(&vm->p2m.acct);
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

/* Frames that are not guest memory: what a VM costs is the difference. */
static u64 overhead_frames(void)
{
	struct frame_stats s = frames_stats();

	return s.hv + s.table;
}

static int vm_start(struct vm *vm)
{
	u64 before = overhead_frames();
	struct loaded image;
	int err;

	if (!atomic_cas(&vm->state, (u32)VM_QUEUED, (u32)VM_STARTING))
		return HV_ESTATE;
	err = admit(vm);
	if (err) {
		vm->again = false;
		vm->exit_status = VM_STATUS_CRASHED;
		str_copy(vm->exit_reason, "not admitted", sizeof(vm->exit_reason));
		atomic_store_seq(&vm->state, VM_ENDED);
		status_vm_ended(vm);
		return err;
	}
	vm->tsc_offset = 0 - plat_tsc();
	vm->tsc_uneven = 0;
	vm->faults = vm->exec_splits = vm->refused_insns = vm->active = vm->teardown_gfn =
		vm->pv_wall = 0;
	vm->active_permille = 1000;
	vm->waiting = 0;
	vm->woken_until = 0;
	vm->entitlement = 0;
	vm->wait_logged = 0;
	vm->exit_status = 0;
	balloon_init(vm);
	explain_reset(&vm->explain);
	ioapic_reset(vm);
	console_reset(vm);
	uart_reset(vm);
	rtc_reset(vm);
	sampler_init(&vm->sampler, plat_tsc() ^ vm->id, governor_config()->sample_pages);
	err = prepare(vm, &image);
	if (err)
		return give_up(vm, err);
	enter_image(vm, &image);
	log_line("vm %s: started, %lu KiB, %u vCPU%s, costs %lu KiB besides, %s", vm->cfg->name,
		 vm->pages * 4, vm->nr_vcpus, vm->nr_vcpus > 1 ? "s" : "",
		 (overhead_frames() - before) * 4, vm->cfg->kernel);
	vm->again = false;
	vm->starts++;
	atomic_store_seq(&vm->state, VM_BUILT);
	return HV_OK;
}

int vm_queue_start(struct vm *vm)
{
	vm->give_up_at = plat_tsc() + VM_START_PATIENCE_MS * plat_tsc_khz();
	if (!atomic_cas(&vm->state, VM_ENDED, VM_QUEUED) &&
	    !atomic_cas(&vm->state, VM_NONE, VM_QUEUED))
		return HV_ESTATE;
	sched_event_at(plat_tsc());
	return HV_OK;
}

/* False: somebody else ended it first. */
static bool begin_end(struct vm *vm)
{
	u32 old = atomic_load(&vm->state);

	while (old == VM_RUNNING || old == VM_PAUSED || old == VM_STARTING || old == VM_BUILT) {
		if (atomic_cas(&vm->state, old, VM_ENDING))
			return true;
		old = atomic_load(&vm->state);
	}
	return false;
}

/* Its CPUs leave it, and one of them takes it apart. */
static void hurry_end(struct vm *vm)
{
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		sched_kick(vm->vcpus[i]);
	sched_event_at(plat_tsc());
}

void vm_end(struct vm *vm, int status, const char *fmt, ...)
{
	va_list ap;

	if (!begin_end(vm))
		return;
	console_flush(vm);
	vm->exit_status = status;
	va_start(ap, fmt);
	str_vformat(vm->exit_reason, sizeof(vm->exit_reason), fmt, ap);
	va_end(ap);
	status_vm_ended(vm);
	hurry_end(vm);
}

void vm_reboot(struct vm *vm)
{
	u64 now = plat_tsc();

	if (!begin_end(vm))
		return;
	vm->again = true; /* and so it keeps what it was promised */
	vm->next_try = max(now, REBOOT_PERIOD_MS * plat_tsc_khz() - vm->tsc_offset);
	vm->give_up_at = vm->next_try + VM_START_PATIENCE_MS * plat_tsc_khz();
	console_flush(vm);
	log_line("vm %s: reboots", vm->cfg->name);
	hurry_end(vm);
}

int vm_press_power(struct vm *vm)
{
	if (!vm_alive(vm))
		return HV_ESTATE;
	log_line("vm %s: power button pressed", vm->cfg->name);
	ioapic_set_line(vm, VM_POWER_PIN, true);
	ioapic_set_line(vm, VM_POWER_PIN, false);
	return HV_OK;
}

int vm_pause(struct vm *vm)
{
	if (!atomic_cas(&vm->state, VM_RUNNING, VM_PAUSED))
		return HV_ESTATE;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		sched_kick(vm->vcpus[i]);
	log_line("vm %s: paused", vm->cfg->name);
	return HV_OK;
}

int vm_resume(struct vm *vm)
{
	if (!atomic_cas(&vm->state, VM_PAUSED, VM_RUNNING))
		return HV_ESTATE;
	log_line("vm %s: resumed", vm->cfg->name);
	sched_vm_resumed(vm);
	return HV_OK;
}

/* One bounded step of taking an ended VM apart; true when it is done. */
static bool reap_step(struct vm *vm)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	int err;

	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (!sched_retire(vm->vcpus[i]))
			return false;
	bus_quiesce(vm);
	if (vm->p2m.root.v) {
		spin_lock(&vm->p2m.lock);
		err = p2m_teardown(&vm->p2m, &vm->teardown_gfn, &b);
		p2m_commit(&vm->p2m, &b);
		if (!err)
			p2m_destroy(&vm->p2m);
		spin_unlock(&vm->p2m.lock);
		if (err)
			return false;
	}
	if (!vm->again && !bus_stop(vm))
		return false;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		vcpu_fini(vm->vcpus[i]);
	atomic_store_seq(&vm->state, vm->again ? VM_QUEUED : VM_ENDED);
	return true;
}

/* VMs that were queued together run together: the first must not eat what the last is to start with. */
static void release_built(void)
{
	for (u32 i = 0; i < nr_vms; i++)
		if (atomic_load(&vms[i]->state) == VM_QUEUED && !vms[i]->again)
			return;
	for (u32 i = 0; i < nr_vms; i++)
		if (atomic_cas(&vms[i]->state, (u32)VM_BUILT, (u32)VM_RUNNING))
			sched_start(vms[i]->vcpus[0]);
}

/* One VM's piece of work; false if there is none (now). */
static bool work_on(struct vm *vm)
{
	switch (atomic_load(&vm->state)) {
	case VM_ENDING:
		reap_step(vm);
		return true;
	case VM_QUEUED:
		if (vm->again && plat_tsc() < vm->next_try) {
			sched_event_at(vm->next_try);
			return false;
		}
		vm_start(vm);
		return true;
	default:
		return false;
	}
}

bool vm_background(void)
{
	bool worked = false;

	if (atomic_swap(&in_background, 1u))
		return false;
	quarantine_drain(256);
	for (u32 i = 0; i < nr_vms; i++)
		worked |= work_on(vms[i]);
	release_built();
	atomic_store_release(&in_background, 0u);
	return worked;
}

bool vm_all_ended(void)
{
	for (u32 i = 0; i < nr_vms; i++) {
		u32 s = atomic_load(&vms[i]->state);

		if (s != VM_NONE && s != VM_ENDED)
			return false;
	}
	return true;
}
