/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMCB, intercepts and exit codes.  APM volume 2, appendix "Layout of
 * VMCB" and "SVM Intercept Exit Codes".
 */
#ifndef ARCH_SVM_VMCB_H
#define ARCH_SVM_VMCB_H

#include <hv/base/types.h>

struct vmcb_seg {
	u16 selector;
	u16 attr; /* descriptor bits 47:40 and 55:52 */
	u32 limit;
	u64 base;
};

/* Places in vmcb.seg; the first six are as in enum guest_segment's order. */
enum {
	VMCB_ES,
	VMCB_CS,
	VMCB_SS,
	VMCB_DS,
	VMCB_FS,
	VMCB_GS,
	VMCB_GDTR,
	VMCB_LDTR,
	VMCB_IDTR,
	VMCB_TR,
	VMCB_NR_SEGS
};
#define VMCB_SEG_P BIT(7)
#define VMCB_SEG_L BIT(9)
#define VMCB_SEG_DB BIT(10)

struct vmcb {
	u32 intercept_cr; /* reads in the low half, writes in the high */
	u32 intercept_dr;
	u32 intercept_exceptions;
	u32 intercept1, intercept2, intercept3;
	u8 reserved0[0x24];
	u16 pause_threshold, pause_count;
	u64 iopm_pa, msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control;
	u8 reserved1[3];
	u32 int_ctl;
	u32 int_vector;
	u64 int_state;
	u64 exit_code, exit_info1, exit_info2;
	u64 exit_int_info;
	u64 nested_ctl;
	u8 reserved2[0x10];
	u64 event_inj;
	u64 nested_cr3;
	u64 lbr_ctl;
	u32 clean;
	u32 reserved3;
	u64 nrip;
	u8 fetched;
	u8 bytes[15];
	u8 reserved4[0x320];

	struct vmcb_seg seg[VMCB_NR_SEGS];
	u8 reserved5[0x2b];
	u8 cpl;
	u32 reserved6;
	u64 efer;
	u8 reserved7[0x70];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved8[0x58];
	u64 rsp;
	u64 s_cet, ssp, isst;
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved9[0x20];
	u64 g_pat;
	u8 reserved10[0x990];
};
#define VMCB_AT(field, offset) \
	_Static_assert(offsetof(struct vmcb, field) == (offset), "APM: Layout of VMCB")
VMCB_AT(pause_threshold, 0x3c);
VMCB_AT(iopm_pa, 0x40);
VMCB_AT(asid, 0x58);
VMCB_AT(int_ctl, 0x60);
VMCB_AT(int_state, 0x68);
VMCB_AT(exit_code, 0x70);
VMCB_AT(exit_int_info, 0x88);
VMCB_AT(nested_ctl, 0x90);
VMCB_AT(event_inj, 0xa8);
VMCB_AT(nested_cr3, 0xb0);
VMCB_AT(clean, 0xc0);
VMCB_AT(nrip, 0xc8);
VMCB_AT(fetched, 0xd0);
VMCB_AT(seg, 0x400);
VMCB_AT(seg[VMCB_TR], 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(sysenter_eip, 0x638);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 4096, "a VMCB is one page");

/* intercept_cr */
#define INTERCEPT_CR_READ(n) BIT(n)
#define INTERCEPT_CR_WRITE(n) BIT(16 + (n))

/* intercept1, intercept2: bit n gives exit code 0x60 + n, 0x80 + n */
#define INTERCEPT_INTR BIT(0)
#define INTERCEPT_NMI BIT(1)
#define INTERCEPT_SMI BIT(2)
#define INTERCEPT_VINTR BIT(4)
#define INTERCEPT_CR0_SELECTIVE BIT(5)
#define INTERCEPT_RDPMC BIT(15)
#define INTERCEPT_CPUID BIT(18)
#define INTERCEPT_IRET BIT(20)
#define INTERCEPT_INVD BIT(22)
#define INTERCEPT_PAUSE BIT(23)
#define INTERCEPT_HLT BIT(24)
#define INTERCEPT_INVLPGA BIT(26)
#define INTERCEPT_IOIO BIT(27)
#define INTERCEPT_MSR BIT(28)
#define INTERCEPT_SHUTDOWN BIT(31)
#define INTERCEPT2_VMRUN BIT(0)
#define INTERCEPT2_ALL_SVM 0x7f /* VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT */
#define INTERCEPT2_WBINVD BIT(9)
#define INTERCEPT2_MONITOR BIT(10)
#define INTERCEPT2_MWAIT BIT(11)
#define INTERCEPT2_MWAIT_ARMED BIT(12)
#define INTERCEPT2_XSETBV BIT(13)
#define INTERCEPT2_RDPRU BIT(14)

#define TLB_FLUSH_ALL 1
#define TLB_FLUSH_ASID 3

/* int_ctl, int_state, nested_ctl */
#define V_TPR 0xffu
#define V_IRQ BIT(8)
#define V_INTR_PRIO (15 << 16)
#define V_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)
#define INTERRUPT_SHADOW BIT(0)
#define NESTED_PAGING BIT(0)

/* "VMCB State Caching": bits of vmcb.clean */
#define CLEAN_INTERCEPTS BIT(0) /* and the TSC offset */
#define CLEAN_ASID BIT(2)
#define CLEAN_INT_CTL BIT(3)
#define CLEAN_CR BIT(5)
#define CLEAN_DR BIT(6)
#define CLEAN_DT BIT(7)
#define CLEAN_SEG BIT(8)
#define CLEAN_CR2 BIT(9)
#define CLEAN_ALL 0x3ffu

/* event_inj, exit_int_info: "Event Injection" */
#define EVENT_VALID BIT(31)
#define EVENT_ERROR BIT(11)
#define EVENT_TYPE(e) ((e) >> 8 & 7)
#define EVENT_INTR 0UL
#define EVENT_NMI 2UL
#define EVENT_EXCEPTION 3UL
#define EVENT_SOFT 4UL
#define EVENT(type, vector) (EVENT_VALID | (type) << 8 | (vector))

#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_AC 17
#define ALWAYS_INTERCEPTED ((u32)(BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC)))
#define RFLAGS_TF BIT(8)
#define RFLAGS_RF BIT(16)
#define DR6_BS BIT(14)
#define DR6_HITS 0xfUL
#define DR7_GD BIT(13)
#define VMCB_DR6_INIT 0xffff0ff0
#define VMCB_DR7_INIT 0x400

enum vmexit_code {
	VMEXIT_READ_CR0 = 0x00,
	VMEXIT_READ_CR4 = 0x04,
	VMEXIT_READ_CR8 = 0x08,
	VMEXIT_WRITE_CR0 = 0x10,
	VMEXIT_WRITE_CR4 = 0x14,
	VMEXIT_WRITE_CR8 = 0x18,
	VMEXIT_EXCEPTION = 0x40,
	VMEXIT_INTR = 0x60,
	VMEXIT_NMI = 0x61,
	VMEXIT_SMI = 0x62,
	VMEXIT_VINTR = 0x64,
	VMEXIT_CR0_SELECTIVE = 0x65,
	VMEXIT_RDPMC = 0x6f,
	VMEXIT_CPUID = 0x72,
	VMEXIT_IRET = 0x74,
	VMEXIT_INVD = 0x76,
	VMEXIT_PAUSE = 0x77,
	VMEXIT_HLT = 0x78,
	VMEXIT_INVLPGA = 0x7a,
	VMEXIT_IOIO = 0x7b,
	VMEXIT_MSR = 0x7c,
	VMEXIT_SHUTDOWN = 0x7f,
	VMEXIT_VMRUN = 0x80,
	VMEXIT_VMMCALL = 0x81,
	VMEXIT_VMLOAD = 0x82,
	VMEXIT_VMSAVE = 0x83,
	VMEXIT_STGI = 0x84,
	VMEXIT_CLGI = 0x85,
	VMEXIT_SKINIT = 0x86,
	VMEXIT_WBINVD = 0x89,
	VMEXIT_MONITOR = 0x8a,
	VMEXIT_MWAIT = 0x8b,
	VMEXIT_MWAIT_ARMED = 0x8c,
	VMEXIT_XSETBV = 0x8d,
	VMEXIT_RDPRU = 0x8e,
	VMEXIT_TABLE_NR = 0x8f,
	VMEXIT_NPF = 0x400,
};
#define VMEXIT_INVALID 0xffffffffu /* the low half: QEMU leaves the high half clear */

/* exit_info1 of VMEXIT_IOIO, VMEXIT_NPF and moves to and from control registers */
#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define NPF_WRITE BIT(1)
#define NPF_FETCH BIT(4)
#define MOV_CR_DECODED BIT(63)

#define MSR_VM_HSAVE_PA 0xc0010117

#endif
