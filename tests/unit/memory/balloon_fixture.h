/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM whose driver sends batches of pages. */
#ifndef TESTS_UNIT_MEMORY_BALLOON_FIXTURE_H
#define TESTS_UNIT_MEMORY_BALLOON_FIXTURE_H

#include <tests/fake/guest.h>

#include <hv/memory/governor.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>

#define BATCH 0x200UL /* gfn of the batch page */
#define PAGES (MIB(16) >> PAGE_SHIFT)

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;
static struct aero_batch batch;

static inline int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("web");
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	assert_int_equal(guest_call(v, AERO_CALL_START, AERO_ABI_VERSION, ~0UL, 0), AERO_OK);
	memset(&batch, 0, sizeof(batch));
	return 0;
}

static inline u64 page(u64 gfn)
{
	return gfn << PAGE_SHIFT;
}

static inline u64 page_2m(u64 gfn)
{
	return gfn << PAGE_SHIFT | AERO_ENTRY_2M;
}

static inline u64 status(u32 i)
{
	return (batch.entry[i] & AERO_ENTRY_STATUS_MASK) >> AERO_ENTRY_STATUS_SHIFT;
}

/* Sends the batch and reads it back. */
static inline s64 send(u64 call, u64 count, u64 first)
{
	s64 r;

	assert_int_equal(guest_write(&vm->p2m, GPA(page(BATCH)), &batch, sizeof(batch)), HV_OK);
	r = guest_call(v, call, page(BATCH), count, first);
	assert_int_equal(guest_read(&vm->p2m, GPA(page(BATCH)), &batch, sizeof(batch)), HV_OK);
	tables_check(&vm->p2m);
	return r;
}

static inline s64 lock1(u64 entry)
{
	batch.entry[0] = entry;
	return send(AERO_CALL_LOCK, 1, 0);
}

/* Sends one entry, which must be refused with @want and change nothing. */
static inline void refused(u64 call, u64 entry, u64 want)
{
	struct snapshot s;

	/* The batch page itself must have a frame before. */
	assert_int_equal(guest_write(&vm->p2m, GPA(page(BATCH)), "", 1), HV_OK);
	s = snapshot_take(&vm->p2m);
	batch.entry[0] = entry;
	assert_int_equal(send(call, 1, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RBX], 1);
	assert_int_equal(status(0), want);
	assert_int_equal(batch.entry[0] & ~AERO_ENTRY_STATUS_MASK, entry & ~AERO_ENTRY_STATUS_MASK);
	snapshot_same(&vm->p2m, &s);
}

#endif
