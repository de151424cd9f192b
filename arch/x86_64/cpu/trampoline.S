/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an AP starts: real mode at the start of a page below 1 MiB, straight
 * to long mode on the final page tables, which map this page 1:1 for a moment.
 * Arguments are at the end of the page (struct trampoline_args).
 */
#include "regs.h"

#define OFF(sym) ((sym) - trampoline_start)
#define ARGS (4096 - 32)

	.section .rodata
	.align 16
	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	movzwl %ax, %ebx
	shl $4, %ebx			/* the page, wherever it is */
	lea OFF(tramp_gdt)(%ebx), %eax
	mov %eax, OFF(tramp_gdt_ptr) + 2
	lea OFF(tramp64)(%ebx), %eax
	mov %eax, OFF(tramp64_ptr)
	lgdtl OFF(tramp_gdt_ptr)
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov ARGS, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $(EFER_LME | EFER_NXE), %eax
	wrmsr
	mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	mov %eax, %cr0
	ljmpl *OFF(tramp64_ptr)

	.code64
tramp64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov ARGS + 8(%rbx), %rsp
	mov ARGS + 24(%rbx), %rdi
	xor %ebp, %ebp
	call *ARGS + 16(%rbx)
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
trampoline_end:

	.section .note.GNU-stack, "", @progbits
