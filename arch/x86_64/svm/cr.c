/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CR0, CR4 and EFER of the guest; it writes CR3 without exits. A write of CR0 exits only if it
 * changes bits other than TS and MP; all writes of CR4 exit, and EFER exits as an MSR. SVM has no
 * read shadows: we force some bits for safety (NE, CD, NW, MCE), and while one of them differs from
 * what the guest wrote, all its reads of that register exit, and all its writes of CR0.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>
#include <hv/base/string.h>
#include <hv/exit/cpuid.h>
#include <hv/emulate/gwalk.h>
#include <hv/emulate/insn.h>

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

#define CR0_OURS (CR0_NE | CR0_CD | CR0_NW)
#define CR4_OURS CR4_MCE
#define CR0_EXITS ((u32)(INTERCEPT_CR_READ(0) | INTERCEPT_CR_WRITE(0)))
#define CR4_EXITS ((u32)INTERCEPT_CR_READ(4))

u64 svm_get_cr0(struct vcpu *v)
{
	return (vmcb_of(v)->cr0 & ~CR0_OURS) | (svm_of(v)->cr0 & CR0_OURS);
}

u64 svm_get_cr4(struct vcpu *v)
{
	return (vmcb_of(v)->cr4 & ~CR4_OURS) | (svm_of(v)->cr4 & CR4_OURS);
}

static void set_exits(struct vcpu *v, u32 exits, bool on)
{
	struct vmcb *b = vmcb_of(v);

	b->intercept_cr = on ? b->intercept_cr | exits : b->intercept_cr & ~exits;
	svm_dirty(v, CLEAN_INTERCEPTS);
}

static bool cr0_valid(const struct vmcb *b, u64 value)
{
	bool code64 = b->seg[VMCB_CS].attr & VMCB_SEG_L;

	if (value & ~CR0_DEFINED || (value & CR0_PG && !(value & CR0_PE)) ||
	    (value & CR0_NW && !(value & CR0_CD)))
		return false;
	if (!((value ^ b->cr0) & CR0_PG))
		return true;
	if (value & CR0_PG)
		return !(b->efer & EFER_LME) || (b->cr4 & CR4_PAE && !code64);
	return !(b->cr4 & CR4_PCIDE) && !(b->efer & EFER_LMA && code64);
}

/* CR0 for the VMCB. A guest must not slow the machine down by CD or freeze it by !NE. */
static void put_cr0(struct vcpu *v, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	svm_of(v)->cr0 = value;
	b->cr0 = (value & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET;
	set_exits(v, CR0_EXITS, (value ^ b->cr0) & CR0_OURS);
	svm_dirty(v, CLEAN_CR);
	svm_flush(v);
}

/* With MCE clear a machine check of the host would shut the CPU down. */
static void put_cr4(struct vcpu *v, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	svm_of(v)->cr4 = value;
	b->cr4 = value | (read_cr4() & CR4_MCE);
	set_exits(v, CR4_EXITS, (value ^ b->cr4) & CR4_OURS);
	svm_dirty(v, CLEAN_CR);
	svm_flush(v);
}

void svm_set_efer(struct vcpu *v, u64 value)
{
	vmcb_of(v)->efer = value | EFER_SVME;
	svm_dirty(v, CLEAN_CR);
	svm_flush(v);
}

bool svm_set_cr0(struct vcpu *v, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	if (!cr0_valid(b, value))
		return false;
	if (value & CR0_PG && b->efer & EFER_LME)
		b->efer |= EFER_LMA;
	else if (!(value & CR0_PG))
		b->efer &= ~(u64)EFER_LMA;
	put_cr0(v, value);
	return true;
}

bool svm_set_cr4(struct vcpu *v, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	if (value & ~cpuid_cr4_mask())
		return false;
	if (b->efer & EFER_LMA && !(value & CR4_PAE))
		return false;
	if (value & ~b->cr4 & CR4_PCIDE && (!(b->efer & EFER_LMA) || b->cr3 & PAGE_MASK))
		return false;
	put_cr4(v, value);
	return true;
}

static bool is_mode64(const struct vmcb *b)
{
	return b->efer & EFER_LMA && b->seg[VMCB_CS].attr & VMCB_SEG_L;
}

/* The instruction's bytes: from the CPU if it has decode assists, else from guest memory. */
static bool find_insn(struct vcpu *v, struct svm_cr_insn *insn)
{
	const struct vmcb *b = vmcb_of(v);
	bool mode64 = is_mode64(b);
	u64 at = mode64 ? b->rip : (u32)(b->seg[VMCB_CS].base + b->rip);
	struct gwalk w;
	u8 bytes[INSN_MAX];

	if (svm_caps.decode_assists && svm_caps.nrip && b->exit_info1 & MOV_CR_DECODED) {
		insn->op = b->exit_code >= VMEXIT_WRITE_CR0 ? CR_OP_WRITE : CR_OP_READ;
		insn->gpr = b->exit_info1 & 15;
		insn->length = (u8)(b->nrip - b->rip);
		return true;
	}
	gwalk_init(&w, v);
	return svm_decode_cr(bytes, gwalk_fetch(&w, at, bytes, sizeof(bytes)), mode64, insn);
}

/* MOV from a control register, or SMSW of a register. */
static void read_cr(struct vcpu *v, const struct svm_cr_insn *i, u64 value)
{
	struct vmcb *b = vmcb_of(v);
	u64 *to = i->gpr == GPR_RSP ? &b->rsp : &v->gpr[i->gpr];
	bool mode64 = is_mode64(b), code16 = !mode64 && !(b->seg[VMCB_CS].attr & VMCB_SEG_DB);
	u8 size = mode64 ? 8 : 4;

	if (i->op == CR_OP_SMSW && !i->wide)
		size = i->narrow != code16 ? 2 : 4;
	*to = insn_merge(*to, value, size);
}

static u64 operand(struct vcpu *v, u8 gpr)
{
	u64 value = gpr == GPR_RSP ? vmcb_of(v)->rsp : v->gpr[gpr];

	return is_mode64(vmcb_of(v)) ? value : (u32)value;
}

static bool emulate_cr0(struct vcpu *v, const struct svm_cr_insn *i)
{
	u64 old = svm_get_cr0(v), value = operand(v, i->gpr);

	if (i->op == CR_OP_LMSW) /* sets PE, never clears it */
		value = (old & ~0xeUL) | (value & 0xf);
	else if (i->op == CR_OP_CLTS)
		value = old & ~CR0_TS;
	return svm_set_cr0(v, value);
}

/*
 * A rare access that we cannot decode. If it reads CR0 (SMSW to memory), reads do not exit any
 * more.
 */
static void cannot_decode(struct vcpu *v, struct vmexit *e)
{
	const struct vmcb *b = vmcb_of(v);

	if (b->exit_code == VMEXIT_READ_CR0) {
		set_exits(v, INTERCEPT_CR_READ(0), false);
		return;
	}
	e->kind = EXIT_UNKNOWN;
	e->raw.reason = b->exit_code;
	e->raw.info = b->rip;
	e->raw.name = "control register access that cannot be decoded";
}

void svm_cr_exit(struct vcpu *v, struct vmexit *e)
{
	const struct vmcb *b = vmcb_of(v);
	struct svm_cr_insn i = { 0 };
	bool ok = true;

	if (unlikely(!find_insn(v, &i))) {
		cannot_decode(v, e);
		return;
	}
	if (e->cpl && i.op != CR_OP_SMSW) {
		vcpu_inject_gp(v);
		return;
	}
	e->length = i.length;
	switch (b->exit_code) {
	case VMEXIT_READ_CR8:
	case VMEXIT_WRITE_CR8:
		e->kind = EXIT_CR8;
		e->cr8.write = b->exit_code == VMEXIT_WRITE_CR8;
		e->cr8.gpr = i.gpr;
		return;
	case VMEXIT_READ_CR0:
		read_cr(v, &i, svm_get_cr0(v));
		break;
	case VMEXIT_READ_CR4:
		read_cr(v, &i, svm_get_cr4(v));
		break;
	case VMEXIT_WRITE_CR4:
		ok = svm_set_cr4(v, operand(v, i.gpr));
		break;
	default:
		ok = emulate_cr0(v, &i);
	}
	if (ok)
		v->advance = e->length;
	else
		vcpu_inject_gp(v);
}
