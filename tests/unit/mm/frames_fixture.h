/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame table of a small machine, and one VM's account. */
#ifndef TESTS_UNIT_MM_FRAMES_FIXTURE_H
#define TESTS_UNIT_MM_FRAMES_FIXTURE_H

#include <tests/fake/fake.h>

#include <mm/epoch.h>

static struct frame_acct acct;

static inline void machine(u32 count)
{
	fake_machine(count, 2);
	acct = (struct frame_acct){ .owner = 3 };
}

/* Free, used and quarantined frames add up to all frames. */
static inline void assert_sum(void)
{
	struct frame_stats s = frames_stats();

	assert_int_equal(s.free_dirty + s.free_clean + s.quarantine + s.hv + s.table + s.guest +
				 s.bad,
			 s.total);
	assert_int_equal(frames_check(0, frames_nr()), HV_OK);
}

#endif
