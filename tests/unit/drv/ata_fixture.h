/* SPDX-License-Identifier: BSD-2-Clause */
/* An ATA controller behind ports: channel 0 has a disk as its second device, channel 1 floats. */
#ifndef TESTS_UNIT_ATA_FIXTURE_H
#define TESTS_UNIT_ATA_FIXTURE_H

#include <tests/fake/fake.h>

#include <hv/base/string.h>
#include <hv/block/block.h>
#include <hv/drv/ata.h>
#include <hv/drv/ata_regs.h>

#define AT 0x09
#define MASTER 0xc000
#define SECTORS 1024
#define TICK 50000 /* 50 us: what a look at the clock takes */

static struct {
	u16 id[256];
	u32 id_at;    /* word of IDENTIFY's data that is read next */
	bool masters; /* by PCI */
	u32 interface;
	u8 reg[8], previous[8], device, control, status;
	u8 bm_command, bm_status;
	u32 prdt;
	u8 pending; /* opcode of the command that ends when time passes */
	bool hold, busy_for_ever, gone, no_dma;
	u32 fail_next, commands, flushes, resets;
	u8 last; /* opcode */
	u8 disk[SECTORS * 512];
} c;

void pci_enable(pci_bdf at, bool master)
{
	assert_int_equal(at, AT);
	c.masters = master;
}

u16 pci_port_bar(pci_bdf at, u32 bar)
{
	assert_int_equal(at, AT);
	return bar == 4 ? MASTER : 0;
}

u32 plat_pci_read(pci_bdf at, u8 reg)
{
	assert_int_equal(at, AT);
	assert_int_equal(reg, 8);
	return 0x01010000 | c.interface << 8;
}

void plat_delay(void)
{
	fake.tsc += FAKE_KHZ / 1000;
}

static u64 lba(void)
{
	u64 low = c.reg[3] | (u64)c.reg[4] << 8 | (u64)c.reg[5] << 16;

	if (c.last != ATA_READ_DMA_EXT && c.last != ATA_WRITE_DMA_EXT)
		return low | (u64)(c.device & 15) << 24;
	return low | (u64)c.previous[3] << 24 | (u64)c.previous[4] << 32 | (u64)c.previous[5] << 40;
}

/* Along the descriptors; false: they do not fit the command. */
static bool transfer(bool to_memory)
{
	bool wide = c.last == ATA_READ_DMA_EXT || c.last == ATA_WRITE_DMA_EXT;
	u32 sectors = c.reg[2] | (wide ? c.previous[2] << 8 : 0), left = sectors * 512;
	const struct ata_prd *p = plat_ptr(HPA(c.prdt));
	u8 *at = c.disk + lba() * 512;

	assert_true(c.masters);
	assert_true(lba() + sectors <= SECTORS && sectors);
	for (;; p++) {
		assert_true(p->bytes && p->bytes <= left &&
			    p->address / 65536 == (p->address + p->bytes - 1) / 65536);
		if (to_memory)
			memcpy(plat_ptr(HPA(p->address)), at, p->bytes);
		else
			memcpy(at, plat_ptr(HPA(p->address)), p->bytes);
		at += p->bytes;
		left -= p->bytes;
		if (p->flags & PRD_LAST)
			return !left;
	}
}

static void end(bool good)
{
	c.status = (u8)(0x40 | (good ? 0 : ATA_ERR));
	c.pending = 0;
	c.bm_status = (u8)((c.bm_status & ~BM_ACTIVE) | BM_INTERRUPT);
}

/* The disk's work while time passes. */
static void work(void)
{
	bool reads = c.pending == ATA_READ_DMA || c.pending == ATA_READ_DMA_EXT;
	bool good = !c.fail_next;

	if (!c.pending || c.hold || c.gone)
		return;
	c.last = c.pending;
	if (c.pending == ATA_FLUSH_CACHE || c.pending == ATA_FLUSH_CACHE_EXT) {
		c.flushes++;
	} else {
		if (!(c.bm_command & BM_START))
			return;
		assert_int_equal(!!(c.bm_command & BM_TO_MEMORY), reads);
		good = good && transfer(reads);
	}
	c.fail_next -= c.fail_next ? 1 : 0;
	end(good);
}

static void command(u8 opcode)
{
	assert_false(c.status & ATA_BSY);
	assert_true(c.control & ATA_CONTROL_NIEN);
	c.commands++;
	if (!(c.device & ATA_DEVICE_1)) { /* the first device is not there */
		c.status = 0;
		return;
	}
	if (opcode == ATA_IDENTIFY) {
		c.status = 0x40 | ATA_DRQ;
		c.id_at = 0;
		return;
	}
	c.pending = opcode;
	c.status = ATA_BSY;
	c.bm_status |= BM_ACTIVE;
}

static u8 read_status(void)
{
	if (c.gone)
		return 0xff;
	return c.device & ATA_DEVICE_1 || c.status & ATA_BSY ? c.status : 0;
}

u32 plat_port_in(u16 port, u32 bytes)
{
	if (port == 0x1f0 && bytes == 2)
		return c.id[c.id_at++ % 256];
	if (port == 0x3f6 || port == 0x1f7)
		return read_status();
	if (port == MASTER + BM_STATUS)
		return c.bm_status;
	assert_true(port == 0x376 || (port >= 0x170 && port < 0x178) ||
		    (port >= MASTER + 8 && port < MASTER + 16));
	return 0xff;
}

static void write_control(u8 value)
{
	if (value & ATA_CONTROL_SRST && !(c.control & ATA_CONTROL_SRST)) {
		c.resets++;
		assert_int_equal(c.bm_command & BM_START, 0);
		c.pending = 0;
		c.bm_status &= (u8)~BM_ACTIVE;
		c.status = c.busy_for_ever ? ATA_BSY : 0x40;
	}
	c.control = value;
}

void plat_port_out(u16 port, u32 bytes, u32 value)
{
	if (port == 0x3f6)
		write_control((u8)value);
	else if (port == 0x1f6)
		c.device = (u8)value;
	else if (port == 0x1f7)
		command((u8)value);
	else if (port >= 0x1f1 && port <= 0x1f5) {
		c.previous[port - 0x1f0] = c.reg[port - 0x1f0];
		c.reg[port - 0x1f0] = (u8)value;
	} else if (port == MASTER + BM_COMMAND)
		c.bm_command = (u8)value;
	else if (port == MASTER + BM_STATUS)
		c.bm_status &= (u8) ~(value & (BM_ERROR | BM_INTERRUPT));
	else if (port == MASTER + BM_PRDT && bytes == 4)
		c.prdt = value;
}

static u64 tick(void)
{
	work();
	return fake.tsc += TICK;
}

static void put_text(u32 word, const char *text, u32 words)
{
	for (u32 i = 0; i < 2 * words; i++) {
		u16 letter = (u16)(i < strlen(text) ? text[i] : ' ');

		c.id[word + i / 2] |= (u16)(i & 1 ? letter : letter << 8);
	}
}

static void controller(void)
{
	memset(&c, 0, sizeof(c));
	c.status = 0x40;
	c.interface = 0x80;
	put_text(ID_SERIAL, "SERIAL", 10);
	put_text(ID_MODEL, "A model", 20);
	c.id[ID_CAPABILITIES] = ID_DMA | ID_LBA;
	c.id[ID_COMMANDS_SUPPORTED] = ID_LBA48;
	c.id[ID_COMMANDS_ENABLED] = ID_WRITE_CACHE;
	c.id[ID_SECTORS28] = c.id[ID_SECTORS48] = SECTORS;
	for (u32 i = 0; i < sizeof(c.disk); i++)
		c.disk[i] = (u8)(i * 31 + i / 512);
}

#endif
