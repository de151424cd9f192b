/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an AP starts: real mode at the start of a page below 1 MiB, straight
 * to long mode on the final page tables, which map this page 1:1 for a moment.
 * Arguments are at the end of the page (struct trampoline_args).
 */
#include "regs.h"

#define OFF(sym) ((sym) - trampoline_start)
#define BASE 0x8000
#define ARGS (BASE + 4096 - 32)

	.section .rodata
	.align 16
	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	xor %ax, %ax
	mov %ax, %ds
	lgdtl BASE + OFF(tramp_gdt_ptr)
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
	ljmpl $SEL_CODE, $(BASE + OFF(tramp64))

	.code64
tramp64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov ARGS + 8, %rsp
	mov ARGS + 24, %rdi
	xor %ebp, %ebp
	call *ARGS + 16
1:	hlt
	jmp 1b

	.align 8
tramp_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
tramp_gdt_ptr:
	.short 23
	.long BASE + OFF(tramp_gdt)
trampoline_end:

	.section .note.GNU-stack, "", @progbits
