/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole machine: some CPUs, each in sched_loop() on a stack of its own, and some VMs. The input
 * says what the guests do and which CPU goes on. CPUs take turns while a guest runs, while a CPU is
 * idle, and after background work: the hypervisor holds no lock there.
 *
 *   machine.c   the machine that an input asks for, and its end
 *   cpus.c      CPUs that take turns
 *   guests.c    what guests do
 *   oracle.c    what must be so: translation caches, whose bytes a page has, accounts
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include <tests/fake/guest.h>
#include <tests/fuzz/fuzz.h>

#include <mm/guestmem.h>

#define CPUS_MAX 3
#define VMS_MAX 4
#define GFNS_MAX 4096u /* of a VM: 16 MiB */

/* Guest memory for special uses; the kernel is at 1 MiB. */
#define BATCH_GPA 0x50000UL
#define RINGS_GPA 0x60000UL
#define FIRST_GFN 512u /* from here on guests touch pages */

/* --- cpus.c --- */

/* Once, for all inputs. */
void cpus_setup(void);

/* Runs CPU 0, and the CPUs to which it gives way, until cpus_leave(). */
void cpus_run(u32 nr);

/* Called by the running CPU: another one goes on; returns when this one goes on again. */
void cpus_switch(u32 to);

/* Called by the running CPU: makes cpus_run() return. */
void cpus_leave(void);

/* --- guests.c --- */

/* From now on guests act by the input, and end with it. */
void guests_start(struct input *input, u32 cpus);

/*
 * Called after background work (@worked: there was some): now and then lets other CPUs go on.
 * Returns @worked.
 */
bool guests_worked(bool worked);

/* --- oracle.c --- */

void oracle_start(void);
void oracle_flush(struct vcpu *v);

/* The guest touches a page; false: that faults. */
bool oracle_touch(struct vcpu *v, u32 gfn);

/* Checks accounts and tables, between two steps of the machine. */
void oracle_check(void);

/* Checks that every VM has ended and given back its frames. */
void oracle_check_end(void);

int __real_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);

#endif
