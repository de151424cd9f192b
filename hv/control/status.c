/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/bus.h>
#include <hv/memory/governor.h>
#include <hv/control/status.h>
#include <hv/vm/vm.h>

const char *status_vm_state(const struct vm *vm)
{
	switch (atomic_load(&vm->state)) {
	case VM_RUNNING:
		return atomic_load(&vm->waiting) ? "waiting" : "running";
	case VM_PAUSED:
		return "paused";
	case VM_NONE:
		return "off";
	default:
		return "ended";
	}
}

const char *status_uptime(char text[16])
{
	u64 s = plat_time_us() / 1000000;

	str_format(text, 16, "%lu d %02lu:%02lu:%02lu", s / 86400, s / 3600 % 24, s / 60 % 60,
		   s % 60);
	return text;
}

void status_print(void)
{
	struct frame_stats s = frames_stats();

	log_raw("@stat t=%lu state=%s free=%lu total=%lu quarantine=%lu", plat_time_us() / 1000,
		policy_state_name(governor_state()), (s.free_dirty + s.free_clean) * 4, s.total * 4,
		s.quarantine * 4);
	for (u32 i = 0; i < nr_vms; i++) {
		const struct vm *vm = vms[i];

		log_raw("@vm name=%s state=%s size=%lu resident=%lu balloon=%lu target=%lu active=%lu faults=%lu popped=%lu f=%u f_low=%u f_high=%u guest_free=%lu differs=%ld disk=%lu",
			vm->cfg->name, status_vm_state(vm), vm->pages * 4,
			vm->p2m.acct.resident * 4, vm->p2m.ballooned * 4,
			atomic_load(&vm->balloon.target) * 4, vm->active * 4, vm->faults,
			vm->balloon.popped, vm->active_permille, vm->sampler.estimate.low,
			vm->sampler.estimate.high, vm->balloon.stats.available * 4,
			balloon_disagreement(vm), vm_disk_frames(vm) * 4);
	}
	log_raw("@end");
}

void status_vm_ended(const struct vm *vm)
{
	log_line("vm %s: ended with status %d (%s)", vm->cfg->name, vm->exit_status,
		 vm->exit_reason);
	log_raw("@exit name=%s status=%d reason=%s", vm->cfg->name, vm->exit_status,
		vm->exit_reason);
}

int status_summary(void)
{
	struct frame_stats s = frames_stats();
	int status = 0;

	for (u32 i = 0; i < nr_vms; i++) {
		const struct vm *vm = vms[i];
		u64 exits = 0;

		for (u32 j = 0; j < vm->nr_vcpus; j++)
			exits += vm->vcpus[j]->exits;
		log_line(
			"vm %s: status %d, %lu exits, %lu faults, ballooned %lu KiB in %lu batches, given back %lu KiB, popped %lu, refused %lu, reported %lu KiB",
			vm->cfg->name, vm->exit_status, exits, vm->faults, vm->balloon.locked * 4,
			vm->balloon.batches, vm->balloon.unlocked * 4, vm->balloon.popped,
			vm->balloon.refused, vm->balloon.reported * 4);
		if (vm->exit_status)
			status = 1;
	}
	log_line("memory: scrubbed %lu KiB while idle, %lu KiB on demand", s.scrubbed_idle * 4,
		 s.scrubbed_demand * 4);
	log_raw("@halt status=%d", status);
	return status;
}
