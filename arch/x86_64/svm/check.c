/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds why VMRUN refused a VMCB: repeats its checks one by one and returns a message. The CPU says
 * only VMEXIT_INVALID. Pure. APM volume 2, "VMRUN Instruction": "Canonicalization and Consistency
 * Checks".
 */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>

/* SCE LME LMA NXE SVME LMSLE FFXSR TCE MCOMMIT INTWB UAIE AIBRSE */
#define EFER_DEFINED 0x36fd01UL
/* VME to OSXMMEXCPT, UMIP LA57 FSGSBASE PCIDE OSXSAVE SMEP SMAP PKE CET */
#define CR4_DEFINED 0xf71fffUL
#define IOPM_BYTES 0x3000UL
#define MSRPM_BYTES 0x2000UL

static bool long_paging(const struct vmcb *b)
{
	return b->efer & EFER_LME && b->cr0 & CR0_PG;
}

static bool beyond(u64 pa, u64 bytes, const struct svm_caps *caps)
{
	return pa & PAGE_MASK || pa + bytes > BIT(caps->phys_bits);
}

static bool bad_event(const struct vmcb *b)
{
	u64 e = b->event_inj, type = EVENT_TYPE(e), vector = e & 0xff;

	if (!(e & EVENT_VALID))
		return false;
	if (type == 1 || type > EVENT_SOFT)
		return true;
	return type == EVENT_EXCEPTION && (vector == 2 || vector > 31);
}

static bool bad_pat(u64 pat)
{
	for (int i = 0; i < 64; i += 8) {
		u8 t = (u8)(pat >> i);

		if (t > 7 || t == 2 || t == 3)
			return true;
	}
	return false;
}

static const char *check_modes(const struct vmcb *b)
{
	const struct vmcb_seg *cs = &b->seg[VMCB_CS];

	if (long_paging(b) && !(b->cr4 & CR4_PAE))
		return "EFER.LME and CR0.PG are set and CR4.PAE is clear";
	if (long_paging(b) && !(b->cr0 & CR0_PE))
		return "EFER.LME and CR0.PG are set and CR0.PE is clear";
	if (long_paging(b) && cs->attr & VMCB_SEG_L && cs->attr & VMCB_SEG_DB)
		return "long mode with both CS.L and CS.D set";
	return NULL;
}

static const char *check_registers(const struct vmcb *b, const struct svm_caps *caps)
{
	if (!(b->efer & EFER_SVME))
		return "EFER.SVME is clear";
	if (b->efer & ~EFER_DEFINED)
		return "a reserved bit of EFER is set";
	if (!(b->cr0 & CR0_CD) && b->cr0 & CR0_NW)
		return "CR0.NW is set and CR0.CD is clear";
	if (b->cr0 >> 32)
		return "CR0 has bits set above 31";
	if (b->cr3 >> caps->phys_bits)
		return "CR3 has address bits set that this CPU does not have";
	if (b->cr4 & ~CR4_DEFINED)
		return "a reserved bit of CR4 is set";
	if (b->dr6 >> 32)
		return "DR6 has bits set above 31";
	if (b->dr7 >> 32)
		return "DR7 has bits set above 31";
	return check_modes(b);
}

static const char *check_controls(const struct vmcb *b, const struct svm_caps *caps)
{
	if (!(b->intercept2 & INTERCEPT2_VMRUN))
		return "VMRUN is not intercepted";
	if (beyond(b->iopm_pa, IOPM_BYTES, caps))
		return "the I/O permission map is not at a physical address that exists";
	if (beyond(b->msrpm_pa, MSRPM_BYTES, caps))
		return "the MSR permission map is not at a physical address that exists";
	if (!b->asid)
		return "the ASID is 0, which is the host's";
	if (b->asid >= caps->nr_asids)
		return "the ASID is one that this CPU does not have";
	if (bad_event(b))
		return "the event to inject is not one that can be";
	if (beyond(b->nested_cr3, PAGE_SIZE, caps))
		return "the nested page table is not at a physical address that exists";
	if (bad_pat(b->g_pat))
		return "the guest's PAT has a type that does not exist";
	return NULL;
}

const char *svm_vmcb_check(const struct vmcb *b, const struct svm_caps *caps)
{
	const char *wrong = check_registers(b, caps);

	return wrong ? wrong : check_controls(b, caps);
}
