/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest guest: says who it is, locks one page, takes it back, ends. */
#include <guest-driver/bare/bare.h>

int bare_main(void)
{
	struct aero_result r;
	u32 id[4];

	bare_printf("hello from VM %u, %lu KiB of memory, %u vCPUs\n", bare_vm_id(),
		    bare_memory_pages() * 4, bare_nr_cpus());
	bare_cpuid(AERO_CPUID_BASE, 0, id);
	if (!bare_on_aerostat() || !bare_balloon_start())
		return 1;
	bare_hypercall(AERO_CALL_POLL, 0, 0, 0, &r);
	bare_printf("balloon started, target %lu\n", r.target);
	return (int)r.status;
}
