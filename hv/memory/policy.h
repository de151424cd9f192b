/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reclamation policy: a pure function.  Configuration, samples and free
 * memory in; targets, mechanisms and reasons out.  No locks, no clock, no
 * globals, no allocation, integers only.  All memory is in 4 KiB pages, and
 * a machine has less than 2^32 of them.  The same object is linked into the
 * hypervisor and tools/policysim; hence the arrays are the caller's.
 *
 * Source: Waldspurger, "Memory Resource Management in VMware ESX Server"
 * (OSDI 2002), sections 4 to 6.
 */
#ifndef HV_POLICY_H
#define HV_POLICY_H

#include <hv/base/types.h>

#define POLICY_HINT_MAX (512 * 512) /* a full batch of 2 MiB entries */
#define POLICY_NOBODY UINT32_MAX

/* How much is free decides what is done about it ("Dynamic Reallocation"). */
enum policy_state { POLICY_HIGH, POLICY_SOFT, POLICY_HARD, POLICY_LOW };

/* What takes memory, in the order in which it is tried. */
enum policy_mechanism {
	MECHANISM_NONE,
	MECHANISM_BALLOON,
	MECHANISM_COMPRESS,
	MECHANISM_SWAP,
	MECHANISM_BLOCK, /* it gets nothing more */
};

enum policy_reason {
	REASON_NONE,	   /* memory is plentiful: nothing is asked of this VM */
	REASON_VICTIM,	   /* holds more than its entitlement while memory is short */
	REASON_GIVEN_BACK, /* memory is there again: its balloon shrinks */
	REASON_GROW,	   /* it asked for memory before running out */
	REASON_HOLD,	   /* would be a victim, but asked to grow a moment ago */
	REASON_MAX,	   /* kept below its configured max */
	REASON_MANUAL,	   /* the target was set by hand */
	REASON_SILENT,	   /* it has no driver that answers: left alone */
	REASON_STUCK,	   /* its driver answers, and its balloon does not grow */
	REASON_BEYOND,	   /* a victim, beyond balloon_max: nothing else takes memory */
	REASONS
};

/* What an entitlement is bounded by. */
enum policy_rule {
	RULE_SHARES, /* what its shares buy, idle pages being taxed */
	RULE_MIN,    /* what it is guaranteed */
	RULE_NEED,   /* all that it could use now */
	RULE_HELD,   /* memory that no balloon can take now: by hand, silent, stuck, balloon_max */
	RULES
};

struct policy_vm {
	/* configuration */
	u64 size, min, max;
	u32 shares;
	/* samples */
	u64 resident;	     /* frames it has */
	u64 balloon;	     /* pages in its balloon */
	u64 target;	     /* the last target */
	u32 active_permille; /* of resident, from sampling */
	u64 faulted;	     /* pages it took since the last decision */
	u64 grow;	     /* pages it asked for at once */
	bool waiting;	     /* a vCPU of it waits for memory */
	bool responsive;     /* a driver is there and answers */
	bool stuck;	     /* its balloon has missed the deadline for growing */
	bool hold;	     /* no inflation now */
	bool manual;
	bool paging; /* its statistics say that it pages in */
};

/* Scratch of a decision; its contents before and after do not matter. */
struct policy_scratch {
	u64 least, most; /* bounds of the VM's entitlement */
	u64 active;	 /* of what it may come to have */
	u64 cap;	 /* the largest target that may be asked of it */
	u64 want;	 /* how far its target may fall */
	u64 goal;	 /* where its target should end up */
	bool needy;	 /* its faults, waits or GROW show that it could use more */
	struct policy_corner {
		u64 level;
		u32 vm, stage;
	} heap; /* entry i of a heap, not VM i's */
};

struct policy_in {
	u64 total, free;	 /* frames for guests; free counts quarantine too */
	u32 tax;		 /* idle memory tax, percent, 0..99 */
	u32 balloon_max;	 /* percent of a VM's size */
	bool beyond_balloon;	 /* what a balloon cannot take, compression or swap can */
	enum policy_state state; /* the last one: hysteresis */
	bool cap_yields;	 /* the last decision's: hysteresis, too */
	u32 nr_vms;
	const struct policy_vm *vm;
};

struct policy_vm_out {
	u64 target;
	u64 entitlement; /* frames it may hold */
	u64 rho;	 /* shares per page, adjusted by the tax, times 2^20 */
	enum policy_reason reason;
	enum policy_rule rule;
	enum policy_mechanism mechanism; /* takes memory from it */
};

struct policy_out {
	enum policy_state state;
	enum policy_mechanism mechanism; /* the last that the state's plan allows */
	u32 hint;			 /* 4 KiB pages that a batch should cover at most */
	bool cap_yields; /* from the next decision on balloons go beyond balloon_max */
	u64 active;	 /* of all VMs together */
	u32 culprit;	 /* whose active memory is furthest beyond its entitlement while all
		      * active memory is more than there is, or POLICY_NOBODY */
	struct policy_vm_out *vm;
	struct policy_scratch *scratch;
};

/* Thresholds in pages below which state 1, 2, 3 begins; state 0 needs [0] again. */
struct policy_thresholds {
	u64 high, soft, hard, low;
};
struct policy_thresholds policy_thresholds(u64 total);

/* O(n log n) in VMs.  @out: its arrays are there, their contents do not matter. */
void policy_decide(const struct policy_in *in, struct policy_out *out);

const char *policy_state_name(enum policy_state s);
const char *policy_reason_text(enum policy_reason r);
const char *policy_rule_text(enum policy_rule r);

#endif
