/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/terminal.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/control/status.h>
#include <hv/dev/console.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

#define PREFIX 1	 /* Ctrl-a */
#define CONFIRM_MS 5000	 /* within which a dangerous key must come again */
#define STALL_MS 1000	 /* for which a guest may leave its input unread */
#define CATCH_UP_LINES 8 /* a tick: a slow port takes 20 ms for a line */

static struct {
	struct vm *begin;
	enum { PLAIN, PREFIXED, ASKED } keys;
	char asked;	 /* the key that must come again */
	u64 asked_until; /* TSC */
	u64 ready_at;	 /* TSC at which the guest last had room */
} operator;

/* --- whose the terminal is ------------------------------------------------------------ */

static bool is_over(const struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	return state == VM_NONE || state == VM_ENDED;
}

static void go_back(const char *why)
{
	struct vm *vm = terminal_borrower();

	if (!vm)
		return;
	terminal_take_back(true);
	log_line("console: %s%s; the keyboard is the hypervisor's (? shows its keys)",
		 vm->cfg->name, why);
	sched_event_at(plat_tsc());
}

/*
 * Before lines for the operator: a VM that has the terminal gives it back, so that its
 * log has none of these lines, and gets it again by resume().
 */
static struct vm *interrupt(void)
{
	struct vm *vm = terminal_borrower();

	if (vm)
		terminal_take_back(false);
	return vm;
}

static void resume(struct vm *vm)
{
	if (vm)
		console_lend(vm);
}

void operator_begin(struct vm *vm)
{
	operator.begin = vm;
}

void operator_stop(void)
{
	go_back("");
	while (terminal_catch_up(UINT32_MAX))
		;
}

void operator_tick(u64 now)
{
	struct vm *vm = terminal_borrower();

	if (!terminal_present())
		return;
	if (operator.begin && vm_alive(operator.begin)) {
		console_lend(operator.begin);
		operator.begin = NULL;
	}
	if (vm && is_over(vm)) /* not one that reboots */
		go_back(" has ended");
	if (terminal_catch_up(CATCH_UP_LINES))
		sched_event_at(now + plat_tsc_khz());
}

/* --- keys ------------------------------------------------------------------------------- */

static void list_vms(void)
{
	const struct vm *vm;

	for_each_vm(vm)
		terminal_say("  %c %-12s %-8s %lu MiB, resident %lu, balloon %lu",
			     vm->id < 9 ? (char)('1' + vm->id) : ' ', vm->cfg->name,
			     status_vm_word(vm), vm->pages >> 8,
			     atomic_load(&vm->p2m.acct.resident) >> 8,
			     atomic_load(&vm->p2m.ballooned) >> 8);
}

static void help(void)
{
	struct vm *vm = interrupt();

	terminal_say(vm ? "Ctrl-a and then" : "h ? these keys, s the VMs; or Ctrl-a and then");
	terminal_say("  0 the hypervisor; 1 to 9, n, p a VM: its number, the next, the previous");
	terminal_say(
		"  a sends a Ctrl-a; k k ends the VM that has the keyboard; x x powers off; ? these keys");
	list_vms();
	resume(vm);
}

static void choose(u32 number)
{
	u32 id = number - 1; /* people count from 1 */
	struct vm *vm;

	if (id < nr_vms && !is_over(vms[id])) {
		console_lend(vms[id]);
		return;
	}
	vm = interrupt();
	if (id >= nr_vms)
		terminal_say("there is no VM %u", number);
	else
		terminal_say("%s does not run", vms[id]->cfg->name);
	resume(vm);
}

/* The next VM that runs, or the previous one, and around. */
static void step(bool back)
{
	struct vm *vm, *to = NULL;
	const struct vm *from = terminal_borrower(); /* comes last, or there is none */

	for_each_vm_from(vm, from ? from->id + 1u : 0)
		if (!is_over(vm) && (!to || (back && vm != from)))
			to = vm;
	if (to)
		console_lend(to);
}

/* Returns how many more bytes there is room for: the hypervisor takes any number. */
static u32 to_guest(const char *bytes, size_t n)
{
	struct vm *vm = terminal_borrower();

	return vm && vm_alive(vm) ? console_input(vm, bytes, n) : UINT32_MAX;
}

bool operator_ready(u64 now)
{
	if (to_guest(NULL, 0) >= OPERATOR_TYPED_MAX)
		operator.ready_at = now;
	if (operator.ready_at == now ||
	    tsc_since(operator.ready_at, now) >= STALL_MS * plat_tsc_khz())
		return true;
	sched_event_at(now + plat_tsc_khz());
	return false;
}

/* One key alone does nothing dangerous.  @what will happen, "" or the name to whom. */
static void ask(char key, const char *what, const char *name)
{
	struct vm *vm = interrupt();

	terminal_say("%s%s: %c again within %u seconds, another key: no", what, name, key,
		     CONFIRM_MS / 1000);
	resume(vm);
	operator.keys = ASKED;
	operator.asked = key;
	operator.asked_until = plat_tsc() + CONFIRM_MS * plat_tsc_khz();
}

static void ask_to_end_vm(char key)
{
	struct vm *vm = terminal_borrower();

	if (vm)
		ask(key, "end VM ", vm->cfg->name);
	else
		terminal_say("k ends the VM that has the keyboard: Ctrl-a and its number first");
}

static void command(char key)
{
	operator.keys = PLAIN;
	switch (key) {
	case '0':
		go_back("");
		break;
	case '1' ... '9':
		choose((u32)(key - '0'));
		break;
	case 'n':
		step(false);
		break;
	case 'p':
		step(true);
		break;
	case 'a':
	case PREFIX:
		to_guest(&(char){ PREFIX }, 1);
		break;
	case 'k':
		ask_to_end_vm(key);
		break;
	case 'x':
		ask(key, "power off all VMs and the host", "");
		break;
	default:
		help();
	}
}

/* True: the key was an answer to our question. */
static bool answer(char key)
{
	struct vm *vm = terminal_borrower();

	if (plat_tsc() >= operator.asked_until) {
		operator.keys = PLAIN;
		return false;
	}
	if (key == PREFIX) /* Ctrl-a x Ctrl-a x means yes, too */
		return true;
	operator.keys = PLAIN;
	if (key != operator.asked)
		return true;
	if (key == 'x')
		manage_end_host(false, "the console");
	else if (vm)
		vm_stop(vm, 0, "stopped by the console");
	return true;
}

static void own_key(char key)
{
	if (key == '?' || key == 'h')
		help();
	else if (key == 's')
		list_vms();
}

void operator_typed(const char *bytes, size_t n)
{
	size_t from = 0, i; /* of the bytes that are a guest's and not yet sent */

	if (!terminal_present())
		return;
	for (i = 0; i < n; i++) {
		if (operator.keys == PREFIXED)
			command(bytes[i]);
		else if (operator.keys == ASKED && answer(bytes[i]))
			;
		else if (bytes[i] == PREFIX) {
			to_guest(bytes + from, i - from);
			operator.keys = PREFIXED;
		} else if (terminal_borrower())
			continue;
		else
			own_key(bytes[i]);
		from = i + 1;
	}
	to_guest(bytes + from, i - from);
}
