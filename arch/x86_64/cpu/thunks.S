/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indirect branches of our C code come here (-mindirect-branch=thunk-extern). A retpoline: the CPU
 * predicts a return to the loop, never a target that a guest has trained. On CPUs that do not need
 * it, a plain jump.
 */
#include <arch/x86_64/cpu/guest_exit.inc>

	.macro THUNK reg
	.align 8
	.globl __x86_indirect_thunk_\reg
__x86_indirect_thunk_\reg:
881:	call 882f
883:	pause
	lfence
	jmp 883b
882:	mov %\reg, (%rsp)
	ret
	int3
	PATCH_UNLESS PATCH_THUNKS, __x86_indirect_thunk_\reg, "jmp *%\reg; int3"
	.endm

	.text
	.irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	THUNK \reg
	.endr

	.section .rodata
	.globl verw_selector
verw_selector:
	.short SEL_DATA

	.section .note.GNU-stack, "", @progbits
