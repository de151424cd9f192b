/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes a multiboot-1 kernel to 64-bit C, on the first CPU and on the others: identity map of 4 GiB
 * by 2 MiB pages, one GDT for all, a stack per CPU.
 */
#define STACK_SIZE 16384
#define MAX_CPUS 16
#define TRAMPOLINE 0x8000

	.section .multiboot, "a"
	.align 4
	.long 0x1badb002
	.long 0x00000003
	.long -(0x1badb002 + 0x00000003)

	.text
	.code32
	.globl _start
_start:
	cli
	mov $bare_stacks + STACK_SIZE, %esp
	mov %ebx, %esi
	mov %eax, %ebp

	/* PML4 -> PDPT -> 4 page directories of 2 MiB pages; user-accessible for ring 3 tests. */
	movl $pdpt + 7, pml4
	mov $4, %ecx
	mov $pds + 7, %eax
	mov $pdpt, %edi
1:	mov %eax, (%edi)
	add $4096, %eax
	add $8, %edi
	loop 1b
	mov $2048, %ecx
	mov $0x87, %eax
	mov $pds, %edi
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b

	call enter_long_mode
	ljmp $8, $2f
	.code64
2:	mov %ebp, %edi			/* magic */
	mov %esi, %esi			/* information */
	xor %ebp, %ebp
	call bare_boot
1:	hlt
	jmp 1b

	.code32
enter_long_mode:
	mov $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x901, %eax			/* SCE, LME, NXE */
	wrmsr
	mov $0x80000023, %eax		/* PG, NE, MP, PE */
	mov %eax, %cr0
	lgdt bare_gdt_ptr
	ret

	/* smp.c copies this to TRAMPOLINE; a SIPI starts it there in real mode. */
	.code16
	.globl bare_trampoline, bare_trampoline_end
bare_trampoline:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl TRAMPOLINE + (tramp_gdt_ptr - bare_trampoline)
	mov $1, %eax
	mov %eax, %cr0
	ljmpl $0x18, $ap_start32
	.align 8
tramp_gdt_ptr:
	.short bare_gdt_end - bare_gdt - 1
	.long bare_gdt
bare_trampoline_end:

	.code32
ap_start32:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov bare_ap_stack, %esp
	call enter_long_mode
	ljmp $8, $2f
	.code64
2:	xor %ebp, %ebp
	call bare_ap_main
1:	hlt
	jmp 1b

	/* Exceptions and interrupts: vector and error code, then bare_trap(frame). */
	.macro STUB v
	.align 16
	.if \v == 8 || (\v >= 10 && \v <= 14) || \v == 17
	push $\v
	.else
	push $0
	push $\v
	.endif
	jmp trap
	.endm
	.align 16
	.globl bare_stubs
bare_stubs:
	.altmacro
	.set v, 0
	.rept 256
	STUB %v
	.set v, v + 1
	.endr
trap:
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
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $-16, %rsp
	call bare_trap
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

	/* void bare_user_call(void (*fn)(void), void *stack): runs fn in ring 3; a trap ends it. */
	.globl bare_user_call, bare_user_return
bare_user_call:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, bare_user_rsp
	push $0x33			/* SS: user data */
	push %rsi
	pushfq
	push $0x2b			/* CS: user code */
	push %rdi
	iretq
bare_user_return:			/* the trap handler comes here */
	mov bare_user_rsp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

	.data
	.align 8
	.globl bare_gdt
bare_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08 code, 64-bit */
	.quad 0x00cf93000000ffff	/* 0x10 data */
	.quad 0x00cf9b000000ffff	/* 0x18 code, 32-bit */
	.quad 0
	.quad 0x00affb000000ffff	/* 0x28 user code */
	.quad 0x00cff3000000ffff	/* 0x30 user data */
	.globl bare_gdt_tss
bare_gdt_tss:
	.quad 0, 0			/* 0x38 TSS */
bare_gdt_end:
bare_gdt_ptr:
	.short bare_gdt_end - bare_gdt - 1
	.long bare_gdt
	.globl bare_ap_stack
bare_ap_stack:
	.long 0
	.globl bare_user_rsp
	.align 8
bare_user_rsp:
	.quad 0

	.bss
	.align 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pds:	.skip 4 * 4096
	.globl bare_stacks
bare_stacks:
	.skip STACK_SIZE * MAX_CPUS

	.section .note.GNU-stack, "", @progbits
