/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_THREADS_MACHINE_H
#define TESTS_THREADS_MACHINE_H

#include <tests/threads/threads.h>

/* The guest on @v does its next operation; true: it is an exit, which is in *@e. */
bool guest_acts(struct vcpu *v, struct vmexit *e);

/* VM @id gets a new p2m: forgets the operations that its guest had begun. */
void guest_begins(u32 id);

#endif
