/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs end, are stopped, reboot, and give their memory back. */
#include <stdarg.h>

#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/vm/end.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

/*
 * A VM that reboots soon after its start waits from start to start for this long, twice as long
 * at each further time in a row, and not any more once it has stayed up.
 */
#define REBOOT_PERIOD_MS 1000UL
#define REBOOT_DOUBLINGS 6u
#define REBOOT_SETTLED_MS 120000UL

void vm_say_ended(struct vm *vm)
{
	vm_log_end(vm);
	log_line("vm %s: ended with status %d (%s)", vm->cfg->name, vm->exit_status,
		 vm->exit_reason);
	log_raw("@exit name=%s status=%d reason=%s", vm->cfg->name, vm->exit_status,
		vm->exit_reason);
}

/* False: another CPU ended it first, or begins to start it: an end would be forgotten. */
static bool begin_end(struct vm *vm)
{
	u32 old = atomic_load_acquire(&vm->state);

	while (old == VM_RUNNING || old == VM_PAUSED || old == VM_STARTING || old == VM_BUILT) {
		if (atomic_load_acquire(&vm->preparing))
			return false;
		if (atomic_cas(&vm->state, old, VM_ENDING))
			return true;
		old = atomic_load(&vm->state);
	}
	return false;
}

/* Its CPUs leave it, and one of them takes it apart. */
static void hurry_end(struct vm *vm)
{
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		sched_kick(vm->vcpus[i]);
	sched_event_at(plat_tsc());
}

/* False: it is not for us to end it now. */
static bool end_as(struct vm *vm, int status, const char *reason)
{
	if (!begin_end(vm))
		return false;
	console_flush(vm);
	atomic_store(&vm->exit_status, status);
	str_copy(vm->exit_reason, reason, sizeof(vm->exit_reason));
	vm_say_ended(vm);
	hurry_end(vm);
	return true;
}

void vm_end(struct vm *vm, int status, const char *fmt, ...)
{
	char reason[sizeof(vm->exit_reason)];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	end_as(vm, status, reason);
}

int vm_stop(struct vm *vm, int status, const char *reason)
{
	u32 state = atomic_load(&vm->state);

	if (state == VM_NONE || state == VM_ENDED)
		return HV_ESTATE;
	if (vm_alive(vm) && end_as(vm, status, reason))
		return HV_OK;
	/* It is being started, or taken apart to be started again. */
	if (atomic_cas(&vm->stop.state, (u32)STOP_NOBODY, (u32)STOP_WRITTEN)) {
		vm->stop.status = status;
		str_copy(vm->stop.reason, reason, sizeof(vm->stop.reason));
		atomic_store_release(&vm->stop.state, (u32)STOP_ASKED);
		sched_event_at(plat_tsc());
	}
	return HV_OK;
}

/* In the background, where no start can begin meanwhile. */
void vm_carry_out_stop(struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	if (likely(atomic_load_acquire(&vm->stop.state) != STOP_ASKED))
		return;
	if (state == VM_ENDING && !atomic_load(&vm->again))
		return; /* a reboot that is being begun, or an end */
	if (state == VM_NONE || state == VM_ENDED) {
		atomic_store(&vm->stop.state, (u32)STOP_NOBODY);
		return; /* it has ended by itself */
	}
	if (state == VM_ENDING || state == VM_QUEUED) {
		atomic_store(&vm->again, false);
		atomic_store(&vm->exit_status, vm->stop.status);
		str_copy(vm->exit_reason, vm->stop.reason, sizeof(vm->exit_reason));
		vm_say_ended(vm);
		/* The next steps give its promises back. */
		atomic_store_seq(&vm->state, VM_ENDING);
	} else {
		end_as(vm, vm->stop.status, vm->stop.reason);
	}
	atomic_store(&vm->stop.state, (u32)STOP_NOBODY);
}

void vm_reboot(struct vm *vm)
{
	u64 now = plat_tsc(), started = 0 - vm->tsc_offset, pause;

	if (!begin_end(vm))
		return;
	if (tsc_since(started, now) > REBOOT_SETTLED_MS * plat_tsc_khz())
		vm->quick_reboots = 0;
	pause = REBOOT_PERIOD_MS * plat_tsc_khz() << vm->quick_reboots;
	vm->quick_reboots = min(vm->quick_reboots + 1, REBOOT_DOUBLINGS);
	atomic_store(&vm->again, true); /* so its promises stay */
	vm->next_try = max(now, started + pause);
	vm->give_up_at = vm->next_try + VM_START_PATIENCE_MS * plat_tsc_khz();
	console_flush(vm);
	vm_log(vm, "reboots");
	hurry_end(vm);
}

/* What a VM keeps while it is off to be started again; false: there is more to do. */
static bool give_back(struct vm *vm)
{
	if (!bus_stop(vm))
		return false;
	frame_reserve_drop(&vm->p2m.acct);
	return true;
}

bool vm_reap_step(struct vm *vm)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	int err;

	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		if (!sched_retire(vm->vcpus[i]))
			return false;
	if (!bus_quiesce(vm))
		return false;
	if (vm->p2m.root.v) {
		spin_lock(&vm->p2m.lock);
		err = p2m_teardown(&vm->p2m, &vm->teardown_gfn, &b);
		p2m_commit(&vm->p2m, &b);
		if (!err)
			p2m_destroy(&vm->p2m); /* from here on no min can be set */
		spin_unlock(&vm->p2m.lock);
		if (err)
			return false;
	}
	if (!atomic_load(&vm->again) && !give_back(vm))
		return false;
	for (u32 i = 0; i < atomic_load_acquire(&vm->nr_vcpus); i++)
		vcpu_fini(vm->vcpus[i]);
	if (!atomic_load(&vm->again)) /* a stop that came meanwhile was for this run */
		atomic_store(&vm->stop.state, (u32)STOP_NOBODY);
	atomic_store_seq(&vm->state, atomic_load(&vm->again) ? VM_QUEUED : VM_ENDED);
	return true;
}
