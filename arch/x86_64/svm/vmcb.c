/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills a new VMCB, and makes the two permission maps that all VMs share. */
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/vm/vm.h>

/* Ports: every access exits. MSRs: two bits each, read and write. APM: "MSR Intercepts" */
static u8 *io_map, *msr_map;
#define IO_MAP_ORDER 2 /* three pages */
#define MSR_MAP_ORDER 1

#define ALL_WRITE_BACK 0x0606060606060606UL
#define PAUSE_COUNT 3000 /* PAUSEs in one loop before an exit */
#define PAUSE_GAP 128	 /* cycles between two that belong to the same loop */

static void allow_msr(u32 msr)
{
	u32 base = msr >= 0xc0000000 ? 0x800 : 0, bit = (msr & 0x1fff) * 2;

	msr_map[base + bit / 8] &= (u8) ~(3u << bit % 8);
}

/*
 * MSRs of the guest that VMLOAD or guestregs switch need no exit. Others exit: EFER would show
 * SVME, the PAT is not the guest's, and not every CPU adds the TSC offset to RDMSR.
 */
int svm_maps_init(void)
{
	if (io_map)
		return HV_OK;
	io_map = frame_alloc_pages(IO_MAP_ORDER);
	msr_map = frame_alloc_pages(MSR_MAP_ORDER);
	if (!io_map || !msr_map)
		return HV_ENOMEM;
	memset(io_map, 0xff, PAGE_SIZE << IO_MAP_ORDER);
	memset(msr_map, 0xff, PAGE_SIZE << MSR_MAP_ORDER);
	for (u32 i = 0; i < nr_guest_own_msrs; i++)
		allow_msr(guest_own_msrs[i]);
	return HV_OK;
}

static void init_intercepts(struct vmcb *b)
{
	b->intercept_cr = (u32)INTERCEPT_CR_WRITE(4);
	b->intercept_exceptions = ALWAYS_INTERCEPTED;
	b->intercept1 =
		(u32)(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_CR0_SELECTIVE |
		      INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD | INTERCEPT_HLT |
		      INTERCEPT_INVLPGA | INTERCEPT_IOIO | INTERCEPT_MSR | INTERCEPT_SHUTDOWN);
	b->intercept2 = (u32)(INTERCEPT2_ALL_SVM | INTERCEPT2_WBINVD | INTERCEPT2_MONITOR |
			      INTERCEPT2_MWAIT | INTERCEPT2_MWAIT_ARMED | INTERCEPT2_XSETBV |
			      INTERCEPT2_RDPRU);
	if (svm_caps.pause_filter) {
		b->intercept1 |= (u32)INTERCEPT_PAUSE;
		b->pause_count = PAUSE_COUNT;
		b->pause_threshold = svm_caps.pause_threshold ? PAUSE_GAP : 0;
	}
}

void svm_vmcb_init(struct vcpu *v)
{
	struct svm_vcpu *x = svm_of(v);
	struct vmcb *b = x->vmcb;

	init_intercepts(b);
	b->iopm_pa = plat_pa(io_map).v;
	b->msrpm_pa = plat_pa(msr_map).v;
	b->tsc_offset = v->tsc_offset;
	b->int_ctl = (u32)V_INTR_MASKING;
	b->nested_ctl = NESTED_PAGING;
	b->nested_cr3 = v->vm->p2m.root.v;
	/*
	 * The guest's RAM is write-back whatever its PAT says, as under EPT: it must not be able to
	 * read a frame's old bytes past the caches.
	 */
	b->g_pat = ALL_WRITE_BACK;
	x->pat = 0x0007040600070406; /* as after reset; the guest reads this value */
	x->shadow_rip = UINT64_MAX;
	x->mitigate = mitigate_entries;
	b->dr6 = VMCB_DR6_INIT;
	b->dr7 = VMCB_DR7_INIT;
	b->rflags = 2;
	b->efer = EFER_SVME;
}
