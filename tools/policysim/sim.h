/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policysim: the hypervisor's own policy object over traces, with a model of
 * guests, drivers and faults around it.  Memory is in 4 KiB pages, time in
 * milliseconds.
 */
#ifndef TOOLS_POLICYSIM_SIM_H
#define TOOLS_POLICYSIM_SIM_H

#include <hv/memory/policy.h>
#include <mm/estimate.h>

#define SIM_MAX_VMS 4096
#define SIM_NAME_MAX 32

enum driver { DRIVER_OK, DRIVER_SILENT, DRIVER_STUCK };

/* What a guest does is in its trace; how fast it can is here. */
struct guest {
	char name[SIM_NAME_MAX];
	u64 start;	 /* when it starts */
	u64 want;	 /* pages that it would fill if it had them */
	u64 active;	 /* of those, pages that it touches again and again */
	u64 speed;	 /* pages a second that its driver moves */
	u64 fault_speed; /* pages a second that it touches anew */
	double penalty;	 /* what an access outside its memory costs more, in accesses */
	double rounds;	 /* how often it would touch each active page in a period; 0: seen always */
	bool says;	 /* that it pages */
	bool asks;	 /* to grow, when its balloon is in its way */
	enum driver driver;
	/* state */
	u64 hold_until, late_since;
	bool on, silent;
	struct estimate estimate;
	double work; /* since the last record, 0..1 */
};

enum event_kind { EVENT_USE, EVENT_DRIVER, EVENT_STOP, EVENT_SHARES, EVENT_TAX, EVENT_SAYS };

struct event {
	u64 at;
	u32 vm;
	enum event_kind kind;
	u64 a, b;
	u32 line;
};

enum check_kind {
	CHECK_RANGE,
	CHECK_GAIN,
	CHECK_STEADY,
	CHECK_CALM,
	CHECK_DRIFT,
	CHECK_NO_WAIT,
	CHECK_COVER
};

enum field { FIELD_RESIDENT, FIELD_BALLOON, FIELD_TARGET, FIELD_ENTITLEMENT, FIELD_WORK, FIELD_NR };

struct check {
	enum check_kind kind;
	u64 from, to;
	u32 vm;
	enum field field;
	double low, high;
	u32 line;
};

/* What is kept of a VM at a decision. */
struct record {
	u32 resident, balloon, target, entitlement;
	u16 truth, estimate, low, high; /* active, in 1/1000 of resident */
	u8 state, reason, waiting, on;
	float work;
};

struct sim {
	/* configuration */
	u64 memory, period, sample, until;
	u32 sample_pages, tax, balloon_max;
	bool beyond;
	/* what happens */
	struct guest *guest;
	u32 nr;
	struct event *event;
	u32 nr_events, next_event;
	struct check *check;
	u32 nr_checks;
	/* state */
	u64 now, next_sample, seed;
	u64 *last_resident;
	struct policy_vm *vm;	 /* of all guests */
	struct policy_vm *given; /* of those that run: what the policy sees */
	u32 *of;		 /* given -> guest */
	struct policy_in in;
	struct policy_out out;
	u64 decisions;
	/* history: nr records a decision, or NULL */
	bool keep;
	struct record *history;
};

/* Reads the trace; ends the program with a message that names the line. */
void trace_read(struct sim *s, const char *path);

void sim_run(struct sim *s);
/* Random, plausible VMs for as many as there are, memory short. */
void sim_cost(u32 nr, u32 times);

/* Carries out the checks; returns how many failed. */
u32 checks_run(const struct sim *s);

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
void *allocate(size_t n, size_t size);
u64 sim_random(u64 *seed);

#endif
