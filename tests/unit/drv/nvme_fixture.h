/* SPDX-License-Identifier: BSD-2-Clause */
/* An NVMe controller in memory, correct or faulty. It works while time passes. */
#ifndef TESTS_UNIT_NVME_FIXTURE_H
#define TESTS_UNIT_NVME_FIXTURE_H

#include <tests/fake/fake.h>

#include <hv/base/string.h>
#include <hv/block/block.h>
#include <hv/drv/nvme.h>
#include <hv/drv/nvme_ctrl.h>
#include <hv/drv/nvme_regs.h>

#define AT 0x18
#define BLOCKS 1024
#define TICK 50000 /* 50 us: what a look at the clock takes */

static struct {
	union {
		u32 r[0x2000 / 4];
		u64 q[0x2000 / 8];
	};
	u32 command; /* of PCI */
	u32 shift;   /* of a block */
	u64 blocks;
	bool on, dead, mute, slow_off, no_interrupts;
	bool hold;	      /* requests: ended one by one, by the test */
	u16 status;	      /* of each request from now on */
	u32 fail_next;	      /* this many requests get it */
	u16 admin_status[16]; /* by opcode */
	u32 resets, requests, flushes, discards;
	u32 commands; /* optional ones that it has */
	u32 admin_tail, io_tail, admin_head, io_head;
	u16 admin_phase, io_phase;
	u64 io_sq, io_cq;
	u32 io_depth, admin_depth;
	u16 held[64];
	u32 nr_held;
	u8 disk[BLOCKS * 512];
} c;
static void (*interrupt)(void *arg);
static void *interrupt_arg;

/* --- the bus ------------------------------------------------------------------------------------ */

void pci_enable(pci_bdf at, bool master)
{
	assert_int_equal(at, AT);
	c.command = 2 | (master ? 4 : 0);
}

volatile void *pci_map_bar(pci_bdf at, u32 bar, size_t bytes)
{
	assert_int_equal(at, AT);
	assert_int_equal(bar, 0);
	return bytes <= sizeof(c.r) ? c.r : NULL;
}

bool pci_interrupt(pci_bdf at, void (*fn)(void *arg), void *arg)
{
	assert_int_equal(at, AT);
	interrupt = fn;
	interrupt_arg = arg;
	return !c.no_interrupts;
}

/* --- the controller ----------------------------------------------------------------------------- */

static void *memory(u64 pa)
{
	assert_true(c.command & 4); /* without that it must not touch memory */
	return plat_ptr(HPA(pa));
}

static void complete(u64 cq, u32 *tail, u16 *phase, u32 depth, u16 id, u16 status)
{
	struct nvme_completion *e = (struct nvme_completion *)memory(cq) + *tail;

	*e = (struct nvme_completion){ .id = id, .status = (u16)(status << 1 | *phase) };
	*tail = (*tail + 1) % depth;
	*phase ^= *tail == 0;
}

static void answer_identify(const struct nvme_command *cmd)
{
	u8 *to = memory(cmd->prp1);

	if (cmd->word[0] == CNS_CONTROLLER) {
		memcpy(to + 4, "SERIAL              ", 20);
		memcpy(to + 24, "A model                                 ", 40);
		to[77] = 1; /* two pages */
		to[525] = 1;
		to[520] = (u8)c.commands;
	} else if (cmd->word[0] == CNS_ACTIVE) {
		((u32 *)to)[0] = 1;
	} else {
		memcpy(to, &c.blocks, 8);
		to[128 + 2] = (u8)c.shift;
	}
}

static void admin(const struct nvme_command *cmd)
{
	if (cmd->opcode == ADMIN_IDENTIFY)
		answer_identify(cmd);
	if (cmd->opcode == ADMIN_CREATE_CQ) {
		c.io_cq = cmd->prp1;
		c.io_depth = (cmd->word[0] >> 16) + 1;
		c.io_tail = 0;
		c.io_phase = 1;
	}
	if (cmd->opcode == ADMIN_CREATE_SQ) {
		c.io_sq = cmd->prp1;
		c.io_head = 0;
	}
	complete(c.q[6], &c.admin_tail, &c.admin_phase, c.admin_depth, cmd->id,
		 c.admin_status[cmd->opcode]);
}

/* The @n-th page of a command's data. */
static u8 *page(const struct nvme_command *cmd, u32 n, u32 pages)
{
	if (!n)
		return memory(cmd->prp1);
	assert_int_equal(cmd->prp2 & 7, 0);
	if (pages == 2)
		return memory(cmd->prp2);
	return memory(((u64 *)memory(cmd->prp2))[n - 1]);
}

static void transfer(const struct nvme_command *cmd)
{
	u32 bytes = ((cmd->word[2] & 0xffff) + 1) << c.shift, pages = (bytes + 4095) / 4096;
	u64 at = (cmd->word[0] | (u64)cmd->word[1] << 32) << c.shift;

	assert_true(at + bytes <= sizeof(c.disk));
	for (u32 i = 0; i < pages; i++) {
		u32 n = min(bytes - i * 4096, 4096u);

		if (cmd->opcode == NVM_READ)
			memcpy(page(cmd, i, pages), c.disk + at + i * 4096, n);
		else
			memcpy(c.disk + at + i * 4096, page(cmd, i, pages), n);
	}
}

static void deallocate(const struct nvme_command *cmd)
{
	const struct nvme_range *r = memory(cmd->prp1);

	assert_int_equal(cmd->word[0], 0); /* one range */
	assert_int_equal(cmd->word[1], 4); /* deallocate */
	c.discards++;
	memset(c.disk + (r->first << c.shift), 0xdd, (size_t)r->blocks << c.shift);
}

static void request(const struct nvme_command *cmd)
{
	u16 status = c.fail_next ? c.status : 0;

	assert_int_equal(cmd->namespace, 1);
	c.requests++;
	c.fail_next -= c.fail_next ? 1 : 0;
	if (c.hold) {
		c.held[c.nr_held++] = cmd->id;
		return;
	}
	if (cmd->opcode == NVM_FLUSH)
		c.flushes++;
	else if (cmd->opcode == NVM_DATASET_MANAGEMENT)
		deallocate(cmd);
	else if (cmd->opcode == NVM_WRITE_ZEROES)
		memset(c.disk + (cmd->word[0] << c.shift), 0, (cmd->word[2] + 1) << c.shift);
	else if (!status)
		transfer(cmd);
	complete(c.io_cq, &c.io_tail, &c.io_phase, c.io_depth, cmd->id, status);
}

static void switched(bool on)
{
	c.on = on;
	c.resets += !on;
	c.nr_held = 0;
	c.admin_head = c.admin_tail = 0;
	c.admin_phase = 1;
	c.admin_depth = (c.r[NVME_AQA] & 0xfff) + 1;
	c.io_sq = 0;
	memset(&c.r[0x1000 / 4], 0, 0x1000);
	c.r[NVME_CSTS] = on ? CSTS_RDY : 0;
}

/* The controller's work while time passes. */
static void work(void)
{
	if (c.dead) {
		memset(c.r, 0xff, sizeof(c.r));
		return;
	}
	if (!!(c.r[NVME_CC] & CC_EN) != c.on && !(c.slow_off && c.on))
		switched(c.r[NVME_CC] & CC_EN);
	while (c.on && !c.mute && c.admin_head != c.r[0x1000 / 4]) {
		admin((struct nvme_command *)memory(c.q[5]) + c.admin_head);
		c.admin_head = (c.admin_head + 1) % c.admin_depth;
	}
	while (c.on && !c.mute && c.io_sq && c.io_head != c.r[0x1008 / 4]) {
		request((struct nvme_command *)memory(c.io_sq) + c.io_head);
		c.io_head = (c.io_head + 1) % c.io_depth;
	}
}

static u64 tick(void)
{
	work();
	return fake.tsc += TICK;
}

#endif
