/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(u64 *gpr, u64 vmcb_pa)
 *
 * Loads the guest's general registers and runs it until #VMEXIT.  RAX and RSP
 * are in the VMCB.  GIF is clear before and after.  RFLAGS.IF of the host is
 * what lets a physical interrupt end the guest's run (V_INTR_MASKING); it is
 * set long before VMRUN, because the shadow of an STI right before it leaks
 * into the guest on some CPUs.
 */
#include <arch/x86_64/cpu/guest_exit.inc>

#define RCX 8
#define RDX 16
#define RBX 24
#define RBP 40
#define RSI 48
#define RDI 56

	.text
	.globl svm_enter
	.align 16
svm_enter:
	sti
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	mov %rsi, %rax
	mov RCX(%rdi), %rcx
	mov RDX(%rdi), %rdx
	mov RBX(%rdi), %rbx
	mov RBP(%rdi), %rbp
	mov RSI(%rdi), %rsi
	mov (8 * 8)(%rdi), %r8
	mov (8 * 9)(%rdi), %r9
	mov (8 * 10)(%rdi), %r10
	mov (8 * 11)(%rdi), %r11
	mov (8 * 12)(%rdi), %r12
	mov (8 * 13)(%rdi), %r13
	mov (8 * 14)(%rdi), %r14
	mov (8 * 15)(%rdi), %r15
	mov RDI(%rdi), %rdi
	ENTER_GUEST vmrun
	cli
	mov (%rsp), %rax		/* the gpr array; the guest's RAX is in the VMCB */
	mov %rdi, RDI(%rax)
	mov %rcx, RCX(%rax)
	mov %rdx, RDX(%rax)
	mov %rbx, RBX(%rax)
	mov %rbp, RBP(%rax)
	mov %rsi, RSI(%rax)
	mov %r8, (8 * 8)(%rax)
	mov %r9, (8 * 9)(%rax)
	mov %r10, (8 * 10)(%rax)
	mov %r11, (8 * 11)(%rax)
	mov %r12, (8 * 12)(%rax)
	mov %r13, (8 * 13)(%rax)
	mov %r14, (8 * 14)(%rax)
	mov %r15, (8 * 15)(%rax)
	pop %rdi
	RETURN_FROM_GUEST %rdi

	.section .note.GNU-stack, "", @progbits
