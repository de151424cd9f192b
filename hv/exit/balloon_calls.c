/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon's hypercalls: the front for our own driver.  A call's registers are in
 * docs/abi.md; the balloon itself is hv/memory/balloon.h.
 */
#include <hv/base/platform.h>
#include <hv/exit/calls.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

/*
 * A kernel that touches what it allocates takes a frame for each page of a
 * batch before the first is locked; when memory is short, they must fit into
 * the VM's reserve.
 */
static u64 scarce_hint(const struct vm *vm)
{
	return min((u64)atomic_load(&vm->balloon.hint),
		   max(atomic_load(&vm->p2m.acct.reserve) / 2, 1UL));
}

static void reply(struct vcpu *v, s64 status, u64 result)
{
	struct balloon *b = &v->vm->balloon;

	v->gpr[GPR_RAX] = (u64)status;
	v->gpr[GPR_RBX] = result;
	v->gpr[GPR_RCX] = atomic_load(&b->target);
	v->gpr[GPR_RDX] = unlikely(frames_scarce()) ? scarce_hint(v->vm) : atomic_load(&b->hint);
	tally_add(&b->calls, 1);
}

static const struct balloon_front aerostat_front = { "aerostat", BALLOON_AEROSTAT,
						     vm_ring_doorbell };

/* Has the driver that calls the balloon? */
static bool started(const struct vm *vm)
{
	return atomic_load(&vm->balloon.started) &&
	       atomic_load(&vm->balloon.front) == &aerostat_front;
}

void call_start(struct vcpu *v)
{
	u64 version = v->gpr[GPR_RBX], features = v->gpr[GPR_RCX];

	if (version != AERO_ABI_VERSION) {
		reply(v, AERO_ERR_INVALID, AERO_ABI_VERSION);
		return;
	}
	if (!balloon_claim(v->vm, &aerostat_front)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (balloon_reset(v->vm) == HV_EAGAIN) {
		reply(v, AERO_AGAIN, 0);
		return;
	}
	reply(v, AERO_OK,
	      features & (AERO_FEATURE_2M | AERO_FEATURE_DOORBELL | AERO_FEATURE_STATS |
			  AERO_FEATURE_GROW | AERO_FEATURE_REPORT));
}

/* What is in the balloon goes home first, in bounded pieces: nobody would know of it any more. */
void call_end(struct vcpu *v)
{
	struct vm *vm = v->vm;

	if (atomic_load(&vm->balloon.front) != &aerostat_front) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (balloon_reset(vm) == HV_EAGAIN) {
		reply(v, AERO_AGAIN, 0);
		return;
	}
	balloon_release(vm);
	reply(v, AERO_OK, 0);
}

void call_poll(struct vcpu *v)
{
	reply(v, started(v->vm) ? AERO_OK : AERO_ERR_STATE, atomic_load(&v->vm->p2m.ballooned));
}

/*
 * The request is copied in once and only the copy is used; statuses go back
 * only if there are any, since a clean entry already reads as OK.  The lock is
 * dropped at each bound on work, and the call goes on if nobody else has anything
 * to do meanwhile: an exit less.
 */
static void do_batch(struct vcpu *v, enum balloon_op op)
{
	u64 *entries = balloon_scratch();
	struct vm *vm = v->vm;
	gpa_t page = GPA(v->gpr[GPR_RBX]);
	u64 count = v->gpr[GPR_RCX], first = v->gpr[GPR_RDX];
	u64 done = first;
	bool refused;

	if (page.v & PAGE_MASK || count > AERO_BATCH_MAX || first >= count) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	if (!started(vm)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	if (guest_read(&vm->p2m, GPA(page.v + first * sizeof(u64)), entries + first,
		       (count - first) * sizeof(u64))) {
		reply(v, AERO_ERR_FAULT, first);
		return;
	}
	do {
		u64 from = done, work = 0;

		done = balloon_entries(vm, op, entries, (u32)from, (u32)count, page.v >> PAGE_SHIFT,
				       &work, &refused);
		if (refused && guest_write(&vm->p2m, GPA(page.v + from * sizeof(u64)),
					   entries + from, (done - from) * sizeof(u64))) {
			reply(v, AERO_ERR_FAULT, done);
			return;
		}
	} while (done < count && vcpu_may_go_on(v));
	reply(v, done < count ? AERO_AGAIN : AERO_OK, done);
}

void call_lock(struct vcpu *v)
{
	do_batch(v, BALLOON_LOCK);
}

void call_unlock(struct vcpu *v)
{
	do_batch(v, BALLOON_UNLOCK);
}

void call_report(struct vcpu *v)
{
	do_batch(v, BALLOON_REPORT);
}

void call_stats(struct vcpu *v)
{
	struct aero_stats s;

	if (v->gpr[GPR_RBX] & 7) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	if (guest_read(&v->vm->p2m, GPA(v->gpr[GPR_RBX]), &s, sizeof(s))) {
		reply(v, AERO_ERR_FAULT, 0);
		return;
	}
	balloon_note_stats(v->vm, &s);
	reply(v, AERO_OK, 0);
}

void call_doorbell(struct vcpu *v)
{
	u64 vector = v->gpr[GPR_RBX], apic = v->gpr[GPR_RCX];

	if (vector && vector != AERO_DOORBELL_ACPI &&
	    (vector < 32 || vector > 255 || apic >= v->vm->nr_vcpus)) {
		reply(v, AERO_ERR_INVALID, 0);
		return;
	}
	atomic_store(&v->vm->balloon.doorbell.apic, (u32)apic);
	atomic_store(&v->vm->balloon.doorbell.vector, (u32)vector);
	reply(v, AERO_OK, 0);
}

/* Answered here and now: the target shrinks before the call returns. */
void call_grow(struct vcpu *v)
{
	struct vm *vm = v->vm;

	if (!started(vm)) {
		reply(v, AERO_ERR_STATE, 0);
		return;
	}
	reply(v, AERO_OK, balloon_grow(vm, min(v->gpr[GPR_RBX], vm->pages)));
}
