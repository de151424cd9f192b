/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs, control registers, vectors and segment selectors, by the manuals' names. */
#ifndef ARCH_CPU_REGS_H
#define ARCH_CPU_REGS_H

#define MSR_IA32_TSC 0x10
#define MSR_IA32_APIC_BASE 0x1b
#define APIC_BASE_BSP (1 << 8)
#define APIC_BASE_EXTD (1 << 10)
#define APIC_BASE_EN (1 << 11)
#define MSR_IA32_FEATURE_CONTROL 0x3a
#define FEATURE_CONTROL_LOCKED (1 << 0)
#define FEATURE_CONTROL_VMX_SMX (1 << 1) /* only inside SMX */
#define FEATURE_CONTROL_VMX (1 << 2)	 /* outside SMX */
#define MSR_IA32_TSC_ADJUST 0x3b
#define MSR_IA32_SPEC_CTRL 0x48
#define MSR_IA32_PRED_CMD 0x49
#define MSR_IA32_BIOS_SIGN_ID 0x8b
#define MSR_IA32_ARCH_CAPABILITIES 0x10a
#define MSR_IA32_FLUSH_CMD 0x10b
#define MSR_IA32_SYSENTER_CS 0x174
#define MSR_IA32_SYSENTER_ESP 0x175
#define MSR_IA32_SYSENTER_EIP 0x176
#define MSR_IA32_MISC_ENABLE 0x1a0
#define MSR_IA32_PAT 0x277
#define MSR_IA32_MTRR_DEF_TYPE 0x2ff
#define MSR_IA32_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_BASE 0x800
#define MSR_IA32_XSS 0xda0
#define MSR_EFER 0xc0000080
#define EFER_SCE (1 << 0)
#define EFER_LME (1 << 8)
#define EFER_LMA (1 << 10)
#define EFER_NXE (1 << 11)
#define EFER_SVME (1 << 12)
#define EFER_AUTO_IBRS (1 << 21)
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_AMD_INT_PENDING 0xc0010055
#define MSR_VM_CR 0xc0010114
#define VM_CR_LOCK (1 << 3)
#define VM_CR_SVMDIS (1 << 4)

#define CR0_PE (1UL << 0)
#define CR0_MP (1UL << 1)
#define CR0_EM (1UL << 2)
#define CR0_TS (1UL << 3)
#define CR0_ET (1UL << 4)
#define CR0_NE (1UL << 5)
#define CR0_WP (1UL << 16)
#define CR0_AM (1UL << 18)
#define CR0_NW (1UL << 29)
#define CR0_CD (1UL << 30)
#define CR0_PG (1UL << 31)

#define CR4_VME (1UL << 0)
#define CR4_PSE (1UL << 4)
#define CR4_PAE (1UL << 5)
#define CR4_MCE (1UL << 6)
#define CR4_PGE (1UL << 7)
#define CR4_OSFXSR (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP (1UL << 11)
#define CR4_LA57 (1UL << 12)
#define CR4_VMXE (1UL << 13)
#define CR4_SMXE (1UL << 14)
#define CR4_FSGSBASE (1UL << 16)
#define CR4_PCIDE (1UL << 17)
#define CR4_OSXSAVE (1UL << 18)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)
#define CR4_PKE (1UL << 22)

/* The host's own IDT. */
#define VECTOR_MESSAGE 0xc0 /* MESSAGES of them, of devices */
#define VECTOR_PIC 0xe0	    /* 16 of them */
#define VECTOR_KICK 0xf0
#define VECTOR_TIMER 0xf1
#define VECTOR_SPURIOUS 0xff

/* The host's GDT. */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

/* The host's address space: see docs/architecture.md, "Host address space". */
#define VA_DIRECT 0xffff800000000000
#define VA_MMIO 0xffffc00000000000
#define VA_STACKS 0xffffd00000000000
#define VA_FRAMES 0xffffe00000000000
#define VA_IMAGE 0xffffffff80000000

#endif
