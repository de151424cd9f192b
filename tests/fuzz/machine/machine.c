/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fuzz/machine/machine.h>

#include <hv/dev/console.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/dev/bus.h>
#include <hv/load/images.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>

#define SETUP 1024 /* size of the kernel's file: boot sector and one more */

static struct vm_config cfg[VMS_MAX];
static u8 linux_file[SETUP + 1024];
static u8 disk_file[3 * 4096 + 512];

static void put(size_t at, u64 value, size_t bytes)
{
	memcpy(linux_file + at, &value, bytes);
}

/* A bzImage that suffices to give its VM the devices of a Linux guest. */
static void make_linux(void)
{
	linux_file[0x1f1] = SETUP / 512 - 1;
	put(0x1f4, 1024 / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020f, 2);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, PAGE_SIZE, 4);
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x258, MIB(1), 8);
	put(0x260, 4096, 4);
	image_add("linux", linux_file, sizeof(linux_file));
	memset(disk_file, 0xd1, sizeof(disk_file));
	image_add("disk", disk_file, sizeof(disk_file));
}

/* As boot/main.c does it, for the parts that are linked. */
static void tick(u64 now)
{
	governor_tick(now);
	operator_tick(now);
	console_tick(now);
	manage_tick();
}

static bool background(void)
{
	bus_work(false);
	return guests_worked(vm_background());
}

static bool idle_work(void)
{
	return guests_worked(vm_background() || bus_work(true)) || memory_idle_work();
}

static void configure(struct input *in, u32 i)
{
	struct vm_config *c = &cfg[i];
	u8 size = in_8(in), form = in_8(in), more = in_8(in);

	*c = guest_config((const char *[]){ "a", "b", "c", "d" }[i]);
	c->memory = MIB(4) << (size & 1) << (size >> 1 & 1);
	c->max = c->memory - (size >> 2 & 3) * KIB(512);
	c->min = min((u64)(size >> 4) * KIB(256), c->max);
	c->vcpus = 1 + (form & 1);
	c->control = form >> 1 & 1;
	c->balloon = form >> 2 & 3;
	c->shares = 1u << (form >> 4);
	c->reserve = KIB(64) * (1 + (more & 15));
	if (more & 16)
		snprintf(c->kernel, sizeof(c->kernel), "linux");
	if (more & 32)
		c->disk[c->nr_disks++] =
			(struct disk_config){ .blank = true,
					      .writable = size & 8 ? MIB(1) : KIB(64) };
	if (more & 64) {
		c->disk[c->nr_disks] = (struct disk_config){ .writable = KIB(8),
							     .latency_us = more & 128 ? 50 : 0 };
		snprintf(c->disk[c->nr_disks++].file, 8, "disk");
	}
	if (vm_create((u16)i, c))
		return;
	vm_queue_start(vms[i]);
}

void fuzz_setup(void)
{
	cpus_setup();
}

void fuzz_one(struct input *in)
{
	u8 kind = in_8(in), more = in_8(in), vms_wanted = 1 + (more & 3);
	static struct pt_format format;
	u32 nr_cpus = 1 + kind % CPUS_MAX;

	guest_machine(MIB(8) + (kind >> 2 & 7) * MIB(4), nr_cpus);
	fuzz_watch_log();
	format = kind & 32 ? npt_format : ept_format;
	if (more & 4) /* old EPT has none */
		format.accessed = format.dirty = 0;
	format.large_no_exec = more & 8;
	fake_backend_reset(&format);
	host_config->status_ms = more & 16 ? 50 : 0;
	host_config->policy_ms = 1 + (kind >> 6);
	host_config->sample_ms = 20;
	host_config->sample_pages = 16;
	sched_set_work((struct sched_work){ tick, background, idle_work });
	make_linux();
	oracle_start();
	for (u32 i = 0; i < vms_wanted; i++)
		configure(in, i);
	guests_start(in, nr_cpus);
	cpus_run(nr_cpus);
	oracle_check_end();
}
