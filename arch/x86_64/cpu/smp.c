/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM: "Multiple-Processor (MP) Initialization". A broadcast starts all CPUs in parallel. */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/smp.h>
#include <arch/x86_64/time/tsc_sync.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <mm/epoch.h>

#define INIT_US 10000	   /* from INIT to the first SIPI */
#define SIPI_US 1000	   /* to the second, for CPUs that are not up */
#define GIVE_UP_US 1000000 /* emulated CPUs are threads, and on a busy machine some are slow */
#define POLL_US 1000

extern u8 trampoline_start[], trampoline_end[];

/* At the end of the trampoline's page, which is written to through the direct map only. */
struct trampoline_args {
	u64 cr3;
	u64 entry;
	u64 cpus;
	u64 taken;  /* bit per slot: set by its CPU, or by us, which closes the slot */
	u64 x2apic; /* the mode that the APICs must be in */
	u64 lift;   /* what a CPU adds to its APIC's register before it looks, for tests */
	u32 ids[MAX_CPUS];
};
_Static_assert(sizeof(struct trampoline_args) == 304, "trampoline.S");
_Static_assert(offsetof(struct cpu, stack_top) == 32, "trampoline.S");

/* Slots with a record. A CPU that never comes up counts as idle for good. */
static u32 nr_cpus = 1;
static void (*ap_entry)(bool in_step);
static hpa_t trampoline;
u32 smp_lift_ids;

static struct {
	enum { SMP_INIT, SMP_SIPI, SMP_WAIT, SMP_LATE, SMP_DONE } stage;
	u64 next; /* when the stage ends */
} smp = { .stage = SMP_DONE };

u32 plat_nr_cpus(void)
{
	return nr_cpus;
}

static struct trampoline_args *args(void)
{
	return plat_ptr(HPA(trampoline.v + PAGE_SIZE - sizeof(struct trampoline_args)));
}

static u64 us(u64 n)
{
	return n * plat_tsc_khz() / 1000;
}

static void ap_main(struct cpu *c)
{
	bool in_step;

	paging_activate();
	percpu_load(c);
	apic_enable();
	c->apic_id = apic_id(); /* the id that IPIs use */
	in_step = tsc_sync_join(c);
	epoch_cpu_online(c->id);
	atomic_store_seq(&c->online, 1);
	ap_entry(in_step);
}

/* A record and a slot for each CPU that we can have. */
static void make_slots(const u32 *apic_ids, u32 count)
{
	u32 self = apic_id();

	args()->ids[0] = self;
	for (u32 i = 0; i < count; i++) {
		u32 id = apic_ids[i];

		if (id == self)
			continue;
		id += smp_lift_ids;
		if (id > apic_id_max()) {
			log_line("smp: the CPU with APIC id %u is out of reach without x2APIC", id);
		} else if (nr_cpus == MAX_CPUS) {
			log_line("smp: only the first %u CPUs are used", MAX_CPUS);
			return;
		} else if (percpu_create(nr_cpus, id)) {
			log_line("smp: too little memory for more than %u CPUs", nr_cpus);
			return;
		} else {
			args()->ids[nr_cpus++] = id;
		}
	}
}

void smp_start(const u32 *apic_ids, u32 count, hpa_t page, void (*entry)(bool in_step))
{
	if (!page.v) {
		log_line("smp: no free page below 640 KiB, where other CPUs start: one CPU only");
		return;
	}
	ap_entry = entry;
	trampoline = page;
	memcpy(plat_ptr(page), trampoline_start, (size_t)(trampoline_end - trampoline_start));
	*args() = (struct trampoline_args){
		.cr3 = paging_root().v,
		.entry = (u64)ap_main,
		.cpus = (u64)cpus,
		.x2apic = apic_is_x2(),
		.lift = smp_lift_ids << 24,
	};
	memset(args()->ids, 0xff, sizeof(args()->ids)); /* nobody's */
	make_slots(apic_ids, count);
	if (nr_cpus == 1 || paging_map_trampoline(page)) {
		log_line("smp: 1 CPU online");
		return;
	}
	apic_init_others();
	smp.stage = SMP_INIT;
	smp.next = rdtsc() + us(INIT_US);
}

static u32 count_online(void)
{
	u32 n = 0;

	for (u32 i = 0; i < nr_cpus; i++)
		n += atomic_load_acquire(&cpus[i]->online);
	return n;
}

/* Closes the slots of CPUs that have not come; false: one is on its way through the trampoline. */
static bool give_up(void)
{
	bool none = true;

	for (u32 i = 1; i < nr_cpus; i++) {
		if (atomic_load_acquire(&cpus[i]->online))
			continue;
		if (__atomic_fetch_or(&args()->taken, BIT(i), __ATOMIC_SEQ_CST) & BIT(i))
			none = false;
		else
			log_line("smp: the CPU with APIC id %u does not start; going on without it",
				 cpus[i]->apic_id);
	}
	return none;
}

static u64 finish(bool unmap)
{
	u32 online = count_online();

	smp.stage = SMP_DONE;
	if (unmap)
		paging_unmap_low();
	log_line("smp: %u CPUs online", online);
	return UINT64_MAX;
}

/* Measures the TSCs of the CPUs that have come, one by one. False: one does not answer yet. */
static bool measure_tscs(void)
{
	u32 busy = tsc_sync_busy();

	if (busy && !tsc_sync_measure(cpus[busy]))
		return false;
	for (u32 i = 1; i < nr_cpus; i++)
		if (atomic_load_acquire(&cpus[i]->tsc_sync) == TSC_SYNC_WAITS &&
		    !tsc_sync_measure(cpus[i]))
			return false;
	return true;
}

/* Gives up CPUs that are still in the trampoline; false: others are about to be online. */
static bool leave_behind(void)
{
	bool all = true;

	for (u32 i = 1; i < nr_cpus; i++) {
		u32 state = tsc_sync_close(cpus[i]);

		if (state == TSC_SYNC_WAITS || state == TSC_SYNC_IN_STEP)
			all &= atomic_load_acquire(&cpus[i]->online);
	}
	return all;
}

u64 smp_poll(u64 now)
{
	if (smp.stage == SMP_DONE)
		return UINT64_MAX;
	if (!measure_tscs())
		return now + us(POLL_US);
	if (count_online() == nr_cpus)
		return finish(true);
	/* Only the boot CPU may send to "all but self". */
	if (now < smp.next || plat_cpu())
		return now + us(POLL_US);
	switch (smp.stage) {
	case SMP_INIT:
		apic_startup_others((u8)(trampoline.v >> PAGE_SHIFT));
		smp.stage = SMP_SIPI;
		smp.next = now + us(SIPI_US);
		break;
	case SMP_SIPI: /* CPUs that have started ignore it */
		apic_startup_others((u8)(trampoline.v >> PAGE_SHIFT));
		smp.stage = SMP_WAIT;
		smp.next = now + us(GIVE_UP_US);
		break;
	case SMP_WAIT:
		if (give_up())
			return finish(true);
		smp.stage = SMP_LATE; /* some are on their way */
		smp.next = now + us(GIVE_UP_US);
		break;
	default:
		if (leave_behind())
			return finish(false);
		smp.next = now + us(POLL_US);
	}
	return min(smp.next, now + us(POLL_US));
}
