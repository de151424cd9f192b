/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/memory/waiters.h>
#include <hv/apic/pvclock.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define FEATURE_NOP_IO_DELAY BIT(1)
#define FEATURE_CLOCKSOURCE2 BIT(3)
#define FEATURE_STEAL_TIME BIT(5)
#define FEATURE_PV_EOI BIT(6)
#define FEATURE_CLOCKSOURCE_STABLE BIT(24)
#define SYSTEM_TIME_ENABLE BIT(0)
#define TIME_TSC_STABLE BIT(0)
#define TIME_GUEST_STOPPED BIT(1)
#define NS_PER_S 1000000000UL

struct time_info {
	u32 version; /* odd while it changes; ours never does */
	u32 pad;
	u64 tsc_timestamp, system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags, pad2[2];
};
_Static_assert(sizeof(struct time_info) == 32, "struct pvclock_vcpu_time_info");

struct wall_clock {
	u32 version, sec, nsec;
};

struct pvclock_scale pvclock_scale(u64 khz)
{
	u64 hz = max(khz, 1UL) * 1000;
	s8 shift = 0;

	/* Until NS_PER_S / hz is in [1/2, 1): mul has its top bit. Up to 16 GHz no bit is lost. */
	for (; hz > NS_PER_S * 2; hz >>= 1)
		shift--;
	for (; hz <= NS_PER_S; hz <<= 1)
		shift++;
	return (struct pvclock_scale){ (u32)((NS_PER_S << 32) / hz), shift };
}

void pvclock_cpuid(u32 leaf, u32 r[4])
{
	r[0] = r[1] = r[2] = r[3] = 0;
	if (leaf == PVCLOCK_CPUID_BASE) {
		r[0] = PVCLOCK_CPUID_FEATURES;
		r[1] = 0x4b4d564b; /* "KVMKVMKVM" */
		r[2] = 0x564b4d56;
		r[3] = 0x0000004d;
	} else if (leaf == PVCLOCK_CPUID_FEATURES) {
		r[0] = FEATURE_NOP_IO_DELAY | FEATURE_CLOCKSOURCE2 | FEATURE_STEAL_TIME |
		       FEATURE_PV_EOI | FEATURE_CLOCKSOURCE_STABLE;
	}
}

bool pvclock_read(struct vcpu *v, u32 msr, u64 *value)
{
	*value = msr == MSR_PV_SYSTEM_TIME ? v->pv_time : v->vm->pv_wall;
	return true;
}

bool pvclock_give(struct vcpu *v, u64 gpa, const void *data, size_t bytes)
{
	int err = guest_write(&v->vm->p2m, GPA(gpa), data, bytes);

	if (err != HV_ENOMEM && err != HV_EAGAIN)
		return !err;
	v->advance = 0;
	memory_wait(v, err);
	return true;
}

/* With STABLE one vCPU's numbers are good for the TSCs of all. */
static u8 stable(const struct vm *vm)
{
	return atomic_load(&vm->tsc_uneven) ? 0 : TIME_TSC_STABLE;
}

static bool write_system_time(struct vcpu *v, u64 value)
{
	struct pvclock_scale s = pvclock_scale(v->vm->tsc_khz);
	/* The guest's TSC is 0 when the VM starts, unless it wrote it, and so is its system time. */
	struct time_info t = { .version = 2,
			       .tsc_timestamp = v->tsc_offset - v->vm->tsc_offset,
			       .tsc_to_system_mul = s.mul,
			       .tsc_shift = s.shift,
			       .flags = stable(v->vm) };

	if (value & SYSTEM_TIME_ENABLE &&
	    (value & 2 || !pvclock_give(v, value & ~SYSTEM_TIME_ENABLE, &t, sizeof(t))))
		return false;
	v->pv_time = value;
	return true;
}

/* Into the structure that @v's guest has asked for, if it has; or not: no harm. */
static void put(struct vcpu *v, size_t offset, const void *data, size_t bytes)
{
	u64 at = (v->pv_time & ~SYSTEM_TIME_ENABLE) + offset;

	if (v->pv_time & SYSTEM_TIME_ENABLE)
		guest_write(&v->vm->p2m, GPA(at), data, bytes);
}

void pvclock_stopped(struct vcpu *v)
{
	u8 flags = stable(v->vm) | TIME_GUEST_STOPPED;

	put(v, offsetof(struct time_info, flags), &flags, sizeof(flags));
}

void pvclock_tsc_written(struct vcpu *v)
{
	struct vm *vm = v->vm;
	u64 timestamp = v->tsc_offset - vm->tsc_offset;
	u8 flags = 0;

	if (vm->nr_vcpus > 1) {
		atomic_store(&vm->tsc_uneven, 1u);
		for (u32 i = 0; i < vm->nr_vcpus; i++)
			put(vm->vcpus[i], offsetof(struct time_info, flags), &flags, sizeof(flags));
	}
	put(v, offsetof(struct time_info, tsc_timestamp), &timestamp, sizeof(timestamp));
}

static bool write_wall_clock(struct vcpu *v, u64 value)
{
	/* When the VM's system time was 0. */
	u64 ran = tsc_since(0 - v->vm->tsc_offset, plat_tsc());
	u64 us = plat_wall_time_us() - ran * 1000 / v->vm->tsc_khz;
	struct wall_clock w = { 2, (u32)(us / 1000000), (u32)(us % 1000000) * 1000 };

	if (value & 3 || (value && !pvclock_give(v, value, &w, sizeof(w))))
		return false;
	v->vm->pv_wall = value;
	return true;
}

bool pvclock_write(struct vcpu *v, u32 msr, u64 value)
{
	return msr == MSR_PV_SYSTEM_TIME ? write_system_time(v, value) : write_wall_clock(v, value);
}
