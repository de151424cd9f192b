/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/control/console.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <hv/control/status.h>
#include <hv/vm/vm.h>

/* How long a line without an end waits for it; less where a guest listens, and may prompt. */
#define QUIET_MS 1000
#define QUIET_LISTENING_MS 100

#define PREFIX 1	 /* Ctrl-a */
#define CONFIRM_MS 5000	 /* in which a dangerous key must come again */
#define STALL_MS 1000	 /* that a guest may leave its input unread */
#define CHUNK 64	 /* bytes at a time: others log, too */
#define CATCH_UP_LINES 8 /* at a time: a slow port takes 20 ms for a line */

/*
 * Whatever a VM may have left the terminal in: within a sequence, on the other page,
 * reporting the mouse, with a scrolling region, other letters, no cursor, in colours.
 */
#define TERMINAL_RESET                                                                   \
	"\036\030\033[?1;47;1000;1002;1003;2004l\0337\033[r\0338\033[?7;25h\033[4l\033>" \
	"\033(B\017\033[0m\r\n"

static struct terminal {
	void (*write)(const char *bytes, size_t n); /* NULL: there is none */
	struct log_sink *sink;
	struct vm *focus; /* (a) NULL: the hypervisor; changes in the tick, under log_lock() */
	struct vm *begin;
	enum { PLAIN, PREFIXED, ASKED } keys;
	char asked;	      /* the key that is to be typed again */
	u64 asked_until;      /* TSC */
	u64 ready_at;	      /* TSC at which the guest had room, or nobody typed to one */
	u64 seen, seen_lines; /* of the log, while the sink is quiet */
} term;

/* --- what VMs say --------------------------------------------------------------------- */

void console_reset(struct vm *vm)
{
	struct console *c = &vm->console;

	c->input = NULL;
	c->escape = 0;
	c->length = c->logged = 0;
}

/* Guests write any byte; only text reaches the log. */
static char printable(char c)
{
	return (c >= ' ' && c < 0x7f) || c == '\t' ? c : '?';
}

static void log_rest(struct vm *vm)
{
	struct console *c = &vm->console;

	c->line[c->length] = '\0';
	log_raw("%s| %s", vm->cfg->name, c->line + c->logged);
	c->logged = c->length;
}

/* @seen: the terminal has had this byte. */
static void end_line(struct vm *vm, bool seen)
{
	if (!seen)
		log_rest(vm);
	vm->console.length = vm->console.logged = 0;
}

/* TSC at which an unfinished line has waited for long enough. */
static u64 quiet_at(const struct console *c)
{
	return c->written + (c->input ? QUIET_LISTENING_MS : QUIET_MS) * plat_tsc_khz();
}

static void append(struct vm *vm, char byte, bool seen)
{
	struct console *c = &vm->console;

	if (c->length == CONSOLE_LINE_MAX)
		end_line(vm, seen);
	c->line[c->length++] = printable(byte);
	c->written = plat_tsc();
	if (seen)
		c->logged = c->length;
	else if (c->length == c->logged + 1)
		sched_event_at(quiet_at(c));
}

/* Without what colours it and moves the cursor: ECMA-48: "Control sequences". */
static void put(struct vm *vm, char byte, bool seen)
{
	enum { TEXT, ESCAPE, SEQUENCE };
	struct console *c = &vm->console;
	u8 was = c->escape;

	c->escape = byte == '\033'				 ? ESCAPE :
		    was == ESCAPE && byte == '['		 ? SEQUENCE :
		    was == SEQUENCE && byte >= ' ' && byte < '@' ? SEQUENCE :
								   TEXT;
	if (was == ESCAPE && c->escape != SEQUENCE)
		append(vm, '\033', seen); /* another kind: what follows is shown */
	if (c->escape || (was == SEQUENCE && byte >= '@' && byte < 0x7f))
		return;
	if (byte == '\n')
		end_line(vm, seen);
	else if (byte != '\r')
		append(vm, byte, seen);
}

/* False: @vm does not have the terminal. What ends a VM's turn is not for VMs to say. */
static bool send(const struct vm *vm, const char *bytes, size_t n)
{
	bool lent;

	if (likely(atomic_load(&term.focus) != vm))
		return false;
	log_lock();
	lent = term.focus == vm && !log_is_busted();
	for (size_t i = 0; lent && i < n; i++)
		if (bytes[i] != LOG_TURN_OVER)
			term.write(&bytes[i], 1);
	log_unlock();
	return lent;
}

void console_output(struct vm *vm, const char *bytes, size_t n)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	for (size_t i = 0; i < n; i += CHUNK) {
		size_t m = min(n - i, (size_t)CHUNK);
		bool seen = send(vm, bytes + i, m);

		for (size_t j = i; j < i + m; j++)
			put(vm, bytes[j], seen);
	}
	spin_unlock(&c->lock);
}

void console_listen(struct vm *vm, console_input_fn input)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	c->input = input;
	/* Somebody begins to listen: what waits may be a prompt, and sooner due. */
	if (c->length != c->logged)
		sched_event_at(quiet_at(c));
	spin_unlock(&c->lock);
}

void console_flush(struct vm *vm)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	if (c->length != c->logged)
		log_rest(vm);
	c->length = c->logged = 0;
	spin_unlock(&c->lock);
}

/* A prompt is shown, and still known: who comes later is to see it, too. */
static void show_quiet(struct vm *vm, u64 now)
{
	struct console *c = &vm->console;

	if (atomic_load(&c->length) == atomic_load(&c->logged))
		return;
	spin_lock(&c->lock);
	if (c->length != c->logged && quiet_at(c) <= now)
		log_rest(vm);
	else if (c->length != c->logged)
		sched_event_at(quiet_at(c));
	spin_unlock(&c->lock);
}

/* --- the terminal ---------------------------------------------------------------------- */

void console_open(void (*write)(const char *bytes, size_t n), struct log_sink *sink)
{
	term.sink = sink;
	term.write = write;
}

void console_begin(struct vm *vm)
{
	term.begin = vm;
}

bool console_lent(void)
{
	return atomic_load(&term.focus);
}

/* One line for the terminal alone. */
static void say(const char *fmt, ...) __printf(1, 2);
static void say(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = str_vformat(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = min(n, (int)sizeof(line) - 2);
	line[n++] = '\n';
	log_lock();
	if (!log_is_busted())
		term.sink->write(line, (size_t)n);
	log_unlock();
}

/* The line that @vm is at, as far as it is text. */
static void show_prompt(struct vm *vm)
{
	spin_lock(&vm->console.lock);
	vm->console.logged = vm->console.length;
	send(vm, vm->console.line, vm->console.length);
	spin_unlock(&vm->console.lock);
}

/* @vm has the terminal no longer; from here on the log waits, if it does not already. */
static void take_back(void)
{
	log_lock();
	if (term.focus)
		term.write(TERMINAL_RESET, sizeof(TERMINAL_RESET) - 1);
	if (!term.sink->quiet) {
		term.sink->quiet = true;
		term.seen = log_written();
		term.seen_lines = log_lines();
	}
	atomic_store(&term.focus, NULL);
	log_unlock();
}

/* tools/run knows the line: what follows, up to LOG_TURN_OVER, is the VM's. */
static void lend(struct vm *vm)
{
	take_back();
	say("@console %s: Ctrl-a 0 goes back to the hypervisor, Ctrl-a ? shows all keys",
	    vm->cfg->name);
	log_lock();
	atomic_store(&term.focus, log_is_busted() ? NULL : vm);
	log_unlock();
	show_prompt(vm);
}

static void go_back(const char *why)
{
	struct vm *vm = term.focus;

	if (!vm)
		return;
	take_back();
	log_line("console: %s%s; the keyboard is the hypervisor's (? shows its keys)",
		 vm->cfg->name, why);
	sched_event_at(plat_tsc());
}

/* With the log's lock: where the next line begins that the ring still has. */
static u64 left_out(void)
{
	u64 end = log_written(), at = log_oldest(), lines = 0, out;

	if (term.seen >= at)
		return 0;
	while (at < end && log_byte(at++) != '\n')
		;
	term.seen = at;
	for (; at < end; at++)
		lines += log_byte(at) == '\n';
	out = log_lines() - lines - term.seen_lines;
	term.seen_lines += out;
	return out;
}

/* The next line that the terminal has missed, or false: it has all, and gets them itself again. */
static bool catch_up(void)
{
	char line[LOG_LINE_MAX];
	size_t n = 0;
	u64 out;

	log_lock();
	out = left_out();
	while (n < sizeof(line) && term.seen < log_written()) {
		line[n++] = log_byte(term.seen++);
		if (line[n - 1] == '\n')
			break;
	}
	term.seen_lines++;
	if (!n)
		term.sink->quiet = false;
	log_unlock();
	if (out)
		say("... %lu lines left out", out);
	if (n)
		term.sink->write(line, n); /* nobody else does, now */
	return n;
}

void console_stop(void)
{
	if (!term.write)
		return;
	go_back("");
	while (term.sink->quiet && catch_up())
		;
}

static bool is_over(const struct vm *vm)
{
	u32 state = atomic_load(&vm->state);

	return state == VM_NONE || state == VM_ENDED;
}

void console_tick(u64 now)
{
	for (u32 i = 0; i < nr_vms; i++)
		show_quiet(vms[i], now);
	if (!term.write)
		return;
	if (term.begin && vm_alive(term.begin)) {
		lend(term.begin);
		term.begin = NULL;
	}
	if (term.focus && is_over(term.focus)) /* one that reboots is not */
		go_back(" has ended");
	if (term.focus || !term.sink->quiet)
		return;
	for (u32 i = 0; i < CATCH_UP_LINES; i++)
		if (!catch_up())
			return;
	sched_event_at(now + plat_tsc_khz());
}

/* --- keys ------------------------------------------------------------------------------- */

static void list_vms(void)
{
	for (u32 i = 0; i < nr_vms; i++) {
		const struct vm *vm = vms[i];

		say("  %c %-12s %-8s %lu MiB, resident %lu, balloon %lu",
		    i < 9 ? (char)('1' + i) : ' ', vm->cfg->name, status_vm_state(vm),
		    vm->pages >> 8, vm->p2m.acct.resident >> 8, vm->p2m.ballooned >> 8);
	}
}

static void help(void)
{
	say(term.focus ? "\r\nCtrl-a and then" : "h ? these keys, s the VMs; or Ctrl-a and then");
	say("  0 the hypervisor; 1 to 9, n, p a VM: its number, the next, the previous");
	say("  a sends a Ctrl-a; k k ends the VM that has the keyboard; x x powers off; ? these keys");
	list_vms();
}

static void choose(struct vm *vm)
{
	if (is_over(vm))
		say("\r\n%s does not run", vm->cfg->name);
	else
		lend(vm);
}

/* The next one that runs, or the previous, and around. */
static void step(bool back)
{
	u32 by = back ? nr_vms - 1 : 1, at = back ? 0 : nr_vms - 1;

	if (term.focus)
		at = term.focus->id;
	for (u32 i = 0; i < nr_vms; i++) {
		at = (at + by) % nr_vms;
		if (!is_over(vms[at])) {
			lend(vms[at]);
			return;
		}
	}
}

/* Returns for how many more there is room: without a guest, they are all welcome. */
static u32 to_guest(const char *bytes, size_t n)
{
	struct vm *vm = term.focus;
	console_input_fn input;

	if (!vm || !vm_alive(vm))
		return UINT32_MAX;
	input = atomic_load(&vm->console.input);
	return (input ? input : uart_input)(vm, bytes, n);
}

bool console_ready(u64 now)
{
	if (to_guest(NULL, 0) >= CONSOLE_TYPED_MAX)
		term.ready_at = now;
	if (term.ready_at == now || tsc_since(term.ready_at, now) >= STALL_MS * plat_tsc_khz())
		return true;
	sched_event_at(now + plat_tsc_khz());
	return false;
}

/* @what is to happen, "" or " NAME" to whom; not by one key. */
static void ask(char key, const char *what, const char *name)
{
	say("\r\n%s%s: %c again within %u seconds, another key: no", what, name, key,
	    CONFIRM_MS / 1000);
	term.keys = ASKED;
	term.asked = key;
	term.asked_until = plat_tsc() + CONFIRM_MS * plat_tsc_khz();
}

static void command(char key)
{
	term.keys = PLAIN;
	switch (key) {
	case '0':
		go_back("");
		break;
	case '1' ... '9':
		if ((u32)(key - '1') < nr_vms)
			choose(vms[key - '1']);
		else
			say("\r\nthere is no VM %c", key);
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
		if (term.focus)
			ask(key, "end VM ", term.focus->cfg->name);
		else
			say("k ends the VM that has the keyboard: Ctrl-a and its number first");
		break;
	case 'x':
		ask(key, "power off all VMs and the host", "");
		break;
	default:
		help();
		if (term.focus)
			show_prompt(term.focus);
	}
}

/* True: the answer was to our question. */
static bool answer(char key)
{
	bool in_time = plat_tsc() < term.asked_until;

	if (in_time && key == PREFIX) /* who types Ctrl-a x twice means it, too */
		return true;
	term.keys = PLAIN;
	if (in_time && key != term.asked) {
		if (term.focus)
			show_prompt(term.focus);
	} else if (in_time && key == 'x') {
		manage_end_host(false, "the console");
	} else if (in_time && term.focus && vm_alive(term.focus)) {
		vm_end(term.focus, 0, "stopped by the console");
	}
	return in_time;
}

static void own_key(char key)
{
	if (key == '?' || key == 'h')
		help();
	else if (key == 's')
		list_vms();
}

void console_typed(const char *bytes, size_t n)
{
	size_t from = 0, i; /* of what is a guest's, and still to be sent */

	if (!term.write)
		return;
	for (i = 0; i < n; i++) {
		if (term.keys == PREFIXED)
			command(bytes[i]);
		else if (term.keys == ASKED && answer(bytes[i]))
			;
		else if (bytes[i] == PREFIX) {
			to_guest(bytes + from, i - from);
			term.keys = PREFIXED;
		} else if (term.focus)
			continue;
		else
			own_key(bytes[i]);
		from = i + 1;
	}
	to_guest(bytes + from, i - from);
}
