/* SPDX-License-Identifier: BSD-2-Clause */
/* A hypervisor of canned answers behind aeroctl's device. */
#ifndef TESTS_FAKE_AEROCTL_H
#define TESTS_FAKE_AEROCTL_H

#include <tools/aeroctl/aeroctl.h>

struct fake_hypervisor {
	struct snapshot s;
	struct aero_explain explain[MAX_VMS];
	int error;		 /* of the device: each call fails with this errno */
	int64_t refuse;		 /* each call that changes something is answered with this */
	uint64_t again;		 /* so many pieces an audit has */
	uint64_t ending;	 /* so often a start is told to wait */
	struct aero_manage last; /* that changed something */
	unsigned int calls;	 /* of those */
	struct aero_pressure pressure;
	int own; /* the VM that aeroctl is in */
};
extern struct fake_hypervisor fake_hypervisor;

/* Three VMs: one that runs, one that is paused, one that has ended. */
void fake_hypervisor_init(void);

#endif
