/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The portable balloon core on the bare runtime. */
#include "bare.h"

struct aero_balloon bare_balloon;
bool bare_touch_before_lock;
static int instruction; /* 0: not asked yet, -1: not on Aerostat */

bool bare_on_aerostat(void)
{
	u32 r[4];

	if (instruction)
		return instruction > 0;
	instruction = -1;
	bare_cpuid(1, 0, r);
	if (!(r[2] >> 31))
		return false;
	bare_cpuid(AERO_CPUID_BASE, 0, r);
	if (r[1] != AERO_SIGNATURE_EBX || r[2] != AERO_SIGNATURE_ECX || r[3] != AERO_SIGNATURE_EDX)
		return false;
	bare_cpuid(AERO_CPUID_ABI, 0, r);
	instruction = (int)r[2];
	return true;
}

u32 bare_vm_id(void)
{
	u32 r[4];

	bare_cpuid(AERO_CPUID_VM, 0, r);
	return r[0];
}

void bare_hypercall(u64 nr, u64 a, u64 b, u64 c, struct aero_result *r)
{
	bare_on_aerostat();
	if (instruction == AERO_INSTRUCTION_VMMCALL)
		__asm__ volatile("vmmcall" : "+a"(nr), "+b"(a), "+c"(b), "+d"(c)::"memory");
	else
		__asm__ volatile("vmcall" : "+a"(nr), "+b"(a), "+c"(b), "+d"(c)::"memory");
	r->status = (long)nr;
	r->value = a;
	r->target = b;
	r->hint = c;
}

static int os_alloc(void *ctx, unsigned int order, aero_u64 *page)
{
	(void)ctx;
	if (bare_free_pages() < bare_keep_free + (1ul << order))
		return 0;
	*page = bare_page_alloc(order);
	if (*page && bare_touch_before_lock)
		for (u64 i = 0; i < 1ul << order; i++)
			memset(bare_ptr(*page + i), 0, PAGE);
	return *page != 0;
}

static void os_release(void *ctx, unsigned int order, aero_u64 page)
{
	(void)ctx;
	bare_page_free(page, order);
}

static void *os_map(void *ctx, aero_u64 page)
{
	(void)ctx;
	return bare_ptr(page);
}

static void os_log(void *ctx, const char *what, aero_u64 value)
{
	(void)ctx;
	bare_printf("balloon: %s (%lu)\n", what, value);
}

static const struct aero_os os = { os_alloc, os_release, bare_hypercall, os_map, os_log, NULL };

bool bare_balloon_start(void)
{
	long status = aero_balloon_start(&bare_balloon, &os);

	if (status)
		bare_printf("balloon: START answers %ld\n", status);
	return !status;
}

bool bare_balloon_poll(unsigned int batches)
{
	return aero_balloon_step(&bare_balloon, batches);
}

void bare_balloon_report(void)
{
	static struct aero_stats stats;
	struct aero_result r;

	stats.total = bare_memory_pages();
	stats.free = stats.available = bare_free_pages();
	stats.anon = stats.total - stats.free;
	bare_hypercall(AERO_CALL_STATS, (u64)&stats, 0, 0, &r);
}

long bare_manage(u64 nr, u64 a, u64 b, u64 *result)
{
	struct aero_result r;

	do {
		bare_hypercall(nr, a, b, 0, &r);
	} while (r.status == AERO_AGAIN);
	if (result)
		*result = r.value;
	return r.status;
}
