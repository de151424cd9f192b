/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake hypervisor with fixed answers behind aeroctl's device. */
#ifndef TESTS_FAKE_AEROCTL_H
#define TESTS_FAKE_AEROCTL_H

#include <tools/aeroctl/aeroctl.h>

struct fake_hypervisor {
	struct snapshot s;
	struct aero_explain explain[MAX_VMS];
	int error;		 /* each call of the device fails with this errno */
	int64_t refuse;		 /* status of each call that changes something */
	uint64_t again;		 /* the number of pieces of an audit */
	uint64_t ending;	 /* how many times a start is told to wait */
	struct aero_manage last; /* the last call that changed something */
	unsigned int calls;	 /* number of those */
	struct aero_pressure pressure;
	int own; /* the VM that aeroctl runs in */
};
extern struct fake_hypervisor fake_hypervisor;

/* Three VMs: one that runs, one that is paused, one that has ended. */
void fake_hypervisor_init(void);

#endif
