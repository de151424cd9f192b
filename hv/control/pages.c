/* SPDX-License-Identifier: BSD-2-Clause */
#include <guest-driver/aerostat_abi.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/control/page_log.h>
#include <hv/control/pages.h>
#include <hv/control/status.h>
#include <hv/memory/governor.h>
#include <hv/vm/counts.h>
#include <hv/vm/vm.h>

static const char *version;

/* @pages as MiB, with one decimal if it is not much, in @text. */
static const char *mib(u64 pages, char text[16])
{
	if (pages >= 1000UL << 8)
		str_format(text, 16, "%lu", pages >> 8);
	else
		str_format(text, 16, "%lu.%lu", pages >> 8, (pages & 255) * 10 >> 8);
	return text;
}

static void head(struct screen_grid *g)
{
	struct frame_stats s = frames_stats();
	char free[16], total[16], text[16];

	screen_print(g, 0, SCREEN_BRIGHT, "memory %s: %s of %s MiB free, up %s",
		     policy_state_name(governor_state()), mib(s.free_dirty + s.free_clean, free),
		     mib(s.total, total), status_uptime(text));
	screen_put(g, 1, SCREEN_NORMAL, "", 0);
}

static bool is_up(u32 state)
{
	return state != AERO_VM_OFF && state != AERO_VM_STARTING && state != AERO_VM_ENDED;
}

static u8 vm_colour(const struct vm *vm, u32 state)
{
	switch (state) {
	case AERO_VM_WAITING:
	case AERO_VM_PANICKED:
	case AERO_VM_HALTED:
		return SCREEN_ALERT;
	case AERO_VM_ENDED:
		return vm->exit_status ? SCREEN_ALERT : SCREEN_DIM;
	case AERO_VM_OFF:
		return SCREEN_DIM;
	default:
		return SCREEN_NORMAL;
	}
}

static void vm_row(struct screen_grid *g, u32 row, const struct vm *vm)
{
	char memory[16], resident[16], balloon[16], target[16];
	u32 state = status_vm_state(vm);

	screen_print(g, row, vm_colour(vm, state), "%-12.12s %-8s %7s %8s %7s %7s %7u %s",
		     vm->cfg->name, status_vm_word(vm), mib(vm->pages, memory),
		     mib(atomic_load(&vm->p2m.acct.resident), resident),
		     mib(atomic_load(&vm->p2m.ballooned), balloon),
		     mib(atomic_load(&vm->balloon.target), target), atomic_load(&vm->cfg->shares),
		     is_up(state)	    ? governor_why(vm) :
		     state == AERO_VM_ENDED ? vm->exit_reason :
					      "");
}

static bool draw_vms(struct screen_grid *g, u32 first)
{
	u32 row = 3, shown = 0;
	struct vm *vm;

	head(g);
	screen_print(g, 2, SCREEN_BRIGHT, "%-12s %-8s %7s %8s %7s %7s %7s %s", "VM", "state", "MiB",
		     "resident", "balloon", "target", "shares", "why");
	for_each_vm(vm)
		if (vm->id >= first && row < g->rows) {
			vm_row(g, row++, vm);
			shown++;
		}
	screen_blank(g, row);
	return first + shown < nr_vms;
}

static bool draw_host(struct screen_grid *g, u32 first)
{
	struct frame_stats s = frames_stats();
	struct vm_counts sum = { 0 };
	const struct vm *vm;
	char a[16], b[16], c[16];
	u32 alive = 0;

	(void)first;
	for_each_vm(vm) {
		struct vm_counts counts = vm_counts(vm);

		alive += vm_alive(vm);
		sum.faults += counts.faults;
		sum.exits += counts.exits;
	}
	head(g);
	screen_print(g, 2, SCREEN_NORMAL, "version      Aerostat %s", version);
	screen_print(g, 3, SCREEN_NORMAL, "CPUs         %u, %s, TSC %lu MHz", plat_nr_cpus(),
		     backend->name, plat_tsc_khz() / 1000);
	screen_print(g, 4, SCREEN_NORMAL, "VMs          %u of %u run, %lu exits, %lu faults", alive,
		     nr_vms, sum.exits, sum.faults);
	screen_print(g, 5, SCREEN_NORMAL, "memory       %s MiB: guests %s, tables %s",
		     mib(s.total, a), mib(s.guest, b), mib(s.table, c));
	screen_print(g, 6, SCREEN_NORMAL, "             hypervisor %s, quarantine %s, promised %s",
		     mib(s.hv, a), mib(s.quarantine, b), mib(s.reserved, c));
	screen_print(g, 7, SCREEN_NORMAL, "scrubbed     %s while idle, %s on demand",
		     mib(s.scrubbed_idle, a), mib(s.scrubbed_demand, b));
	screen_blank(g, 8);
	return false;
}

static bool draw_help(struct screen_grid *g, u32 first)
{
	static const char *const lines[] = {
		"1 2 3          the log, the VMs, the host",
		"PgUp PgDn      move in the log and in the list of VMs",
		"Home           the first lines of the log",
		"Esc End        the newest lines of the log",
		"blank          hold a page; again: the pages turn",
		"p p            power off",
		"r r            reboot",
		"h ? F1         this page",
	};

	(void)first;
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		screen_put(g, i, SCREEN_NORMAL, lines[i], strlen(lines[i]));
	screen_blank(g, ARRAY_SIZE(lines));
	return false;
}

const struct screen_page *screen_pages(const char *hypervisor_version)
{
	static const struct screen_page pages[NR_PAGES] = {
		{ "log", true, false, page_log_draw, page_log_move, page_log_note, page_log_news },
		{ "VMs", true, true, draw_vms },
		{ "host", true, true, draw_host },
		{ "help", false, false, draw_help },
	};

	version = hypervisor_version;
	return pages;
}
