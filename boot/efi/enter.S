/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the firmware's 64-bit mode to the hypervisor's ordinary entry: 32-bit protected mode without
 * paging, as GRUB enters it. It runs in a page of its own below 4 GiB that the image does not
 * overlap, and copies the image to its place, over the firmware's data there, page tables included.
 *
 * In: EDI multiboot2 information, ESI struct copy list, RDX this page.
 */
#define SEL_CODE32 0x08
#define SEL_DATA 0x10
#define CR0_PG 0x80000000
#define CR4_PCIDE 0x20000
#define CR4_CET 0x800000
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define OFF(sym) ((sym) - enter_start)

	.text
	.code64
	.globl enter_start, enter_end
enter_start:
	cli
	cld
	mov %edi, %ebx
	mov %esi, %ebp
	lea OFF(gdt)(%rdx), %rax
	mov %rax, OFF(gdt_ptr) + 2(%rdx)
	lgdt OFF(gdt_ptr)(%rdx)
	/* SDM: "Exiting IA-32e Mode": clear both before paging goes off */
	mov %cr4, %rax
	and $~(CR4_PCIDE | CR4_CET), %rax
	mov %rax, %cr4
	lea OFF(compat)(%rdx), %rax
	pushq $SEL_CODE32
	push %rax
	lretq

	.code32
compat:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov %cr0, %eax
	and $~CR0_PG, %eax
	mov %eax, %cr0
	mov $MSR_EFER, %ecx
	rdmsr
	and $~EFER_LME, %eax
	wrmsr
	xor %eax, %eax
1:	mov (%ebp), %edi
	test %edi, %edi
	jz 2f
	mov 4(%ebp), %esi
	mov 8(%ebp), %ecx
	rep movsb
	mov 12(%ebp), %ecx
	rep stosb
	add $16, %ebp
	jmp 1b
2:	mov $0x36d76289, %eax		/* MULTIBOOT2_MAGIC */
	jmp *4(%ebp)

	.align 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff	/* 32-bit code */
	.quad 0x00cf93000000ffff	/* data */
gdt_ptr:
	.short gdt_ptr - gdt - 1
	.quad 0
enter_end:

	.section .note.GNU-stack, "", @progbits
