/* SPDX-License-Identifier: BSD-2-Clause */
/* The pages of the screen that are figures: the VMs, the host, the keys. */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/memory/governor.h>
#include <hv/control/screen.h>
#include <hv/control/status.h>
#include <hv/vm/vm.h>

static void blank_from(struct screen_grid *g, u32 row)
{
	for (; row < g->rows; row++)
		screen_put(g, row, SCREEN_NORMAL, "", 0);
}

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

static u8 vm_colour(const struct vm *vm)
{
	if (vm_alive(vm))
		return atomic_load(&vm->waiting) ? SCREEN_ALERT : SCREEN_NORMAL;
	return vm->exit_status ? SCREEN_ALERT : SCREEN_DIM;
}

static void vm_row(struct screen_grid *g, u32 row, const struct vm *vm)
{
	char memory[16], resident[16], balloon[16], target[16];

	screen_print(g, row, vm_colour(vm), "%-12.12s %-7s %7s %8s %7s %7s %7u %s", vm->cfg->name,
		     status_vm_state(vm), mib(vm->pages, memory),
		     mib(vm->p2m.acct.resident, resident), mib(vm->p2m.ballooned, balloon),
		     mib(atomic_load(&vm->balloon.target), target), atomic_load(&vm->cfg->shares),
		     vm_alive(vm) ? governor_why(vm) : vm->exit_reason);
}

bool page_vms(struct screen_grid *g, u32 first)
{
	u32 row = 3;

	head(g);
	screen_print(g, 2, SCREEN_BRIGHT, "%-12s %-7s %7s %8s %7s %7s %7s %s", "VM", "state", "MiB",
		     "resident", "balloon", "target", "shares", "why");
	for (; first < nr_vms && row < g->rows; first++)
		vm_row(g, row++, vms[first]);
	blank_from(g, row);
	return first < nr_vms;
}

void page_host(struct screen_grid *g, const char *version)
{
	struct frame_stats s = frames_stats();
	char a[16], b[16], c[16];
	u64 exits = 0, faults = 0;
	u32 alive = 0;

	for (u32 i = 0; i < nr_vms; i++) {
		alive += vm_alive(vms[i]);
		faults += vms[i]->faults;
		for (u32 j = 0; j < vms[i]->nr_vcpus; j++)
			exits += vms[i]->vcpus[j]->exits;
	}
	head(g);
	screen_print(g, 2, SCREEN_NORMAL, "version      Aerostat %s", version);
	screen_print(g, 3, SCREEN_NORMAL, "CPUs         %u, %s, TSC %lu MHz", plat_nr_cpus(),
		     backend->name, plat_tsc_khz() / 1000);
	screen_print(g, 4, SCREEN_NORMAL, "VMs          %u of %u run, %lu exits, %lu faults", alive,
		     nr_vms, exits, faults);
	screen_print(g, 5, SCREEN_NORMAL, "memory       %s MiB: guests %s, tables %s",
		     mib(s.total, a), mib(s.guest, b), mib(s.table, c));
	screen_print(g, 6, SCREEN_NORMAL, "             hypervisor %s, quarantine %s, promised %s",
		     mib(s.hv, a), mib(s.quarantine, b), mib(s.reserved, c));
	screen_print(g, 7, SCREEN_NORMAL, "scrubbed     %s while idle, %s on demand",
		     mib(s.scrubbed_idle, a), mib(s.scrubbed_demand, b));
	blank_from(g, 8);
}

void page_help(struct screen_grid *g)
{
	static const char *const lines[] = {
		"1 2 3          the log, the VMs, the host",
		"PgUp PgDn      move in the log and in the list of VMs",
		"Esc End        the newest lines of the log",
		"blank          hold a page; again: the pages turn",
		"p p            power off",
		"r r            reboot",
		"h ? F1         this page",
	};

	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		screen_put(g, i, SCREEN_NORMAL, lines[i], strlen(lines[i]));
	blank_from(g, ARRAY_SIZE(lines));
}
