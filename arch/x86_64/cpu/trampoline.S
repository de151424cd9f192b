/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other CPUs start here, all at once, in real mode at the start of a page below 1 MiB. One that
 * finds itself in the list of smp.c, and is the first to take that slot, goes straight to long mode
 * on the final page tables, which map this page 1:1 for a while. All others stay here for good: the
 * page is never used for anything else, and an NMI finds a table of its own. smp_start() decides
 * where the page is; every CPU that comes writes the same addresses into it. Arguments are at its
 * end (struct trampoline_args).
 */
#include "regs.h"

#define OFF(sym) ((sym) - trampoline_start)
#define ARGS (4096 - 304)
#define ARG_CR3 (ARGS + 0)
#define ARG_ENTRY (ARGS + 8)
#define ARG_CPUS (ARGS + 16)
#define ARG_TAKEN (ARGS + 24)
#define ARG_X2APIC (ARGS + 32)
#define ARG_LIFT (ARGS + 40)
#define ARG_IDS (ARGS + 48)
#define CPU_STACK_TOP 32
#define APIC_ID 0x20
#define MSR_X2APIC_ID (MSR_X2APIC_BASE + (APIC_ID >> 4))

	.section .rodata
	.align 16
	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	mov %ax, OFF(tramp_idt) + 2
	mov %ax, OFF(tramp_idt) + 6
	mov %ax, OFF(tramp_idt) + 10
	movzwl %ax, %edi
	shl $4, %edi			/* the page */
	lea OFF(tramp_idt)(%edi), %eax
	mov %eax, OFF(tramp_idt_ptr) + 2
	lidtl OFF(tramp_idt_ptr)
	lea OFF(tramp_gdt)(%edi), %eax
	mov %eax, OFF(tramp_gdt_ptr) + 2
	lgdtl OFF(tramp_gdt_ptr)
	/*
	 * Which CPU is this? The ACPI table has the ids of the APICs' registers. CPUID has the id
	 * from reset, and some firmware changes the ids afterwards.
	 */
	mov $MSR_IA32_APIC_BASE, %ecx
	rdmsr
	cmpl $0, ARG_X2APIC
	je 1f
	or $(APIC_BASE_EN | APIC_BASE_EXTD), %eax
	wrmsr
	mov $MSR_X2APIC_ID, %ecx
	rdmsr
	mov %eax, %edx
	jmp 2f
1:	and $0xfffff000, %eax
	mov %eax, %ebx
	/* The register is above 1 MiB: GS gets its limit in protected mode, and keeps it. */
	mov $SEL_DATA, %cx
	mov %cr0, %eax
	or $CR0_PE, %al
	mov %eax, %cr0
	mov %cx, %gs
	and $~CR0_PE, %al
	mov %eax, %cr0
	mov %gs:APIC_ID(%ebx), %edx
	mov ARG_LIFT, %eax
	test %eax, %eax
	jz 1f
	add %eax, %edx
	mov %edx, %gs:APIC_ID(%ebx)
	mov %gs:APIC_ID(%ebx), %edx
1:	shr $24, %edx
2:	mov $1, %esi			/* slot 0 is the boot CPU's */
3:	cmp %edx, ARG_IDS(, %esi, 4)
	je 4f
	inc %esi
	cmp $64, %esi
	jb 3b
park:	hlt
	jmp park
4:	lock btsl %esi, ARG_TAKEN
	jc park
	lea OFF(tramp64)(%edi), %eax
	mov %eax, OFF(tramp64_ptr)
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov ARG_CR3, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $(EFER_LME | EFER_NXE), %eax
	wrmsr
	mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	mov %eax, %cr0
	ljmpl *OFF(tramp64_ptr)
tramp_nmi:
	iretw

	.code64
tramp64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %edi, %edi			/* upper halves are undefined after real mode */
	mov %esi, %esi
	mov ARG_ENTRY(%rdi), %rax
	mov ARG_CPUS(%rdi), %rdi
	mov (%rdi, %rsi, 8), %rdi
	mov CPU_STACK_TOP(%rdi), %rsp
	xor %ebp, %ebp
	call *%rax
1:	hlt
	jmp 1b

	.align 8
tramp_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
tramp_gdt_ptr:
	.short 23
	.long 0
tramp64_ptr:
	.long 0
	.short SEL_CODE
tramp_idt:				/* real mode: vectors 0 to 2 */
	.rept 3
	.short OFF(tramp_nmi), 0
	.endr
tramp_idt_ptr:
	.short 11
	.long 0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
