/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between their last mapping and the free lists: unmapped, but some CPU may still hold
 * a translation.  mm/epoch.h says when that is over.
 */
#include <mm/epoch.h>
#include <mm/frames.h>

/*
 * Retiring is private to the VM that owns the frame (its lock is held), so
 * only the shared counters wait for quarantine_commit().  Others look at the record meanwhile:
 * who frees the block beside it, and the audit.
 */
static void retire(u32 frame, struct frame_batch *batch)
{
	struct frame *f = &frames.buddy.table[frame];

	atomic_store(&f->state, (u8)FRAME_QUARANTINE);
	atomic_store(&f->link.next, FRAME_NONE);
	atomic_store(&f->link.prev, 0u);
	if (batch->first == FRAME_NONE)
		batch->first = frame;
	else
		atomic_store(&frames.buddy.table[batch->last].link.next, frame);
	batch->last = frame;
	batch->frames += 1UL << f->order;
}

int frame_retire_guest(struct frame_acct *acct, u32 frame, struct frame_batch *batch)
{
	struct frame *f = &frames.buddy.table[frame];
	u64 n = 1UL << f->order;

	if (unlikely(f->state != FRAME_GUEST || f->owner != acct->owner))
		return HV_ESTATE;
	if (unlikely(atomic_load(&f->aux)))
		return HV_EBUSY;
	atomic_store(&f->owner, (u16)0); /* quarantined guest frames are counted in commit */
	tally_sub(&acct->resident, n);
	retire(frame, batch);
	return HV_OK;
}

int frame_retire_table(struct frame_acct *acct, u32 frame, struct frame_batch *batch)
{
	struct frame *f = &frames.buddy.table[frame];

	if (f->state != FRAME_TABLE || f->owner != acct->owner)
		return HV_ESTATE;
	tally_sub(&acct->tables, 1);
	retire(frame, batch);
	atomic_store(&f->link.prev, 1u); /* was a table */
	return HV_OK;
}

void quarantine_commit(struct frame_acct *acct, struct frame_batch *batch, u64 epoch)
{
	u64 tables = 0;

	if (batch->first == FRAME_NONE)
		return;
	for (u32 i = batch->first; i != FRAME_NONE; i = frames.buddy.table[i].link.next) {
		atomic_store(&frames.buddy.table[i].aux, (u32)epoch);
		tables += frames.buddy.table[i].link.prev;
	}
	spin_lock(&frames.lock);
	if (frames.q_first == FRAME_NONE)
		atomic_store(&frames.q_first, batch->first);
	else
		frames.buddy.table[frames.q_last].link.next = batch->first;
	frames.q_last = batch->last;
	frames.stats.quarantine += batch->frames;
	frames.stats.table -= tables;
	frames.stats.guest -= batch->frames - tables;
	frames_promise_rest(acct);
	frames_refill_reserve(acct, batch->frames);
	spin_unlock(&frames.lock);
	*batch = FRAME_BATCH_INIT;
}

u64 quarantine_drain(unsigned int max)
{
	u64 freed = 0;
	u32 safe;

	if (atomic_load(&frames.q_first) == FRAME_NONE)
		return 0;
	safe = (u32)epoch_safe();
	spin_lock(&frames.lock);
	while (max-- && frames.q_first != FRAME_NONE) {
		u32 frame = frames.q_first;
		struct frame *f = &frames.buddy.table[frame];

		if ((s32)(safe - f->aux) < 0)
			break;
		atomic_store(&frames.q_first, f->link.next);
		frames.stats.quarantine -= 1UL << f->order;
		freed += 1UL << f->order;
		frames_release_block(frame, f->order, FRAME_FREE_DIRTY);
	}
	if (frames.q_first == FRAME_NONE)
		frames.q_last = FRAME_NONE;
	frames_glance();
	spin_unlock(&frames.lock);
	return freed;
}
