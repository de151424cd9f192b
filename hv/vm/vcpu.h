/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU.  Owned by whichever CPU runs it; other CPUs only touch what
 * is marked (a) atomic or (s) under sched.lock.
 */
#ifndef HV_VCPU_H
#define HV_VCPU_H

#include <hv/vm/backend.h>
#include <hv/base/list.h>
#include <hv/apic/lapic.h>

enum {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_NR = 16
};

enum vcpu_state {
	VCPU_OFF, /* waits for INIT/SIPI */
	VCPU_READY,
	VCPU_RUNNING,
	VCPU_HALTED,	/* HLT */
	VCPU_NO_MEMORY, /* a fault waits for a frame */
	VCPU_DEAD,
};

/* Work to do before the next entry. */
enum vcpu_pending {
	PENDING_IRQ = BIT(0), /* the local APIC's IRR changed */
	PENDING_NMI = BIT(1),
	PENDING_INIT = BIT(2),
	PENDING_SIPI = BIT(3),
};

struct vcpu {
	u64 gpr[GPR_NR]; /* first: the entry code uses it; RSP is in the back end */
	u32 spec_ctrl;	 /* second: IA32_SPEC_CTRL, for the exit code */
	u8 advance;	 /* bytes that RIP moves at the next entry */
	bool halted;
	bool window_open; /* an interrupt window exit has been asked for */
	bool nmi_window_open;
	u8 tpr_exit;	   /* of backend->tpr_exit() */
	u32 pending;	   /* (a) enum vcpu_pending */
	u32 wait_for_sipi; /* (a) INIT was sent, and no SIPI since */
	u32 index;
	struct vm *vm;
	void *arch; /* the back end's own */

	u64 flush_gen; /* of the p2m, when this vCPU last flushed on last_cpu */
	u32 last_cpu;

	enum vcpu_state state; /* (s) */
	enum vcpu_state next;  /* its state after it leaves the CPU; READY unless it blocks */
	u32 cpu;	       /* (s) where it runs, while RUNNING */
	struct list ready;     /* (s) */
	u64 vruntime;	       /* (s) weighted TSC ticks */
	u64 started;	       /* (s) TSC when it was put on the CPU */
	u64 slice_end;	       /* 0: leave the CPU */
	bool yields;	       /* (s) to any other that is ready */
	u32 disagreements;     /* emulate.c: instructions in a row that cannot have exited */

	struct lapic lapic;
	u64 tsc_offset; /* from the host's TSC to the guest's: the VM's unless the guest wrote it */
	u64 pv_time;	/* MSR_PV_SYSTEM_TIME */
	u64 pv_steal;	/* MSR_PV_STEAL_TIME */
	u32 steal_version;
	u64 ready_since; /* (s) TSC */
	u64 waited;	 /* (s) TSC ticks, ready and without a CPU */
	u64 exits;
	u64 ran;	 /* (s) TSC ticks on a CPU */
	u64 stood_since; /* (a) TSC from which on it could not go on, or STOOD_BY_PAUSE; 0: it did */
};

#define VCPU_NO_CPU UINT32_MAX
#define STOOD_BY_PAUSE 1UL

/*
 * The record, DEAD; NULL without memory.  It is never freed: other CPUs look
 * at vCPUs without a lock, of ended VMs too.
 */
struct vcpu *vcpu_alloc(struct vm *vm, u32 index);

/* For a start: the back end's part anew, registers and counters reset, OFF. HV_ENOMEM. */
int vcpu_reset(struct vcpu *v);

/* Gives the back end's part back; the vCPU must be DEAD. */
void vcpu_fini(struct vcpu *v);

/* Runs @v on this CPU until it blocks, ends or its slice is over. */
void vcpu_execute(struct vcpu *v);

/* Something new for @v, from any CPU: wakes or kicks it. */
void vcpu_notify(struct vcpu *v, u32 pending);

/*
 * Between two pieces of an exit that takes long, without locks: nothing is due for the
 * guest, its slice goes on, and the host has nothing else to do either.
 */
bool vcpu_may_go_on(const struct vcpu *v);

/* Skips the instruction that exited. */
static inline void vcpu_skip(struct vcpu *v, const struct vmexit *e)
{
	v->advance = e->length;
}

void vcpu_inject_gp(struct vcpu *v);
void vcpu_inject_ud(struct vcpu *v);
void vcpu_inject_pf(struct vcpu *v, u64 linear, u32 error);

/*
 * Prints registers, for a VM that is being stopped: of the first vCPU in a run.  False: it
 * has printed nothing, for another vCPU has, or the VM ends already.
 */
bool vcpu_dump(struct vcpu *v);

#endif
