/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/base/terminal.h>
#include <hv/control/status.h>
#include <hv/memory/governor.h>
#include <hv/vm/counts.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

static struct {
	u32 ms;
	u64 next; /* TSC */
} table;

u32 status_vm_state(const struct vm *vm)
{
	switch (atomic_load(&vm->state)) {
	case VM_NONE:
		return AERO_VM_OFF;
	case VM_QUEUED:
	case VM_STARTING:
	case VM_BUILT:
		return AERO_VM_STARTING;
	case VM_RUNNING:
		return atomic_load(&vm->panicked) ? AERO_VM_PANICKED :
		       vm_halted(vm)		  ? AERO_VM_HALTED :
		       atomic_load(&vm->waiting)  ? AERO_VM_WAITING :
						    AERO_VM_RUNNING;
	case VM_PAUSED:
		return AERO_VM_PAUSED;
	default:
		return atomic_load(&vm->again) ? AERO_VM_STARTING : AERO_VM_ENDED;
	}
}

const char *status_vm_word(const struct vm *vm)
{
	static const char *const words[] = AERO_VM_STATE_WORDS;

	return words[status_vm_state(vm)];
}

const char *status_uptime(char text[16])
{
	u64 s = plat_time_us() / 1000000;

	str_format(text, 16, "%lu d %02lu:%02lu:%02lu", s / 86400, s / 3600 % 24, s / 60 % 60,
		   s % 60);
	return text;
}

static void print_vm(const struct vm *vm)
{
	struct vm_counts c = vm_counts(vm);

	log_raw("@vm name=%s state=%s size=%lu resident=%lu balloon=%lu target=%lu active=%lu faults=%lu popped=%lu f=%u f_low=%u f_high=%u guest_free=%lu differs=%ld disk=%lu",
		vm->cfg->name, status_vm_word(vm), vm->pages * 4,
		atomic_load(&vm->p2m.acct.resident) * 4, atomic_load(&vm->p2m.ballooned) * 4,
		atomic_load(&vm->balloon.target) * 4, atomic_load(&vm->active) * 4, c.faults,
		c.popped, atomic_load(&vm->active_permille), vm->sampler.estimate.low,
		vm->sampler.estimate.high, vm->balloon.stats.available * 4,
		balloon_disagreement(vm), vm_disk_frames(vm) * 4);
}

void status_print(void)
{
	struct frame_stats s = frames_stats();
	const struct vm *vm;

	log_raw("@stat t=%lu state=%s free=%lu total=%lu quarantine=%lu", plat_time_us() / 1000,
		policy_state_name(governor_state()), (s.free_dirty + s.free_clean) * 4, s.total * 4,
		s.quarantine * 4);
	for_each_vm(vm)
		print_vm(vm);
	log_raw("@end");
}

void status_start(u32 ms)
{
	table.ms = ms;
	table.next = plat_tsc() + ms * plat_tsc_khz();
}

void status_tick(u64 now)
{
	if (!table.ms)
		return;
	if (now >= table.next) {
		if (!terminal_borrower())
			status_print();
		table.next = now + table.ms * plat_tsc_khz();
	}
	sched_event_at(table.next);
}

static void summarize(const struct vm *vm)
{
	struct vm_counts c = vm_counts(vm);

	log_line(
		"vm %s: status %d, %lu exits, %lu faults, ballooned %lu KiB in %lu batches, given back %lu KiB, popped %lu, refused %lu, reported %lu KiB, in %u run%s",
		vm->cfg->name, vm->exit_status, c.exits, c.faults, c.locked * 4, c.batches,
		c.unlocked * 4, c.popped, c.refused, c.reported * 4, vm->starts,
		vm->starts == 1 ? "" : "s");
}

int status_summary(void)
{
	struct frame_stats s = frames_stats();
	const struct vm *vm;
	int status = 0;

	for_each_vm(vm) {
		summarize(vm);
		if (vm->exit_status)
			status = 1;
	}
	log_line("memory: scrubbed %lu KiB while idle, %lu KiB on demand", s.scrubbed_idle * 4,
		 s.scrubbed_demand * 4);
	log_raw("@halt status=%d", status);
	return status;
}
