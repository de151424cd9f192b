/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot headers and the way from GRUB's 32-bit protected mode to 64-bit
 * code in the higher half.  NX and W^X hold from the first instruction with
 * paging on: one set of 4 KiB entries maps the image, by section, both at its
 * load address and at VA_IMAGE; everything else is mapped no-execute.
 *
 * These tables and the stack of boot_main() are in the boot room, behind the image: the headers ask
 * the loader to keep it free, the loader need not clear it, and memory_give_back_boot_room() ends
 * its use.
 */
#include "regs.h"

#define PHYS(sym) ((sym) - VA_IMAGE)
#define PTE_P 1
#define PTE_W 2
#define PTE_PS 0x80
#define PTE_NX_HI 0x80000000 /* bit 63, in the upper half */

/* The boot room: tables, then the stack down from its end (link.lds has the size). */
#define PML4 PHYS(boot_room)
#define PDPT (PML4 + 0x1000)	    /* for both ends: entry 0 is the bottom, 510 the top */
#define DIRECT_PDPT (PML4 + 0x2000)
#define IMAGE_PD (PML4 + 0x3000)
#define IMAGE_PT (PML4 + 0x4000)
#define DIRECT_PD (PML4 + 0x5000)   /* four */
#define TABLES_BYTES 0x9000
#define ENTRY(table, index, target) movl $(target + PTE_P + PTE_W), (table) + (index) * 8

	.section .multiboot, "a"
	/* Multiboot 1: page-aligned modules, memory map, and addresses because we are ELF64 */
	.align 4
mb1:	.long 0x1badb002
	.long 0x00010003
	.long -(0x1badb002 + 0x00010003)
	.long PHYS(mb1)
	.long PHYS(__image_start)
	.long PHYS(__data_end)
	.long PHYS(boot_room_end)
	.long PHYS(_start)

	.align 8
mb2:	.long 0xe85250d6
	.long 0
	.long mb2_end - mb2
	.long -(0xe85250d6 + mb2_end - mb2)
	/* addresses, because the ELF file does not know the boot room */
	.align 8
	.short 2, 0
	.long 24
	.long PHYS(mb2)
	.long PHYS(__image_start)
	.long PHYS(__data_end)
	.long PHYS(boot_room_end)
	.align 8
	.short 3, 0
	.long 12
	.long PHYS(_start)
	/* modules on page boundaries */
	.align 8
	.short 6, 0
	.long 8
	/*
	 * Asks for a screen of pixels if the machine has one (flag 1: optional); text is enough.
	 * Multiboot 1 has no optional request: a loader that cannot set modes would refuse to load
	 * us.
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
	mov $PHYS(boot_room_end), %esp
	mov %eax, %ebp			/* loader's magic */
	mov %ebx, %esi			/* loader's information */
	rdtsc
	mov %eax, PHYS(boot_tsc)
	mov %edx, PHYS(boot_tsc) + 4

	/* Aerostat cannot run without long mode and NX. */
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

	mov $PML4, %edi
	mov $(TABLES_BYTES / 4), %ecx
	xor %eax, %eax
	rep stosl
	ENTRY(PML4, 0, PDPT)
	ENTRY(PML4, 256, DIRECT_PDPT)
	ENTRY(PML4, 511, PDPT)
	ENTRY(PDPT, 0, IMAGE_PD)
	ENTRY(PDPT, 510, IMAGE_PD)
	ENTRY(DIRECT_PDPT, 0, DIRECT_PD)
	ENTRY(DIRECT_PDPT, 1, DIRECT_PD + 0x1000)
	ENTRY(DIRECT_PDPT, 2, DIRECT_PD + 0x2000)
	ENTRY(DIRECT_PDPT, 3, DIRECT_PD + 0x3000)
	ENTRY(IMAGE_PD, 0, IMAGE_PT)

	/* Image: one page table entry per page, permissions by section. */
	mov $IMAGE_PT, %edi
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
	mov $DIRECT_PD, %edi
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
	mov $PML4, %eax
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
	movabs $(VA_DIRECT + PHYS(boot_room_end)), %rsp
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

	.section .note.GNU-stack, "", @progbits
