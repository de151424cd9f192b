/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Second-level faults: demand-zero memory, popped balloon pages, devices, and
 * the wait when the host has no frame left.
 */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/exit/exit.h>
#include <hv/memory/governor.h>
#include <hv/emulate/mmio.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

/*
 * Where a CPU begins after a reset and firmware would be.  Linux jumps there to reboot
 * when ACPI is hardware-reduced and there is no UEFI; it does not use the reset register.
 */
#define RESET_VECTOR 0xffff0UL
#define WAIT_LOG_MS 1000 /* one line for a VM that waits again and again */

/* The guest touched a page that it had given away: it gets an empty one. */
static int pop(struct vm *vm, u64 gfn)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;
	int err = p2m_unlock(&vm->p2m, gfn, ORDER_4K, &b, &work);

	p2m_commit(&vm->p2m, &b);
	if (err)
		return err;
	if (!vm->balloon.popped++)
		log_line(
			"vm %s: touched a page that is in its balloon (gfn %lx): popped, and further ones are only counted",
			vm->cfg->name, gfn);
	return HV_OK;
}

/* Large pages only while there is plenty: they take memory that may never be used. */
static unsigned int wanted_order(const struct vm *vm)
{
	return governor_state() == POLICY_HIGH &&
			       vm->p2m.acct.resident + 512 <= vm->cfg->max >> PAGE_SHIFT ?
		       ORDER_2M :
		       ORDER_4K;
}

/* HV_OK: enter again. HV_ESTATE: not memory that can be backed; *@kind says what it is. */
static int serve(struct vm *vm, u64 gfn, enum p2m_kind *kind)
{
	unsigned int flags = balloon_below_target(vm) ? FRAME_USE_RESERVE : 0;
	unsigned int order = wanted_order(vm);
	int err;

	if (unlikely(frames_scarce()) && !sched_memory_turn(vm)) {
		flags |= FRAME_PROMISED;
		order = ORDER_4K;
	}
	spin_lock(&vm->p2m.lock);
	err = p2m_populate(&vm->p2m, gfn, order, flags, kind);
	if (*kind == P2M_BALLOON) {
		err = pop(vm, gfn);
		if (!err)
			err = p2m_populate(&vm->p2m, gfn, ORDER_4K, flags, kind);
	}
	vm->faults += !err;
	spin_unlock(&vm->p2m.lock);
	return err;
}

/* Frames in quarantine come soon: then this CPU just tries again. */
void fault_wait(struct vcpu *v, int err)
{
	struct vm *vm = v->vm;

	if (quarantine_drain(64)) {
		sched_wake_memory_waiters();
		return;
	}
	if (err == HV_EAGAIN) {
		/* Others must pass a quiescent point first; this CPU does so by coming back. */
		for (u32 i = 0; i < plat_nr_cpus(); i++)
			if (i != plat_cpu())
				plat_kick(i);
		v->slice_end = 0;
		return;
	}
	if (!vm->wait_logged ||
	    tsc_since(vm->wait_logged, plat_tsc()) > WAIT_LOG_MS * plat_tsc_khz()) {
		vm->wait_logged = plat_tsc();
		log_line("vm %s: paused until memory comes back: the host has none left",
			 vm->cfg->name);
	}
	/* Others before us in the queue: what there is, is theirs. */
	if (frames_available())
		sched_wake_memory_waiters();
	sched_block(v, VCPU_NO_MEMORY);
	governor_hurry();
}

/* HV_OK: whatever there was to do is done. */
static int make_executable(struct vm *vm, u64 gfn)
{
	int err;

	spin_lock(&vm->p2m.lock);
	if (p2m_make_executable(&vm->p2m, gfn, &err)) {
		p2m_flush(&vm->p2m);
		if (!vm->exec_splits++)
			log_line(
				"vm %s: runs code in a large page (gfn %lx): split, and further ones are only counted",
				vm->cfg->name, gfn);
	}
	spin_unlock(&vm->p2m.lock);
	return err;
}

/* Mapped, and yet a fault: another vCPU was faster, or it is read-only or not executable. */
static void mapped_fault(struct vcpu *v, const struct vmexit *e)
{
	int err = e->fault.exec ? make_executable(v->vm, e->fault.gpa.v >> PAGE_SHIFT) : HV_OK;

	if (err) {
		fault_wait(v, err);
		return;
	}
	if (!e->fault.write || p2m_lookup(&v->vm->p2m, e->fault.gpa.v >> PAGE_SHIFT).writable)
		return;
	vcpu_dump(v);
	vm_end(v->vm, VM_STATUS_CRASHED, "write to read-only memory at %lx", e->fault.gpa.v);
}

void exit_p2m_fault(struct vcpu *v, struct vmexit *e)
{
	enum p2m_kind kind;
	int err = serve(v->vm, e->fault.gpa.v >> PAGE_SHIFT, &kind);

	if (unlikely(err == HV_ENOMEM || err == HV_EAGAIN)) {
		fault_wait(v, err);
		return;
	}
	atomic_store(&v->stood_since, 0UL);
	if (likely(!err))
		return;
	if (kind == P2M_MAPPED)
		mapped_fault(v, e);
	else if (kind == P2M_HOLE && e->fault.exec && e->fault.gpa.v == RESET_VECTOR)
		vm_reboot(v->vm);
	else if (kind == P2M_HOLE)
		mmio_exit(v, e);
	else
		vm_end(v->vm, VM_STATUS_CRASHED, "memory at %lx: %s", e->fault.gpa.v,
		       hv_strerror(err));
}
