/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Brings the parts up in order, from the loader's hand-over to the scheduler. It owns nothing
 * afterwards.
 */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/cmos.h>
#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/pc/fb.h>
#include <arch/x86_64/cpu/guestregs.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/smp.h>
#include <arch/x86_64/cpu/trap.h>
#include <arch/x86_64/time/hpet.h>
#include <arch/x86_64/time/tsc.h>
#include <arch/x86_64/time/tsc_sync.h>
#include <arch/x86_64/svm/backend.h>
#include <arch/x86_64/vmx/backend.h>
#include <boot/acpi.h>
#include <boot/boot_info.h>
#include <boot/consoles.h>
#include <boot/memory.h>
#include <boot/multiboot2.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/base/terminal.h>
#include <hv/base/version.h>
#include <hv/control/control.h>
#include <hv/control/keys.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/control/pages.h>
#include <hv/control/status.h>
#include <hv/block/block.h>
#include <hv/drv/drivers.h>
#include <hv/exit/cpuid.h>
#include <hv/load/images.h>
#include <hv/memory/governor.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>
#include <mm/epoch.h>

#define MULTIBOOT1_MAGIC 0x2badb002
#define CONFIG_NAME "aerostat.conf"
#define CONFIG_ORDER 6

extern u8 __image_start[];

const struct cpu_backend *backend;

static struct boot_info *bi; /* in the boot room at first */
static struct acpi_info acpi;
static struct config *config; /* too large for the image */

#define READ_SECONDS 60

/* A person at real hardware must be able to read why before the screen goes dark. */
static void let_read(void)
{
	u64 end = plat_tsc() + READ_SECONDS * 1000 * plat_tsc_khz();

	if (!screen_present() || cpuid(1, 0).c & BIT(31))
		return;
	power_end_bochs(); /* Bochs looks like hardware */
	log_line("power off in %u seconds, or with a key", READ_SECONDS);
	for (int code = -1; plat_tsc() < end && (code < 0 || code >= 0x80); cpu_pause())
		code = i8042_read(); /* the release of a key does not count */
}

/* For errors before anything else works: prints a message and stops. */
static void __attribute__((noreturn)) refuse(const char *why)
{
	log_line("cannot go on: %s", why);
	log_raw("@halt status=2");
	let_read();
	plat_power_off();
}

/* --- configuration and VMs --------------------------------------------------- */

static void load_config(void)
{
	_Static_assert(sizeof(*config) <= PAGE_SIZE << CONFIG_ORDER, "CONFIG_ORDER");
	static char error[CONFIG_ERROR_MAX];
	const struct image *img;

	for (u32 i = 0; i < bi->nr_modules; i++) {
		struct boot_module *m = &bi->modules[i];

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
	host_config = &config->host;
	if (config->note[0])
		log_line("%s", config->note);
}

static void start_vms(void)
{
	struct vm *vm;

	bus_init();
	for (u32 i = 0; i < config->nr_vms; i++)
		if (vm_create((u16)i, &config->vm[i]))
			refuse("too little memory for the VMs' records");
	for_each_vm(vm)
		if (vm->cfg->start)
			vm_queue_start(vm);
}

/* True if @seen is worth a line: at the first, whenever the count has doubled, and at the end. */
static bool more_strays(u32 seen, u32 *reported, bool all)
{
	if (seen == *reported || (!all && seen < 2 * *reported))
		return false;
	*reported = seen;
	return true;
}

static void report_strays(bool all)
{
	static u32 nmis, interrupts;
	u32 seen = atomic_load(&nmi_count);

	if (more_strays(seen, &nmis, all))
		log_line("cpu: %u NMI%s that nobody asked for, ignored", seen, seen > 1 ? "s" : "");
	seen = atomic_load(&stray_count);
	if (more_strays(seen, &interrupts, all))
		log_line("cpu: %u interrupt%s that nobody asked for, the last with vector %x", seen,
			 seen > 1 ? "s" : "", atomic_load(&stray_vector));
}

/* Once; tools/bench reads this line. The cycles include the APIC timer's calibration. */
static void report_boot(void)
{
	static bool reported;
	u64 first = atomic_load(&sched_first_run);

	if (reported || !first)
		return;
	reported = true;
	log_line("boot: first guest entered after %lu cycles, besides %lu of TSC calibration",
		 first - boot_tsc - tsc_calibration, tsc_calibration);
}

#define KEYS_MAX 16 /* the most codes in one tick */

static void poll_keyboard(void)
{
	int code;

	for (int i = 0; i < KEYS_MAX && (code = i8042_read()) >= 0; i++)
		screen_key(key_decode((u8)code));
}

static void poll_terminal(u64 now)
{
	char typed[OPERATOR_TYPED_MAX];

	if (operator_ready(now))
		operator_typed(typed, serial_read(typed, sizeof(typed)));
}

static void __attribute__((noreturn)) end_host(void)
{
	control_stop();
	report_strays(true);
	status_print();
	status_summary();
	if (manage_host_end() == HOST_REBOOT)
		plat_reboot();
	plat_power_off();
}

static void tick(u64 now)
{
	u64 cpus_due = smp_poll(now);

	report_boot();
	report_strays(false);
	sched_event_at(min(min(cpus_due, tsc_tick(now)), block_poll(now)));
	if (memory_more()) { /* add all memory before other work; guests run meanwhile */
		sched_event_at(now + plat_tsc_khz());
		return;
	}
	governor_tick(now);
	poll_keyboard();
	poll_terminal(now);
	control_tick(now);
	/* Do not end while CPUs start: the log must say how many there are. */
	if (cpus_due == UINT64_MAX && control_is_over())
		end_host();
}

/* Bounded pieces of work that take too long for the tick. */
static bool background_work(void)
{
	bus_work(false);
	return vm_background();
}

/* A bounded piece of work for a CPU that has nothing to run; false: there is none. */
static bool idle_work(void)
{
	return vm_background() || bus_work(true) || memory_idle_work();
}

/* --- the screen ---------------------------------------------------------------- */

static bool is_ram(u64 start, u64 bytes)
{
	for (u32 i = 0; i < bi->nr_ram; i++)
		if (start < bi->ram[i].end && start + bytes > bi->ram[i].start)
			return true;
	return false;
}

/* A machine without a screen runs, too. */
static void open_screen(void)
{
	const struct boot_framebuffer *b = &bi->fb;
	const struct screen_face *face = NULL;

	if (b->text)
		face = vga_init();
	else if (b->address && is_ram(b->address, (u64)b->pitch * b->height))
		log_line("screen: not used, the loader says that it is in memory");
	else if (b->address)
		face = fb_init((struct fb_mode){ b->address,
						 b->pitch,
						 b->width,
						 b->height,
						 b->bpp,
						 { b->red_at, b->red_bits },
						 { b->green_at, b->green_bits },
						 { b->blue_at, b->blue_bits } });
	if (!face || screen_init(face, version_text, screen_pages(version_text), NR_PAGES))
		return;
	log_line("screen: %u columns, %u rows of %s", face->columns, face->rows,
		 b->text ? "text" : "pixels");
	i8042_init(acpi.power.no_i8042);
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
		refuse("this machine cannot run guests: its CPU has neither VT-x (Intel) nor SVM (AMD), or an outer hypervisor hides them");
	log_line("cpu: %s", backend->name);
}

/* --- words of the command line ----------------------------------------------------- */

/* The value of @key (with its "=") on the command line, up to a blank; NULL: no such word. */
static const char *option(const char *key)
{
	for (const char *s = bi->cmdline; *s; s++)
		if ((s == bi->cmdline || s[-1] == ' ') && !strncmp(s, key, strlen(key)))
			return s + strlen(key);
	return NULL;
}

static bool option_is(const char *value, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(value, word, n) && (!value[n] || value[n] == ' ');
}

#define TSC_SKEW 100000000 /* ticks: 2 s in Bochs */

/* firmware=WHAT on the command line: for tests, leaves this CPU as some firmware does. */
static void play_firmware(void)
{
	const char *what = option("firmware=");

	if (!what)
		return;
	if (option_is(what, "x2apic"))
		wrmsr_safe(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_EXTD);
	else if (option_is(what, "vtx-off")) /* if nobody has locked it yet */
		wrmsr_safe(MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED);
	else if (option_is(what, "apic-ids"))
		smp_lift_ids = 16;
	else if (option_is(what, "tsc-skew")) {
		tsc_sync_skew = TSC_SKEW;
		wrmsr(MSR_IA32_TSC, rdtsc() + TSC_SKEW);
		boot_tsc += TSC_SKEW;
	} else if (option_is(what, "interrupts") && acpi.nr_ioapics)
		ioapic_play_firmware(acpi.ioapic[0], cpuid(1, 0).b >> 24);
	else
		refuse("firmware= on the command line must be x2apic, vtx-off, apic-ids, tsc-skew or interrupts");
}

/* spare=0 on the command line: no guests on the boot CPU. docs/emulators.md tells when it is needed. */
static void spare_cpu(void)
{
	const char *which = option("spare=");

	if (!which)
		return;
	if (!option_is(which, "0") || acpi.nr_cpus < 2)
		refuse("spare= on the command line must be 0, and the machine must have at least two CPUs");
	sched_spare(0);
}

static void ap_main(bool in_step)
{
	guestregs_cpu_init();
	if (in_step && mitigate_cpu_init() == HV_OK && backend->cpu_enable() == HV_OK &&
	    balloon_cpu_init() == HV_OK)
		sched_loop();
	epoch_idle_enter(plat_cpu()); /* no other CPU waits for this one */
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
	const char *what = option("crash=");

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

static enum mitigate_mode mitigate_mode(void)
{
	const char *mode = option("mitigations=");

	if (!mode || option_is(mode, "auto"))
		return MITIGATE_AUTO;
	if (option_is(mode, "off"))
		return MITIGATE_OFF;
	if (!option_is(mode, "force"))
		refuse("mitigations= on the command line must be auto, off or force");
	return MITIGATE_FORCE;
}

/* On the boot CPU's own guarded stack. */
static void __attribute__((noreturn)) boot_on_stack(void)
{
	bi = memory_give_back_boot_room(); /* off its stack */
	if (!bi)
		refuse("too little memory");
	print_cpu();
	play_firmware();
	boot_tsc -= (u64)tsc_sync_boot();
	pic_mask();
	ioapic_quiet(acpi.ioapic, acpi.nr_ioapics);
	hpet_init(acpi.hpet);
	watchdog_stop(&acpi.watchdog);
	tsc_init(acpi.pm_timer_port);
	if (!acpi.no_cmos)
		cmos_init(acpi.century);
	if (apic_init(acpi.highest_apic_id, acpi.no_x2apic))
		refuse("no local APIC");
	apic_enable();
	apic_timer_calibrate();
	cpus[0]->apic_id = apic_id();
	cpus[0]->online = 1;
	epoch_cpu_online(0);
	if (mitigate_init(mitigate_mode(), acpi.apic_ids, acpi.nr_cpus))
		refuse("too little memory");
	guestregs_probe();
	choose_backend();
	if (mitigate_cpu_init() || backend->cpu_enable() || balloon_cpu_init())
		refuse("virtualization cannot be switched on");
	cpuid_init();
	sched_init();
	spare_cpu();
	load_config();
	memory_limit(config->host.memory); /* before other CPUs scrub */
	if (acpi.cpus_disabled || acpi.cpus_left_out)
		log_line(
			"smp: %u CPUs are disabled by the firmware, %u are more than Aerostat takes",
			acpi.cpus_disabled, acpi.cpus_left_out);
	smp_start(acpi.apic_ids, acpi.nr_cpus, memory_low_page(), ap_main);
	if (governor_init())
		refuse("too little memory");
	log_line("memory: %lu MiB for guests", (frames_available() + memory_to_come()) >> 8);
	crash_if_asked();
	tsc_refine();
	drivers_start(sched_event_at);
	start_vms();
	control_start(config, i8042_present());
	serial_listen(sched_event_at);
	sched_set_work((struct sched_work){ tick, background_work, idle_work });
	sched_event_at(plat_tsc());
	sched_loop();
}

void boot_main(u32 magic, u64 info);

void boot_main(u32 magic, u64 info)
{
	struct boot_info found = { 0 };
	struct pci_uart uart = { 0 };
	const char *why;

	bi = &found;
	cmos_hold_nmi(true); /* there is no IDT yet */
	log_line("Aerostat %s", version_text);
	if (magic == MULTIBOOT2_MAGIC)
		boot_parse_multiboot2(plat_ptr(HPA(info)), bi);
	else if (magic == MULTIBOOT1_MAGIC)
		boot_parse_multiboot1(plat_ptr(HPA(info)), bi);
	else {
		serial_open_com();
		refuse("not started by a multiboot loader");
	}
	acpi_parse(bi, &acpi);
	consoles_early(bi->cmdline, &acpi.uart);
	log_line("boot: %s, command line \"%s\"", bi->loader, bi->cmdline);
	power_init(&acpi.power);
	epoch_init();
	why = memory_init(bi, &uart);
	if (why)
		refuse(why);
	consoles_late(&uart);
	if (serial_sink())
		terminal_open(serial_write, serial_sink());
	if (percpu_create(0, 0))
		refuse("too little memory");
	percpu_load(cpus[0]);
	cmos_hold_nmi(false);
	power_map();
	open_screen();
	asm volatile("mov %0, %%rsp\n"
		     "xor %%ebp, %%ebp\n"
		     "call *%1\n"
		     :
		     : "r"(cpus[0]->stack_top), "r"(boot_on_stack)
		     : "memory");
	__builtin_unreachable();
}
