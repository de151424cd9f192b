/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exception and interrupt entry.  All gates lead to trap_common with the same
 * frame (struct trap_frame).  The host never runs user code, so GS is always
 * ours and there is no swapgs.
 */
	.macro ENTRY_NOERR vec
	.align 16
	push $0
	push $\vec
	jmp trap_common
	.endm
	.macro ENTRY_ERR vec
	.align 16
	push $\vec
	jmp trap_common
	.endm

	.text
	.align 16
	.globl trap_entries
trap_entries:				/* 16 bytes each */
	.set v, 0
	.rept 256
	.if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
	.align 16
	push $v
	jmp trap_common
	.else
	.align 16
	push $0
	push $v
	jmp trap_common
	.endif
	.set v, v + 1
	.endr

	.align 16
trap_common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $-16, %rsp
	call trap_handler
	mov %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
