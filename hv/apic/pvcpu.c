/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/apic/lapic_regs.h>
#include <hv/apic/pvclock.h>
#include <hv/apic/pvcpu.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define ENABLE BIT(0)
#define STEAL_RESERVED 0x3eUL /* the area is aligned on 64 bytes */
#define EOI_RESERVED BIT(1)   /* and this on 4 */
#define EOI_BY_BIT 1

struct steal_time {
	u64 steal;   /* ns */
	u32 version; /* odd while it changes */
	u32 flags;
	u8 preempted, pad[47];
};
_Static_assert(sizeof(struct steal_time) == 64, "struct kvm_steal_time");

bool pvcpu_read(struct vcpu *v, u32 msr, u64 *value)
{
	*value = msr == MSR_PV_STEAL_TIME ? v->pv_steal : v->lapic.pv_eoi;
	return true;
}

static u64 stolen_ns(const struct vcpu *v)
{
	u64 khz = max(plat_tsc_khz(), 1UL);

	return v->waited / khz * 1000000 + v->waited % khz * 1000000 / khz;
}

static bool write_steal_time(struct vcpu *v, u64 value)
{
	struct steal_time t = { .steal = stolen_ns(v), .version = v->steal_version };

	if (value & ENABLE &&
	    (value & STEAL_RESERVED || !pvclock_give(v, value & ~ENABLE, &t, sizeof(t))))
		return false;
	v->pv_steal = value;
	return true;
}

static bool write_eoi(struct vcpu *v, u64 value)
{
	u8 none = 0;

	if (v->lapic.eoi_offered)
		pvcpu_eoi_collect(v);
	if (value & ENABLE &&
	    (value & EOI_RESERVED || !pvclock_give(v, value & ~ENABLE, &none, sizeof(none))))
		return false;
	v->lapic.pv_eoi = value;
	return true;
}

bool pvcpu_write(struct vcpu *v, u32 msr, u64 value)
{
	return msr == MSR_PV_STEAL_TIME ? write_steal_time(v, value) : write_eoi(v, value);
}

/* False: that memory is not there now. */
static bool put(struct vcpu *v, u64 gpa, const void *data, size_t bytes)
{
	return !guest_write(&v->vm->p2m, GPA(gpa), data, bytes);
}

void pvcpu_steal_begin(struct vcpu *v)
{
	u64 at = v->pv_steal & ~ENABLE;
	struct steal_time t = { .steal = stolen_ns(v), .version = v->steal_version + 1 };

	if (!(v->pv_steal & ENABLE) ||
	    !put(v, at + offsetof(struct steal_time, version), &t.version, sizeof(t.version)))
		return;
	put(v, at, &t.steal, sizeof(t.steal));
	v->steal_version = ++t.version;
	/* Even again; flags and preempted are 0. */
	put(v, at + offsetof(struct steal_time, version), &t.version,
	    offsetof(struct steal_time, pad) - offsetof(struct steal_time, version));
}

void pvcpu_steal_preempted(struct vcpu *v)
{
	u8 yes = 1;

	if (v->pv_steal & ENABLE)
		put(v, (v->pv_steal & ~ENABLE) + offsetof(struct steal_time, preempted), &yes, 1);
}

/* The vector of the one interrupt in service; -1: none, or several. */
static int only_one_in_service(const struct lapic *a)
{
	int vector = -1;

	for (u32 i = 0; i < 8; i++) {
		u32 word = a->regs[(R_ISR >> 4) + i];

		if (!word)
			continue;
		if (vector >= 0 || word & (word - 1))
			return -1;
		vector = (int)i * 32 + __builtin_ctz(word);
	}
	return vector;
}

void pvcpu_eoi_offer(struct vcpu *v)
{
	struct lapic *a = &v->lapic;
	int vector = only_one_in_service(a);
	u8 offer = EOI_BY_BIT;
	u32 waiting = 0;

	if (!(a->pv_eoi & ENABLE) || vector < 0)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(a->irr); i++)
		waiting |= atomic_load(&a->irr[i]);
	/* What is raised from now on kicks this CPU, and the offer is taken back. */
	if (!waiting && !(atomic_load(&a->regs[(R_TMR >> 4) + vector / 32]) & 1u << vector % 32))
		a->eoi_offered = put(v, a->pv_eoi & ~ENABLE, &offer, sizeof(offer));
}

void pvcpu_eoi_collect(struct vcpu *v)
{
	struct lapic *a = &v->lapic;
	u64 at = a->pv_eoi & ~ENABLE;
	u8 flag = 0, none = 0;
	bool there = !guest_read(&v->vm->p2m, GPA(at), &flag, sizeof(flag));

	a->eoi_offered = false;
	if (there && flag & EOI_BY_BIT) {
		put(v, at, &none, sizeof(none)); /* mapped, so that this cannot fail */
		return;
	}
	/* A guest that has given that memory away cannot tell any more. */
	if (!there)
		a->pv_eoi = 0;
	lapic_eoi(v);
}
