/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Second-level faults: demand-zero memory, popped balloon pages, devices, and
 * the wait when the host has no frame left.
 */
#include <hv/base/platform.h>
#include <hv/exit/exit.h>
#include <hv/memory/waiters.h>
#include <hv/emulate/mmio.h>
#include <hv/vm/vm.h>

/*
 * Where a CPU begins after a reset and firmware would be.  Linux jumps there to reboot
 * when ACPI is hardware-reduced and there is no UEFI; it does not use the reset register.
 */
#define RESET_VECTOR 0xffff0UL

/* The guest touched a page that it had given away: it gets an empty one. */
static int pop(struct vm *vm, u64 gfn)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;
	int err = p2m_unlock(&vm->p2m, gfn, ORDER_4K, &b, &work);

	p2m_commit(&vm->p2m, &b);
	if (err)
		return err;
	tally_add(&vm->balloon.popped, 1);
	if (atomic_load(&vm->balloon.popped) == 1)
		vm_log(vm,
		       "touched a page that is in its balloon (gfn %lx): popped, and further ones are only counted",
		       gfn);
	return HV_OK;
}

/* HV_OK: enter again. HV_ESTATE: not memory that can be backed; *@kind says what it is. */
static int serve(struct vm *vm, u64 gfn, enum p2m_kind *kind)
{
	unsigned int flags = memory_grant(vm);
	unsigned int order = flags & MEMORY_GRANT_LARGE ? ORDER_2M : ORDER_4K;
	int err;

	spin_lock(&vm->p2m.lock);
	err = p2m_populate(&vm->p2m, gfn, order, flags, kind);
	if (*kind == P2M_BALLOON) {
		err = pop(vm, gfn);
		if (!err)
			err = p2m_populate(&vm->p2m, gfn, ORDER_4K, flags, kind);
	}
	tally_add(&vm->faults, !err);
	spin_unlock(&vm->p2m.lock);
	return err;
}

/* HV_OK: whatever there was to do is done. */
static int make_executable(struct vm *vm, u64 gfn)
{
	int err;

	spin_lock(&vm->p2m.lock);
	if (p2m_make_executable(&vm->p2m, gfn, &err)) {
		p2m_flush(&vm->p2m);
		if (!vm->exec_splits++)
			vm_log(vm,
			       "runs code in a large page (gfn %lx): split, and further ones are only counted",
			       gfn);
	}
	spin_unlock(&vm->p2m.lock);
	return err;
}

/* Mapped, and yet a fault: another vCPU was faster, or it is read-only or not executable. */
static void mapped_fault(struct vcpu *v, const struct vmexit *e)
{
	int err = e->fault.exec ? make_executable(v->vm, e->fault.gpa.v >> PAGE_SHIFT) : HV_OK;

	if (err == HV_EBUSY)
		return; /* a device reads or writes it at the moment; the vCPU tries again, in its own time */
	if (err) {
		memory_wait(v, err);
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
		memory_wait(v, err);
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
