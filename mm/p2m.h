/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p2m: a VM's map from guest frame number to host frame, kept in its EPT or
 * NPT tables and nowhere else.  A non-present entry says why it is so: the
 * kind is in its ignored bits, a payload inverted in its address bits (so
 * that, should the CPU speculate on it, it points above RAM: L1TF).
 *
 * Every function needs p2m->lock unless it says otherwise.  Changes that
 * remove a translation collect frames in a batch; p2m_commit() starts their
 * quarantine and must follow before the lock is dropped.
 */
#ifndef MM_P2M_H
#define MM_P2M_H

#include <hv/base/lock.h>
#include <mm/frame.h>
#include <mm/pt_format.h>

enum p2m_kind {
	P2M_HOLE = 0,	 /* no memory here */
	P2M_EMPTY = 1,	 /* memory, never touched or given back: reads as zero */
	P2M_BALLOON = 2, /* handed to us by the guest's balloon */
	P2M_MAPPED = 3,
	P2M_COMPRESSED = 4, /* payload: handle */
	P2M_SWAPPED = 5,    /* payload: slot */
	P2M_NR_KINDS
};

/* Tables a single operation may need: one per level below the root. */
#define P2M_POOL (PT_LEVELS - 1)

/* Leaf operations that one exit may cost. */
#define P2M_WORK_MAX 4096

struct p2m {
	SPINLOCK(LOCK_P2M) lock;
	const struct pt_format *fmt;
	struct frame_acct acct;
	hpa_t root; /* 0: there is no map; read without the lock */
	u32 root_frame;
	u64 nr_gfns;   /* gfns at and above this are holes */
	u64 ballooned; /* in 4 KiB; read without the lock */
	u64 flush_gen; /* raised when a translation goes away; read without the lock */
	u64 active;    /* bit per CPU that has a vCPU of ours loaded; atomic */
	u64 flushes;   /* commits that needed one; statistics */
	/* By which promises a frame may be taken now (enum frame_flags); NULL: none needed. */
	unsigned int (*grant)(const struct p2m *p);
	u32 pool[P2M_POOL];
	unsigned int pool_count;
};

struct p2m_entry {
	enum p2m_kind kind;
	unsigned int order; /* of the entry that covers the gfn */
	u32 frame;	    /* MAPPED: the frame of this very gfn */
	bool writable;
	bool accessed; /* since p2m_watch(); without such bits true unless watched */
	u64 payload;
};

/* An empty map (all holes) for VM @owner, in zeroed memory or after p2m_destroy(). HV_ENOMEM. */
int p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns) __seldom;

/* Makes [gfn, gfn + count) demand-zero memory or holes; only over holes or EMPTY. Setup. */
int p2m_set_range(struct p2m *p, u64 gfn, u64 count, enum p2m_kind kind) __seldom;

/*
 * Holes that read as @frame, the hypervisor's own, without an exit; they stay
 * holes in all else, and writing or executing there is a fault as before.  Setup,
 * only over holes.  HV_ESTATE, HV_ENOMEM.
 */
int p2m_set_bus(struct p2m *p, u64 gfn, u64 count, u32 frame) __seldom;

/* What is at @gfn. Without the lock it is a snapshot (tables outlive readers: epochs). */
struct p2m_entry p2m_lookup(const struct p2m *p, u64 gfn);

/* Fills the table pool, so that one operation below cannot fail for memory. */
int p2m_prepare(struct p2m *p, unsigned int flags);

/* Maps a GUEST block at an EMPTY place; needs p2m_prepare. HV_ESTATE, HV_EINVAL. */
int p2m_map(struct p2m *p, u64 gfn, u32 frame, unsigned int order, unsigned int prot,
	    enum memtype mt) __seldom;

/*
 * Demand-zero: backs @gfn, by 2 MiB where it may; or maps again what is watched.  HV_ENOMEM, HV_EAGAIN; or
 * HV_ESTATE: it is not EMPTY but what *@kind says.
 */
int p2m_populate(struct p2m *p, u64 gfn, unsigned int max_order, unsigned int flags,
		 enum p2m_kind *kind);

/*
 * Balloon: @gfn (aligned to @order, 0 or 9) goes in or out.  HV_ERANGE: not
 * memory; HV_ESTATE: already in / not in; HV_EBUSY: pinned; HV_EAGAIN or
 * HV_ENOMEM: no table for a split.  Adds the leaf operations to *@work.
 * Nothing has changed on an error.
 */
int p2m_lock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);
int p2m_unlock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);

/* The memory over @gfn becomes EMPTY: its frames go, the place stays. Errors as above. */
int p2m_report(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);

/*
 * From *@gfn on, ballooned memory becomes EMPTY (reset) or everything becomes
 * HOLE (teardown).  HV_EAGAIN after P2M_WORK_MAX leaf operations: call again.
 */
int p2m_reset_balloon(struct p2m *p, u64 *gfn, struct frame_batch *b) __seldom;
int p2m_teardown(struct p2m *p, u64 *gfn, struct frame_batch *b) __seldom;

/*
 * Tables, the root and the pool included, that a p2m can need for @pages of memory of which
 * the last is below @nr_gfns, with the ranges that hv/load/load.h has.
 */
u64 p2m_tables_max(u64 pages, u64 nr_gfns) __seldom;

/* Frees root and pool; after p2m_teardown() is done and committed. The promises stay. */
void p2m_destroy(struct p2m *p) __seldom;

/* Maps 512 contiguous leaves as one large one. HV_ESTATE if they are not. */
int p2m_merge(struct p2m *p, u64 gfn, int level, struct frame_batch *b) __seldom;

/*
 * Code is run in the large page over @gfn, and large pages are not executable:
 * makes 4 KiB pages of it, which are.  True if it did; then a flush follows.
 * HV_OK in *@err also where there is nothing to do; HV_ENOMEM, HV_EAGAIN.
 */
bool p2m_make_executable(struct p2m *p, u64 gfn, int *err) __seldom;

/* Cuts the leaf over @gfn down to @order. */
int p2m_split(struct p2m *p, u64 gfn, unsigned int order) __seldom;

/*
 * For a device that reads or writes guest memory itself: until p2m_unpin() the leaf over @gfn,
 * whatever its size, goes neither out nor is it split or merged (HV_EBUSY).  *@e is what
 * p2m_lookup() says, and the way to unpin.  HV_ESTATE: it is not mapped.
 */
int p2m_pin(struct p2m *p, u64 gfn, struct p2m_entry *e);

/* Any CPU, without the lock. HV_ESTATE: it is not pinned. */
int p2m_unpin(const struct p2m_entry *e);

/* The first frame of a mapped entry's leaf: frame_unpin() of it is p2m_unpin(). */
static inline u32 p2m_leaf(const struct p2m_entry *e)
{
	return e->frame & ~((1u << e->order) - 1);
}

/* Reads and clears the accessed bit over @gfn; the caller commits a flush. */
bool p2m_test_clear_accessed(struct p2m *p, u64 gfn) __seldom;

/*
 * From now on p2m_lookup()'s accessed says whether the guest has touched @gfn: by the
 * accessed bit, or where the CPU has none by taking the mapping away and keeping the
 * frame; p2m_populate() maps it again.  The caller commits a flush.  False: it cannot
 * be said (no such bits, and a large or unusual page).
 */
bool p2m_watch(struct p2m *p, u64 gfn) __seldom;

/* The end of that. */
void p2m_unwatch(struct p2m *p, u64 gfn) __seldom;

/* Ends a batch of changes: one flush generation, one epoch, one round of kicks. */
void p2m_commit(struct p2m *p, struct frame_batch *b);

/* A flush without frames (permissions or accessed bits changed). */
void p2m_flush(struct p2m *p);

/*
 * Audit, resumable like p2m_reset_balloon: tables against frame records.
 * HV_ECORRUPT, with the reason logged.
 */
int p2m_audit(struct p2m *p, u64 *gfn) __seldom;

#endif
