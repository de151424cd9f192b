/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/base/terminal.h>
#include <hv/dev/console.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

/* How long an unfinished line is kept back; less where a guest listens, for it may be a prompt. */
#define QUIET_MS 1000
#define QUIET_LISTENING_MS 100
#define CHUNK 64 /* bytes that go out at a time, so that others can log in between */

void console_reset(struct vm *vm)
{
	struct console *c = &vm->console;

	c->input = c->polled = NULL;
	c->escape = 0;
	c->open = false;
	atomic_store(&c->length, 0u);
	atomic_store(&c->logged, 0u);
}

void console_attach(struct vm *vm, console_input_fn input)
{
	atomic_store(&vm->console.polled, input);
}

/* Guests write any byte; only text reaches the log. */
static char printable(char c)
{
	return (c >= ' ' && c < 0x7f) || c == '\t' ? c : '?';
}

/* Logs what has not been shown of the line. @over: the line ends here. */
static void log_rest(struct vm *vm, bool over)
{
	struct console *c = &vm->console;

	c->line[c->length] = '\0';
	log_raw("%s|%c%s", vm->cfg->name, over ? ' ' : '+', c->line + c->logged);
	atomic_store(&c->logged, c->length);
	c->open = !over;
}

/*
 * A Linux that panics before it has a driver for its panic device says so on its console alone, and
 * spins.  Whoever may write to that console can say the same; it has no further effect.
 */
static void look_for_panic(struct vm *vm)
{
	static const char says[] = "Kernel panic - not syncing";
	const char *s = vm->console.line;

	if (!vm->is_linux || vm->console.length < sizeof(says) - 1)
		return;
	if (*s == '[') /* the time */
		while (*s && *s++ != ']')
			;
	s += *s == ' ';
	if (!strncmp(s, says, sizeof(says) - 1))
		vm_panicked(vm, "as its console says");
}

/* @seen: the terminal has shown the end of the line. */
static void end_line(struct vm *vm, bool seen)
{
	vm->console.line[vm->console.length] = '\0';
	look_for_panic(vm);
	if (!seen)
		log_rest(vm, true);
	vm->console.open = false;
	atomic_store(&vm->console.length, 0u);
	atomic_store(&vm->console.logged, 0u);
}

/* TSC at which the unfinished line has been kept back for long enough. */
static u64 quiet_at(const struct console *c)
{
	return c->written + (c->input ? QUIET_LISTENING_MS : QUIET_MS) * plat_tsc_khz();
}

static void append(struct vm *vm, char byte, bool seen)
{
	struct console *c = &vm->console;

	if (c->length == CONSOLE_LINE_MAX) {
		if (c->length != c->logged)
			log_rest(vm, false);
		atomic_store(&c->length, 0u);
		atomic_store(&c->logged, 0u);
	}
	c->line[c->length] = printable(byte);
	atomic_store(&c->length, c->length + 1);
	c->written = plat_tsc();
	if (seen)
		atomic_store(&c->logged, c->length);
	else if (c->length == c->logged + 1)
		sched_event_at(quiet_at(c));
}

/* Leaves out sequences that set colours and move the cursor. ECMA-48: "Control sequences" */
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
		append(vm, '\033', seen); /* of another kind: shown, as are the bytes after it */
	if (c->escape || (was == SEQUENCE && byte >= '@' && byte < 0x7f))
		return;
	if (byte == '\n')
		end_line(vm, seen);
	else if (byte != '\r')
		append(vm, byte, seen);
}

void console_output(struct vm *vm, const char *bytes, size_t n)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	for (size_t i = 0; i < n; i += CHUNK) {
		size_t m = min(n - i, (size_t)CHUNK);
		bool seen = terminal_send(vm, bytes + i, m);

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
	/* The unfinished line may be a prompt, which is due sooner. */
	if (c->length != c->logged)
		sched_event_at(quiet_at(c));
	spin_unlock(&c->lock);
}

u32 console_input(struct vm *vm, const char *bytes, size_t n)
{
	console_input_fn input = atomic_load(&vm->console.input);

	if (!input)
		input = atomic_load(&vm->console.polled);
	return input ? input(vm, bytes, n) : UINT32_MAX;
}

void console_flush(struct vm *vm)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	end_line(vm, c->length == c->logged && (!c->open || terminal_borrower() == vm));
	spin_unlock(&c->lock);
}

void console_lend(struct vm *vm)
{
	struct console *c = &vm->console;

	spin_lock(&c->lock);
	terminal_lend(vm, vm->cfg->name, c->logged);
	atomic_store(&c->logged, c->length);
	terminal_send(vm, c->line, c->length);
	spin_unlock(&c->lock);
}

/* A prompt is shown and yet kept: console_lend() shows it again. */
static void show_quiet(struct vm *vm, u64 now)
{
	struct console *c = &vm->console;

	if (atomic_load(&c->length) == atomic_load(&c->logged))
		return;
	spin_lock(&c->lock);
	if (c->length != c->logged && quiet_at(c) <= now)
		log_rest(vm, false);
	else if (c->length != c->logged)
		sched_event_at(quiet_at(c));
	spin_unlock(&c->lock);
}

void console_tick(u64 now)
{
	struct vm *vm;

	for_each_vm(vm)
		show_quiet(vm, now);
}
