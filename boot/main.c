/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the loader's hand-over to the scheduler: the order in which the parts
 * come up.  It owns nothing afterwards.
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/cmos.h>
#include <arch/x86_64/cpu/console.h>
#include <arch/x86_64/cpu/guestregs.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/smp.h>
#include <arch/x86_64/cpu/trap.h>
#include <arch/x86_64/cpu/tsc.h>
#include <arch/x86_64/svm/backend.h>
#include <arch/x86_64/vmx/backend.h>
#include <boot/acpi.h>
#include <boot/boot_info.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/cpuid.h>
#include <hv/governor.h>
#include <hv/images.h>
#include <hv/sched.h>
#include <hv/status.h>
#include <hv/vm.h>
#include <mm/epoch.h>

#ifndef VERSION
#define VERSION "development"
#endif

#define MULTIBOOT1_MAGIC 0x2badb002
#define MULTIBOOT2_MAGIC 0x36d76289
#define CONFIG_NAME "aerostat.conf"
#define CONFIG_ORDER 5

extern u8 __image_start[], __image_end[];

const struct cpu_backend *backend;

static struct boot_info bi;
static struct acpi_info acpi;
static struct config *config; /* too large for the image */

/* Before anything else works: a message and the end, honestly reported. */
static void __attribute__((noreturn)) refuse(const char *why)
{
	log_line("cannot go on: %s", why);
	log_raw("@halt status=2");
	plat_power_off();
}

/* --- memory ------------------------------------------------------------- */

/* Where paging tables come from until the frame table exists. */
static u64 early_next, early_end;

static hpa_t early_page(void)
{
	hpa_t pa = HPA(early_next);

	if (early_next == early_end)
		refuse("too little memory for the page tables");
	early_next += PAGE_SIZE;
	zero_qwords(plat_ptr(pa), PAGE_SIZE);
	return pa;
}

/* Takes @bytes from the end of the highest region below 4 GiB (the boot map's reach). */
static u64 early_take(u64 bytes)
{
	for (u32 i = bi.nr_ram; i--;) {
		u64 end = min(bi.ram[i].end, GIB(4));

		if (bi.ram[i].start < end && end - bi.ram[i].start >= bytes) {
			boot_exclude(&bi, end - bytes, end);
			return end - bytes;
		}
	}
	refuse("too little memory");
}

/* Tables for the direct map: one per GiB and per odd 2 MiB, and some for mappings. */
static u64 early_tables_bytes(void)
{
	u64 pages = 64;

	for (u32 i = 0; i < bi.nr_ram; i++)
		pages += (bi.ram[i].end - bi.ram[i].start) / GIB(1) + 6;
	return pages * PAGE_SIZE;
}

static void map_all(const struct boot_region *ram, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (paging_map_direct(HPA(ram[i].start), HPA(ram[i].end)))
			refuse("too little memory for the direct map");
}

static void memory_init(void)
{
	static struct boot_region ram[BOOT_MAX_REGIONS];
	u32 nr_ram = bi.nr_ram, top;
	u64 tables, table_bytes;
	struct frame *table;

	memcpy(ram, bi.ram, sizeof(ram)); /* all of it is mapped, not all of it is free */
	boot_exclude(&bi, 0, MIB(1));	  /* the firmware's and the AP trampoline's */
	boot_exclude(&bi, (u64)__image_start - VA_IMAGE, (u64)__image_end - VA_IMAGE);
	for (u32 i = 0; i < bi.nr_modules; i++)
		boot_exclude(&bi, bi.modules[i].start, bi.modules[i].end);
	if (bi.error)
		refuse(bi.error);
	if (!bi.nr_ram)
		refuse("the memory map names no memory above 1 MiB");
	top = (u32)(bi.ram[bi.nr_ram - 1].end >> PAGE_SHIFT);
	table_bytes = ALIGN_UP((u64)top * sizeof(struct frame), PAGE_SIZE);
	tables = early_tables_bytes();
	early_next = early_take(tables);
	early_end = early_next + tables;
	table = plat_ptr(HPA(early_take(table_bytes)));
	zero_qwords(table, table_bytes);

	paging_early_alloc(early_page);
	paging_init();
	map_all(ram, nr_ram);
	paging_early_alloc(NULL);
	paging_activate();

	frames_init(table, top);
	for (u32 i = 0; i < bi.nr_ram; i++)
		frames_add((u32)(bi.ram[i].start >> PAGE_SHIFT),
			   (u32)((bi.ram[i].end - bi.ram[i].start) >> PAGE_SHIFT));
	/* What the tables did not need is memory like any other. */
	frames_add((u32)(early_next >> PAGE_SHIFT), (u32)((early_end - early_next) >> PAGE_SHIFT));
	log_line("memory: %lu MiB in %u regions, frame table %lu KiB, %zu bytes a frame",
		 frames_stats().total >> 8, bi.nr_ram, table_bytes >> 10, sizeof(struct frame));
}

/* --- configuration and VMs --------------------------------------------------- */

static void load_config(void)
{
	_Static_assert(sizeof(*config) <= PAGE_SIZE << CONFIG_ORDER, "CONFIG_ORDER");
	static char error[CONFIG_ERROR_MAX];
	const struct image *img;

	for (u32 i = 0; i < bi.nr_modules; i++) {
		struct boot_module *m = &bi.modules[i];

		image_add(m->name, plat_ptr(HPA(m->start)), m->end - m->start);
	}
	config = frame_alloc_pages(CONFIG_ORDER);
	if (!config)
		refuse("too little memory");
	img = image_find(CONFIG_NAME);
	if (!img)
		refuse("no " CONFIG_NAME
		       " was loaded; the boot loader must pass it as a module of that name");
	if (!config_parse((const char *)img->data, img->size, config, error))
		refuse(error);
}

/* [host] memory: the guests get that much, the rest stays out of reach. */
static void limit_memory(void)
{
	u64 want = config->host.memory >> PAGE_SHIFT, have = frames_available();

	if (!want)
		return;
	if (want > have) {
		log_line("memory: [host] memory asks for %lu MiB, only %lu are there", want >> 8,
			 have >> 8);
		return;
	}
	frames_withhold(have - want);
}

static void start_vms(void)
{
	for (u32 i = 0; i < config->nr_vms; i++)
		if (vm_create((u16)i, &config->vm[i]))
			refuse("too little memory for the VMs' records");
	for (u32 i = 0; i < config->nr_vms; i++)
		if (config->vm[i].start)
			vm_queue_start(vms[i]);
}

static void report_nmis(void)
{
	static u32 reported;
	u32 seen = atomic_load(&nmi_count);

	if (seen != reported)
		log_line("cpu: %u NMI%s that nobody asked for, ignored", seen - reported,
			 seen - reported > 1 ? "s" : "");
	reported = seen;
}

static void tick(u64 now)
{
	report_nmis();
	governor_tick(now);
	uart_tick(now);
	if (config->host.stay || !vm_all_ended())
		return;
	status_print();
	status_summary();
	plat_power_off();
}

/* --- CPUs -------------------------------------------------------------------------- */

static const struct cpu_backend *const backends[] = { &vmx_backend, &svm_backend };

static void choose_backend(void)
{
	bool explained = false;

	for (size_t i = 0; i < ARRAY_SIZE(backends) && !backend; i++) {
		int err = backends[i]->probe();

		if (err == HV_OK)
			backend = backends[i];
		else if (err != HV_ENOENT)
			explained = true;
	}
	if (!backend && explained)
		refuse("this machine cannot run guests; the line above says what is missing");
	if (!backend)
		refuse("this machine cannot run guests: its CPU has neither VT-x (Intel) nor SVM (AMD), or an outer hypervisor hides it");
	log_line("cpu: %s", backend->name);
}

static void ap_main(void)
{
	guestregs_cpu_init();
	if (backend->cpu_enable() == HV_OK && balloon_cpu_init() == HV_OK)
		sched_loop();
	epoch_idle_enter(plat_cpu()); /* nobody waits for this CPU */
	for (;;)
		plat_idle(0, &(u32){ 0 });
}

static void print_cpu(void)
{
	struct cpuid_regs r;
	char brand[49] = { 0 };

	if (cpuid(0x80000000, 0).a < 0x80000004)
		return;
	for (u32 i = 0; i < 3; i++) {
		r = cpuid(0x80000002 + i, 0);
		memcpy(brand + i * 16, &r, 16);
	}
	log_line("cpu: %s", brand[0] ? brand : "unnamed");
}

/* --- crash=WHAT on the command line: see a dump, for docs/debugging.md and its tests --- */

static u64 __attribute__((noinline)) overflow_stack(volatile u64 depth)
{
	volatile u8 filler[256];

	filler[0] = (u8)depth;
	return depth == UINT64_MAX ? 0 : overflow_stack(depth + 1) + filler[0];
}

static void crash_if_asked(void)
{
	const char *what = NULL;

	for (const char *s = bi.cmdline; *s; s++)
		if (!strncmp(s, "crash=", 6))
			what = s + 6;
	if (!what)
		return;
	if (!strncmp(what, "write", 5))
		*(volatile u8 *)__image_start = 0; /* text is read-only */
	else if (!strncmp(what, "execute", 7))
		((void (*)(void))(uintptr_t)&config)(); /* data is not code */
	else if (!strncmp(what, "stack", 5))
		overflow_stack(0);
	else if (!strncmp(what, "assert", 6))
		hv_assert(!"asked for on the command line");
	else if (!strncmp(what, "nmi", 3))
		asm volatile("int $2"); /* survived */
}

/* On the boot CPU's own guarded stack. */
static void __attribute__((noreturn)) boot_on_stack(void)
{
	struct frame_stats s;

	print_cpu();
	tsc_init(acpi.pm_timer_port);
	if (!acpi.no_cmos)
		cmos_init(acpi.century);
	pic_mask();
	if (apic_init())
		refuse("no local APIC");
	apic_enable();
	apic_timer_calibrate();
	cpus[0]->apic_id = apic_id();
	cpus[0]->online = 1;
	epoch_cpu_online(0);
	guestregs_probe();
	choose_backend();
	if (backend->cpu_enable() || balloon_cpu_init())
		refuse("virtualization cannot be switched on");
	cpuid_init();
	sched_init();
	load_config();
	limit_memory(); /* before other CPUs scrub */
	smp_start(acpi.apic_ids, acpi.nr_cpus, ap_main);
	governor_init(&config->host);
	s = frames_stats();
	log_line("memory: %lu MiB for guests", (s.free_dirty + s.free_clean) >> 8);
	crash_if_asked();
	start_vms();
	sched_set_tick(tick);
	sched_event_at(plat_tsc());
	sched_loop();
}

void boot_main(u32 magic, u64 info);

void boot_main(u32 magic, u64 info)
{
	serial_init();
	log_line("Aerostat %s", VERSION);
	if (magic == MULTIBOOT2_MAGIC)
		boot_parse_multiboot2(plat_ptr(HPA(info)), &bi);
	else if (magic == MULTIBOOT1_MAGIC)
		boot_parse_multiboot1(plat_ptr(HPA(info)), &bi);
	else
		refuse("not started by a multiboot loader");
	log_line("boot: %s, command line \"%s\"", bi.loader, bi.cmdline);
	acpi_parse(&bi, &acpi);
	power_init(&acpi.power);
	epoch_init();
	memory_init();
	if (percpu_create(0, 0))
		refuse("too little memory");
	percpu_load(cpus[0]);
	vga_init(bi.fb.text);
	asm volatile("mov %0, %%rsp\n"
		     "xor %%ebp, %%ebp\n"
		     "call *%1\n"
		     :
		     : "r"(cpus[0]->stack_top), "r"(boot_on_stack)
		     : "memory");
	__builtin_unreachable();
}
