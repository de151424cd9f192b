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
#define RAX 0
#define RCX 8
#define RDX 16
#define RBX 24
#define RBP 40
#define RSI 48
#define RDI 56

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
	test %rsi, %rsi			/* ZF survives the loads */
	mov RAX(%rdi), %rax
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
	mov %rcx, RCX(%rdi)
	mov %rdx, RDX(%rdi)
	mov %rbx, RBX(%rdi)
	mov %rbp, RBP(%rdi)
	mov %rsi, RSI(%rdi)
	mov %r8, (8 * 8)(%rdi)
	mov %r9, (8 * 9)(%rdi)
	mov %r10, (8 * 10)(%rdi)
	mov %r11, (8 * 11)(%rdi)
	mov %r12, (8 * 12)(%rdi)
	mov %r13, (8 * 13)(%rdi)
	mov %r14, (8 * 14)(%rdi)
	mov %r15, (8 * 15)(%rdi)
	pop %rax
	mov %rax, RDI(%rdi)
	xor %eax, %eax
3:	RETURN_FROM_GUEST %rdi

	.section .note.GNU-stack, "", @progbits
