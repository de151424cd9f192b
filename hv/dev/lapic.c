/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/platform.h>
#include <hv/dev/lapic.h>
#include <hv/vm.h>

/* Register offsets, as MMIO; MSR = 0x800 + offset / 16. */
enum {
	R_ID = 0x20,
	R_VERSION = 0x30,
	R_TPR = 0x80,
	R_PPR = 0xa0,
	R_EOI = 0xb0,
	R_LDR = 0xd0,
	R_DFR = 0xe0,
	R_SVR = 0xf0,
	R_ISR = 0x100,
	R_TMR = 0x180,
	R_IRR = 0x200,
	R_ESR = 0x280,
	R_ICR = 0x300,
	R_ICR_HI = 0x310,
	R_LVT_TIMER = 0x320,
	R_LVT_THERMAL = 0x330,
	R_LVT_PERF = 0x340,
	R_LVT_LINT0 = 0x350,
	R_LVT_LINT1 = 0x360,
	R_LVT_ERROR = 0x370,
	R_TIMER_INITIAL = 0x380,
	R_TIMER_CURRENT = 0x390,
	R_TIMER_DIVIDE = 0x3e0,
	R_SELF_IPI = 0x3f0,
};

#define BASE_BSP BIT(8)
#define BASE_X2 BIT(10)
#define BASE_EN BIT(11)
#define SVR_ENABLE BIT(8)
#define LVT_MASKED BIT(16)
#define LVT_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
enum { DM_FIXED, DM_LOWEST, DM_SMI, DM_NMI = 4, DM_INIT, DM_SIPI };
#define LAPIC_VERSION 0x00050014 /* integrated, six LVT entries */

static u32 *reg(struct lapic *a, u32 offset)
{
	return &a->regs[offset >> 4 & 63];
}

static u32 get(const struct lapic *a, u32 offset)
{
	return a->regs[offset >> 4 & 63];
}

static bool is_x2(const struct lapic *a)
{
	return a->base & BASE_X2;
}

static u32 id_of(const struct vcpu *v)
{
	return v->index;
}

/* SDM: "Deriving the Logical x2APIC ID from the Local x2APIC ID" */
static u32 x2_ldr(const struct vcpu *v)
{
	return (id_of(v) >> 4) << 16 | 1u << (id_of(v) & 15);
}

void lapic_reset(struct vcpu *v, bool keep_base)
{
	struct lapic *a = &v->lapic;
	u64 base = a->base;

	*a = (struct lapic){ .deadline = LAPIC_NO_DEADLINE, .sipi_vector = a->sipi_vector };
	a->base = keep_base ? base : LAPIC_DEFAULT_BASE | BASE_EN | (v->index ? 0 : BASE_BSP);
	*reg(a, R_DFR) = 0xffffffff;
	*reg(a, R_SVR) = 0xff;
	for (u32 r = R_LVT_TIMER; r <= R_LVT_ERROR; r += 16)
		*reg(a, r) = LVT_MASKED;
}

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

static u32 ppr(const struct lapic *a)
{
	u32 tpr = get(a, R_TPR) & 0xff;
	int isr = highest_isr(a);

	if (isr < 0 || (u32)(isr & 0xf0) <= (tpr & 0xf0))
		return tpr;
	return (u32)isr & 0xf0;
}

void lapic_raise(struct vcpu *v, u8 vector)
{
	atomic_or(&v->lapic.irr[vector / 32], 1u << (vector % 32));
	vcpu_notify(v, PENDING_IRQ);
}

int lapic_pending(const struct vcpu *v)
{
	int irr = highest(v->lapic.irr);

	if (irr < 0 || ((u32)irr & 0xf0) <= (ppr(&v->lapic) & 0xf0))
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
	v->lapic.regs[(R_ISR >> 4) + vector / 32] &= ~(1u << (vector % 32));
	atomic_or(&v->lapic.irr[vector / 32], 1u << (vector % 32));
	atomic_or(&v->pending, PENDING_IRQ);
}

static void eoi(struct vcpu *v)
{
	int vector = highest_isr(&v->lapic);

	if (vector < 0)
		return;
	v->lapic.regs[(R_ISR >> 4) + vector / 32] &= ~(1u << (vector % 32));
	atomic_or(&v->pending, PENDING_IRQ);
}

u64 lapic_tpr(const struct vcpu *v)
{
	return get(&v->lapic, R_TPR);
}

void lapic_set_tpr(struct vcpu *v, u64 tpr)
{
	*reg(&v->lapic, R_TPR) = tpr & 0xff;
	atomic_or(&v->pending, PENDING_IRQ);
}

/* The timer counts TSC ticks, divided as the guest asks (AERO_CPUID_TIMING says so). */
static u64 divisor(const struct lapic *a)
{
	u32 d = get(a, R_TIMER_DIVIDE);
	u32 shift = ((d & 3) | (d >> 1 & 4)) + 1;

	return 1UL << (shift & 7);
}

static void timer_arm(struct lapic *a)
{
	u64 ticks = get(a, R_TIMER_INITIAL) * divisor(a);

	a->armed_at = plat_tsc();
	a->period = LVT_MODE(get(a, R_LVT_TIMER)) == TIMER_PERIODIC ? ticks : 0;
	/* A period that the host cannot keep up with would be a denial of service. */
	if (a->period)
		a->period = max(a->period, plat_tsc_khz() / 20);
	a->deadline = ticks ? a->armed_at + ticks : LAPIC_NO_DEADLINE;
}

static u32 timer_current(const struct lapic *a)
{
	u64 now = plat_tsc();

	if (a->deadline == LAPIC_NO_DEADLINE || now >= a->deadline ||
	    LVT_MODE(get(a, R_LVT_TIMER)) == TIMER_DEADLINE)
		return 0;
	return (u32)((a->deadline - now) / divisor(a));
}

void lapic_timer_check(struct vcpu *v, u64 now)
{
	struct lapic *a = &v->lapic;
	u32 lvt = get(a, R_LVT_TIMER);

	if (now < a->deadline)
		return;
	if (a->period)
		a->deadline += (1 + (now - a->deadline) / a->period) * a->period;
	else
		a->deadline = LAPIC_NO_DEADLINE;
	a->tsc_deadline = 0;
	if (!(lvt & LVT_MASKED) && get(a, R_SVR) & SVR_ENABLE)
		lapic_raise(v, (u8)lvt);
}

/* Further away than a century is never: the guest may write any value. */
#define FAR_FUTURE (1UL << 62)

static void deadline_write(struct vcpu *v, u64 value)
{
	u64 now = plat_tsc(), guest_now = now + v->vm->tsc_offset;
	struct lapic *a = &v->lapic;

	if (LVT_MODE(get(a, R_LVT_TIMER)) != TIMER_DEADLINE)
		return;
	a->tsc_deadline = value;
	a->period = 0;
	if (!value)
		a->deadline = LAPIC_NO_DEADLINE;
	else
		a->deadline = value > guest_now ? now + min(value - guest_now, FAR_FUTURE) : now;
	lapic_timer_check(v, now);
}

/* Does a logical or physical destination name @v? */
static bool addressed(struct vcpu *v, u32 dest, bool logical, bool x2)
{
	struct lapic *a = &v->lapic;
	u32 ldr;

	if (dest == (x2 ? 0xffffffff : 0xff)) /* broadcast in either mode */
		return true;
	if (!logical)
		return dest == id_of(v);
	if (x2) {
		ldr = x2_ldr(v);
		return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
	}
	ldr = get(a, R_LDR) >> 24;
	if (get(a, R_DFR) >> 28 == 0xf)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && ldr & dest & 0xf;
}

static void deliver_to(struct vcpu *v, u32 mode, u8 vector)
{
	switch (mode) {
	case DM_FIXED:
	case DM_LOWEST:
		if (vector >= 16)
			lapic_raise(v, vector);
		break;
	case DM_NMI:
		vcpu_notify(v, PENDING_NMI);
		break;
	case DM_INIT:
		atomic_store_seq(&v->wait_for_sipi, 1u);
		vcpu_notify(v, PENDING_INIT);
		break;
	case DM_SIPI:
		/* Only the first after INIT counts. SDM: "MP Initialization Protocol" */
		if (atomic_swap(&v->wait_for_sipi, 0u)) {
			v->lapic.sipi_vector = vector;
			vcpu_notify(v, PENDING_SIPI);
		}
		break;
	}
}

static void send_ipi(struct vcpu *v, u64 icr)
{
	u32 low = (u32)icr, mode = low >> 8 & 7, shorthand = low >> 18 & 3;
	bool x2 = is_x2(&v->lapic), logical = low & BIT(11);
	u32 dest = (u32)(icr >> 32);
	struct vm *vm = v->vm;

	if (mode == DM_INIT && low & BIT(15) && !(low & BIT(14)))
		return; /* INIT level de-assert: nothing since the P6 */
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *t = vm->vcpus[i];
		bool hit = shorthand == 1 ? t == v :
			   shorthand == 2 ? true :
			   shorthand == 3 ? t != v :
					    addressed(t, dest, logical, x2);

		if (!hit)
			continue;
		deliver_to(t, mode, (u8)low);
		if (mode == DM_LOWEST)
			break;
	}
}

static void write_reg(struct vcpu *v, u32 offset, u32 value)
{
	struct lapic *a = &v->lapic;

	switch (offset) {
	case R_TPR:
		lapic_set_tpr(v, value);
		break;
	case R_EOI:
		eoi(v);
		break;
	case R_LDR:
		*reg(a, offset) = value & 0xff000000;
		break;
	case R_DFR:
		*reg(a, offset) = value | 0x0fffffff;
		break;
	case R_SVR:
		*reg(a, offset) = value & 0x1ff;
		break;
	case R_ESR:
		*reg(a, offset) = 0;
		break;
	case R_ICR:
		*reg(a, offset) = value & ~(u32)BIT(12);
		send_ipi(v, (u64)(get(a, R_ICR_HI) >> 24) << 32 | value);
		break;
	case R_ICR_HI:
		*reg(a, offset) = value;
		break;
	case R_LVT_TIMER:
		if (LVT_MODE(value ^ get(a, offset)))
			a->deadline = LAPIC_NO_DEADLINE;
		*reg(a, offset) = value & 0x710ff;
		break;
	case R_LVT_THERMAL:
	case R_LVT_PERF:
	case R_LVT_LINT0:
	case R_LVT_LINT1:
	case R_LVT_ERROR:
		*reg(a, offset) = value & 0x1f7ff;
		break;
	case R_TIMER_INITIAL:
		*reg(a, offset) = value;
		if (LVT_MODE(get(a, R_LVT_TIMER)) != TIMER_DEADLINE)
			timer_arm(a);
		break;
	case R_TIMER_DIVIDE:
		*reg(a, offset) = value & 0xb;
		break;
	}
}

static u32 read_reg(struct vcpu *v, u32 offset)
{
	struct lapic *a = &v->lapic;

	switch (offset) {
	case R_ID:
		return is_x2(a) ? id_of(v) : id_of(v) << 24;
	case R_VERSION:
		return LAPIC_VERSION;
	case R_PPR:
		return ppr(a);
	case R_LDR:
		return is_x2(a) ? x2_ldr(v) : get(a, offset);
	case R_TIMER_CURRENT:
		return timer_current(a);
	case R_IRR ... R_IRR + 0x70:
		return a->irr[(offset - R_IRR) >> 4];
	default:
		return get(a, offset);
	}
}

u32 lapic_mmio_read(struct vcpu *v, u32 offset)
{
	return offset < 0x400 ? read_reg(v, offset & ~15u) : 0;
}

void lapic_mmio_write(struct vcpu *v, u32 offset, u32 value)
{
	if (offset < 0x3f0 && !(offset & 15))
		write_reg(v, offset, value);
}

/* SDM: "x2APIC Register Address Space"; what is not in the table is #GP. */
static bool x2_register(u32 offset, bool write)
{
	switch (offset) {
	case R_ID:
	case R_VERSION:
	case R_PPR:
	case R_LDR:
	case R_ISR ... R_IRR + 0x70:
	case R_TIMER_CURRENT:
		return !write;
	case R_EOI:
	case R_SELF_IPI:
		return write;
	case R_TPR:
	case R_SVR:
	case R_ESR:
	case R_ICR:
	case R_LVT_TIMER:
	case R_LVT_THERMAL:
	case R_LVT_PERF:
	case R_LVT_LINT0:
	case R_LVT_LINT1:
	case R_LVT_ERROR:
	case R_TIMER_INITIAL:
	case R_TIMER_DIVIDE:
		return true;
	default:
		return false;
	}
}

#define MSR_TSC_DEADLINE 0x6e0

bool lapic_msr_read(struct vcpu *v, u32 msr, u64 *value)
{
	u32 offset = (msr - 0x800) << 4;

	if (msr == MSR_TSC_DEADLINE) {
		*value = v->lapic.tsc_deadline;
		return true;
	}
	if (!is_x2(&v->lapic) || !x2_register(offset, false))
		return false;
	*value = read_reg(v, offset);
	if (offset == R_ICR)
		*value |= (u64)get(&v->lapic, R_ICR_HI) << 32;
	return true;
}

bool lapic_msr_write(struct vcpu *v, u32 msr, u64 value)
{
	u32 offset = (msr - 0x800) << 4;

	if (msr == MSR_TSC_DEADLINE) {
		deadline_write(v, value);
		return true;
	}
	if (!is_x2(&v->lapic) || !x2_register(offset, true))
		return false;
	if (offset == R_ICR) {
		*reg(&v->lapic, R_ICR) = (u32)value & ~(u32)BIT(12);
		*reg(&v->lapic, R_ICR_HI) = (u32)(value >> 32);
		send_ipi(v, value);
		return true;
	}
	if (value >> 32)
		return false;
	if (offset == R_SELF_IPI)
		deliver_to(v, DM_FIXED, (u8)value);
	else
		write_reg(v, offset, (u32)value);
	return true;
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
		return false; /* moving it is not supported */
	v->lapic.base = (value & ~BASE_BSP) | (v->lapic.base & BASE_BSP);
	return true;
}
