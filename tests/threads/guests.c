/* SPDX-License-Identifier: BSD-2-Clause */
/* The guests: they touch pages, make hypercalls, send interrupts, and sleep. */
#include <tests/threads/machine.h>

#include <hv/apic/lapic_regs.h>
#include <mm/guestmem.h>

#define BATCH_GFN 0x50u /* and one more for each vCPU, with its requests and answers */
#define BATCH_MAX 24u

/* Of a vCPU, whichever CPU runs it. Not atomic, so that ThreadSanitizer checks its moves. */
static struct guest {
	u64 call; /* the call that it has made and whose answer it waits for; 0: none */
	u64 entry[BATCH_MAX];
	u32 count, first;
	bool smp; /* it has started the others */
} guests[VMS][VCPUS];

void guest_begins(u32 id)
{
	memset(guests[id], 0, sizeof(guests[id]));
}

static struct guest *guest_of(const struct vcpu *v)
{
	return &guests[v->vm->id][v->index];
}

static bool call(struct vcpu *v, struct vmexit *e, u64 rax, u64 rbx, u64 rcx, u64 rdx)
{
	v->gpr[GPR_RAX] = rax;
	v->gpr[GPR_RBX] = rbx;
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RDX] = rdx;
	*e = (struct vmexit){ .kind = EXIT_HYPERCALL, .length = 3 };
	return true;
}

static bool touch(struct vcpu *v, struct vmexit *e)
{
	u32 gfn = oracle_some_gfn();
	bool own = owner_of(gfn, v->vm->cfg->vcpus) == v->index;

	if (oracle_touch(&v->vm->p2m, v->vm->id, v->index, gfn, own))
		return false;
	*e = (struct vmexit){ .kind = EXIT_P2M_FAULT };
	e->fault.gpa = GPA((u64)gfn << PAGE_SHIFT);
	e->fault.write = true;
	return true;
}

/* --- its balloon ---------------------------------------------------------------------------- */

static u64 batch_gpa(const struct vcpu *v)
{
	return (u64)(BATCH_GFN + v->index) << PAGE_SHIFT;
}

static bool batch(struct vcpu *v, struct vmexit *e)
{
	static const u32 calls[] = { AERO_CALL_LOCK, AERO_CALL_LOCK, AERO_CALL_UNLOCK,
				     AERO_CALL_REPORT };
	struct guest *g = guest_of(v);
	bool large = !any(8);
	u32 gfn = oracle_some_gfn();

	if (owner_of(gfn, v->vm->cfg->vcpus) != v->index)
		return false;
	g->count = large ? 1 : 1 + any(BATCH_MAX);
	for (g->first = 0; g->first < g->count; g->first++, gfn++) {
		if (owner_of(gfn, v->vm->cfg->vcpus) != v->index || gfn >= GFNS)
			break;
		g->entry[g->first] = large ? (u64)(gfn & ~511u) << PAGE_SHIFT | AERO_ENTRY_2M :
					     (u64)gfn << PAGE_SHIFT;
	}
	g->count = g->first;
	g->first = 0;
	if (guest_write(&v->vm->p2m, GPA(batch_gpa(v)), g->entry, g->count * sizeof(u64)))
		return false;
	g->call = calls[any(ARRAY_SIZE(calls))];
	return call(v, e, g->call, batch_gpa(v), g->count, 0);
}

static void given(const struct vcpu *v, u64 entry, bool known)
{
	u32 gfn = (u32)(entry >> PAGE_SHIFT), n = entry & AERO_ENTRY_2M ? 512 : 1;

	for (; n; n--, gfn++)
		if (known)
			oracle_given(v->vm->id, gfn);
		else
			oracle_unknown(v->vm->id, gfn);
}

/* Entries [first, done) have been dealt with. */
static void take_answers(struct vcpu *v, u32 done)
{
	struct guest *g = guest_of(v);
	u64 answer[BATCH_MAX];
	bool known = !guest_read(&v->vm->p2m, GPA(batch_gpa(v)), answer, done * sizeof(u64));

	for (; g->first < done; g->first++)
		if (!known || !(answer[g->first] & AERO_ENTRY_STATUS_MASK))
			given(v, g->entry[g->first], known);
}

/* Handles the answer to its last call; true: the call goes on. */
static bool answered(struct vcpu *v, struct vmexit *e)
{
	struct guest *g = guest_of(v);
	s64 status = (s64)v->gpr[GPR_RAX];
	u64 number = g->call, done = v->gpr[GPR_RBX];

	if (!number)
		return false;
	if (number == AERO_CALL_UNLOCK)
		g->first = (u32)done;
	else if (status == AERO_OK || status == AERO_AGAIN)
		take_answers(v, (u32)done);
	if (status == AERO_AGAIN)
		return call(v, e, number, batch_gpa(v), g->count, done);
	g->call = 0;
	return false;
}

static bool driver(struct vcpu *v, struct vmexit *e)
{
	switch (any(6)) {
	case 0:
		return call(v, e, AERO_CALL_GROW, any(64), 0, 0);
	case 1:
		return call(v, e, AERO_CALL_DOORBELL, any(2) ? 0x60 : AERO_DOORBELL_ACPI,
			    any(v->vm->cfg->vcpus), 0);
	case 2:
		return call(v, e, AERO_CALL_STATS, batch_gpa(v) + 2048, 0, 0);
	default:
		return call(v, e, AERO_CALL_POLL, 0, 0, 0);
	}
}

/* --- the rest --------------------------------------------------------------------------------- */

static bool manage(struct vcpu *v, struct vmexit *e)
{
	u64 id = any(VMS), at = batch_gpa(v) + 2048;

	switch (any(8)) {
	case 0:
		return call(v, e, AERO_CALL_HOST_INFO, at, 0, 0);
	case 1:
		return call(v, e, AERO_CALL_VM_INFO, id, at, 0);
	case 2:
		return call(v, e, AERO_CALL_EXPLAIN, id, at, 0);
	case 3:
		return call(v, e, AERO_CALL_GUEST_STATS, id, at, 0);
	case 4:
		return call(v, e, AERO_CALL_SET, id, 1 + any(3), 2048 + any(1000));
	default:
		return call(v, e, AERO_CALL_AUDIT, 0, 0, 0);
	}
}

static void lapic(struct vcpu *v, u32 reg, u32 value)
{
	lapic_mmio_write(v, reg, value);
}

/* Switches its local APIC on, starts the other vCPU, and starts the driver. */
static bool boot(struct vcpu *v, struct vmexit *e)
{
	guest_of(v)->smp = true;
	lapic(v, R_SVR, SVR_ENABLE | 0xff);
	if (v->index)
		return false;
	lapic(v, R_ICR, 0xc4500);
	lapic(v, R_ICR, 0xc4610);
	return call(v, e, AERO_CALL_START, AERO_ABI_VERSION, UINT64_MAX, 0);
}

static bool sleep_or_signal(struct vcpu *v, struct vmexit *e)
{
	*e = (struct vmexit){ .kind = EXIT_NONE };
	switch (any(6)) {
	case 0: /* to all others */
		lapic(v, R_ICR, 0xc4000 | 0x70);
		return true;
	case 1:
		lapic(v, R_EOI, 0);
		return true;
	case 2:
		*e = (struct vmexit){ .kind = EXIT_CPUID, .length = 2 };
		return true;
	case 3: /* not before something wakes it */
		lapic(v, R_LVT_TIMER, 0x80);
		lapic(v, R_TIMER_DIVIDE, 0xb);
		lapic(v, R_TIMER_INITIAL, 1000000);
		*e = (struct vmexit){ .kind = EXIT_HLT, .length = 1 };
		return true;
	default:
		e->kind = EXIT_PAUSE;
		e->length = 2;
		return true;
	}
}

bool guest_acts(struct vcpu *v, struct vmexit *e)
{
	if (answered(v, e))
		return true;
	if (!guest_of(v)->smp)
		return boot(v, e);
	switch (any(32)) {
	case 0:
	case 1:
	case 2:
		return batch(v, e);
	case 3:
		return driver(v, e);
	case 4:
		return v->vm->cfg->control && manage(v, e);
	case 5:
		return sleep_or_signal(v, e);
	default:
		return touch(v, e);
	}
}
