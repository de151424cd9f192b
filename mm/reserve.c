/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may have a free frame: the promises to VMs, and the one decision on them.
 */
#include <mm/frames.h>

u32 frames_scarce_now;

void frames_glance(void)
{
	atomic_store(&frames_scarce_now, free_count() < frames.stats.reserved + FRAMES_SCARCE);
}

/* Brings the promise of @acct's min in line with what it has now. Holds frames.lock. */
void frames_promise_min(struct frame_acct *acct)
{
	u64 want = acct->resident < acct->min ? acct->min - acct->resident : 0;

	frames.stats.reserved += want - acct->min_promised;
	acct->min_promised = want;
}

/* May @n frames be taken, and on what promise to @acct? Holds frames.lock. */
int frames_charge(struct frame_acct *acct, u64 n, unsigned int flags)
{
	u64 free = free_count(), promised = frames.stats.reserved;

	frames_glance();
	if (free >= n && ((free - n >= promised && !(flags & FRAME_PROMISED)) ||
			  (acct && acct->min_promised >= n)))
		return HV_OK;
	if (acct && (flags & FRAME_USE_RESERVE) && acct->reserve >= n && free >= n) {
		acct->reserve -= n;
		frames.stats.reserved -= n;
		return HV_OK;
	}
	/* Whoever lets others go first does not try again at once. */
	return (frames.stats.quarantine || frames.scrubbing) && !(flags & FRAME_PROMISED) ?
		       HV_EAGAIN :
		       HV_ENOMEM;
}

void frames_refill_reserve(struct frame_acct *acct, u64 n)
{
	u64 want = acct->reserve_max > acct->reserve ? acct->reserve_max - acct->reserve : 0;

	want = min(want, n);
	acct->reserve += want;
	frames.stats.reserved += want;
}

void frame_reserve_fill(struct frame_acct *acct)
{
	spin_lock(&frames.lock);
	frames_promise_min(acct);
	if (free_count() > frames.stats.reserved)
		frames_refill_reserve(acct, free_count() - frames.stats.reserved);
	spin_unlock(&frames.lock);
}

void frame_reserve_drop(struct frame_acct *acct)
{
	spin_lock(&frames.lock);
	frames.stats.reserved -= acct->reserve + acct->min_promised;
	acct->reserve = acct->reserve_max = 0;
	acct->min = acct->min_promised = 0;
	spin_unlock(&frames.lock);
}

u64 frame_reserve_lend(struct frame_acct *from, struct frame_acct *to)
{
	u64 n;

	spin_lock(&frames.lock);
	n = to->reserve_max > to->reserve ? to->reserve_max - to->reserve : 0;
	n = min(n, (from->reserve + 1) / 2);
	from->reserve -= n;
	to->reserve += n;
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
