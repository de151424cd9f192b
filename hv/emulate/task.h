/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches of 32-bit protected mode, for CPUs that leave them to the hypervisor.
 * SDM: "Task Management".
 */
#ifndef HV_TASK_H
#define HV_TASK_H

#include <hv/vm/backend.h>

/* In the order of VT-x's exit qualification. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

struct task_switch {
	u16 selector;  /* of the new TSS */
	u8 source;     /* enum task_source */
	u8 advance;    /* bytes from RIP to where the old task goes on */
	bool external; /* by an event that no instruction asked for */
	bool has_error;
	u32 error; /* of an exception through a gate */
};

/* What is to be injected. */
struct task_fault {
	int vector; /* -1: nothing */
	u32 error;
	u64 cr2;
	bool trap; /* the T flag of the new TSS: #DB with DR6.BT */
};

/*
 * Carries out @t from the registers in @s and @v; they become the new task's, CR3 in the back end,
 * too, so that the caller has @s put into the CPU.  HV_EPERM: it does not take place, @f says why.
 * HV_EAGAIN: memory is on its way, try it again.  HV_EINVAL: not emulated (a 16-bit TSS), or
 * tables that are not in memory.
 */
int task_switch(struct vcpu *v, const struct task_switch *t, struct guest_state *s,
		struct task_fault *f);

#endif
