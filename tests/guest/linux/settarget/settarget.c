/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets the balloon's target of this VM, which has "control = yes", by hand: insmod settarget.ko
 * pages=N, and rmmod. So tests need not wait for a time at which they may not be ready. -1 gives it
 * back to the policy. With start=ID it starts another VM instead; with wake=SECONDS it ends a sleep
 * of this VM after that time. With busy=SECONDS it stops the driver, as if the host had stopped it:
 * first until the kernel shows it free blocks, at most 4 s, and then for that time.
 *
 * While it is loaded, a write to its parameter "pages" sets the target at once; "exits" counts this
 * VM's exits so far, and "scrubbed" the frames that the host has zeroed.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/suspend.h>
#include <linux/timer.h>

#include <asm/processor.h>

#include "linux/aerostat.h"

static bool loaded, wanted;
static long pages;
static long start = -1;
module_param(start, long, 0);
static unsigned int wake;
module_param(wake, uint, 0);

static unsigned int busy;
module_param(busy, uint, 0);

/* 0 if the kernel has shown it blocks meanwhile. */
static int keep_busy(void)
{
	struct device *dev = bus_find_device_by_name(&platform_bus_type, NULL, "AERO0001:00");
	struct aerostat *a = dev ? dev_get_drvdata(dev) : NULL;
	bool shown = false;

	if (a) {
		mutex_lock(&a->lock);
		for (int i = 0; i < 40 && !shown; i++) {
			msleep(100);
			shown = READ_ONCE(a->shown);
		}
		msleep(busy * 1000);
		mutex_unlock(&a->lock);
	}
	put_device(dev);
	return shown ? 0 : -EAGAIN;
}

static void wake_up_all_of_it(struct timer_list *unused)
{
	pm_system_wakeup();
}
static DEFINE_TIMER(waker, wake_up_all_of_it);

static int call(u64 number, u64 a, u64 b)
{
	u64 c = 0;

	if (cpuid_ecx(AERO_CPUID_ABI) == AERO_INSTRUCTION_VMMCALL)
		asm volatile("vmmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	else
		asm volatile("vmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	return number ? -EIO : 0;
}

static int set_target(void)
{
	return call(AERO_CALL_SET_TARGET, cpuid_eax(AERO_CPUID_VM), pages);
}

/* Before the module is loaded, that is with insmod, nothing is done yet. */
static int pages_set(const char *text, const struct kernel_param *kp)
{
	int err = kstrtol(text, 0, &pages);

	wanted = true;
	return err || !loaded ? err : set_target();
}

static int exits_get(char *text, const struct kernel_param *kp)
{
	struct aero_vm_info *info = (void *)get_zeroed_page(GFP_KERNEL);
	u64 id = cpuid_eax(AERO_CPUID_VM);
	int n = -ENOMEM;

	if (info)
		n = call(AERO_CALL_VM_INFO, id, virt_to_phys(info)) ?:
			    sprintf(text, "%llu\n", info->exits);
	free_page((unsigned long)info);
	return n;
}

static int scrubbed_get(char *text, const struct kernel_param *kp)
{
	struct aero_host_info *info = (void *)get_zeroed_page(GFP_KERNEL);
	int n = -ENOMEM;

	if (info)
		n = call(AERO_CALL_HOST_INFO, virt_to_phys(info), 0) ?:
			    sprintf(text, "%llu\n", info->scrubbed_idle + info->scrubbed_demand);
	free_page((unsigned long)info);
	return n;
}

static const struct kernel_param_ops pages_ops = { .set = pages_set };
static const struct kernel_param_ops exits_ops = { .get = exits_get };
static const struct kernel_param_ops scrubbed_ops = { .get = scrubbed_get };
module_param_cb(pages, &pages_ops, NULL, 0200);
module_param_cb(exits, &exits_ops, NULL, 0400);
module_param_cb(scrubbed, &scrubbed_ops, NULL, 0400);

static int __init settarget_init(void)
{
	loaded = true;
	if (busy)
		return keep_busy();
	if (wake) {
		mod_timer(&waker, jiffies + wake * HZ);
		return 0;
	}
	if (start >= 0)
		return call(AERO_CALL_RESTART, start, 0);
	return wanted ? set_target() : 0;
}

static void __exit settarget_exit(void)
{
	del_timer_sync(&waker);
}

module_init(settarget_init);
module_exit(settarget_exit);
MODULE_DESCRIPTION("Sets a balloon's target, for tests");
MODULE_LICENSE("Dual BSD/GPL");
