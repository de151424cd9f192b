/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the place of the first bytes of Linux's protected-mode code, whose 32-bit entry is at its
 * beginning and 64-bit entry at 0x200: prints the TSC at its entry, and ends the machine. That is
 * the time that firmware and loader take.
 */
	.text
	.macro at_entry
	rdtsc
	mov %eax, %ebp
	mov %edx, %edi
	mov $3, %al			/* LCR: eight bits; not every BIOS leaves it so */
	mov $0x3fb, %edx
	out %al, %dx
	mov $'=', %al
	mov $0x3f8, %edx
	out %al, %dx
	mov $16, %ecx
1:	mov %edi, %eax			/* the highest four bits of EDI:EBP */
	shr $28, %eax
	cmp $10, %al
	jb 2f
	add $('a' - '0' - 10), %al
2:	add $'0', %al
	mov %eax, %ebx
	mov $0x3fd, %edx
3:	in %dx, %al			/* LSR: until the transmitter is empty */
	test $0x20, %al
	jz 3b
	mov $0x3f8, %edx
	mov %ebx, %eax
	out %al, %dx
	shld $4, %ebp, %edi
	shl $4, %ebp
	dec %ecx
	jnz 1b
	mov $0x3fd, %edx
4:	in %dx, %al
	test $0x20, %al
	jz 4b
	mov $0x3f8, %edx
	mov $'\n', %al
	out %al, %dx
	mov $0x3fd, %edx
5:	in %dx, %al			/* and until it has gone */
	test $0x40, %al
	jz 5b
	xor %eax, %eax
	mov $0xf4, %edx		/* QEMU's way to end, and Aerostat's */
	out %al, %dx
	mov $0x8900, %edx		/* Bochs's */
	.irp c, 'S', 'h', 'u', 't', 'd', 'o', 'w', 'n'
	mov $\c, %al
	out %al, %dx
	.endr
6:	hlt
	jmp 6b
	.endm

	.code32
	at_entry
	.org 0x200
	.code64
	at_entry
