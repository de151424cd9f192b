/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM: "Multiple-Processor (MP) Initialization"; one CPU at a time. */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/smp.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <mm/epoch.h>

/* Emulated CPUs are threads, and on a busy machine some are slow to come. */
#define AP_PATIENCE_US 1000000

extern u8 trampoline_start[], trampoline_end[];

/* Filled in for the trampoline, which finds it at the end of its page. */
struct trampoline_args {
	u64 cr3;
	u64 stack;
	u64 entry;
	u64 cpu;
};

static u32 nr_online = 1;
static void (*ap_entry)(void);
static hpa_t trampoline;

u32 plat_nr_cpus(void)
{
	return atomic_load(&nr_online);
}

/*
 * What becomes of an AP is decided once, by it or by the CPU that waits for it
 * (cpu.online).  One that was given up and comes after all stops here; an INIT
 * might meet it at work, with a lock or with frames that nobody else has.
 */
enum { AP_AWAITED, AP_ONLINE, AP_GIVEN_UP };

static void ap_main(struct cpu *c)
{
	paging_activate();
	percpu_load(c);
	apic_enable();
	epoch_cpu_online(c->id);
	if (!atomic_cas(&c->online, AP_AWAITED, AP_ONLINE))
		for (;;)
			asm volatile("cli; hlt");
	ap_entry();
}

static void wait_us(u64 us)
{
	u64 end = rdtsc() + us * plat_tsc_khz() / 1000;

	while (rdtsc() < end)
		cpu_pause();
}

static bool wait_online(struct cpu *c, u64 us)
{
	u64 end = rdtsc() + us * plat_tsc_khz() / 1000;

	while (rdtsc() < end) {
		if (atomic_load_acquire(&c->online))
			return true;
		cpu_pause();
	}
	return false;
}

static bool start_one(u32 apic)
{
	u32 id = nr_online;
	struct trampoline_args *args = plat_ptr(HPA(trampoline.v + PAGE_SIZE - sizeof(*args)));

	if (percpu_create(id, apic))
		return false;
	*args = (struct trampoline_args){
		.cr3 = paging_root().v,
		.stack = (u64)cpus[id]->stack_top,
		.entry = (u64)ap_main,
		.cpu = (u64)cpus[id],
	};
	apic_send_init(apic);
	wait_us(200);
	apic_send_startup(apic, (u8)(trampoline.v >> PAGE_SHIFT));
	if (!wait_online(cpus[id], 1000)) {
		apic_send_startup(apic, (u8)(trampoline.v >> PAGE_SHIFT));
		if (!wait_online(cpus[id], AP_PATIENCE_US) &&
		    atomic_cas(&cpus[id]->online, AP_AWAITED, AP_GIVEN_UP))
			return false;
	}
	atomic_add(&nr_online, 1);
	return true;
}

void smp_start(const u32 *apic_ids, u32 count, hpa_t page, void (*entry)(void))
{
	u32 self = apic_id();
	bool all = true;

	if (!page.v) {
		log_line("smp: no free page below 640 KiB, where other CPUs start: one CPU only");
		return;
	}
	ap_entry = entry;
	trampoline = page;
	memcpy(plat_ptr(page), trampoline_start, (size_t)(trampoline_end - trampoline_start));
	if (paging_map_trampoline(page))
		return;
	for (u32 i = 0; i < count; i++) {
		if (apic_ids[i] == self)
			continue;
		if (nr_online == MAX_CPUS) {
			log_line("smp: only the first %u CPUs are used", MAX_CPUS);
			break;
		}
		if (!start_one(apic_ids[i])) {
			/* The trampoline and its arguments stay its own, should it come. */
			log_line(
				"smp: the CPU with APIC id %u does not start; going on without it and those after it",
				apic_ids[i]);
			all = false;
			break;
		}
	}
	if (all)
		paging_unmap_low();
	log_line("smp: %u CPU%s online", nr_online, nr_online > 1 ? "s" : "");
}
