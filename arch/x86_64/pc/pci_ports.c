/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI Local Bus Specification 3.0: "Software Generation of Configuration Transactions". */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/pci.h>

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000u

bool pci_there(void)
{
	outl(ADDRESS, ENABLE);
	return inl(ADDRESS) == ENABLE;
}

u32 pci_read(pci_bdf at, u8 reg)
{
	outl(ADDRESS, ENABLE | (u32)at << 8 | reg);
	return inl(DATA);
}

void pci_write(pci_bdf at, u8 reg, u32 v)
{
	outl(ADDRESS, ENABLE | (u32)at << 8 | reg);
	outl(DATA, v);
}

void pci_delay(void)
{
	inb(0x80); /* the POST code's port: a slow one, without effect */
}
