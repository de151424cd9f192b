/* SPDX-License-Identifier: BSD-2-Clause */
/* How an NVMe controller starts, is reset and dies: a row of steps, none of which waits. */
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/drv/nvme_ctrl.h>

#define RESETS_MS 60000
#define ADMIN_MS 5000
#define OFF_MS 20000 /* at most, whatever CAP.TO says */
#define POLL_US 100
#define WATCH_US 100000 /* where interrupts tell */
#define STEP_US 1000

/* --- the controller's life -------------------------------------------------------------------- */

static void enter(struct nvme *n, enum state state, u64 ms)
{
	n->state = state;
	n->step = 0;
	n->deadline = plat_tsc() + nvme_ticks(ms);
	for (u32 i = 0; i < NAMESPACES_MAX; i++)
		n->device[i].poll_us = state != S_LIVE ? STEP_US :
				       n->interrupts   ? WATCH_US :
							 POLL_US;
}

void nvme_begin_off(struct nvme *n)
{
	u32 to = CAP_TO_MS(n->cap);

	n->regs[NVME_CC] &= ~(u32)CC_EN;
	enter(n, S_OFF, min(max(to, 500u), (u32)OFF_MS));
}

/* For good: it may not master the bus, so no frame is written any more. */
void nvme_die(struct nvme *n, const char *why)
{
	log_line("nvme%u: %s; it is not used any more", n->number, why);
	n->regs[NVME_CC] &= ~(u32)CC_EN;
	pci_enable(n->at, false);
	enter(n, S_DEAD, 0);
	for (u32 i = 0; i < NAMESPACES_MAX; i++)
		atomic_store(&n->device[i].dead, 1u);
}

void nvme_reset(struct nvme *n, const char *why)
{
	u64 now = plat_tsc(), *oldest = &n->reset_at[n->nr_resets % RESETS_MAX];

	if (n->nr_resets >= RESETS_MAX && tsc_since(*oldest, now) < nvme_ticks(RESETS_MS)) {
		nvme_die(n, why);
		return;
	}
	*oldest = now;
	n->nr_resets++;
	for (u32 i = 0; i < n->nr_namespaces; i++)
		atomic_add(&n->device[i].resets, 1ul);
	log_line("nvme%u: %s; it is reset", n->number, why);
	nvme_begin_off(n);
}

void nvme_begin_on(struct nvme *n)
{
	nvme_queue_reset(&n->admin);
	nvme_queue_reset(&n->io);
	n->regs[NVME_AQA] = (n->admin.depth - 1) << 16 | (n->admin.depth - 1);
	*(volatile u64 *)&n->regs[NVME_ASQ] = plat_pa(n->admin.sq).v;
	*(volatile u64 *)&n->regs[NVME_ACQ] = plat_pa(n->admin.cq).v;
	n->regs[NVME_CC] = CC_ENTRIES;
	n->regs[NVME_CC] = CC_ENTRIES | CC_EN;
	enter(n, S_ON, min(max(CAP_TO_MS(n->cap), 500u), (u32)OFF_MS));
}

static void identify(struct nvme_command *c, struct nvme *n, u32 what, u32 namespace)
{
	memset(n->buf, 0, PAGE_SIZE);
	c->opcode = ADMIN_IDENTIFY;
	c->namespace = namespace;
	c->prp1 = plat_pa(n->buf).v;
	c->word[0] = what;
}

static void create(struct nvme_command *c, u8 opcode, const void *entries, u32 depth, u32 flags)
{
	c->opcode = opcode;
	c->prp1 = plat_pa(entries).v;
	c->word[0] = (depth - 1) << 16 | 1;
	c->word[1] = flags | QUEUE_CONTIGUOUS;
}

static void begin_step(struct nvme *n)
{
	struct nvme_command c = { .id = (u16)n->step };

	switch (n->step) {
	case STEP_CONTROLLER:
		identify(&c, n, CNS_CONTROLLER, 0);
		break;
	case STEP_QUEUES: /* one more of each: the number is less by one */
		c.opcode = ADMIN_SET_FEATURES;
		c.word[0] = FEATURE_QUEUES;
		break;
	case STEP_CQ:
		create(&c, ADMIN_CREATE_CQ, n->io.cq, n->io.depth,
		       n->interrupts ? QUEUE_INTERRUPTS : 0);
		break;
	case STEP_SQ:
		create(&c, ADMIN_CREATE_SQ, n->io.sq, n->io.depth, 1u << 16);
		break;
	case STEP_ACTIVE:
		identify(&c, n, CNS_ACTIVE, 0);
		break;
	default:
		identify(&c, n, CNS_NAMESPACE, n->namespace[n->step - STEP_NAMESPACES]);
	}
	n->deadline = plat_tsc() + nvme_ticks(ADMIN_MS);
	nvme_queue_submit(&n->admin, &c);
}

/* --- what IDENTIFY answers --------------------------------------------------------------------- */

/* Text is padded with spaces, and need not be text. */
static void get_text(char *to, const u8 *from, u32 length)
{
	while (length && (from[length - 1] == ' ' || !from[length - 1]))
		length--;
	for (u32 i = 0; i < length; i++)
		to[i] = (char)(from[i] >= ' ' && from[i] < 127 ? from[i] : '?');
	to[length] = '\0';
}

/* "Identify Controller Data Structure" */
static void take_controller(struct nvme *n)
{
	u32 mdts = n->buf[77], most = BLOCK_PIECES * PAGE_SIZE;

	get_text(n->serial, n->buf + 4, 20);
	get_text(n->model, n->buf + 24, 40);
	/* In pages of the smallest size; 0: no limit. */
	if (mdts && mdts + CAP_MPSMIN(n->cap) < 16)
		most = min(most, (u32)PAGE_SIZE << (mdts + CAP_MPSMIN(n->cap)));
	n->max_bytes = most;
	n->write_cache = n->buf[525] & 1;
	n->commands = n->buf[520];
}

/* "Active Namespace ID list": in order, ended by 0. */
static void take_active(struct nvme *n)
{
	const u32 *id = (const u32 *)n->buf;
	u32 nr = 0;

	while (nr < NAMESPACES_MAX && id[nr])
		nr++;
	if (n->known)
		return;
	memcpy(n->namespace, id, nr * sizeof(*id));
	n->nr_namespaces = nr;
}

/* "Identify Namespace Data Structure"; NULL: it can be used. */
static const char *take_namespace(struct nvme *n, u32 i)
{
	struct block_device *d = &n->device[i];
	u32 format = n->buf[26] & 15, shift = n->buf[128 + 4 * format + 2];
	u32 metadata = n->buf[128 + 4 * format] | n->buf[129 + 4 * format] << 8;
	u64 blocks;

	memcpy(&blocks, n->buf, sizeof(blocks));
	if (shift < 9 || shift > 12 || metadata)
		return "its blocks have a format that Aerostat does not know";
	if (!blocks || blocks > BIT(52) >> shift)
		return "it has a size that cannot be";
	if (n->known)
		return d->sectors == blocks << (shift - 9) && d->block_size == 1u << shift ?
			       NULL :
			       "it has become another";
	d->sectors = blocks << (shift - 9);
	d->block_size = 1u << shift;
	d->max_bytes = n->max_bytes;
	d->write_cache = n->write_cache;
	d->max_discard = n->commands & ONCS_DSM ? (u32)GIB(1) : 0;
	/* A controller may take as long for zeroes as for data: not more of them at a time. */
	d->max_zero = n->commands & ONCS_WRITE_ZEROES ? n->max_bytes : 0;
	return NULL;
}

/* --- steps -------------------------------------------------------------------------------------- */

static void go_live(struct nvme *n)
{
	enter(n, S_LIVE, 0);
	for (u32 i = 0; i < DEPTH_MAX; i++)
		if (n->slot[i].r)
			nvme_send(n, i);
}

static void end_step(struct nvme *n, const struct nvme_completion *c)
{
	const char *why = NULL;

	if (c->id != n->step || c->status & ~STATUS_PHASE) {
		log_line("nvme%u: step %u of its start ends with status %x", n->number, n->step,
			 c->status >> 1);
		nvme_die(n, "it cannot be started");
		return;
	}
	if (n->step == STEP_CONTROLLER)
		take_controller(n);
	else if (n->step == STEP_ACTIVE)
		take_active(n);
	else if (n->step >= STEP_NAMESPACES)
		why = take_namespace(n, n->step - STEP_NAMESPACES);
	if (why) {
		struct block_device *d = &n->device[n->step - STEP_NAMESPACES];

		log_line("nvme%u: namespace %u is not used: %s", n->number,
			 n->namespace[n->step - STEP_NAMESPACES], why);
		atomic_store(&d->dead, 1u);
	}
	if (++n->step < STEP_NAMESPACES + n->nr_namespaces)
		begin_step(n);
	else
		go_live(n);
}

void nvme_step_on(struct nvme *n, u64 now)
{
	if (n->regs[NVME_CSTS] & CSTS_RDY) {
		enter(n, S_SETUP, ADMIN_MS);
		begin_step(n);
	} else if (now >= n->deadline) {
		nvme_die(n, "it does not become ready");
	}
}

void nvme_step_setup(struct nvme *n, u64 now)
{
	struct nvme_completion c;

	if (nvme_queue_next(&n->admin, &c))
		end_step(n, &c);
	else if (now >= n->deadline)
		nvme_reset(n, "it does not answer");
}
