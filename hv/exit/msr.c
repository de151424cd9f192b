/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs that exit, by table; everything else is #GP. */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/exit/cpuid.h>
#include <hv/exit/exit.h>
#include <hv/apic/pvclock.h>
#include <hv/apic/pvcpu.h>
#include <hv/vm/vm.h>

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define CR0_PG BIT(31)

typedef bool (*msr_read_fn)(struct vcpu *v, u32 msr, u64 *value);
typedef bool (*msr_write_fn)(struct vcpu *v, u32 msr, u64 value);

static bool read_base(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->lapic.base;
	return true;
}

static bool write_base(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	return lapic_base_write(v, value);
}

static bool read_zero(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v;
	(void)msr;
	*value = 0;
	return true;
}

static bool write_ignore(struct vcpu *v, u32 msr, u64 value)
{
	(void)v;
	(void)msr;
	(void)value;
	return true;
}

static bool read_tsc(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = plat_tsc() + v->tsc_offset;
	return true;
}

static bool write_tsc(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	v->tsc_offset = value - plat_tsc();
	backend->set_reg(v, GREG_TSC_OFFSET, v->tsc_offset);
	lapic_tsc_written(v);
	pvclock_tsc_written(v);
	return true;
}

static bool read_misc_enable(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v;
	(void)msr;
	*value = BIT(0) | BIT(11) | BIT(12); /* fast strings; no BTS, no PEBS */
	return true;
}

static bool read_hwcr(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v;
	(void)msr;
	*value = BIT(24); /* the TSC counts at the frequency of P0 */
	return true;
}

static bool read_efer(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = backend->get_reg(v, GREG_EFER);
	return true;
}

static bool write_efer(struct vcpu *v, u32 msr, u64 value)
{
	u64 old = backend->get_reg(v, GREG_EFER);
	bool paging = backend->get_reg(v, GREG_CR0) & CR0_PG;

	(void)msr;
	value = (value & ~EFER_LMA) | (old & EFER_LMA);
	if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return false;
	if (paging && (value ^ old) & EFER_LME)
		return false;
	backend->set_reg(v, GREG_EFER, value);
	return true;
}

static bool read_pat(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = backend->get_reg(v, GREG_PAT);
	return true;
}

static bool write_pat(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	for (int i = 0; i < 64; i += 8) {
		u8 t = (u8)(value >> i);

		if (t > 7 || t == 2 || t == 3)
			return false;
	}
	backend->set_reg(v, GREG_PAT, value);
	return true;
}

static bool read_spec_ctrl(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->spec_ctrl;
	return cpuid_spec_ctrl_mask();
}

/* The next entry loads it. */
static bool write_spec_ctrl(struct vcpu *v, u32 msr, u64 value)
{
	u64 mask = cpuid_spec_ctrl_mask();

	(void)msr;
	if (!mask || value & ~mask)
		return false;
	v->spec_ctrl = (u32)value;
	return true;
}

static bool read_arch_capabilities(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v;
	(void)msr;
	*value = cpuid_arch_capabilities();
	return *value;
}

/*
 * The four performance counters that AMD's CPUs have had since family 6, and that no bit of
 * CPUID announces: Linux reads them unprotected on families 0fh and 10h.  They count nothing.
 */
static bool read_amd_zero(struct vcpu *v, u32 msr, u64 *value)
{
	return !strcmp(backend->vendor, "AuthenticAMD") && read_zero(v, msr, value);
}

static bool write_amd_ignore(struct vcpu *v, u32 msr, u64 value)
{
	return !strcmp(backend->vendor, "AuthenticAMD") && write_ignore(v, msr, value);
}

struct msr_row {
	u32 first, last;
	msr_read_fn read;
	msr_write_fn write;
};

static const struct msr_row rows[] = {
	{ 0x10, 0x10, read_tsc, write_tsc },
	{ 0x17, 0x17, read_zero, NULL },	 /* PLATFORM_ID */
	{ 0x1b, 0x1b, read_base, write_base },	 /* APIC_BASE */
	{ 0x8b, 0x8b, read_zero, write_ignore }, /* BIOS_SIGN_ID: the revision dance */
	{ 0x1a0, 0x1a0, read_misc_enable, write_ignore },
	{ 0x277, 0x277, read_pat, write_pat },
	{ 0x6e0, 0x6e0, lapic_msr_read, lapic_msr_write },
	{ 0x800, 0x8ff, lapic_msr_read, lapic_msr_write },
	{ MSR_PV_WALL_CLOCK, MSR_PV_SYSTEM_TIME, pvclock_read, pvclock_write },
	{ MSR_PV_STEAL_TIME, MSR_PV_EOI, pvcpu_read, pvcpu_write },
	{ 0xc0000080, 0xc0000080, read_efer, write_efer },
	{ 0xc0010000, 0xc0010007, read_amd_zero, write_amd_ignore }, /* PERF_CTL, PERF_CTR */
	{ 0xc0010010, 0xc0010010, read_amd_zero, write_amd_ignore }, /* SYSCFG: Xen looks at it */
	{ 0xc0010015, 0xc0010015, read_hwcr, write_ignore },
	{ 0xc001001f, 0xc001001f, read_zero, write_ignore }, /* AMD's NB_CFG: Linux sets a bit */
	{ 0xc0010055, 0xc0010055, read_amd_zero, write_amd_ignore }, /* interrupt pending message */
	{ 0x48, 0x48, read_spec_ctrl, write_spec_ctrl },
	{ 0x10a, 0x10a, read_arch_capabilities, NULL },
};

static const struct msr_row *find(u32 msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return &rows[i];
	return NULL;
}

void exit_rdmsr(struct vcpu *v, struct vmexit *e)
{
	u32 msr = (u32)v->gpr[GPR_RCX];
	const struct msr_row *row = find(msr);
	u64 value;

	if (exit_refused(v, e))
		return;
	if (!row || !row->read || !row->read(v, msr, &value)) {
		vcpu_inject_gp(v);
		return;
	}
	v->gpr[GPR_RAX] = (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	vcpu_skip(v, e);
}

void exit_wrmsr(struct vcpu *v, struct vmexit *e)
{
	u32 msr = (u32)v->gpr[GPR_RCX];
	const struct msr_row *row = find(msr);
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	if (exit_refused(v, e))
		return;
	vcpu_skip(v, e); /* unless it has to wait: pvclock.c */
	if (!row || !row->write || !row->write(v, msr, value)) {
		v->advance = 0;
		vcpu_inject_gp(v);
	}
}
