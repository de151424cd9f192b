/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI Local Bus Specification 3.0: "Software Generation of Configuration Transactions". */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/platform_io.h>

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000u

bool plat_pci_there(void)
{
	outl(ADDRESS, ENABLE);
	return inl(ADDRESS) == ENABLE;
}

u32 plat_pci_read(pci_bdf at, u8 reg)
{
	outl(ADDRESS, ENABLE | (u32)at << 8 | reg);
	return inl(DATA);
}

void plat_pci_write(pci_bdf at, u8 reg, u32 v)
{
	outl(ADDRESS, ENABLE | (u32)at << 8 | reg);
	outl(DATA, v);
}

u32 plat_port_in(u16 port, u32 bytes)
{
	return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

void plat_port_out(u16 port, u32 bytes, u32 value)
{
	if (bytes == 1)
		outb(port, (u8)value);
	else if (bytes == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

volatile void *plat_map_device(hpa_t pa, size_t bytes)
{
	return paging_map_mmio(pa, bytes, PAGING_UC);
}

void plat_delay(void)
{
	inb(0x80); /* a write to the POST code's port takes about 1 us and has no effect */
}
