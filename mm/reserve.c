/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises of frames to VMs, and the one function that lets a frame be taken.  At any time
 * there are as many frames free, in quarantine or being scrubbed as are promised.
 */
#include <mm/frames.h>

u32 frames_scarce_now;

void frames_glance(void)
{
	atomic_store(&frames_scarce_now, free_count() < frames.stats.reserved + FRAMES_SCARCE);
}

/* In frames: free now or soon, and promised to no VM. */
static u64 unpromised(void)
{
	u64 coming = free_count() + frames.scrubbing + frames.stats.quarantine;

	return coming - min(coming, frames.stats.reserved);
}

/* Moves *@promise to @want; upward only as far as there are unpromised frames. */
static void promise(u64 *promise, u64 want)
{
	if (want > *promise)
		want = *promise + min(want - *promise, unpromised());
	frames.stats.reserved += want - *promise;
	atomic_store(promise, want);
}

static u64 missing(u64 limit, u64 has)
{
	return limit - min(limit, has);
}

void frames_promise_rest(struct frame_acct *acct)
{
	promise(&acct->min_promised,
		missing(atomic_load(&acct->min), atomic_load(&acct->resident)));
	promise(&acct->tables_promised, missing(acct->tables_max, atomic_load(&acct->tables)));
}

int frames_charge(struct frame_acct *acct, u64 n, unsigned int flags)
{
	u64 free = free_count(), promised = frames.stats.reserved;

	frames_glance();
	if (free >= n && free - n >= promised && !(flags & FRAME_PROMISED))
		return HV_OK;
	if (acct && free >= n && acct->min_promised >= n) {
		promise(&acct->min_promised, acct->min_promised - n);
		return HV_OK;
	}
	if (acct && free >= n && (flags & FRAME_USE_RESERVE) && acct->reserve >= n) {
		promise(&acct->reserve, acct->reserve - n);
		return HV_OK;
	}
	/* A VM that lets others go first does not try again at once. */
	return (frames.stats.quarantine || frames.scrubbing) && !(flags & FRAME_PROMISED) ?
		       HV_EAGAIN :
		       HV_ENOMEM;
}

/* A table comes out of its VM's own promise, never out of a min or a reserve. */
int frames_charge_table(struct frame_acct *acct, unsigned int flags)
{
	if (!acct->tables_promised)
		return frames_charge(NULL, 1, flags & ~(unsigned int)FRAME_USE_RESERVE);
	if (!free_count())
		return frames.stats.quarantine || frames.scrubbing ? HV_EAGAIN : HV_ENOMEM;
	tally_sub(&acct->tables_promised, 1);
	frames.stats.reserved--;
	frames_glance();
	return HV_OK;
}

void frames_refill_reserve(struct frame_acct *acct, u64 n)
{
	promise(&acct->reserve, acct->reserve + min(missing(acct->reserve_max, acct->reserve), n));
}

void frame_reserve_fill(struct frame_acct *acct)
{
	u64 free;

	spin_lock(&frames.lock);
	frames_promise_rest(acct);
	free = free_count();
	frames_refill_reserve(acct, free - min(free, frames.stats.reserved));
	spin_unlock(&frames.lock);
}

int frame_promise(struct frame_acct *acct, u64 min_frames, u64 tables, u64 reserve)
{
	int err = HV_ENOMEM;
	u64 more;

	spin_lock(&frames.lock);
	/* With the lock: a fault on another CPU uses up what was promised before. */
	more = missing(missing(min_frames, atomic_load(&acct->resident)), acct->min_promised) +
	       missing(missing(tables, atomic_load(&acct->tables)), acct->tables_promised) +
	       missing(reserve, acct->reserve);
	if (more <= unpromised()) {
		atomic_store(&acct->min, min_frames);
		acct->tables_max = tables;
		acct->reserve_max = reserve;
		frames_promise_rest(acct);
		frames_refill_reserve(acct, reserve);
		err = HV_OK;
	}
	spin_unlock(&frames.lock);
	return err;
}

void frame_reserve_drop(struct frame_acct *acct)
{
	spin_lock(&frames.lock);
	frames.stats.reserved -= acct->reserve + acct->min_promised + acct->tables_promised;
	atomic_store(&acct->reserve, 0UL);
	atomic_store(&acct->reserve_max, 0UL);
	acct->min = 0;
	atomic_store(&acct->min_promised, 0UL);
	acct->tables_max = 0;
	atomic_store(&acct->tables_promised, 0UL);
	spin_unlock(&frames.lock);
}

u64 frame_reserve_lend(struct frame_acct *from, struct frame_acct *to)
{
	u64 n;

	spin_lock(&frames.lock);
	n = to->reserve_max > to->reserve ? to->reserve_max - to->reserve : 0;
	n = min(n, (from->reserve + 1) / 2);
	tally_sub(&from->reserve, n);
	tally_add(&to->reserve, n);
	spin_unlock(&frames.lock);
	return n;
}

u64 frames_available(void)
{
	u64 n;

	spin_lock(&frames.lock);
	n = free_count() > frames.stats.reserved ? free_count() - frames.stats.reserved : 0;
	spin_unlock(&frames.lock);
	return n;
}
