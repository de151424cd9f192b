/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's half of the balloon: targets, batches, doorbell.  The
 * protocol is in guest-driver/aerostat_abi.h and docs/abi.md.
 */
#ifndef HV_BALLOON_H
#define HV_BALLOON_H

#include <guest-driver/aerostat_abi.h>
#include <hv/base/types.h>
#include <hv/config/config.h>

struct vm;

#define BALLOON_BY_POLICY UINT64_MAX

/*
 * How one of the guest's drivers reaches its balloon.  The first to start has it.
 * ring(): the target of @vm has changed; tell the driver.  Any CPU.
 */
struct balloon_front {
	const char *name; /* of the driver */
	enum balloon_choice choice;
	void (*ring)(struct vm *vm);
};

struct balloon {
	const struct balloon_front *front; /* (a) NULL: none */
	bool started;  /* its driver has started, and the reset for it is complete */
	u64 reset_gfn; /* where an unfinished START goes on */
	u64 target;    /* (a) pages */
	u64 manual;    /* (a) set by management, or BALLOON_BY_POLICY */
	u32 hint;      /* (a) pages that the next batch should cover */
	struct {
		u32 vector, apic; /* (a) 0: none; the front's own */
	} doorbell;
	u32 calls;	/* of the driver, ever: that it moves shows that the driver lives */
	u64 hold_until; /* (a) no inflation before this TSC: the guest asked to grow */
	u64 grow_pages; /* (a) asked for and not yet seen by the policy */
	u64 locked, unlocked, reported, refused, popped; /* refused: entries, others: pages */
	u64 batches;
	struct aero_stats stats;
	u64 stats_at;	  /* TSC */
	u64 paging_until; /* (a) TSC up to which the last of them count as "it pages in" */
};

/* This CPU's buffer for batches; on each CPU, once. HV_ENOMEM. */
int balloon_cpu_init(void);

/* Back to the state before any driver. */
void balloon_init(struct vm *vm);

/* Changes the target, and rings the doorbell if that is news. Any CPU. */
void balloon_set_target(struct vm *vm, u64 pages);

/* The same for a decision: if it is not @from any more, the guest or the hand was quicker, and that counts. */
void balloon_move_target(struct vm *vm, u64 from, u64 to);

/* Takes what its guest says. On a CPU that runs a vCPU of it. */
void balloon_note_stats(struct vm *vm, const struct aero_stats *s);

/*
 * What its guest says it could do without, beyond (or, if negative, short of) what the host
 * does not see it use: per mille of its size.  0 as long as it has said nothing.
 */
s64 balloon_disagreement(const struct vm *vm);

/* May this VM use its reserve? While it is on its way to a larger balloon. */
bool balloon_below_target(const struct vm *vm);

/* --- for the fronts: hv/exit/balloon_calls.c and hv/dev/virtio_balloon.c --- */

/*
 * The driver of @front starts: false if the VM has no such balloon (`balloon =`), or
 * the other was first; a line in the log says so.
 */
bool balloon_claim(struct vm *vm, const struct balloon_front *front);

/* Its driver is gone. */
void balloon_release(struct vm *vm);

/* Everything in the balloon is the guest's again, a bounded piece of it: HV_EAGAIN; then it is started. */
int balloon_reset(struct vm *vm);

enum balloon_op { BALLOON_LOCK, BALLOON_UNLOCK, BALLOON_REPORT, BALLOON_NR_OPS };

/*
 * Entries as the ABI has them, from @first to @count, or until *@work, to which their leaf
 * operations are added, is P2M_WORK_MAX; returns where it stopped.  Those that are refused
 * have a status then, and *@refused is set.  @spare: a gfn that stays as it is.
 */
u32 balloon_entries(struct vm *vm, enum balloon_op op, u64 *entries, u32 first, u32 count,
		    u64 spare, u64 *work, bool *refused);

/* AERO_BATCH_MAX entries of this CPU's, for one call of the above. */
u64 *balloon_scratch(void);

/*
 * A driver took @pages out; if nobody asked it to, it needs them, and gets peace.  A target that
 * was set by hand gives way, too, and comes back afterwards.
 */
void balloon_shrank(struct vm *vm, u64 pages);

/*
 * The guest asks for @want pages back before it runs out of memory: the target falls at once.
 * Returns how many pages the driver may take out now.
 */
u64 balloon_grow(struct vm *vm, u64 want);

#endif
