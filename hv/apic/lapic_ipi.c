/* SPDX-License-Identifier: BSD-2-Clause */
/* Destinations of messages between APICs: IPIs and the I/O APIC's. SDM: "Issuing Interprocessor Interrupts" */
#include <hv/apic/lapic_regs.h>
#include <hv/vm/vm.h>

/* A logical destination is read in the mode of the APIC that receives. */
static bool addressed(const struct vcpu *v, const struct lapic_message *m)
{
	const struct lapic *a = &v->lapic;
	u32 ldr;

	if (!(atomic_load(&a->base) & BASE_EN))
		return false;
	if (m->dest == (m->wide ? 0xffffffff : 0xff)) /* broadcast, logical or physical */
		return true;
	if (!m->logical)
		return m->dest == lapic_id(v);
	if (lapic_is_x2(a)) {
		ldr = lapic_x2_ldr(v);
		return ldr >> 16 == m->dest >> 16 && ldr & m->dest & 0xffff;
	}
	ldr = lapic_get(a, R_LDR) >> 24;
	if (m->dest > 0xff)
		return false;
	if (lapic_get(a, R_DFR) >> 28 == 0xf)
		return ldr & m->dest;
	return ldr >> 4 == m->dest >> 4 && ldr & m->dest & 0xf;
}

static bool deliver_to(struct vcpu *v, u8 mode, u8 vector, bool level)
{
	switch (mode) {
	case DM_FIXED:
	case DM_LOWEST:
		return lapic_accept_vector(v, vector, level);
	case DM_NMI:
		vcpu_notify(v, PENDING_NMI);
		return true;
	case DM_INIT:
		atomic_store_seq(&v->wait_for_sipi, 1u);
		vcpu_notify(v, PENDING_INIT);
		return true;
	case DM_SIPI:
		/* Only the first after INIT counts. SDM: "MP Initialization Protocol" */
		if (atomic_swap(&v->wait_for_sipi, 0u)) {
			atomic_store(&v->lapic.sipi_vector, vector);
			vcpu_notify(v, PENDING_SIPI);
		}
		return true;
	default: /* SMI, ExtINT: there is neither an SMM nor a PIC */
		return false;
	}
}

/* The one of least priority takes it; of equals the first. SDM: "Lowest Priority Delivery Mode" */
static struct vcpu *arbitrate(struct vm *vm, const struct lapic_message *m,
			      const struct vcpu *except)
{
	struct vcpu *best = NULL;
	u32 least = 0;

	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *v = vm->vcpus[i];
		u32 ppr = lapic_ppr(&v->lapic) >> 4;

		if (v == except || !addressed(v, m) || !lapic_is_on(&v->lapic) ||
		    (best && ppr >= least))
			continue;
		best = v;
		least = ppr;
	}
	return best;
}

static bool send(struct vm *vm, const struct lapic_message *m, const struct vcpu *except)
{
	struct vcpu *v;
	bool taken = false;

	if (m->mode == DM_LOWEST) {
		v = arbitrate(vm, m, except);
		return v && deliver_to(v, DM_FIXED, m->vector, m->level);
	}
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		v = vm->vcpus[i];
		if (v != except && addressed(v, m))
			taken |= deliver_to(v, m->mode, m->vector, m->level);
	}
	return taken;
}

bool lapic_send(struct vm *vm, const struct lapic_message *m)
{
	return send(vm, m, NULL);
}

void lapic_command(struct vcpu *v, u64 icr)
{
	u32 low = (u32)icr, shorthand = ICR_SHORTHAND(low);
	struct lapic_message m = { .dest = (u32)(icr >> 32),
				   .mode = ICR_MODE(low),
				   .vector = (u8)low,
				   .logical = low & ICR_LOGICAL,
				   .wide = lapic_is_x2(&v->lapic) };

	if (m.mode == DM_INIT && low & ICR_LEVEL && !(low & ICR_ASSERT))
		return; /* INIT level de-assert: nothing since the P6 */
	if (m.mode <= DM_LOWEST && m.vector < 16) {
		lapic_error(v, ESR_SEND_VECTOR);
		return;
	}
	if (shorthand == SHORTHAND_SELF) { /* SDM: "Valid Combinations": only an interrupt */
		if (m.mode == DM_FIXED)
			deliver_to(v, m.mode, m.vector, false);
		return;
	}
	if (shorthand) {
		m.dest = 0xffffffff;
		m.wide = true;
	}
	send(v->vm, &m, shorthand == SHORTHAND_OTHERS ? v : NULL);
}

bool lapic_pulse_lint(struct vcpu *v, u32 pin)
{
	u32 lvt = lapic_get(&v->lapic, R_LVT_LINT0 + pin * 16);

	if (lvt & LVT_MASKED || !(atomic_load(&v->lapic.base) & BASE_EN))
		return false;
	return ICR_MODE(lvt) != DM_SIPI && deliver_to(v, ICR_MODE(lvt), (u8)lvt, false);
}
