/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(u64 *gpr, u64 vmcb_pa)
 *
 * Loads the guest's general registers and runs it until #VMEXIT. RAX and RSP are in the VMCB. GIF
 * is clear before and after. RFLAGS.IF of the host lets a physical interrupt end the guest's run
 * (V_INTR_MASKING); it is set long before VMRUN, because the shadow of an STI right before it leaks
 * into the guest on some CPUs.
 */
#include <arch/x86_64/cpu/guest_exit.inc>

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
	LOAD_GUEST_GPRS
	ENTER_GUEST vmrun
	cli
	mov (%rsp), %rax		/* the gpr array; the guest's RAX is in the VMCB */
	mov %rdi, RDI(%rax)
	SAVE_GUEST_GPRS %rax
	pop %rdi
	RETURN_FROM_GUEST %rdi

	.section .note.GNU-stack, "", @progbits
