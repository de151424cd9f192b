/* SPDX-License-Identifier: BSD-2-Clause */
/* Between nvme.c, which carries requests, and nvme_life.c, which starts and resets the controller. */
#ifndef HV_DRV_NVME_CTRL_H
#define HV_DRV_NVME_CTRL_H

#include <hv/base/lock.h>
#include <hv/base/platform.h>
#include <hv/block/block.h>
#include <hv/drv/nvme_regs.h>
#include <hv/drv/pci.h>

#define NAMESPACES_MAX 4 /* of one controller */
#define DEPTH_MAX 64	 /* entries of a queue: one page of submissions */
#define TRIES 3
#define RESETS_MAX 2 /* in RESETS_MS; at one more it is dead */

enum state { S_OFF, S_ON, S_SETUP, S_LIVE, S_DEAD };
enum step { STEP_CONTROLLER, STEP_QUEUES, STEP_CQ, STEP_SQ, STEP_ACTIVE, STEP_NAMESPACES };

struct queue {
	struct nvme_command *sq;
	struct nvme_completion *cq;
	volatile u32 *sq_bell, *cq_bell;
	u32 depth, tail, head;
	u16 phase;
};

/* A command's id is its slot. */
struct slot {
	struct block_request *r; /* NULL: free */
	struct block_device *device;
	u64 sent; /* TSC */
	u32 tries;
	bool late;
};

struct nvme {
	SPINLOCK(LOCK_DRIVER) lock;
	pci_bdf at;
	u32 number;
	volatile u32 *regs;
	u64 cap;
	enum state state;
	u32 step;
	u64 deadline; /* TSC: of this step */
	bool known;   /* its namespaces are hv/block's */
	bool interrupts;
	u32 max_bytes;
	bool write_cache;
	u32 commands; /* ONCS_... that it has */
	char model[41], serial[21];
	u64 reset_at[RESETS_MAX];
	u32 nr_resets;
	struct queue admin, io;
	u8 *buf;  /* for what IDENTIFY answers */
	u64 *prp; /* BLOCK_PIECES a slot; or a struct nvme_range */
	u32 nr_namespaces;
	u32 namespace[NAMESPACES_MAX];
	struct block_device device[NAMESPACES_MAX];
	struct slot slot[DEPTH_MAX];
};

/* All with n->lock held. */

void nvme_queue_reset(struct queue *q);
void nvme_queue_submit(struct queue *q, const struct nvme_command *c);

/* The next completion; false: there is none. */
bool nvme_queue_next(struct queue *q, struct nvme_completion *c);

/* Gives the controller what is in @slot, once more or for the first time. */
void nvme_send(struct nvme *n, u32 slot);

/* Switches it off, and then through all steps on; what is in the slots is sent again. */
void nvme_begin_off(struct nvme *n);
void nvme_reset(struct nvme *n, const char *why);

/* For good: it may not master the bus, so it writes no frame any more. */
void nvme_die(struct nvme *n, const char *why);

/* What is next in S_OFF (once it is off), S_ON and S_SETUP. */
void nvme_begin_on(struct nvme *n);
void nvme_step_on(struct nvme *n, u64 now);
void nvme_step_setup(struct nvme *n, u64 now);

static inline u64 nvme_ticks(u64 ms)
{
	return ms * plat_tsc_khz();
}

#endif
