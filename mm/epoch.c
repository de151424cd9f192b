/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/platform.h>
#include <mm/epoch.h>

#define EPOCH_IDLE UINT64_MAX

struct epoch_state epochs;

u64 epoch_advance(void)
{
	return atomic_add(&epochs.now, 1);
}

void epoch_cpu_online(u32 cpu)
{
	atomic_store_seq(&epochs.cpu[cpu].seen, epoch_now());
}

void epoch_idle_enter(u32 cpu)
{
	atomic_store_seq(&epochs.cpu[cpu].seen, EPOCH_IDLE);
}

/*
 * Sequentially consistent: from here on epoch_safe() must see this CPU before
 * the CPU reads anything that an unmapping CPU may free.
 */
void epoch_idle_leave(u32 cpu)
{
	atomic_store_seq(&epochs.cpu[cpu].seen, epoch_now());
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

u64 epoch_safe(void)
{
	u64 safe = atomic_load_seq(&epochs.now);

#ifdef BREAK_shootdown /* see kick_others() in p2m.c */
	return safe;
#endif
	for (u32 i = 0; i < plat_nr_cpus(); i++)
		safe = min(safe, atomic_load_seq(&epochs.cpu[i].seen));
	return safe;
}

void epoch_init(void)
{
	epochs.now = 0;
	for (u32 i = 0; i < MAX_CPUS; i++)
		epochs.cpu[i].seen = EPOCH_IDLE;
}
