/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/threads/threads.h>

struct broken broken;

static const struct {
	const char *name;
	struct broken how;
} parts[] = {
	{ "p2m-lock", { .lock = LOCK_P2M } },
	{ "frames-lock", { .lock = LOCK_FRAMES } },
	{ "sched-lock", { .lock = LOCK_SCHED } },
	{ "log-lock", { .lock = LOCK_LOG } },
	{ "unlock-relaxed", { .unlock_relaxed = true } },
	{ "no-flush", { .no_flush = true } },
	{ "no-wait", { .no_wait = true } },
	{ "epoch-after-flush", { .epoch_after_flush = true } },
	{ "epoch-relaxed", { .epoch_relaxed = true } },
	{ "idle-never-leaves", { .idle_never_leaves = true } },
};

bool broken_choose(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(name, parts[i].name)) {
			broken = parts[i].how;
			return true;
		}
	return false;
}

u64 __real_epoch_safe(void);
u64 __wrap_epoch_safe(void);
u64 __wrap_epoch_safe(void)
{
	return broken.no_wait ? epoch_now() : __real_epoch_safe();
}

void __real_epoch_idle_leave(u32 cpu);
void __wrap_epoch_idle_leave(u32 cpu);
void __wrap_epoch_idle_leave(u32 cpu)
{
	if (!broken.idle_never_leaves)
		__real_epoch_idle_leave(cpu);
}
