/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen of top: curses, or plain lines where there is no terminal that can. */
#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

#include "aeroctl.h"

static struct {
	struct view view;
	struct snapshot s;
	bool explain;
	int line; /* the next one of the lower half */
} * t;

static const int attributes[] = {
	[STYLE_HEAD] = A_REVERSE,
	[STYLE_DIM] = A_DIM,
	[STYLE_SELECTED] = A_BOLD,
};

static chtype attribute(enum style style)
{
	chtype a = style < ARRAY_SIZE(attributes) ? (chtype)attributes[style] : A_NORMAL;

	if (!has_colors())
		return style == STYLE_BAD ? A_BOLD : a;
	return a | (chtype)COLOR_PAIR((int)style + 1);
}

static void colours(void)
{
	start_color();
	use_default_colors();
	init_pair(STYLE_PLAIN + 1, -1, -1);
	init_pair(STYLE_HEAD + 1, -1, -1);
	init_pair(STYLE_BAD + 1, COLOR_RED, -1);
	init_pair(STYLE_WARN + 1, COLOR_YELLOW, -1);
	init_pair(STYLE_DIM + 1, -1, -1);
	init_pair(STYLE_SELECTED + 1, COLOR_CYAN, -1);
}

static void put(int y, enum style style, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attrset((attr_t)attribute(style));
	move(y, 0);
	if (style == STYLE_HEAD)
		hline(' ' | attribute(style), COLS);
	addnstr(text, COLS);
	attrset(A_NORMAL);
}

/* A long line goes on in the next, indented. */
static void put_wrapped(void *unused, const char *text)
{
	int width = COLS, indent = 0;

	(void)unused;
	while (*text && t->line < LINES - 1) {
		int n = (int)strlen(text);

		if (n > width - indent)
			for (n = width - indent; n > width / 2 && text[n] != ' '; n--)
				;
		move(t->line++, indent);
		addnstr(text, n);
		text += n;
		while (*text == ' ')
			text++;
		indent = 14 < width / 2 ? 14 : 0;
	}
}

static void draw_explain(void)
{
	const struct aero_vm_info *vm = &t->view.now.vm[t->view.selected];
	struct aero_explain e;

	if (t->line >= LINES - 2 || take_explain(vm, &e))
		return;
	t->line++;
	explain_lines(vm, &e, put_wrapped, NULL);
}

static enum style host_style(const struct aero_host_info *h)
{
	return h->state >= 3 ? STYLE_BAD : h->state ? STYLE_WARN : STYLE_PLAIN;
}

/* The rows that fit, with the selected one among them. */
static void draw_rows(void)
{
	int room = (t->explain ? LINES / 2 : LINES - 1) - 2, selected = 0, first;
	char line[LINE_BYTES];

	for (unsigned int i = 0; i < t->view.now.nr; i++)
		if (t->view.order[i] == t->view.selected)
			selected = (int)i;
	first = selected >= room ? selected - room + 1 : 0;
	for (int i = 0; i < room && first + i < (int)t->view.now.nr; i++) {
		enum style style = view_row(&t->view, first + i, (unsigned int)COLS, line);

		put(t->line++, style, line);
	}
}

static void draw(void)
{
	char line[LINE_BYTES];

	erase();
	view_host(&t->view, line);
	put(0, host_style(&t->view.now.host), line);
	view_row(&t->view, -1, (unsigned int)COLS, line);
	put(1, STYLE_HEAD, line);
	t->line = 2;
	draw_rows();
	if (t->explain && t->view.now.nr)
		draw_explain();
	snprintf(line, sizeof(line),
		 "q quit  up down select  e explain  s sort (by %s)  sizes in MiB",
		 sort_name(t->view.sort));
	put(LINES - 1, STYLE_DIM, line);
	refresh();
}

/* False: enough. */
static bool key(int c)
{
	switch (c) {
	case 'q':
	case 'Q':
	case 27:
		return false;
	case KEY_UP:
	case 'k':
		view_move(&t->view, -1);
		break;
	case KEY_DOWN:
	case 'j':
		view_move(&t->view, 1);
		break;
	case 's':
		t->view.sort = sort_name(t->view.sort + 1) ? t->view.sort + 1 : 0;
		view_update(&t->view, NULL);
		break;
	case 'e':
	case '\n':
	case KEY_ENTER:
		t->explain = !t->explain;
		break;
	}
	return true;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Keys until it is time to look again. */
static bool keys_until(int64_t due)
{
	for (;;) {
		int64_t left = due - now_ms();
		int c;

		timeout(left > 0 ? (int)left : 0);
		c = getch();
		if (c == ERR)
			return true;
		if (!key(c))
			return false;
		draw();
		if (left <= 0)
			return true;
	}
}

/* Not within curses: what goes wrong is said after it has given the terminal back. */
static int screens(unsigned int period_ms, uint64_t rounds)
{
	int64_t due = now_ms();
	int err = DONE;

	for (uint64_t n = 0; !rounds || n < rounds; n++) {
		if (n) {
			err = take_snapshot(&t->s);
			if (err)
				break;
			view_update(&t->view, &t->s);
		}
		draw();
		due += period_ms;
		if (!keys_until(due))
			break;
	}
	return err;
}

static int plain(unsigned int period_ms, uint64_t rounds)
{
	const struct timespec period = { period_ms / 1000, (long)(period_ms % 1000) * 1000000 };
	char line[LINE_BYTES];
	int err = DONE;

	for (uint64_t n = 0; !rounds || n < rounds; n++) {
		if (n) {
			nanosleep(&period, NULL);
			err = take_snapshot(&t->s);
			if (err)
				break;
			view_update(&t->view, &t->s);
		}
		view_host(&t->view, line);
		puts(line);
		for (int row = -1; row < (int)t->view.now.nr; row++) {
			view_row(&t->view, row, 200, line);
			puts(line);
		}
		if (fflush(stdout))
			return FAILED;
	}
	return err;
}

/* Has the terminal what a full screen needs? */
static bool capable(void)
{
	const char *name = getenv("TERM");
	int err;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !name)
		return false;
	return setupterm(NULL, STDOUT_FILENO, &err) == OK && cursor_address && clear_screen;
}

static int full_screen(unsigned int period_ms, uint64_t rounds)
{
	int err;

	initscr();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	set_escdelay(100);
	if (has_colors())
		colours();
	err = screens(period_ms, rounds);
	endwin();
	return err;
}

int top(unsigned int period_ms, uint64_t rounds)
{
	int err;

	t = calloc(1, sizeof(*t));
	if (!t)
		return wrong(FAILED, "no memory");
	err = take_snapshot(&t->s); /* an error is said before the screen is taken */
	view_update(&t->view, &t->s);
	if (!err)
		err = (capable() ? full_screen : plain)(period_ms, rounds);
	free(t);
	t = NULL;
	return err;
}
