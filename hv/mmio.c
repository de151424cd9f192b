/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to guest-physical addresses where devices are, not memory. */
#include <hv/base/log.h>
#include <hv/exit.h>
#include <hv/insn.h>
#include <hv/vm.h>

#define LAPIC_SIZE 0x1000

static bool is_lapic(const struct vcpu *v, gpa_t gpa)
{
	return gpa.v - LAPIC_DEFAULT_BASE < LAPIC_SIZE && v->lapic.base & BIT(11) &&
	       !(v->lapic.base & BIT(10));
}

static u64 *operand(struct vcpu *v, const struct insn *i, u64 *rsp)
{
	return i->reg == GPR_RSP ? rsp : &v->gpr[i->reg];
}

static void do_lapic(struct vcpu *v, gpa_t gpa, const struct insn *i)
{
	u32 offset = (u32)(gpa.v - LAPIC_DEFAULT_BASE);
	u64 scratch = 0, *r = operand(v, i, &scratch);

	if (i->write)
		lapic_mmio_write(v, offset, i->has_immediate ? (u32)i->immediate : (u32)*r);
	else
		*r = lapic_mmio_read(v, offset); /* 32-bit loads clear the upper half */
	v->advance = i->length;
}

void mmio_access(struct vcpu *v, gpa_t gpa, bool write)
{
	struct insn i;
	int err;

	if (!is_lapic(v, gpa)) {
		vcpu_dump(v);
		vm_end(v->vm, VM_STATUS_CRASHED, "%s at %lx: no memory, no device",
		       write ? "write" : "read", gpa.v);
		return;
	}
	err = insn_fetch_decode(v, &i);
	if (err || i.size != 4 || i.write != write) {
		vcpu_dump(v);
		vm_end(v->vm, VM_STATUS_CRASHED,
		       "APIC access at %lx by an instruction that is not a 32-bit mov", gpa.v);
		return;
	}
	do_lapic(v, gpa, &i);
}
