/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One admin queue, one pair of queues for data.  The controller's life is a row of steps, at boot
 * as after a reset, so that nobody waits for it: nvme_poll() takes the next one when it can.
 *
 * What was on its way when the controller is reset is sent again; reading and writing the same
 * place twice does no harm.  Frames are given back when the command has ended, or when the
 * controller says that it is off, or when it may no longer master the bus.
 */
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/drv/nvme.h>
#include <hv/drv/nvme_ctrl.h>
#include <mm/frame.h>

#define CONTROLLERS_MAX 4
#define ENDED_MAX 16	  /* requests that are ended at a time */
#define LATE_MS 2000	  /* a command that takes so long is mentioned */
#define DEADLINE_MS 15000 /* and after so long the controller is reset */

static u32 nr_controllers;

/* --- queues ----------------------------------------------------------------------------------- */

static bool queue_alloc(struct nvme *n, struct queue *q, u32 id, u32 depth)
{
	u32 stride = 1u << CAP_DSTRD(n->cap);

	q->depth = depth;
	q->sq_bell = n->regs + NVME_DOORBELLS / 4 + 2 * id * stride;
	q->cq_bell = q->sq_bell + stride;
	q->sq = frame_alloc_pages(0);
	q->cq = frame_alloc_pages(0);
	return q->sq && q->cq;
}

void nvme_queue_reset(struct queue *q)
{
	memset(q->cq, 0, PAGE_SIZE);
	q->tail = q->head = 0;
	q->phase = STATUS_PHASE;
}

void nvme_queue_submit(struct queue *q, const struct nvme_command *c)
{
	q->sq[q->tail] = *c;
	q->tail = (q->tail + 1) % q->depth;
	barrier();
	*q->sq_bell = q->tail;
}

/* The next completion, if there is one. */
bool nvme_queue_next(struct queue *q, struct nvme_completion *c)
{
	volatile struct nvme_completion *at = &q->cq[q->head];

	if ((at->status & STATUS_PHASE) != q->phase)
		return false;
	barrier(); /* the status comes last; x86 keeps the order of loads */
	*c = q->cq[q->head];
	q->head = (q->head + 1) % q->depth;
	if (!q->head)
		q->phase ^= STATUS_PHASE;
	*q->cq_bell = q->head;
	return true;
}

/* --- requests --------------------------------------------------------------------------------- */

static u32 namespace_of(const struct nvme *n, const struct block_device *d)
{
	return n->namespace[d - n->device];
}

/* "Physical Region Page Entry and List": each piece but the last ends where a page does. */
static void set_prps(struct nvme *n, u32 slot, const struct block_request *r,
		     struct nvme_command *c)
{
	u64 *list = n->prp + slot * BLOCK_PIECES;

	c->prp1 = r->nr_pieces ? r->piece[0].at.v : 0;
	if (r->nr_pieces == 2)
		c->prp2 = r->piece[1].at.v;
	if (r->nr_pieces <= 2)
		return;
	for (u32 i = 1; i < r->nr_pieces; i++)
		list[i - 1] = r->piece[i].at.v;
	c->prp2 = plat_pa(list).v;
}

static u64 first_block(const struct slot *s)
{
	return s->r->sector / (s->device->block_size / BLOCK_SECTOR);
}

static void set_blocks(struct nvme *n, u32 slot, struct nvme_command *c)
{
	const struct slot *s = &n->slot[slot];
	u64 first = first_block(s);

	set_prps(n, slot, s->r, c);
	c->word[0] = (u32)first;
	c->word[1] = (u32)(first >> 32);
	c->word[2] = s->r->bytes / s->device->block_size - 1;
}

static void set_range(struct nvme *n, u32 slot, struct nvme_command *c)
{
	const struct slot *s = &n->slot[slot];
	struct nvme_range *range = (struct nvme_range *)(n->prp + slot * BLOCK_PIECES);

	*range = (struct nvme_range){ 0, s->r->bytes / s->device->block_size, first_block(s) };
	c->prp1 = plat_pa(range).v;
	c->word[1] = DSM_DEALLOCATE;
}

void nvme_send(struct nvme *n, u32 slot)
{
	static const u8 opcodes[BLOCK_OPS] = { [BLOCK_READ] = NVM_READ,
					       [BLOCK_WRITE] = NVM_WRITE,
					       [BLOCK_FLUSH] = NVM_FLUSH,
					       [BLOCK_DISCARD] = NVM_DATASET_MANAGEMENT,
					       [BLOCK_ZERO] = NVM_WRITE_ZEROES };
	struct slot *s = &n->slot[slot];
	const struct block_request *r = s->r;
	struct nvme_command c = { .opcode = opcodes[r->op],
				  .id = (u16)slot,
				  .namespace = namespace_of(n, s->device) };

	if (r->op == BLOCK_DISCARD)
		set_range(n, slot, &c);
	else if (r->op != BLOCK_FLUSH)
		set_blocks(n, slot, &c);
	s->sent = plat_tsc();
	s->late = false;
	s->tries++;
	nvme_queue_submit(&n->io, &c);
}

/* Fewer than the queue has entries, so that it is never full. */
static u32 free_slot(const struct nvme *n)
{
	u32 i = 0;

	while (i < n->io.depth - 1 && n->slot[i].r)
		i++;
	return i;
}

static int submit(struct block_device *d, struct block_request *r)
{
	struct nvme *n = d->driver;
	int err = HV_OK;
	u32 slot;

	spin_lock(&n->lock);
	slot = free_slot(n);
	if (n->state == S_DEAD)
		err = HV_ENODEV;
	else if (n->state != S_LIVE || slot == n->io.depth - 1)
		err = HV_EAGAIN;
	else
		n->slot[slot] = (struct slot){ .r = r, .device = d };
	if (!err)
		nvme_send(n, slot);
	spin_unlock(&n->lock);
	return err;
}

struct ended {
	u32 nr;
	struct {
		struct block_device *device;
		struct block_request *r;
		int err;
	} of[ENDED_MAX];
};

static void end_slot(struct slot *s, int err, struct ended *e)
{
	e->of[e->nr].device = s->device;
	e->of[e->nr].r = s->r;
	e->of[e->nr++].err = err;
	s->r = NULL;
}

static void complete(struct nvme *n, const struct nvme_completion *c, struct ended *e)
{
	struct slot *s = c->id < n->io.depth ? &n->slot[c->id] : NULL;
	u32 status = c->status & ~STATUS_PHASE;

	if (!s || !s->r) {
		log_line("nvme%u: it ends command %u, which it was not given", n->number, c->id);
		return;
	}
	if (status && !(status & STATUS_DO_NOT_RETRY) && s->tries < TRIES) {
		nvme_send(n, c->id);
		return;
	}
	if (status)
		log_line("nvme%u: a %s at sector %lu ends with status %x", n->number,
			 block_op_name(s->r->op), s->r->sector, status >> 1);
	end_slot(s, status ? HV_EIO : HV_OK, e);
}

/* --- what is next -------------------------------------------------------------------------------- */

static void watch_deadlines(struct nvme *n, u64 now)
{
	for (u32 i = 0; i < DEPTH_MAX; i++) {
		struct slot *s = &n->slot[i];
		u64 took = s->r ? tsc_since(s->sent, now) : 0;

		if (took >= nvme_ticks(LATE_MS) && !s->late) {
			s->late = true;
			log_line("nvme%u: a request has taken %u s", n->number, LATE_MS / 1000);
		}
		if (took >= nvme_ticks(DEADLINE_MS)) {
			nvme_reset(n, s->tries < TRIES ? "a request takes too long" :
							 "a request ends in no try");
			return;
		}
	}
}

/* Requests that would be sent for ever, or that nobody serves any more. */
static void give_up(struct nvme *n, struct ended *e)
{
	for (u32 i = 0; i < DEPTH_MAX && e->nr < ENDED_MAX; i++)
		if (n->slot[i].r && n->state == S_DEAD)
			end_slot(&n->slot[i], HV_ENODEV, e);
		else if (n->slot[i].r && n->slot[i].tries >= TRIES)
			end_slot(&n->slot[i], HV_EIO, e);
}

/* It was switched off: nothing of it is on its way. */
static void step_off(struct nvme *n, u64 now, struct ended *e)
{
	if (!(n->regs[NVME_CSTS] & CSTS_RDY)) {
		give_up(n, e);
		nvme_begin_on(n);
	} else if (now >= n->deadline) {
		nvme_die(n, "it cannot be switched off");
	}
}

static void step_live(struct nvme *n, u64 now, struct ended *e)
{
	struct nvme_completion c;

	while (e->nr < ENDED_MAX && nvme_queue_next(&n->io, &c))
		complete(n, &c, e);
	watch_deadlines(n, now);
}

static void step(struct nvme *n, u64 now, struct ended *e)
{
	u32 status = n->state == S_DEAD ? 0 : n->regs[NVME_CSTS];

	if (status == UINT32_MAX)
		nvme_die(n, "it has vanished");
	else if (status & CSTS_CFS && n->state != S_OFF)
		nvme_reset(n, "it reports a fatal error");
	else if (n->state == S_OFF)
		step_off(n, now, e);
	else if (n->state == S_ON)
		nvme_step_on(n, now);
	else if (n->state == S_SETUP)
		nvme_step_setup(n, now);
	else if (n->state == S_LIVE)
		step_live(n, now, e);
	if (n->state == S_DEAD)
		give_up(n, e);
}

static void nvme_poll(struct nvme *n, u64 now)
{
	struct ended e;

	do {
		e.nr = 0;
		spin_lock(&n->lock);
		step(n, now, &e);
		spin_unlock(&n->lock);
		for (u32 i = 0; i < e.nr; i++)
			block_done(e.of[i].device, e.of[i].r, e.of[i].err);
	} while (e.nr == ENDED_MAX);
}

static void poll(struct block_device *d, u64 now)
{
	nvme_poll(d->driver, now);
}

static const struct block_ops ops = { submit, poll };

/* --- start --------------------------------------------------------------------------------------- */

static void interrupt(void *arg)
{
	nvme_poll(arg, plat_tsc());
}

static int open(struct nvme *n)
{
	u32 depth;

	n->regs = pci_map_bar(n->at, 0, PAGE_SIZE);
	if (!n->regs)
		return log_error(HV_ENODEV, "nvme%u: its registers cannot be mapped", n->number);
	n->cap = *(volatile u64 *)&n->regs[NVME_CAP];
	if (n->cap == UINT64_MAX || !CAP_NVM(n->cap) || CAP_MPSMIN(n->cap) || CAP_MQES(n->cap) < 1)
		return log_error(HV_ENODEV, "nvme%u: capabilities %lx are not for Aerostat",
				 n->number, n->cap);
	n->regs = pci_map_bar(n->at, 0, NVME_DOORBELLS + (16UL << CAP_DSTRD(n->cap)));
	depth = min(CAP_MQES(n->cap) + 1, (u32)DEPTH_MAX);
	n->buf = frame_alloc_pages(0);
	n->prp = frame_alloc_pages(frame_order(DEPTH_MAX * BLOCK_PIECES * sizeof(*n->prp)));
	if (!n->regs || !n->buf || !n->prp || !queue_alloc(n, &n->admin, 0, depth) ||
	    !queue_alloc(n, &n->io, 1, depth))
		return log_error(HV_ENOMEM, "nvme%u: too little memory", n->number);
	return HV_OK;
}

static void add_devices(struct nvme *n)
{
	for (u32 i = 0; i < n->nr_namespaces; i++) {
		struct block_device *d = &n->device[i];

		d->ops = &ops;
		d->driver = n;
		str_format(d->name, sizeof(d->name), "nvme%un%u", n->number, n->namespace[i]);
		str_copy(d->model, n->model, sizeof(d->model));
		str_copy(d->serial, n->serial, sizeof(d->serial));
		if (!atomic_load(&d->dead))
			block_add(d);
	}
}

void nvme_forget(void)
{
	nr_controllers = 0;
}

int nvme_start(pci_bdf at)
{
	struct nvme *n;
	int err;

	if (nr_controllers == CONTROLLERS_MAX)
		return log_error(HV_ENOMEM, "nvme: more than %u controllers", CONTROLLERS_MAX);
	n = frame_alloc_pages(frame_order(sizeof(*n)));
	if (!n)
		return log_error(HV_ENOMEM, "nvme: too little memory");
	n->at = at;
	n->number = nr_controllers;
	nr_controllers++;
	pci_enable(at, false);
	err = open(n);
	if (err)
		return err;
	n->regs[NVME_CC] &= ~(u32)CC_EN;
	pci_enable(at, true);
	n->interrupts = pci_interrupt(at, interrupt, n);
	nvme_begin_off(n);
	while (n->state != S_LIVE && n->state != S_DEAD)
		nvme_poll(n, plat_tsc());
	if (n->state == S_DEAD)
		return HV_ENODEV;
	n->known = true;
	add_devices(n);
	return HV_OK;
}
