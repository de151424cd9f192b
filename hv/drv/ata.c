/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two channels of up to two disks.  A channel carries one command at a time, the others wait in a
 * list.  No interrupts: it is polled while a command is on its way.
 *
 * The bus master reaches memory below 4 GiB only.  What lies above goes through the channel's own
 * 64 KiB, which lie below.
 */
#include <hv/base/atomic.h>
#include <hv/base/lock.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/block/block.h>
#include <hv/drv/ata.h>
#include <hv/drv/ata_regs.h>
#include <mm/frame.h>

#define CONTROLLERS_MAX 2
#define BOUNCE_ORDER 4
#define QUEUE_MAX 32
#define TRIES 3
#define POLL_US 100
#define IDENTIFY_MS 1000
#define LATE_MS 2000
#define DEADLINE_MS 15000
#define RESET_MS 31000 /* ACS-3: what a device may take after a reset */
#define RESETS_MAX 2   /* in RESETS_MS; at one more it is dead */
#define RESETS_MS 60000
#define MOST_28 BIT(28)

enum ata_state { A_IDLE, A_BUSY, A_RESET, A_DEAD };

struct channel;

struct ata_disk {
	struct block_device device;
	struct channel *channel;
	bool second, lba48;
};

struct channel {
	SPINLOCK(LOCK_DRIVER) lock;
	pci_bdf at;
	u16 command, control, master; /* ports */
	enum ata_state state;
	struct {
		struct block_request *r;
		struct ata_disk *disk;
	} queue[QUEUE_MAX]; /* the first is on its way, if any is */
	u32 nr;
	u32 tries;
	bool late, bounces;
	u64 sent; /* TSC */
	u64 reset_at[RESETS_MAX];
	u32 nr_resets;
	struct ata_prd *prdt;
	u8 *bounce;
	struct ata_disk disk[2];
};

static u32 nr_controllers;

static u64 ticks(u64 ms)
{
	return ms * plat_tsc_khz();
}

/* --- ports --------------------------------------------------------------------------------------- */

static u8 status(const struct channel *c)
{
	return (u8)plat_port_in(c->control, 1); /* the alternate one: no side effects */
}

static void out(const struct channel *c, u32 reg, u8 value)
{
	plat_port_out((u16)(c->command + reg), 1, value);
}

static void stop_master(const struct channel *c)
{
	plat_port_out(c->master + BM_COMMAND, 1, 0);
}

/* "Delay of 400 ns": the status is not to be believed before. */
static void settle(const struct channel *c)
{
	for (u32 i = 0; i < 4; i++)
		status(c);
}

static void choose(const struct channel *c, const struct ata_disk *d, u8 lba_high)
{
	out(c, ATA_DEVICE, (u8)(ATA_DEVICE_LBA | (d->second ? ATA_DEVICE_1 : 0) | lba_high));
	settle(c);
}

/* --- requests ------------------------------------------------------------------------------------- */

static void copy(struct channel *c, const struct block_request *r, bool to_bounce)
{
	u8 *at = c->bounce;

	for (u32 i = 0; i < r->nr_pieces; at += r->piece[i++].bytes)
		if (to_bounce)
			memcpy(at, plat_ptr(r->piece[i].at), r->piece[i].bytes);
		else
			memcpy(plat_ptr(r->piece[i].at), at, r->piece[i].bytes);
}

static void set_prdt(struct channel *c, const struct block_request *r)
{
	u32 n = 0;

	c->bounces = false;
	for (u32 i = 0; i < r->nr_pieces; i++)
		c->bounces |= r->piece[i].at.v + r->piece[i].bytes > GIB(4);
	if (c->bounces && r->op == BLOCK_WRITE)
		copy(c, r, true);
	for (u32 done = 0; done < r->bytes; n++) {
		u64 at = c->bounces ? plat_pa(c->bounce).v + done : r->piece[n].at.v;
		u32 bytes = c->bounces ? min(r->bytes - done, (u32)PAGE_SIZE) : r->piece[n].bytes;

		c->prdt[n] = (struct ata_prd){ .address = (u32)at, .bytes = (u16)bytes };
		done += bytes;
	}
	c->prdt[n - 1].flags = PRD_LAST;
}

/* The 48-bit registers are two deep: the upper bytes go first. */
static void set_address(const struct channel *c, const struct ata_disk *d, u64 sector, u32 sectors)
{
	choose(c, d, d->lba48 ? 0 : (u8)(sector >> 24 & 15));
	if (d->lba48) {
		out(c, ATA_COUNT, (u8)(sectors >> 8));
		out(c, ATA_LBA_LOW, (u8)(sector >> 24));
		out(c, ATA_LBA_MID, (u8)(sector >> 32));
		out(c, ATA_LBA_HIGH, (u8)(sector >> 40));
	}
	out(c, ATA_COUNT, (u8)sectors);
	out(c, ATA_LBA_LOW, (u8)sector);
	out(c, ATA_LBA_MID, (u8)(sector >> 8));
	out(c, ATA_LBA_HIGH, (u8)(sector >> 16));
}

static u8 opcode(const struct ata_disk *d, enum block_op op)
{
	if (op == BLOCK_READ)
		return d->lba48 ? ATA_READ_DMA_EXT : ATA_READ_DMA;
	if (op == BLOCK_WRITE)
		return d->lba48 ? ATA_WRITE_DMA_EXT : ATA_WRITE_DMA;
	return d->lba48 ? ATA_FLUSH_CACHE_EXT : ATA_FLUSH_CACHE;
}

/* Gives the channel the first request. */
static void send(struct channel *c)
{
	const struct block_request *r = c->queue[0].r;
	struct ata_disk *d = c->queue[0].disk;

	c->state = A_BUSY;
	c->sent = plat_tsc();
	c->late = false;
	c->tries++;
	plat_port_out(c->master + BM_STATUS, 1, BM_ERROR | BM_INTERRUPT); /* clears them */
	if (r->op == BLOCK_FLUSH) {
		choose(c, d, 0);
		out(c, ATA_STATUS, opcode(d, r->op));
		return;
	}
	set_prdt(c, r);
	plat_port_out(c->master + BM_PRDT, 4, (u32)plat_pa(c->prdt).v);
	plat_port_out(c->master + BM_COMMAND, 1, r->op == BLOCK_READ ? BM_TO_MEMORY : 0);
	set_address(c, d, r->sector, r->bytes / BLOCK_SECTOR);
	out(c, ATA_STATUS, opcode(d, r->op));
	plat_port_out(c->master + BM_COMMAND, 1,
		      BM_START | (r->op == BLOCK_READ ? BM_TO_MEMORY : 0));
}

static int submit(struct block_device *device, struct block_request *r)
{
	struct ata_disk *d = device->driver;
	struct channel *c = d->channel;
	int err = HV_OK;

	spin_lock(&c->lock);
	if (c->state == A_DEAD)
		err = HV_ENODEV;
	else if (c->nr == QUEUE_MAX)
		err = HV_EAGAIN;
	else
		c->queue[c->nr].r = r;
	if (!err) {
		c->queue[c->nr++].disk = d;
		if (c->state == A_IDLE) {
			c->tries = 0;
			send(c);
		}
	}
	spin_unlock(&c->lock);
	return err;
}

/* --- its life --------------------------------------------------------------------------------------- */

struct ended {
	struct block_device *device;
	struct block_request *r; /* NULL: none */
	int err;
};

/* The first one ends; the next is sent. */
static void end_first(struct channel *c, int err, struct ended *e)
{
	*e = (struct ended){ &c->queue[0].disk->device, c->queue[0].r, err };
	c->nr--;
	memmove(&c->queue[0], &c->queue[1], c->nr * sizeof(c->queue[0]));
	c->tries = 0;
	if (c->state == A_DEAD)
		return;
	c->state = A_IDLE;
	if (c->nr)
		send(c);
}

static void say(const struct channel *c, const char *what)
{
	log_line("ata: channel at port %x: %s", c->command, what);
}

/* The other channel gets no data either, and dies by its own deadlines. */
static void die(struct channel *c, const char *why)
{
	stop_master(c);
	pci_enable(c->at, false);
	say(c, why);
	say(c, "it is not used any more");
	c->state = A_DEAD;
	for (u32 i = 0; i < 2; i++)
		atomic_store(&c->disk[i].device.dead, 1u);
}

static void reset(struct channel *c, const char *why)
{
	u64 now = plat_tsc(), *oldest = &c->reset_at[c->nr_resets % RESETS_MAX];

	stop_master(c);
	if (c->nr_resets >= RESETS_MAX && tsc_since(*oldest, now) < ticks(RESETS_MS)) {
		die(c, why);
		return;
	}
	*oldest = now;
	c->nr_resets++;
	for (u32 i = 0; i < 2; i++)
		c->disk[i].device.resets++;
	say(c, why);
	say(c, "it is reset");
	plat_port_out(c->control, 1, ATA_CONTROL_NIEN | ATA_CONTROL_SRST);
	for (u32 us = 0; us < 10; us++)
		plat_delay();
	plat_port_out(c->control, 1, ATA_CONTROL_NIEN);
	for (u32 us = 0; us < 10; us++)
		plat_delay();
	c->state = A_RESET;
	c->sent = now;
}

static void step_busy(struct channel *c, u64 now, struct ended *e)
{
	const struct block_request *r = c->queue[0].r;
	u8 seen = status(c), master = (u8)plat_port_in(c->master + BM_STATUS, 1);
	u64 took = tsc_since(c->sent, now);

	if (!(seen & ATA_BSY) && (r->op == BLOCK_FLUSH || master & (BM_INTERRUPT | BM_ERROR) ||
				  seen & (ATA_ERR | ATA_DF) || !(master & BM_ACTIVE))) {
		stop_master(c);
		seen = (u8)plat_port_in(c->command + ATA_STATUS, 1); /* ends its interrupt */
		if (!(seen & (ATA_ERR | ATA_DF)) && !(master & BM_ERROR)) {
			if (c->bounces && r->op == BLOCK_READ)
				copy(c, r, false);
			end_first(c, HV_OK, e);
		} else if (c->tries < TRIES) {
			send(c);
		} else {
			log_line("ata: a request at sector %lu ends with status %x", r->sector,
				 seen);
			end_first(c, HV_EIO, e);
		}
	} else if (took >= ticks(DEADLINE_MS)) {
		reset(c, "a request takes too long");
	} else if (took >= ticks(LATE_MS) && !c->late) {
		c->late = true;
		say(c, "a request has taken 2 s");
	}
}

static void step(struct channel *c, u64 now, struct ended *e)
{
	if (c->state == A_BUSY) {
		step_busy(c, now, e);
	} else if (c->state == A_RESET && !(status(c) & ATA_BSY)) {
		if (c->tries < TRIES)
			send(c);
		else
			end_first(c, HV_EIO, e);
	} else if (c->state == A_RESET && tsc_since(c->sent, now) >= ticks(RESET_MS)) {
		die(c, "it does not come back from a reset");
	}
	if (c->state == A_DEAD && c->nr && !e->r)
		end_first(c, HV_ENODEV, e);
}

static void poll(struct block_device *device, u64 now)
{
	struct channel *c = ((struct ata_disk *)device->driver)->channel;
	struct ended e;

	do {
		e.r = NULL;
		spin_lock(&c->lock);
		step(c, now, &e);
		spin_unlock(&c->lock);
		if (e.r)
			block_done(e.device, e.r, e.err);
	} while (e.r);
}

static const struct block_ops ops = { submit, poll };

/* --- start -------------------------------------------------------------------------------------------- */

static bool wait_ready(const struct channel *c, u8 *seen)
{
	u64 start = plat_tsc();

	do {
		*seen = status(c);
		if (!(*seen & ATA_BSY))
			return true;
		plat_delay();
	} while (tsc_since(start, plat_tsc()) < ticks(IDENTIFY_MS));
	return false;
}

static bool identify(const struct channel *c, const struct ata_disk *d, u16 id[256])
{
	u8 seen;

	choose(c, d, 0);
	if (status(c) == 0xff || !wait_ready(c, &seen))
		return false; /* nobody is there: the bus floats */
	for (u32 reg = ATA_COUNT; reg <= ATA_LBA_HIGH; reg++)
		out(c, reg, 0);
	out(c, ATA_STATUS, ATA_IDENTIFY);
	settle(c);
	if (!status(c) || !wait_ready(c, &seen))
		return false;
	/* A CD drive refuses, and signs its refusal. */
	if (seen & (ATA_ERR | ATA_DF) || !(seen & ATA_DRQ))
		return false;
	for (u32 i = 0; i < 256; i++)
		id[i] = (u16)plat_port_in(c->command + ATA_DATA, 2);
	return true;
}

/* Two characters a word, the first one in the upper byte, padded with spaces. */
static void get_text(char *to, const u16 *from, u32 words)
{
	u32 length = 2 * words;

	for (u32 i = 0; i < length; i++) {
		u8 letter = (u8)(from[i / 2] >> (i & 1 ? 0 : 8));

		to[i] = (char)(letter >= ' ' && letter < 127 ? letter : '?');
	}
	while (length && (to[length - 1] == ' ' || to[length - 1] == '?'))
		length--;
	to[length] = '\0';
}

static u64 sectors_of(const u16 *id, bool lba48)
{
	u64 sectors = 0;

	for (u32 i = 0; i < (lba48 ? 4u : 2u); i++)
		sectors |= (u64)id[(lba48 ? ID_SECTORS48 : ID_SECTORS28) + i] << 16 * i;
	return lba48 ? sectors : min(sectors, MOST_28);
}

static void add_disk(u32 number, struct ata_disk *d, const u16 *id)
{
	struct block_device *b = &d->device;

	d->lba48 = id[ID_COMMANDS_SUPPORTED] & ID_LBA48;
	str_format(b->name, sizeof(b->name), "ata%u", number);
	get_text(b->serial, id + ID_SERIAL, 10);
	get_text(b->model, id + ID_MODEL, 20);
	b->sectors = sectors_of(id, d->lba48);
	if (!(id[ID_CAPABILITIES] & ID_DMA) || !(id[ID_CAPABILITIES] & ID_LBA) || !b->sectors ||
	    b->sectors > BIT(48) ||
	    ((id[ID_SECTOR_SIZE] & 0xc000) == 0x4000 && id[ID_SECTOR_SIZE] & ID_LARGE_SECTORS)) {
		log_line(
			"ata: %s (%s) is left alone: no DMA, or a size that Aerostat does not know",
			b->name, b->model);
		return;
	}
	b->ops = &ops;
	b->driver = d;
	b->block_size = BLOCK_SECTOR;
	b->max_bytes = (u32)PAGE_SIZE << BOUNCE_ORDER; /* all of it may have to go through there */
	b->poll_us = POLL_US;
	b->write_cache = id[ID_COMMANDS_ENABLED] & ID_WRITE_CACHE;
	block_add(b);
}

static int open(struct channel *c)
{
	c->prdt = frame_alloc_pages(0);
	c->bounce = frame_alloc_pages(BOUNCE_ORDER);
	if (!c->prdt || !c->bounce)
		return log_error(HV_ENOMEM, "ata: too little memory");
	if (plat_pa(c->bounce).v >= GIB(4) || plat_pa(c->prdt).v >= GIB(4))
		return log_error(HV_ENOMEM,
				 "ata: no memory below 4 GiB, which is all that it reaches");
	return HV_OK;
}

static int start_channel(struct channel *c, u32 first)
{
	int err = open(c);
	u16 id[256];

	if (err)
		return err;
	stop_master(c);
	plat_port_out(c->control, 1, ATA_CONTROL_NIEN);
	for (u32 i = 0; i < 2; i++) {
		struct ata_disk *d = &c->disk[i];

		d->channel = c;
		d->second = i;
		if (identify(c, d, id))
			add_disk(first + i, d, id);
	}
	return HV_OK;
}

/* "PCI IDE Controller Specification": a channel in native mode has BARs, else its ports are the PC's. */
static void find_ports(struct channel *c, pci_bdf at, u32 i, u32 interface, u16 master)
{
	static const u16 command[] = { 0x1f0, 0x170 }, control[] = { 0x3f6, 0x376 };
	bool native = interface & BIT(2 * i);

	c->at = at;
	c->command = native ? pci_port_bar(at, 2 * i) : command[i];
	c->control = native ? (u16)(pci_port_bar(at, 2 * i + 1) + 2) : control[i];
	c->master = (u16)(master + 8 * i);
}

void ata_forget(void)
{
	nr_controllers = 0;
}

int ata_start(pci_bdf at)
{
	u32 interface = plat_pci_read(at, 8) >> 8 & 0xff;
	u16 master = pci_port_bar(at, 4);
	struct channel *c;

	if (!(interface & BIT(7)) || !master)
		return log_error(HV_ENODEV,
				 "ata: the controller masters no bus; its disks are left alone");
	if (nr_controllers == CONTROLLERS_MAX)
		return log_error(HV_ENOMEM, "ata: more than %u controllers", CONTROLLERS_MAX);
	c = frame_alloc_pages(frame_order(2 * sizeof(*c)));
	if (!c)
		return log_error(HV_ENOMEM, "ata: too little memory");
	pci_enable(at, true);
	for (u32 i = 0; i < 2; i++) {
		find_ports(&c[i], at, i, interface, master);
		if (c[i].command && c[i].control > 2)
			start_channel(&c[i], 4 * nr_controllers + 2 * i);
	}
	nr_controllers++;
	return HV_OK;
}
