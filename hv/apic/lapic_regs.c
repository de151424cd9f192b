/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's registers, by memory and by MSR, and what a write to them sets off. */
#include <hv/base/nospec.h>
#include <hv/base/platform.h>
#include <hv/apic/lapic_regs.h>
#include <hv/apic/pvcpu.h>
#include <hv/vm/vm.h>

/*
 * Integrated, six LVT entries.  EOI broadcasts can be suppressed, for a guest that writes the
 * I/O APIC's EOI register itself (ours has one).
 */
#define LAPIC_VERSION 0x01050014

/* By the CPU that runs the vCPU, or while none does. The SIPI vector is the senders'. */
void lapic_reset(struct vcpu *v, bool keep_base)
{
	struct lapic *a = &v->lapic;

	if (!keep_base)
		atomic_store(&a->base, LAPIC_DEFAULT_BASE | BASE_EN | (v->index ? 0 : BASE_BSP));
	for (u32 r = 0; r < R_END; r += 16)
		lapic_put(a, r, r >= R_LVT_TIMER && r <= R_LVT_ERROR ? LVT_MASKED : 0);
	lapic_set_tpr(v, 0);
	lapic_put(a, R_DFR, 0xffffffff);
	lapic_put(a, R_SVR, 0xff);
	for (u32 i = 0; i < ARRAY_SIZE(a->irr); i++)
		atomic_store(&a->irr[i], 0);
	atomic_store(&a->errors, 0);
	atomic_store(&a->deadline, LAPIC_NO_DEADLINE);
	a->period = a->tsc_deadline = 0;
	a->pv_eoi = 0;
	a->eoi_offered = false;
}

/* An error that is noted already is not told again, which ends the recursion by a bad LVT. */
void lapic_error(struct vcpu *v, u32 bit)
{
	u32 lvt = lapic_get(&v->lapic, R_LVT_ERROR);

	if (!(atomic_or(&v->lapic.errors, bit) & bit) && !(lvt & LVT_MASKED))
		lapic_accept_vector(v, (u8)lvt, false);
}

/* --- the timer's ------------------------------------------------------------------ */

/* It counts TSC ticks, divided as the guest asks (AERO_CPUID_TIMING says so). */
static u64 divisor(const struct lapic *a)
{
	u32 d = lapic_get(a, R_TIMER_DIVIDE);
	u32 shift = ((d & 3) | (d >> 1 & 4)) + 1;

	return 1UL << (shift & 7);
}

/* A period that the host cannot keep up with would be a denial of service. */
static u64 timer_period(const struct lapic *a)
{
	if (lapic_timer_mode(a) != TIMER_PERIODIC)
		return 0;
	return max(lapic_get(a, R_TIMER_INITIAL) * divisor(a), plat_tsc_khz() / 20);
}

/* From TSC @now on, @count ticks of the timer remain. */
static void timer_arm(struct lapic *a, u64 now, u64 count)
{
	a->period = timer_period(a);
	atomic_store(&a->deadline, now + count * divisor(a));
}

/*
 * SDM: "TSC-Deadline Mode": a change to that mode or from it disarms the timer.  Between one-shot
 * and periodic it goes on, and the new mode says what is to happen when it has run out: docs/cpus.md.
 */
static void timer_set_mode(struct lapic *a, u32 lvt)
{
	bool disarm = (LVT_MODE(lvt) == TIMER_DEADLINE) != (lapic_timer_mode(a) == TIMER_DEADLINE);

	lapic_put(a, R_LVT_TIMER, lvt);
	a->period = timer_period(a);
	if (disarm) {
		atomic_store(&a->deadline, LAPIC_NO_DEADLINE);
		a->tsc_deadline = a->period = 0;
	}
}

static u32 timer_current(const struct lapic *a, u64 now)
{
	u64 left = 0;

	if (a->deadline == LAPIC_NO_DEADLINE || lapic_timer_mode(a) == TIMER_DEADLINE)
		return 0;
	if (now < a->deadline)
		left = a->deadline - now;
	else if (a->period)
		left = a->period - (now - a->deadline) % a->period;
	return (u32)min(left / divisor(a), (u64)lapic_get(a, R_TIMER_INITIAL));
}

/* A write to one of its registers. What was due before comes first. */
static void timer_write(struct vcpu *v, u32 offset, u32 value)
{
	struct lapic *a = &v->lapic;
	u64 now = plat_tsc();
	u32 left;

	lapic_timer_check(v, now);
	left = timer_current(a, now);
	switch (offset) {
	case R_LVT_TIMER:
		timer_set_mode(a, value);
		break;
	case R_TIMER_INITIAL:
		if (lapic_timer_mode(a) == TIMER_DEADLINE)
			break; /* ignored */
		lapic_put(a, offset, value);
		if (value)
			timer_arm(a, now, value);
		else
			atomic_store(&a->deadline, LAPIC_NO_DEADLINE);
		break;
	case R_TIMER_DIVIDE:
		lapic_put(a, offset, value);
		if (a->deadline != LAPIC_NO_DEADLINE && lapic_timer_mode(a) != TIMER_DEADLINE)
			timer_arm(a, now, left);
		break;
	}
}

/* --- registers ------------------------------------------------------------------ */

/* The bits that can be written; the others are reserved or read-only. */
static u32 writable(u32 offset)
{
	switch (offset) {
	case R_TPR:
	case R_SELF_IPI:
		return 0xff;
	case R_LDR:
	case R_ICR_HI:
		return 0xff000000;
	case R_DFR:
		return 0xf0000000;
	case R_SVR:
		return 0xff | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST;
	case R_ICR:
		return 0x000ccfff;
	case R_LVT_TIMER:
		return 0x000700ff;
	case R_LVT_THERMAL:
	case R_LVT_PERF:
		return 0x000107ff;
	case R_LVT_LINT0:
	case R_LVT_LINT1:
		return 0x0001a7ff;
	case R_LVT_ERROR:
		return 0x000100ff;
	case R_TIMER_INITIAL:
		return 0xffffffff;
	case R_TIMER_DIVIDE:
		return 0xb;
	default:
		return 0;
	}
}

static bool is_lvt(u32 offset)
{
	return offset >= R_LVT_TIMER && offset <= R_LVT_ERROR;
}

/* Delivery status, and remote IRR, which may be written back as they were read. */
static u32 read_only(u32 offset)
{
	if (offset == R_ICR)
		return ICR_BUSY;
	return is_lvt(offset) ? BIT(12) | BIT(14) : 0;
}

static void svr_write(struct lapic *a, u32 value)
{
	lapic_put(a, R_SVR, value);
	if (value & SVR_ENABLE)
		return;
	/* SDM: "Local APIC State After It Has Been Software Disabled" */
	for (u32 r = R_LVT_TIMER; r <= R_LVT_ERROR; r += 16)
		lapic_put(a, r, lapic_get(a, r) | LVT_MASKED);
}

static void write_reg(struct vcpu *v, u32 offset, u32 value)
{
	struct lapic *a = &v->lapic;

	value &= writable(offset);
	if (is_lvt(offset) && !(lapic_get(a, R_SVR) & SVR_ENABLE))
		value |= LVT_MASKED;
	switch (offset) {
	case R_TPR:
		lapic_set_tpr(v, value);
		break;
	case R_EOI:
		lapic_eoi(v);
		break;
	case R_SVR:
		svr_write(a, value);
		break;
	case R_ESR: /* SDM: "Error Handling": a write shows what came since the one before */
		lapic_put(a, offset, atomic_swap(&a->errors, 0u));
		break;
	case R_ICR: /* delivery is immediate: never busy */
		lapic_put(a, offset, value);
		lapic_command(v, (u64)(lapic_get(a, R_ICR_HI) >> 24) << 32 | value);
		break;
	case R_DFR:
		lapic_put(a, offset, value | 0x0fffffff);
		break;
	case R_LVT_TIMER:
	case R_TIMER_INITIAL:
	case R_TIMER_DIVIDE:
		timer_write(v, offset, value);
		break;
	case R_LDR:
	case R_ICR_HI:
	case R_LVT_THERMAL:
	case R_LVT_PERF:
	case R_LVT_LINT0:
	case R_LVT_LINT1:
	case R_LVT_ERROR:
		lapic_put(a, offset, value);
		break;
	}
}

static u32 read_reg(struct vcpu *v, u32 offset)
{
	struct lapic *a = &v->lapic;

	if (a->eoi_offered)
		pvcpu_eoi_collect(v);
	switch (offset) {
	case R_ID:
		return lapic_is_x2(a) ? lapic_id(v) : lapic_id(v) << 24;
	case R_VERSION:
		return LAPIC_VERSION;
	case R_TPR:
		return (u32)lapic_tpr(v);
	case R_PPR:
	case R_APR: /* the arbitration bus is gone */
		lapic_sync_tpr(v);
		return lapic_ppr(a);
	case R_LDR:
		return lapic_is_x2(a) ? lapic_x2_ldr(v) : lapic_get(a, offset);
	case R_TIMER_CURRENT:
		return timer_current(a, plat_tsc());
	case R_IRR ... R_IRR + 0x70:
		return atomic_load(&a->irr[(offset - R_IRR) >> 4]);
	default:
		return lapic_get(a, offset);
	}
}

/* SDM: "x2APIC Register Address Space", and what xAPIC mode has besides; a bit per register. */
#define REG(offset) BIT((offset) >> 4)
#define X2_BOTH                                                                       \
	(REG(R_TPR) | REG(R_SVR) | REG(R_ESR) | REG(R_ICR) | REG(R_LVT_TIMER) |       \
	 REG(R_LVT_THERMAL) | REG(R_LVT_PERF) | REG(R_LVT_LINT0) | REG(R_LVT_LINT1) | \
	 REG(R_LVT_ERROR) | REG(R_TIMER_INITIAL) | REG(R_TIMER_DIVIDE))
#define X2_READ                                                                                \
	(X2_BOTH | REG(R_ID) | REG(R_VERSION) | REG(R_PPR) | REG(R_LDR) | 0xffffffUL << 0x10 | \
	 REG(R_TIMER_CURRENT))
#define X2_WRITE (X2_BOTH | REG(R_EOI) | REG(R_SELF_IPI))
#define XAPIC_ANY (X2_READ | REG(R_EOI) | REG(R_APR) | REG(R_RRD) | REG(R_DFR) | REG(R_ICR_HI))

/* False, and noted, if xAPIC mode has no such register. */
static bool xapic_register(struct vcpu *v, u32 offset)
{
	if (offset < R_END && XAPIC_ANY & REG(offset))
		return true;
	lapic_error(v, ESR_REGISTER);
	return false;
}

/* Of a register that is one, the offset; nobody guesses another. */
static u32 checked(u32 offset)
{
	return (u32)index_nospec(offset, R_END);
}

u32 lapic_mmio_read(struct vcpu *v, u32 offset)
{
	return xapic_register(v, offset) ? read_reg(v, checked(offset) & ~15u) : 0;
}

void lapic_mmio_write(struct vcpu *v, u32 offset, u32 value)
{
	if (xapic_register(v, offset) && !(offset & 15))
		write_reg(v, checked(offset), value);
}

bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *value)
{
	u32 offset = (msr - 0x800) << 4;

	if (msr == MSR_TSC_DEADLINE) {
		lapic_timer_check(v, plat_tsc());
		*value = v->lapic.tsc_deadline;
		return true;
	}
	if (!lapic_is_x2(&v->lapic) || offset >= R_END || !(X2_READ & REG(offset)))
		return false;
	*value = read_reg(v, checked(offset));
	if (offset == R_ICR)
		*value |= (u64)lapic_get(&v->lapic, R_ICR_HI) << 32;
	return true;
}

/* SDM: "Reserved Bit Checking" in x2APIC mode; EOI and ESR take nothing but 0. */
bool lapic_x2_write(struct vcpu *v, u32 offset, u64 value)
{
	if (!(X2_WRITE & REG(offset)) || (u32)value & ~(writable(offset) | read_only(offset)))
		return false;
	if (offset == R_ICR) {
		lapic_put(&v->lapic, R_ICR, (u32)value & ~(u32)ICR_BUSY);
		lapic_put(&v->lapic, R_ICR_HI, (u32)(value >> 32));
		lapic_command(v, value);
		return true;
	}
	if (value >> 32)
		return false;
	if (offset != R_SELF_IPI)
		write_reg(v, checked(offset), (u32)value);
	else if (value < 16)
		lapic_error(v, ESR_SEND_VECTOR);
	else
		lapic_raise_self(v, (u8)value);
	return true;
}

bool lapic_enabled(const struct vcpu *v)
{
	return atomic_load(&v->lapic.base) & BASE_EN;
}

bool lapic_is_boot_cpu(const struct vcpu *v)
{
	return v->lapic.base & BASE_BSP;
}

/* SDM: "x2APIC State Transitions": off, xAPIC, x2APIC; never straight back. */
bool lapic_base_write(struct vcpu *v, u64 value)
{
	u64 mode = BASE_EN | BASE_X2;
	u64 from = v->lapic.base & mode;
	u64 to = value & mode;

	if (value & ~(0xffffff000UL | BASE_BSP | mode) || to == BASE_X2)
		return false;
	if ((from == mode && to == BASE_EN) || (!from && to == mode))
		return false;
	if ((value & 0xffffff000UL) != LAPIC_DEFAULT_BASE)
		return false; /* it does not move: docs/cpus.md */
	atomic_store(&v->lapic.base, (value & ~BASE_BSP) | (v->lapic.base & BASE_BSP));
	if (!to) /* nothing survives; senders may still see it on, but not for long */
		lapic_reset(v, true);
	else if (from != to)
		lapic_put(&v->lapic, R_ICR_HI, 0);
	return true;
}
