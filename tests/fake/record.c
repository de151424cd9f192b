/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wraps functions by the linker (--wrap), so that the sources under test stay as they are: lets
 * allocations fail on demand, and records the order of retire, guest entry and reuse.
 */
#include <tests/fake/fake.h>

#include <mm/buddy.h>

struct fake_alloc fake_alloc;

void fake_alloc_fail_at(u32 k)
{
	fake_alloc = (struct fake_alloc){ .armed = true, .fail_at = k };
}

void fake_alloc_off(void)
{
	fake_alloc.armed = false;
}

static bool fails(void)
{
	if (!fake_alloc.armed || fake_alloc.seen++ != fake_alloc.fail_at)
		return false;
	fake_alloc.failed = true;
	return true;
}

int __real_frame_alloc_table(struct frame_acct *acct, unsigned int flags, u32 *frame);
int __wrap_frame_alloc_table(struct frame_acct *acct, unsigned int flags, u32 *frame);
int __wrap_frame_alloc_table(struct frame_acct *acct, unsigned int flags, u32 *frame)
{
	return fails() ? HV_ENOMEM : __real_frame_alloc_table(acct, flags, frame);
}

int __real_frame_alloc_guest(struct frame_acct *acct, u64 gfn, unsigned int order,
			     unsigned int flags, u32 *frame);
int __wrap_frame_alloc_guest(struct frame_acct *acct, u64 gfn, unsigned int order,
			     unsigned int flags, u32 *frame);
int __wrap_frame_alloc_guest(struct frame_acct *acct, u64 gfn, unsigned int order,
			     unsigned int flags, u32 *frame)
{
	return fails() ? HV_ENOMEM : __real_frame_alloc_guest(acct, gfn, order, flags, frame);
}

/* --- retire, enter, free --- */

static u64 *retired_at; /* by frame, 0: not */
static u32 nr;
static u64 now;
static u64 entered_at[MAX_CPUS]; /* the last quiescent point of each CPU */
static u32 freed;
u32 fake_record_violations;

void fake_record_reset(void)
{
	free(retired_at);
	nr = fake.nr_frames;
	retired_at = calloc(nr, sizeof(*retired_at));
	memset(entered_at, 0, sizeof(entered_at));
	now = 0;
	freed = fake_record_violations = 0;
}

void fake_record_enter(u32 cpu)
{
	entered_at[cpu] = ++now;
}

u32 fake_record_freed(void)
{
	return freed;
}

void __real_quarantine_commit(struct frame_acct *acct, struct frame_batch *batch, u64 epoch);
void __wrap_quarantine_commit(struct frame_acct *acct, struct frame_batch *batch, u64 epoch);
void __wrap_quarantine_commit(struct frame_acct *acct, struct frame_batch *batch, u64 epoch)
{
	if (retired_at) {
		now++;
		for (u32 i = batch->first; i != FRAME_NONE; i = frame_get(i)->link.next)
			retired_at[i] = now;
	}
	__real_quarantine_commit(acct, batch, epoch);
}

void __real_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state);
void __wrap_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state);
void __wrap_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state)
{
	if (retired_at && frame < nr && retired_at[frame]) {
		for (u32 i = 0; i < fake.nr_cpus; i++)
			if (entered_at[i] < retired_at[frame])
				fake_record_violations++;
		retired_at[frame] = 0;
		freed += 1u << order;
	}
	__real_buddy_free(b, frame, order, state);
}
