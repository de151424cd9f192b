/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets the balloon's target of this VM, which has "control = yes", by hand:
 * insmod settarget.ko pages=N, and rmmod.  So tests need not wait for a time at
 * which they may or may not be ready.  -1 gives it back to the policy.  With start=ID it
 * starts another VM instead.
 */
#include <linux/module.h>

#include <asm/processor.h>

#include "aerostat_abi.h"

static long pages;
module_param(pages, long, 0);
static long start = -1;
module_param(start, long, 0);

static int __init settarget_init(void)
{
	u64 number = AERO_CALL_SET_TARGET, a = cpuid_eax(AERO_CPUID_VM), b = pages, c = 0;

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
}

module_init(settarget_init);
module_exit(settarget_exit);
MODULE_DESCRIPTION("Sets a balloon's target, for tests");
MODULE_LICENSE("Dual BSD/GPL");
