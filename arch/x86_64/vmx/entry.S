/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * int vmx_enter(u64 *gpr, u64 launched)
 *
 * Loads the guest's general registers and enters.  The CPU resumes at
 * vmx_exit_entry after an exit, with our RSP from the VMCS.  Only registers
 * that C expects to survive a call are saved.
 */
#include <arch/x86_64/cpu/guest_exit.inc>

#define VMCS_HOST_RSP 0x6c14

	.text
	.globl vmx_enter, vmx_exit_entry
	.align 16
vmx_enter:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	mov $VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
	test %rsi, %rsi			/* the loads keep ZF */
	mov RAX(%rdi), %rax
	LOAD_GUEST_GPRS
	jz 1f
	ENTER_GUEST vmresume
	jmp 2f
1:	ENTER_GUEST vmlaunch
2:	/* The entry did not happen. CF: no current VMCS; ZF: see the error field. */
	mov $1, %eax
	mov $2, %ecx
	cmovz %ecx, %eax
	pop %rdi
	jmp 3f

	.align 16
vmx_exit_entry:
	xchg %rdi, (%rsp)		/* gpr array; the guest's RDI on the stack */
	mov %rax, RAX(%rdi)
	SAVE_GUEST_GPRS %rdi
	pop %rax
	mov %rax, RDI(%rdi)
	xor %eax, %eax
3:	RETURN_FROM_GUEST %rdi

	.section .note.GNU-stack, "", @progbits
