/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/lock.h>
#include <hv/base/log.h>
#include <hv/base/nospec.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/base/version.h>
#include <hv/memory/admission.h>
#include <hv/memory/governor.h>
#include <hv/control/manage.h>
#include <hv/control/status.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

static void done(struct vcpu *v, s64 status, u64 result)
{
	v->gpr[GPR_RAX] = (u64)status;
	v->gpr[GPR_RBX] = result;
}

/* The VM that RBX names, or NULL with the error given. */
static struct vm *target_vm(struct vcpu *v)
{
	u64 id = v->gpr[GPR_RBX];

	if (id < nr_vms)
		return vms[index_nospec(id, nr_vms)];
	done(v, AERO_ERR_NOENT, 0);
	return NULL;
}

static void give(struct vcpu *v, u64 gpa, const void *data, size_t bytes)
{
	done(v, guest_write(&v->vm->p2m, GPA(gpa), data, bytes) ? AERO_ERR_FAULT : AERO_OK, 0);
}

void manage_host_info(struct vcpu *v)
{
	struct frame_stats s = frames_stats();
	struct aero_host_info info = {
		.time_us = plat_time_us(),
		.total = s.total,
		.free = s.free_dirty + s.free_clean,
		.clean = s.free_clean,
		.quarantine = s.quarantine,
		.scrubbed_idle = s.scrubbed_idle,
		.scrubbed_demand = s.scrubbed_demand,
		.state = governor_state(),
		.nr_vms = nr_vms,
		.active = governor_active(),
		.hypervisor = s.hv,
		.tables = s.table,
		.promised = s.reserved,
		.tax = host_config->tax,
		.version = version_number(version_text),
	};

	give(v, v->gpr[GPR_RBX], &info, sizeof(info));
}

static u16 vm_flags(const struct vm *vm)
{
	bool manual = atomic_load(&vm->balloon.manual) != BALLOON_BY_POLICY;

	return (u16)((manual ? AERO_VM_FLAG_MANUAL : 0) |
		     (vm->cfg->control ? AERO_VM_FLAG_CONTROL : 0) |
		     (atomic_load(&vm->balloon.started) ? AERO_VM_FLAG_DRIVER : 0));
}

void manage_vm_info(struct vcpu *v)
{
	struct vm *vm = target_vm(v);
	struct aero_vm_info info;
	struct policy_vm_out last;

	if (!vm)
		return;
	last = vm_alive(vm) ? governor_last(vm) : (struct policy_vm_out){ 0 };
	info = (struct aero_vm_info){
		.id = vm->id,
		.state = status_vm_state(vm),
		.exit_status = (u32)atomic_load(&vm->exit_status),
		.vcpus = vm->nr_vcpus,
		.memory = vm->pages,
		.min = atomic_load(&vm->cfg->min) >> PAGE_SHIFT,
		.max = atomic_load(&vm->cfg->max) >> PAGE_SHIFT,
		.shares = atomic_load(&vm->cfg->shares),
		.resident = atomic_load(&vm->p2m.acct.resident),
		.balloon = atomic_load(&vm->p2m.ballooned),
		.target = atomic_load(&vm->balloon.target),
		.active = atomic_load(&vm->p2m.acct.resident) * atomic_load(&vm->active_permille) /
			  1000,
		.faults = atomic_load(&vm->faults),
		.popped = atomic_load(&vm->balloon.popped),
		.locked = atomic_load(&vm->balloon.locked),
		.unlocked = atomic_load(&vm->balloon.unlocked),
		.refused = atomic_load(&vm->balloon.refused),
		.reported = atomic_load(&vm->balloon.reported),
		.tables = atomic_load(&vm->p2m.acct.tables),
		.flushes = atomic_load(&vm->p2m.flushes),
		.starts = atomic_load(&vm->starts),
		.entitlement = last.entitlement,
		.rho = last.rho,
		.disk = vm_disk_frames(vm),
		.active_low = atomic_load(&vm->sampler.estimate.low),
		.active_high = atomic_load(&vm->sampler.estimate.high),
		.reason = (u8)last.reason, /* the ABI has the same numbers: hv/memory/explain.c */
		.rule = (u8)last.rule,
		.flags = vm_flags(vm),
	};
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++) {
		info.exits += atomic_load(&vm->vcpus[i]->exits);
		info.run_us += atomic_load(&vm->vcpus[i]->ran) * 1000 / plat_tsc_khz();
	}
	str_copy(info.name, vm->cfg->name, sizeof(info.name));
	give(v, v->gpr[GPR_RCX], &info, sizeof(info));
}

int manage_target(struct vm *vm, u64 pages)
{
	if (pages != BALLOON_BY_POLICY && pages > vm->pages)
		return HV_ERANGE;
	atomic_store(&vm->balloon.manual, pages);
	if (pages != BALLOON_BY_POLICY)
		balloon_set_target(vm, pages);
	return HV_OK;
}

void manage_set_target(struct vcpu *v)
{
	struct vm *vm = target_vm(v);

	if (vm)
		done(v, manage_target(vm, v->gpr[GPR_RCX]) ? AERO_ERR_INVALID : AERO_OK, 0);
}

void manage_audit(struct vcpu *v)
{
	struct vm *vm = v->vm;
	u64 seen;
	int err;

	if (!spin_trylock(&vm->audit_lock)) { /* another vCPU of this VM audits */
		done(v, AERO_AGAIN, 0);
		return;
	}
	err = audit_step(&vm->audit, nr_vms, vm_p2m_of);
	seen = vm->audit.guest_frames;
	if (err != HV_EAGAIN)
		vm->audit = (struct audit){ 0 };
	spin_unlock(&vm->audit_lock);
	done(v, err == HV_EAGAIN ? AERO_AGAIN : err ? AERO_ERR_CORRUPT : AERO_OK, seen);
}

void manage_pause(struct vcpu *v)
{
	struct vm *vm = target_vm(v);

	if (vm)
		done(v, vm_pause(vm) ? AERO_ERR_STATE : AERO_OK, 0);
}

void manage_resume(struct vcpu *v)
{
	struct vm *vm = target_vm(v);

	if (vm)
		done(v, vm_resume(vm) ? AERO_ERR_STATE : AERO_OK, 0);
}

void manage_stop(struct vcpu *v)
{
	struct vm *vm = target_vm(v);
	char reason[sizeof(vm->exit_reason)];
	int status = (int)(v->gpr[GPR_RCX] & 0xff);

	if (!vm)
		return;
	str_format(reason, sizeof(reason), "stopped by VM %s", v->vm->cfg->name);
	done(v, vm_stop(vm, status, reason) ? AERO_ERR_STATE : AERO_OK, 0);
}

void manage_restart(struct vcpu *v)
{
	struct vm *vm = target_vm(v);

	if (!vm)
		return;
	done(v, vm_queue_start(vm) ? AERO_ERR_STATE : AERO_OK, 0);
}

/* Over a check and the change after it: of min against promises and max, of max against min. */
static SPINLOCK(LOCK_LIMITS) limits_lock;

static int set_min(struct vm *vm, u64 pages)
{
	if (pages > vm->cfg->max >> PAGE_SHIFT)
		return HV_ERANGE;
	if (vm_alive(vm) && !admission_allows_min(vm, pages))
		return HV_ENOMEM;
	atomic_store(&vm->cfg->min, pages << PAGE_SHIFT);
	/* Under the lock, and while there is a map: a VM that has ended is promised nothing. */
	spin_lock(&vm->p2m.lock);
	if (vm->p2m.root.v) {
		atomic_store(&vm->p2m.acct.min, pages);
		frame_reserve_fill(&vm->p2m.acct);
	}
	spin_unlock(&vm->p2m.lock);
	return HV_OK;
}

int manage_min(struct vm *vm, u64 pages)
{
	int err;

	spin_lock(&limits_lock);
	err = set_min(vm, pages);
	spin_unlock(&limits_lock);
	return err;
}

static int set_max(struct vm *vm, u64 pages)
{
	if (pages > vm->pages || pages < vm->cfg->min >> PAGE_SHIFT || pages << PAGE_SHIFT < MIB(1))
		return HV_ERANGE;
	atomic_store(&vm->cfg->max, pages << PAGE_SHIFT);
	return HV_OK;
}

int manage_max(struct vm *vm, u64 pages)
{
	int err;

	spin_lock(&limits_lock);
	err = set_max(vm, pages);
	spin_unlock(&limits_lock);
	return err;
}

int manage_shares(struct vm *vm, u32 shares)
{
	atomic_store(&vm->cfg->shares, shares);
	return HV_OK;
}

void manage_set(struct vcpu *v)
{
	struct vm *vm = target_vm(v);
	u64 value = v->gpr[GPR_RDX];
	int err = HV_ERANGE;

	if (!vm)
		return;
	switch (v->gpr[GPR_RCX]) {
	case AERO_SET_MIN:
		err = manage_min(vm, value);
		break;
	case AERO_SET_MAX:
		err = manage_max(vm, value);
		break;
	case AERO_SET_SHARES:
		if (value && value <= SHARES_MAX)
			err = manage_shares(vm, (u32)value);
		break;
	}
	done(v, err == HV_ENOMEM ? AERO_ERR_NOMEM : err ? AERO_ERR_INVALID : AERO_OK, 0);
}

void manage_shutdown(struct vcpu *v)
{
	struct vm *vm = target_vm(v);

	if (vm)
		done(v, vm_press_power(vm) ? AERO_ERR_STATE : AERO_OK, 0);
}

void manage_explain(struct vcpu *v)
{
	struct vm *vm = target_vm(v);
	struct aero_explain e;

	if (!vm)
		return;
	explain_read(&vm->explain, &e);
	give(v, v->gpr[GPR_RCX], &e, sizeof(e));
}

void manage_guest_stats(struct vcpu *v)
{
	struct vm *vm = target_vm(v);
	struct aero_stats s;

	if (!vm)
		return;
	atomic_copy(&s, &vm->balloon.stats, sizeof(s)); /* half old while the guest writes it */
	give(v, v->gpr[GPR_RCX], &s, sizeof(s));
}

/* --- the host --- */

static u32 host_end; /* (a) enum host_end */

void manage_end_host(bool reboot, const char *who)
{
	if (!atomic_cas(&host_end, (u32)HOST_STAYS, (u32)(reboot ? HOST_REBOOT : HOST_POWER_OFF)))
		return;
	log_line("host: %s, asked for by %s", reboot ? "reboot" : "power off", who);
	sched_event_at(plat_tsc());
}

enum host_end manage_host_end(void)
{
	return (enum host_end)atomic_load(&host_end);
}

void manage_tick(void)
{
	struct vm *vm;

	if (manage_host_end() == HOST_STAYS)
		return;
	for_each_vm(vm)
		vm_stop(vm, 0,
			manage_host_end() == HOST_REBOOT ? "the host reboots" :
							   "the host powers off");
}
