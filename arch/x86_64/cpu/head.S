/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot headers and the way from GRUB's 32-bit protected mode to 64-bit
 * code in the higher half.  NX and W^X hold from the first instruction with
 * paging on: one set of 4 KiB entries maps the image, by section, both at its
 * load address and at VA_IMAGE; everything else is mapped no-execute.
 */
#include "regs.h"

#define PHYS(sym) ((sym) - VA_IMAGE)
#define PTE_P 1
#define PTE_W 2
#define PTE_PS 0x80
#define PTE_NX_HI 0x80000000 /* bit 63, in the upper half */

	.section .multiboot, "a"
	/* Multiboot 1: page-aligned modules, memory map, and addresses because we are ELF64 */
	.align 4
mb1:	.long 0x1badb002
	.long 0x00010003
	.long -(0x1badb002 + 0x00010003)
	.long PHYS(mb1)
	.long PHYS(__image_start)
	.long PHYS(__data_end)
	.long PHYS(__image_end)
	.long PHYS(_start)

	.align 8
mb2:	.long 0xe85250d6
	.long 0
	.long mb2_end - mb2
	.long -(0xe85250d6 + mb2_end - mb2)
	/* modules on page boundaries */
	.align 8
	.short 6, 0
	.long 8
	/*
	 * A screen of pixels, if there is one (flag 1: optional); text will do.  Multiboot 1
	 * has no "if there is one": a loader that cannot set modes would refuse us.
	 */
	.align 8
	.short 4, 1
	.long 12
	.long 2				/* text is supported, nothing required */
	.align 8
	.short 5, 1
	.long 20
	.long 1024, 768, 32
	/* end */
	.align 8
	.short 0, 0
	.long 8
mb2_end:

	.section .head.text, "ax"
	.code32
	.globl _start
_start:
	cli
	cld
	mov $PHYS(boot_stack_top), %esp
	mov %eax, %ebp			/* loader's magic */
	mov %ebx, %esi			/* loader's information */
	rdtsc
	mov %eax, PHYS(boot_tsc)
	mov %edx, PHYS(boot_tsc) + 4

	/* Long mode and NX are not negotiable. */
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	test $(1 << 29), %edx
	jz no_long_mode
	test $(1 << 20), %edx
	jz no_nx

	/* Image: one page table entry per page, permissions by section. */
	mov $PHYS(boot_image_pt), %edi
	mov $PHYS(__image_start), %ecx
	mov %ecx, %eax
	shr $12, %eax
	lea (%edi, %eax, 8), %edi
1:	mov %ecx, %eax
	mov $PTE_NX_HI, %edx
	cmp $PHYS(__text_end), %ecx
	jae 2f
	xor %edx, %edx			/* text: executable, read-only */
	jmp 3f
2:	cmp $PHYS(__rodata_end), %ecx
	jb 3f
	or $PTE_W, %eax			/* data: writable */
3:	or $PTE_P, %eax
	mov %eax, (%edi)
	mov %edx, 4(%edi)
	add $8, %edi
	add $4096, %ecx
	cmp $PHYS(__image_end), %ecx
	jb 1b

	/* Direct map of the first 4 GiB: 2 MiB pages, writable, no-execute. */
	mov $PHYS(boot_direct_pd), %edi
	xor %ecx, %ecx
1:	mov %ecx, %eax
	shl $21, %eax
	or $(PTE_P | PTE_W | PTE_PS), %eax
	mov %eax, (%edi, %ecx, 8)
	movl $PTE_NX_HI, 4(%edi, %ecx, 8)
	inc %ecx
	cmp $2048, %ecx
	jb 1b

	/* Enable PAE, long mode, NX, paging, write protection. */
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $PHYS(boot_pml4), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $(EFER_LME | EFER_NXE), %eax
	wrmsr
	mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	mov %eax, %cr0
	lgdt PHYS(boot_gdt_ptr)
	ljmp $SEL_CODE, $PHYS(start64)

no_long_mode:
	mov $PHYS(msg_no_long_mode), %esi
	jmp die
no_nx:
	mov $PHYS(msg_no_nx), %esi
die:	/* %esi: message; to COM1 and the VGA text screen */
	mov $0xb8000, %edi
1:	lodsb
	test %al, %al
	jz 3f
	mov $0x3f8, %dx
	out %al, %dx
	mov $0x4f, %ah
	stosw
	jmp 1b
3:	hlt
	jmp 3b

	.code64
start64:
	mov $high64, %rax
	jmp *%rax

	.section .text, "ax"
high64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	lea boot_stack_top(%rip), %rsp
	mov %ebp, %edi
	mov %esi, %esi
	xor %ebp, %ebp
	call boot_main
1:	hlt
	jmp 1b

	.section .rodata
msg_no_long_mode:
	.asciz "Aerostat: this CPU has no 64-bit mode. Aerostat needs an x86-64 CPU.\r\n"
msg_no_nx:
	.asciz "Aerostat: this CPU or its firmware hides NX (execute disable). Enable it in the firmware setup.\r\n"

	.section .data.tables, "aw"
	.align 4096
boot_pml4:
	.quad PHYS(boot_low_pdpt) + PTE_P + PTE_W
	.fill 255, 8, 0
	.quad PHYS(boot_direct_pdpt) + PTE_P + PTE_W
	.fill 254, 8, 0
	.quad PHYS(boot_high_pdpt) + PTE_P + PTE_W
	/* One table for both ends: entry 0 is for the bottom, 510 for the top. */
boot_low_pdpt:
boot_high_pdpt:
	.quad PHYS(boot_image_pd) + PTE_P + PTE_W
	.fill 509, 8, 0
	.quad PHYS(boot_image_pd) + PTE_P + PTE_W
	.quad 0
boot_image_pd:
	.quad PHYS(boot_image_pt) + PTE_P + PTE_W
	.fill 511, 8, 0
boot_direct_pdpt:
	.quad PHYS(boot_direct_pd) + PTE_P + PTE_W
	.quad PHYS(boot_direct_pd) + 0x1000 + PTE_P + PTE_W
	.quad PHYS(boot_direct_pd) + 0x2000 + PTE_P + PTE_W
	.quad PHYS(boot_direct_pd) + 0x3000 + PTE_P + PTE_W
	.fill 508, 8, 0

	.section .data
	.section .data.gdt, "aw"
	.align 8
	.globl boot_tsc
boot_tsc:
	.quad 0
	.globl boot_gdt
boot_gdt:
	.quad 0
	.quad 0x00af9a000000ffff	/* 64-bit code */
	.quad 0x00cf92000000ffff	/* data */
boot_gdt_end:
	.globl boot_gdt_ptr
boot_gdt_ptr:
	.short boot_gdt_end - boot_gdt - 1
	.quad PHYS(boot_gdt)

	.section .bss
	.align 4096
boot_image_pt:	.skip 4096
boot_direct_pd:	.skip 4 * 4096
boot_stack:	.skip 8192
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
