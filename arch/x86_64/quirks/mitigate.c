/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identifies the CPU, lets vulns.c decide, and carries that out. It owns the patched code,
 * IA32_SPEC_CTRL of the host, and the decision when a barrier between VMs is due. docs/cpus.md has
 * the reasons.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/errata.h>
#include <arch/x86_64/quirks/identify.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/quirks/patch.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <mm/frame.h>

#define DISPLACE_ORDER 4 /* 64 KiB: twice the largest L1D that needs it */
#define PRED_CMD_IBPB BIT(0)
#define FLUSH_CMD_L1D BIT(0)

struct mitigations mitigations;
bool mitigate_entries;
u32 host_spec_ctrl; /* for guest_exit.inc */

static struct cpu_id boot_id;
static const u8 *displacement;

extern u8 __image_start[], __text_end[];
extern const struct patch patches[], patches_end[];
extern const u16 verw_selector;

/* "Extended Topology Enumeration": the shift that makes a core's id of an APIC id. */
static bool threads_share_cores(const u32 *ids, u32 n)
{
	struct cpuid_regs r = cpuid(0xb, 0);
	bool threads = cpuid(0, 0).a >= 0xb && (r.c >> 8 & 0xff) == 1;
	u32 shift = threads ? r.a & 31 : 0;

	for (u32 i = 0; i < n; i++)
		for (u32 j = 0; j < i; j++)
			if (ids[i] >> shift == ids[j] >> shift)
				return true;
	return false;
}

/*
 * Nothing else writes to our own text. It runs before other CPUs do, with interrupts off. Text has
 * no writable alias, so it clears CR0.WP.
 */
static void patch(u32 needed)
{
	u64 cr0 = read_cr0();

	write_cr0(cr0 & ~CR0_WP);
	for (const struct patch *p = patches; p < patches_end; p++) {
		u8 *site = (u8 *)&p->site + p->site;

		hv_assert(site >= __image_start && site + p->length <= __text_end);
		if (!(p->flag & needed))
			memcpy(site, (const u8 *)&p->with + p->with, p->length);
	}
	write_cr0(cr0); /* also serializes */
}

static void report(const struct mitigations *m, enum mitigate_mode mode)
{
	log_line("l1tf: %s", m->l1tf);
	log_line("mds: %s", m->buffers);
	log_line("itlb multihit: %s", m->itlb);
	if (mode == MITIGATE_OFF)
		log_line("spectre v2: left open, by mitigations=off");
	else
		log_line(
			"spectre v2: %s%s, %s%s",
			m->auto_ibrs	  ? "automatic IBRS" :
			m->host_spec_ctrl ? "enhanced IBRS" :
					    "retpolines",
			m->thunks && (m->auto_ibrs || m->host_spec_ctrl) ? " and retpolines" : "",
			m->fill_rsb ? "returns filled after exits, " : "",
			m->has_ibpb ?
				"barrier between VMs" :
				"NO BARRIER between VMs, because the microcode lacks it; update the firmware");
	if (m->smt_open)
		log_line(
			"smt: CPUs share cores, so one VM can spy on another in spite of the mitigations above; switch Hyper-Threading off in the firmware setup if VMs do not trust each other");
}

int mitigate_init(enum mitigate_mode mode, const u32 *apic_ids, u32 nr)
{
	struct mitigations *m = &mitigations;

	cpu_identify(&boot_id);
	boot_id.smt = threads_share_cores(apic_ids, nr);
	log_line("cpu: family %x model %x stepping %u, microcode %x", boot_id.family, boot_id.model,
		 boot_id.stepping, boot_id.microcode);
	vulns_decide(&boot_id, mode, m);
	if (m->l1d_displace) {
		displacement = frame_alloc_pages(DISPLACE_ORDER);
		if (!displacement)
			return HV_ENOMEM;
	}
	host_spec_ctrl = m->host_spec_ctrl;
	mitigate_entries = m->l1d_flush || m->l1d_displace || m->has_spec_ctrl;
	patch((m->thunks ? PATCH_THUNKS : 0) | (m->verw ? PATCH_VERW : 0) |
	      (m->fill_rsb || m->has_spec_ctrl ? PATCH_EXIT : 0));
	report(m, mode);
	return HV_OK;
}

static void stop_c1e(const struct cpu_id *c)
{
	u64 is, should;

	if (!c->amd || !rdmsr_safe(MSR_AMD_INT_PENDING, &is))
		return;
	should = errata_c1e(c, is);
	if (should != is && wrmsr_safe(MSR_AMD_INT_PENDING, should) && !plat_cpu())
		log_line("cpu: C1E is switched off, since it stops the APIC's timer (erratum 400)");
}

int mitigate_cpu_init(void)
{
	struct cpu_id c;

	cpu_identify(&c);
	if (c.microcode != boot_id.microcode)
		log_line("cpu %u: microcode %x, not %x as on the boot CPU; update the firmware",
			 plat_cpu(), c.microcode, boot_id.microcode);
	if (boot_id.seven_edx & ~c.seven_edx || boot_id.ext8_ebx & ~c.ext8_ebx)
		return log_error(HV_ENODEV,
				 "cpu %u: lacks mitigations that the boot CPU has, and is not used",
				 plat_cpu());
	stop_c1e(&c);
	if (mitigations.auto_ibrs)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTO_IBRS);
	if (mitigations.has_spec_ctrl)
		wrmsr(MSR_IA32_SPEC_CTRL, host_spec_ctrl);
	return HV_OK;
}

/* mitigations=off takes the controls from guests, too: to switch them costs time at each exit. */
void mitigate_host_cpuid(u32 leaf, u32 sub, u32 regs[4])
{
	struct cpuid_regs r = cpuid(leaf, sub);

	if (mitigations.off && leaf == 7 && !sub)
		r.d &= ~(u32)(SEVEN_EDX_SPEC_CTRL | SEVEN_EDX_STIBP | SEVEN_EDX_L1D_FLUSH |
			      SEVEN_EDX_SSBD);
	if (mitigations.off && leaf == 0x80000008)
		r.b &= ~(u32)(EXT8_EBX_IBPB | EXT8_EBX_IBRS | EXT8_EBX_STIBP | EXT8_EBX_SSBD);
	regs[0] = r.a;
	regs[1] = r.b;
	regs[2] = r.c;
	regs[3] = r.d;
}

/*
 * Bits that hold for a guest's CPU, too. The others (TSX_CTRL, MISC_PACKAGE...) promise more MSRs.
 */
#define GUEST_ARCH_CAPS                                                                       \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | BIT(2) /* RSBA */ | BIT(4) /* SSB_NO */ |     \
	 ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO | BIT(13) | BIT(14) | BIT(15) /* MMIO's _NO */ |   \
	 BIT(17) /* FB_CLEAR */ | BIT(19) /* RRSBA */ | ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | \
	 BIT(26) /* GDS_NO */ | ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR)

u64 mitigate_guest_arch_caps(void)
{
	if (!(boot_id.seven_edx & SEVEN_EDX_ARCH_CAPS))
		return 0;
	/* Only we map a guest's memory, and we avoid multihits: the guest need not. */
	return (boot_id.arch_caps & GUEST_ARCH_CAPS) | ARCH_CAP_PSCHANGE_MC_NO;
}

void mitigate_vm_load(u64 run)
{
	struct cpu *c = this_cpu();

	if (c->last_run == run)
		return;
	c->last_run = run;
	if (mitigations.has_ibpb)
		wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/* Touch the pages first, so that no page walk comes between the lines. */
static void displace_l1d(void)
{
	const volatile u8 *p = displacement;

	for (u32 i = 0; i < PAGE_SIZE << DISPLACE_ORDER; i += PAGE_SIZE)
		(void)p[i];
	cpuid(0, 0); /* serializes */
	for (u32 i = 0; i < PAGE_SIZE << DISPLACE_ORDER; i += 64)
		(void)p[i];
	asm volatile("lfence" ::: "memory");
}

void mitigate_entry(u32 spec_ctrl)
{
	if (mitigations.l1d_flush)
		wrmsr(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
	else if (mitigations.l1d_displace)
		displace_l1d();
	if (spec_ctrl != host_spec_ctrl)
		wrmsr(MSR_IA32_SPEC_CTRL, spec_ctrl);
}

void mitigate_idle(void)
{
	if (mitigations.verw)
		asm volatile("verw %0" ::"m"(verw_selector) : "cc");
}
