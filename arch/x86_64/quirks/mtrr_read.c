/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the registers for mtrr.c. There is no IDT yet: it reads only MSRs that must exist. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mtrr.h>
#include <arch/x86_64/cpu/regs.h>

#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_BASE(i) (0x200 + 2 * (i))
#define MSR_MTRR_MASK(i) (0x201 + 2 * (i))
#define MTRR_ENABLE BIT(11)
#define MSR_AMD_SYS_CFG 0xc0010010
#define SYS_CFG_TOM2_ENABLE BIT(21)
#define SYS_CFG_TOM2_FORCE_WB BIT(22)
#define MSR_AMD_TOP_MEM2 0xc001001d

/* Emulators and outer hypervisors show AMD as vendor, and do not always have the registers. */
static bool is_real_amd(void)
{
	struct cpuid_regs r = cpuid(0, 0);

	return (r.c == 0x444d4163 /* cAMD */ || r.c == 0x656e6975 /* uine: Hygon */) &&
	       !(cpuid(1, 0).c & BIT(31));
}

void mtrr_read(struct mtrrs *m)
{
	u32 bits = 36;
	u64 v;

	if (cpuid(0x80000000, 0).a >= 0x80000008)
		bits = min(cpuid(0x80000008, 0).a & 0xff, 52u);
	*m = (struct mtrrs){ .address_mask = BIT(bits) - 1 };
	if (!(cpuid(1, 0).d & BIT(12)))
		return;
	v = rdmsr(MSR_IA32_MTRR_DEF_TYPE);
	m->enabled = v & MTRR_ENABLE;
	m->default_type = v & 0xff;
	m->nr = min((u32)rdmsr(MSR_MTRR_CAP) & 0xff, (u32)MTRR_MAX);
	for (u32 i = 0; i < m->nr; i++) {
		m->range[i].base = rdmsr(MSR_MTRR_BASE(i));
		m->range[i].mask = rdmsr(MSR_MTRR_MASK(i));
	}
	if (!is_real_amd())
		return;
	v = rdmsr(MSR_AMD_SYS_CFG);
	if (v & SYS_CFG_TOM2_ENABLE && v & SYS_CFG_TOM2_FORCE_WB)
		m->wb_4g_to = rdmsr(MSR_AMD_TOP_MEM2) & m->address_mask & ~(MIB(8) - 1);
}
