/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/atomic.h>
#include <hv/base/string.h>
#include <hv/base/terminal.h>

/*
 * Undoes what a VM may have left behind: an unfinished sequence, the other page, mouse
 * reports, a scrolling region, other letters, no cursor, colours.
 */
#define TERMINAL_RESET                                                                   \
	"\036\030\033[?1;47;1000;1002;1003;2004l\0337\033[r\0338\033[?7;25h\033[4l\033>" \
	"\033(B\017\033[0m\r\n"

static struct {
	void (*write)(const char *bytes, size_t n); /* NULL: there is no terminal */
	struct log_sink *sink;
	struct vm *borrower;  /* (a) changes in the tick, under log_lock() */
	u64 seen, seen_lines; /* of the log, while the sink is quiet */
} term;

void terminal_open(void (*write)(const char *bytes, size_t n), struct log_sink *sink)
{
	term.sink = sink;
	term.write = write;
}

bool terminal_present(void)
{
	return term.write;
}

struct vm *terminal_borrower(void)
{
	return atomic_load(&term.borrower);
}

/* A VM cannot end its own turn: LOG_TURN_OVER is left out. */
bool terminal_send(const struct vm *vm, const char *bytes, size_t n)
{
	bool lent;

	if (likely(atomic_load(&term.borrower) != vm))
		return false;
	log_lock();
	lent = term.borrower == vm && !log_is_busted();
	for (size_t i = 0; lent && i < n; i++)
		if (bytes[i] != LOG_TURN_OVER)
			term.write(&bytes[i], 1);
	log_unlock();
	return lent;
}

void terminal_say(const char *fmt, ...)
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

void terminal_take_back(bool for_good)
{
	log_lock();
	if (term.borrower && for_good)
		term.write(TERMINAL_RESET, sizeof(TERMINAL_RESET) - 1);
	else if (term.borrower)
		term.write(LOG_TAKE_BACK, sizeof(LOG_TAKE_BACK) - 1);
	if (!term.sink->quiet) {
		term.sink->quiet = true;
		term.seen = log_written();
		term.seen_lines = log_lines();
	}
	atomic_store(&term.borrower, NULL);
	log_unlock();
}

/* tools/run knows the line: the bytes after it are the VM's, up to LOG_TURN_OVER. */
void terminal_lend(struct vm *vm, const char *name, u32 repeated)
{
	char again[16] = "";

	if (repeated)
		str_format(again, sizeof(again), " [%u]", repeated);
	terminal_take_back(true);
	terminal_say("@console %s: Ctrl-a 0 goes back to the hypervisor, Ctrl-a ? shows all keys%s",
		     name, again);
	log_lock();
	atomic_store(&term.borrower, log_is_busted() ? NULL : vm);
	log_unlock();
}

/* With log_lock() held: how many lines have left the ring unseen; goes to the first whole one. */
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

/* The next line that the terminal has missed. False: it has all, and gets new ones itself. */
static bool next_line(void)
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
		terminal_say("... %lu lines left out", out);
	if (n)
		term.sink->write(line, n); /* the sink is quiet: no other CPU writes to it */
	return n;
}

bool terminal_catch_up(u32 lines)
{
	if (!term.write || term.borrower)
		return false;
	for (u32 i = 0; i < lines && term.sink->quiet; i++)
		next_line();
	return term.sink->quiet;
}
