/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens often at a local APIC: interrupts come, are taken and end, and the
 * timer.  lapic_regs.c has its registers, lapic_ipi.c what travels between two.
 */
#include <hv/base/platform.h>
#include <hv/apic/lapic_regs.h>
#include <hv/apic/pvcpu.h>
#include <hv/vm/vm.h>

/* --- interrupts --------------------------------------------------------------- */

static int highest(const u32 bits[8])
{
	for (int i = 7; i >= 0; i--) {
		u32 w = atomic_load(&bits[i]);

		if (w)
			return i * 32 + 31 - __builtin_clz(w);
	}
	return -1;
}

/* ISR as eight consecutive words. */
static int highest_isr(const struct lapic *a)
{
	return highest(&a->regs[R_ISR >> 4]);
}

u32 lapic_ppr(const struct lapic *a)
{
	u32 tpr = lapic_get(a, R_TPR) & 0xff;
	int isr = highest_isr(a);

	if (isr < 0 || (u32)(isr & 0xf0) <= (tpr & 0xf0))
		return tpr;
	return (u32)isr & 0xf0;
}

/* SDM: "Interrupt Acceptance for Fixed Interrupts"; without a word to the vCPU. */
static bool accept_vector(struct vcpu *v, u8 vector, bool level)
{
	struct lapic *a = &v->lapic;
	u32 word = vector / 32, bit = 1u << (vector % 32);
	u32 *tmr = &a->regs[(R_TMR >> 4) + word];

	if (vector < 16) {
		lapic_error(v, ESR_RECEIVED_VECTOR);
		return false;
	}
	if (!lapic_is_on(a))
		return false;
	/* TMR first: a CPU that sees the interrupt must see its trigger mode. */
	if (level)
		atomic_or(tmr, bit);
	else if (unlikely(atomic_load(tmr) & bit))
		atomic_and(tmr, ~bit);
	atomic_or(&a->irr[word], bit);
	return true;
}

bool lapic_accept_vector(struct vcpu *v, u8 vector, bool level)
{
	bool taken = accept_vector(v, vector, level);

	if (taken)
		vcpu_notify(v, PENDING_IRQ);
	return taken;
}

void lapic_raise(struct vcpu *v, u8 vector)
{
	lapic_accept_vector(v, vector, false);
}

/* No vCPU need be woken. */
void lapic_raise_self(struct vcpu *v, u8 vector)
{
	if (accept_vector(v, vector, false))
		atomic_or(&v->pending, PENDING_IRQ);
}

/* The guest writes CR8 without an exit: what it is then, the back end knows. */
void lapic_sync_tpr(struct vcpu *v)
{
	u32 cr8 = backend->get_cr8(v);

	if (unlikely(cr8 != (lapic_get(&v->lapic, R_TPR) & 0xff) >> 4))
		lapic_put(&v->lapic, R_TPR, cr8 << 4);
}

u8 lapic_held_back(const struct vcpu *v)
{
	u32 tpr = lapic_get(&v->lapic, R_TPR) & 0xf0;
	int irr;

	if (!tpr)
		return 0;
	irr = highest(v->lapic.irr);
	return irr >= 0 && (irr & 0xf0u) <= tpr ? (u8)(irr >> 4) : 0;
}

int lapic_pending(const struct vcpu *v)
{
	int irr = highest(v->lapic.irr);

	if (irr < 0 || ((u32)irr & 0xf0) <= (lapic_ppr(&v->lapic) & 0xf0))
		return -1;
	return irr;
}

void lapic_accept(struct vcpu *v, u8 vector)
{
	atomic_and(&v->lapic.irr[vector / 32], ~(1u << (vector % 32)));
	v->lapic.regs[(R_ISR >> 4) + vector / 32] |= 1u << (vector % 32);
}

void lapic_give_back(struct vcpu *v, u8 vector)
{
	if (v->lapic.eoi_offered)
		pvcpu_eoi_collect(v);
	v->lapic.regs[(R_ISR >> 4) + vector / 32] &= ~(1u << (vector % 32));
	atomic_or(&v->lapic.irr[vector / 32], 1u << (vector % 32));
	atomic_or(&v->pending, PENDING_IRQ);
}

void lapic_eoi(struct vcpu *v)
{
	struct lapic *a = &v->lapic;
	int vector;
	u32 word, bit;

	if (unlikely(a->eoi_offered))
		pvcpu_eoi_collect(v);
	vector = highest_isr(a);
	if (vector < 0)
		return;
	word = (u32)vector / 32;
	bit = 1u << (vector % 32);
	a->regs[(R_ISR >> 4) + word] &= ~bit;
	if (unlikely(atomic_load(&a->regs[(R_TMR >> 4) + word]) & bit) &&
	    !(lapic_get(a, R_SVR) & SVR_NO_EOI_BROADCAST))
		ioapic_eoi(v->vm, (u8)vector);
	atomic_or(&v->pending, PENDING_IRQ);
}

u64 lapic_tpr(struct vcpu *v)
{
	lapic_sync_tpr(v);
	return lapic_get(&v->lapic, R_TPR);
}

void lapic_set_tpr(struct vcpu *v, u64 tpr)
{
	lapic_put(&v->lapic, R_TPR, tpr & 0xff);
	backend->set_cr8(v, (u8)(tpr >> 4 & 15));
	atomic_or(&v->pending, PENDING_IRQ);
}

/* --- the timer ------------------------------------------------------------------ */

void lapic_timer_check(struct vcpu *v, u64 now)
{
	struct lapic *a = &v->lapic;
	u32 lvt = lapic_get(a, R_LVT_TIMER);

	if (now < a->deadline)
		return;
	/* However many periods have passed: one interrupt, and the next one in phase. */
	if (a->period)
		atomic_store(&a->deadline,
			     a->deadline + (1 + (now - a->deadline) / a->period) * a->period);
	else
		atomic_store(&a->deadline, LAPIC_NO_DEADLINE);
	a->tsc_deadline = 0;
	if (!(lvt & LVT_MASKED))
		lapic_raise_self(v, (u8)lvt);
}

/* Further away than a century is never: the guest may write any value. */
#define FAR_FUTURE (1UL << 62)

static void deadline_write(struct vcpu *v, u64 value)
{
	u64 now = plat_tsc(), guest_now = now + v->tsc_offset;
	struct lapic *a = &v->lapic;

	if (lapic_timer_mode(a) != TIMER_DEADLINE)
		return;
	if (unlikely(now >= a->deadline))
		lapic_timer_check(v, now); /* the one before is due */
	a->tsc_deadline = value;
	if (!value) {
		atomic_store(&a->deadline, LAPIC_NO_DEADLINE);
	} else if (likely(value > guest_now)) {
		atomic_store(&a->deadline, now + min(value - guest_now, FAR_FUTURE));
	} else {
		atomic_store(&a->deadline, now);
		lapic_timer_check(v, now);
	}
}

/* The timer's deadline is one of the guest's TSC. */
void lapic_tsc_written(struct vcpu *v)
{
	deadline_write(v, v->lapic.tsc_deadline);
}

/* --- the two registers that a guest writes all the time ------------------------------------ */

bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value)
{
	u32 offset = (msr - 0x800) << 4;

	if (msr == MSR_TSC_DEADLINE) {
		deadline_write(v, value);
		return true;
	}
	if (!lapic_is_x2(&v->lapic) || offset >= R_END)
		return false;
	if (offset == R_EOI && !value) {
		lapic_eoi(v);
		return true;
	}
	return lapic_x2_write(v, offset, value);
}
