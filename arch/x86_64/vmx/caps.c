/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The features that VT-x must have, each with the message if it is missing. Pure: it takes the
 * values of the capability MSRs and returns controls, so that host tests can feed it any CPU. SDM:
 * "VMX Capability Reporting Facility".
 */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/vmx/vmx.h>

struct need {
	u32 bit;
	const char *missing;
};

static const struct need pin_needs[] = {
	{ PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting" },
	{ PIN_NMI, "NMI exiting" },
	{ PIN_VIRTUAL_NMI, "virtual NMIs" },
	{ 0, NULL },
};
static const struct need cpu_needs[] = {
	{ CPU_SECONDARY, "secondary controls, and so EPT (second-level page tables)" },
	{ CPU_MSR_BITMAPS, "MSR bitmaps" },
	{ CPU_TSC_OFFSET, "TSC offsetting" },
	{ CPU_HLT, "HLT exiting" },
	{ CPU_CR8_LOAD, "CR8-load exiting" },
	{ CPU_CR8_STORE, "CR8-store exiting" },
	{ CPU_UNCONDITIONAL_IO, "unconditional I/O exiting" },
	{ CPU_MWAIT, "MWAIT exiting" },
	{ CPU_MONITOR, "MONITOR exiting" },
	{ CPU_INTERRUPT_WINDOW, "interrupt-window exiting" },
	{ CPU_NMI_WINDOW, "NMI-window exiting" },
	{ 0, NULL },
};
static const struct need cpu2_needs[] = {
	{ CPU2_EPT,
	  "EPT (second-level page tables); Intel CPUs since 2009 have it, except some Atoms" },
	{ CPU2_UNRESTRICTED,
	  "unrestricted guest (real mode in a guest); Intel CPUs since 2010 have it" },
	{ CPU2_VPID, "VPID" },
	{ 0, NULL },
};
static const struct need exit_needs[] = {
	{ EXIT_HOST_64, "64-bit host" },
	{ EXIT_ACK_INTERRUPT, "acknowledge interrupt on exit" },
	{ EXIT_SAVE_PAT, "saving PAT" },
	{ EXIT_LOAD_PAT, "loading PAT" },
	{ EXIT_SAVE_EFER, "saving EFER" },
	{ EXIT_LOAD_EFER, "loading EFER" },
	{ EXIT_SAVE_DEBUG, "saving debug controls" },
	{ 0, NULL },
};
static const struct need entry_needs[] = {
	{ ENTRY_LOAD_PAT, "loading PAT at entry" },
	{ ENTRY_LOAD_EFER, "loading EFER at entry" },
	{ ENTRY_LOAD_DEBUG, "loading debug controls at entry" },
	{ 0, NULL },
};

const char *vmx_feature_control(u64 now, u64 *want)
{
	*want = now;
	if (!(now & FEATURE_CONTROL_LOCKED))
		*want |= FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX;
	if (*want & FEATURE_CONTROL_VMX)
		return NULL;
	if (now & FEATURE_CONTROL_VMX_SMX)
		return "the firmware allows VT-x only after a trusted launch (TXT): disable that in its setup and switch the machine off and on";
	return "the firmware has locked VT-x off: enable \"Virtualization Technology\" in its setup and switch the machine off and on";
}

/* Bits of @window (interrupt and NMI windows) are needed, and start switched off. */
static const char *choose(u64 msr, const struct need *needs, u32 optional, u32 start_off, u32 *out)
{
	u32 must = (u32)msr, may = (u32)(msr >> 32);

	*out = must | (optional & may);
	for (; needs->missing; needs++) {
		if (!(may & needs->bit))
			return needs->missing;
		if (!(needs->bit & start_off))
			*out |= needs->bit;
	}
	return NULL;
}

static const char *check_ept(const struct vmx_msrs *m)
{
	u64 c = m->ept_vpid;

	if (!(c & EPT_CAP_WALK4) || !(c & EPT_CAP_WB))
		return "EPT with four levels in write-back memory";
	if (!(c & EPT_CAP_2M))
		return "EPT with 2 MiB pages";
	if (!(c & EPT_CAP_INVEPT) || !(c & (EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL)))
		return "INVEPT";
	return NULL;
}

const char *vmx_caps_check(const struct vmx_msrs *m, struct vmx_caps *caps)
{
	const char *missing;

	*caps = (struct vmx_caps){
		.revision = (u32)m->basic & 0x7fffffff,
		.ept_vpid = m->ept_vpid,
		.timer_shift = (unsigned int)(m->misc & 31),
		.cr0_fixed0 = m->cr0_fixed0,
		.cr0_fixed1 = m->cr0_fixed1,
		.cr4_fixed0 = m->cr4_fixed0,
		.cr4_fixed1 = m->cr4_fixed1,
		.ept_ad = m->ept_vpid & EPT_CAP_AD,
	};
	/* Check the features with known names first: a CPU often lacks several. */
	missing = choose(m->cpu, cpu_needs, CPU_RDPMC | CPU_TPR_SHADOW,
			 CPU_INTERRUPT_WINDOW | CPU_NMI_WINDOW, &caps->cpu);
	if (!missing)
		missing =
			choose(m->cpu2, cpu2_needs,
			       CPU2_RDTSCP | CPU2_INVPCID | CPU2_WBINVD | CPU2_PLE, 0, &caps->cpu2);
	if (!missing)
		missing = check_ept(m);
	if (!missing)
		missing = choose(m->pin, pin_needs, PIN_PREEMPTION_TIMER, 0, &caps->pin);
	if (!missing)
		missing = choose(m->exit, exit_needs, 0, 0, &caps->exit);
	if (!missing)
		missing = choose(m->entry, entry_needs, 0, 0, &caps->entry);
	if (caps->cpu & CPU_TPR_SHADOW)
		caps->cpu &= ~(u32)(CPU_CR8_LOAD | CPU_CR8_STORE) | (u32)m->cpu;
	/* CPUs with TRUE MSRs let us switch these off, so we do. */
	caps->cpu &= ~(u32)(CPU_CR3_LOAD | CPU_CR3_STORE) | (u32)m->cpu;
	return missing;
}
