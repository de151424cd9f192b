/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets the balloon's target of this VM, which has "control = yes", by hand:
 * insmod settarget.ko pages=N, and rmmod.  So tests need not wait for a time at
 * which they may or may not be ready.  -1 gives it back to the policy.  With start=ID it
 * starts another VM instead, with wake=SECONDS it ends a sleep of this one then.  With
 * busy=SECONDS the driver is kept from all it does for so long, as if the host had stopped it.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/suspend.h>
#include <linux/timer.h>

#include <asm/processor.h>

#include "linux/aerostat.h"

static long pages;
module_param(pages, long, 0);
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
		msleep(busy * 1000);
		shown = READ_ONCE(a->shown);
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

static int __init settarget_init(void)
{
	u64 number = AERO_CALL_SET_TARGET, a = cpuid_eax(AERO_CPUID_VM), b = pages, c = 0;

	if (busy)
		return keep_busy();
	if (wake) {
		mod_timer(&waker, jiffies + wake * HZ);
		return 0;
	}
	if (start >= 0) {
		number = AERO_CALL_RESTART;
		a = start;
		b = 0;
	}
	if (cpuid_ecx(AERO_CPUID_ABI) == AERO_INSTRUCTION_VMMCALL)
		asm volatile("vmmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	else
		asm volatile("vmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	return number ? -EIO : 0;
}

static void __exit settarget_exit(void)
{
	del_timer_sync(&waker);
}

module_init(settarget_init);
module_exit(settarget_exit);
MODULE_DESCRIPTION("Sets a balloon's target, for tests");
MODULE_LICENSE("Dual BSD/GPL");
