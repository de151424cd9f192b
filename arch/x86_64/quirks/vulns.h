/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides which of the CPU's transient-execution flaws concern guests, and what to do about each.
 * Pure: it takes what identifies the CPU and returns decisions, also in words. mitigate.c reads the
 * CPU and carries the decisions out.
 */
#ifndef ARCH_CPU_VULNS_H
#define ARCH_CPU_VULNS_H

#include <hv/base/types.h>

enum mitigate_mode {
	MITIGATE_AUTO,	/* what the CPU needs */
	MITIGATE_OFF,	/* do nothing, and give guests no controls */
	MITIGATE_FORCE, /* do everything, for tests and for users who do not trust the tables */
};

/* What CPUID and IA32_ARCH_CAPABILITIES say. */
struct cpu_id {
	bool intel, amd; /* Hygon counts as AMD */
	bool smt;	 /* two of the CPUs share a core */
	bool hypervisor; /* an outer hypervisor runs us */
	u32 signature;	 /* leaf 1 EAX; family, model and stepping are parts of it: */
	u32 family, model, stepping;
	u32 microcode;
	u32 seven_ebx, seven_edx, seven2_edx; /* leaf 7; its subleaf 2 */
	u32 ext8_ebx;			      /* leaf 0x80000008 */
	u32 ext21_eax, ext21_ecx;	      /* leaf 0x80000021 */
	u64 arch_caps;
};

/* Leaf 7 EDX */
#define SEVEN_EDX_MD_CLEAR BIT(10)
#define SEVEN_EDX_SPEC_CTRL BIT(26) /* IBRS, and IBPB */
#define SEVEN_EDX_STIBP BIT(27)
#define SEVEN_EDX_L1D_FLUSH BIT(28)
#define SEVEN_EDX_ARCH_CAPS BIT(29)
#define SEVEN_EDX_SSBD BIT(31)
/* Leaf 0x80000008 EBX */
#define EXT8_EBX_IBPB BIT(12)
#define EXT8_EBX_IBRS BIT(14)
#define EXT8_EBX_STIBP BIT(15)
#define EXT8_EBX_SSBD BIT(24)
/* Leaf 0x80000021 */
#define EXT21_EAX_VERW_CLEAR BIT(5)
#define EXT21_EAX_AUTO_IBRS BIT(8)
#define EXT21_ECX_TSA_NO (BIT(1) | BIT(2))

/* SDM: "IA32_ARCH_CAPABILITIES" */
#define ARCH_CAP_RDCL_NO BIT(0)
#define ARCH_CAP_IBRS_ALL BIT(1)
#define ARCH_CAP_SKIP_L1DFL BIT(3)
#define ARCH_CAP_MDS_NO BIT(5)
#define ARCH_CAP_PSCHANGE_MC_NO BIT(6)
#define ARCH_CAP_TSX_CTRL BIT(7)
#define ARCH_CAP_TAA_NO BIT(8)
#define ARCH_CAP_BHI_NO BIT(20)
#define ARCH_CAP_PBRSB_NO BIT(24)
#define ARCH_CAP_RFDS_NO BIT(27)
#define ARCH_CAP_RFDS_CLEAR BIT(28)

#define SPEC_CTRL_IBRS BIT(0)
#define SPEC_CTRL_BHI_DIS_S BIT(10)

struct mitigations {
	bool off;	    /* the user asks for no mitigations */
	bool l1d_flush;	    /* before each entry, by IA32_FLUSH_CMD */
	bool l1d_displace;  /* the same, by reading 64 KiB */
	bool verw;	    /* before each entry and before idling */
	bool no_exec_large; /* large pages of guests are not executable */
	bool thunks;	    /* our indirect branches are retpolines */
	bool fill_rsb;	    /* after each exit */
	bool auto_ibrs;	    /* EFER.AutoIBRS */
	bool has_ibpb; /* IA32_PRED_CMD is there: used when a CPU goes from one VM to another */
	bool has_spec_ctrl;		   /* IA32_SPEC_CTRL is there; each guest has its own */
	bool has_flush_cmd;		   /* IA32_FLUSH_CMD is there */
	u32 host_spec_ctrl;		   /* IA32_SPEC_CTRL of the host */
	bool smt_open;			   /* a thread on the same core can still spy */
	const char *l1tf, *buffers, *itlb; /* the decisions in words */
};

void vulns_decide(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m);

#endif
