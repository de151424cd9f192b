/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/atomic.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/control/keys.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <hv/control/screen.h>
#include <mm/frame.h>

#define DRAW_MAX 256	  /* cells in one go */
#define DRAW_MS 2	  /* from one go to the next */
#define LOOK_MS 100	  /* between two looks at the log and the keyboard */
#define REFRESH_MS 500	  /* between two pictures of pages that are figures */
#define CONFIRM_MS 5000	  /* in which a dangerous key must come again */
#define FOLLOW UINT64_MAX /* the log page shows the newest lines */

enum page { PAGE_LOG, PAGE_VMS, PAGE_HOST, PAGE_HELP };

static struct screen {
	const struct screen_face *face;
	const char *version;
	struct screen_grid want;
	u16 *shown;
	u32 cells, drawn; /* all, and those of this picture that are done */
	u32 busy;	  /* (a) somebody draws */
	bool deferred;	  /* VMs run: lines wait for the tick */
	bool keys, hold, panicked;
	enum page page;
	u32 first_vm;
	bool more_vms;
	u64 log_end;  /* what is after it is not shown, or FOLLOW */
	u64 log_seen; /* bytes of the log when this picture was made */
	bool stale;   /* the picture must be made again */
	u32 pages_ms;
	u64 next_look, next_refresh, next_page; /* TSC */
	enum key asked;				/* must come again before ... */
	u64 asked_until;			/* TSC */
} screen;

/* --- cells -------------------------------------------------------------------------- */

static u8 printable(char c)
{
	return c >= ' ' && c <= '~' ? (u8)c : SCREEN_UNKNOWN;
}

void screen_put(struct screen_grid *g, u32 row, u8 colour, const char *text, size_t len)
{
	u16 *cell = g->cells + row * g->columns;

	if (row >= g->rows)
		return;
	for (u32 i = 0; i < g->columns; i++)
		cell[i] = (u16)(colour << 8 | (i < len ? printable(text[i]) : ' '));
}

void screen_print(struct screen_grid *g, u32 row, u8 colour, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	screen_put(g, row, colour, text, min((size_t)len, sizeof(text) - 1));
}

/* Draws at most @max cells that differ; the last row, with what the keys do, comes first. */
static void draw(u32 max)
{
	u32 columns = screen.want.columns, last_row = screen.cells - columns;

	for (; screen.drawn < screen.cells && max; screen.drawn++) {
		u32 i = screen.drawn + last_row;

		if (i >= screen.cells)
			i -= screen.cells;
		if (screen.want.cells[i] == screen.shown[i])
			continue;
		screen.face->draw(i % columns, i / columns, screen.want.cells[i]);
		screen.shown[i] = screen.want.cells[i];
		max--;
	}
}

/* --- the page of the log: walks the ring, whose lines end in a newline -------------- */

/* Start of the line that ends before @end; @oldest is where the ring begins. */
static u64 line_start(u64 end, u64 oldest)
{
	u64 at = end - 1; /* its own newline, mostly */

	while (at > oldest && log_byte(at - 1) != '\n')
		at--;
	return at;
}

/* Rows that the line [start, end) takes; those for programs take none. */
static u32 line_rows(u64 start, u64 end)
{
	u64 len = end - start - (log_byte(end - 1) == '\n');

	if (log_byte(start) == '@')
		return 0;
	return len ? (u32)((len + screen.want.columns - 1) / screen.want.columns) : 1;
}

/* The start of the line from which @rows rows lead to @end; the rows above them in @skip. */
static u64 log_top(u64 end, u32 rows, u32 *skip)
{
	u64 oldest = log_oldest(), at = end;
	u32 have = 0;

	while (at > oldest && have < rows) {
		u64 start = line_start(at, oldest);

		have += line_rows(start, at);
		at = start;
	}
	*skip = have > rows ? have - rows : 0;
	return at;
}

static u8 log_colour(u64 start)
{
	return log_byte(start) == '*' ? SCREEN_ALERT : SCREEN_NORMAL;
}

static u64 log_end(void)
{
	u64 written = log_written();

	if (screen.log_end > written || screen.log_end <= log_oldest())
		screen.log_end = FOLLOW; /* what was looked at has left the ring */
	return screen.log_end == FOLLOW ? written : screen.log_end;
}

static void page_log(struct screen_grid *g)
{
	char text[SCREEN_MAX_COLUMNS];
	u64 end = log_end(), at, start;
	u32 row = 0, len = 0, skip;

	screen.log_seen = log_written();
	at = start = log_top(end, g->rows, &skip);
	for (; at < end && row < g->rows; at++) {
		char c = log_byte(at);

		if (log_byte(start) != '@') {
			if (c != '\n')
				text[len++] = c;
			/* A full row waits: its line may end here and need no other. */
			if (c == '\n' ||
			    (len == g->columns && at + 1 < end && log_byte(at + 1) != '\n')) {
				if (skip)
					skip--;
				else
					screen_put(g, row++, log_colour(start), text, len);
				len = 0;
			}
		}
		if (c == '\n')
			start = at + 1;
	}
	if (len && row < g->rows) /* a line that is still being written */
		screen_put(g, row++, log_colour(start), text, len);
	for (; row < g->rows; row++)
		screen_put(g, row, SCREEN_NORMAL, "", 0);
}

/* A page up: what is at the top now comes to the bottom. */
static void log_up(void)
{
	u32 skip, rows = screen.want.rows - 1;
	u64 end = log_end(), top = log_top(end, rows, &skip), at = top;

	while (skip && at < end && log_byte(at++) != '\n')
		; /* the top line began above: all of it is to be seen */
	if (at < end)
		top = at;
	if (top > log_oldest())
		screen.log_end = top;
}

static void log_down(void)
{
	u64 at = log_end(), written = log_written(), start = at;
	u32 rows = screen.want.rows - 1, have = 0;

	for (; at < written && have < rows; at++)
		if (log_byte(at) == '\n') {
			have += line_rows(start, at + 1);
			start = at + 1;
		}
	screen.log_end = at < written ? at : FOLLOW;
}

/* --- which page, and the line below it ------------------------------------------------ */

static void bar(struct screen_grid *g, u64 now)
{
	static const char *const names[] = { "log", "VMs", "host", "help" };

	if (screen.asked && now < screen.asked_until)
		screen_print(g, g->rows - 1, SCREEN_ALERT,
			     " %s: press the same key again within %u seconds",
			     screen.asked == KEY_OFF ? "power off" : "reboot", CONFIRM_MS / 1000);
	else if (screen.keys)
		screen_print(g, g->rows - 1, SCREEN_BAR, " %-4s%s | 1 log  2 VMs  3 host  ? help",
			     names[screen.page],
			     screen.page == PAGE_LOG && screen.log_end != FOLLOW ? " (earlier)" :
			     screen.hold					 ? " (held)" :
										   "");
	else
		screen_print(g, g->rows - 1, SCREEN_BAR, " %-4s | Aerostat %s", names[screen.page],
			     screen.version);
}

static void compose(u64 now)
{
	struct screen_grid body = screen.want;

	body.rows--;
	switch (screen.page) {
	case PAGE_LOG:
		page_log(&body);
		break;
	case PAGE_VMS:
		screen.more_vms = page_vms(&body, screen.first_vm);
		break;
	case PAGE_HOST:
		page_host(&body, screen.version);
		break;
	case PAGE_HELP:
		page_help(&body);
		break;
	}
	bar(&screen.want, now);
	screen.drawn = 0;
	screen.stale = false;
}

static void show(enum page page)
{
	screen.page = page;
	screen.first_vm = 0;
	screen.log_end = FOLLOW;
	screen.stale = true;
}

static void turn_page(void)
{
	if (screen.page == PAGE_VMS && screen.more_vms)
		screen.first_vm += screen.want.rows / 2;
	else
		show(screen.page < PAGE_HOST ? screen.page + 1 : PAGE_LOG);
	screen.stale = true;
}

static void move(bool up)
{
	u32 step = screen.want.rows / 2;

	if (screen.page == PAGE_LOG && up)
		log_up();
	else if (screen.page == PAGE_LOG)
		log_down();
	else if (screen.page == PAGE_VMS && up)
		screen.first_vm -= min(step, screen.first_vm);
	else if (screen.page == PAGE_VMS && screen.more_vms)
		screen.first_vm += step;
}

/* What cannot be undone is asked for twice. */
static void dangerous(enum key key)
{
	u64 now = plat_tsc();

	if (screen.asked == key && now < screen.asked_until) {
		manage_end_host(key == KEY_REBOOT, "the keyboard");
		screen.asked = KEY_NONE;
		return;
	}
	screen.asked = key;
	screen.asked_until = now + CONFIRM_MS * plat_tsc_khz();
}

void screen_key(enum key key)
{
	if (key == KEY_NONE || !screen.face)
		return;
	if (key == KEY_OFF || key == KEY_REBOOT) {
		dangerous(key);
		screen.stale = true;
		return;
	}
	screen.asked = KEY_NONE;
	screen.stale = true;
	/* Whoever presses a key wants to look; a blank lets the pages turn again. */
	screen.hold = key != KEY_HOLD || !screen.hold;
	if (key >= KEY_LOG && key <= KEY_HELP)
		show(PAGE_LOG + (key - KEY_LOG));
	else if (key == KEY_UP || key == KEY_DOWN)
		move(key == KEY_UP);
	else if (key == KEY_END)
		show(PAGE_LOG);
	else
		screen.next_page = plat_tsc() + screen.pages_ms * plat_tsc_khz();
}

/* --- when ------------------------------------------------------------------------------- */

/* A log sink: @s is in the ring already; what was there before comes byte by byte. */
static void line_logged(const char *s, size_t len)
{
	if (len && s[len - 1] != '\n')
		return;
	if (log_is_busted() && !screen.panicked) {
		/* Whoever drew last may have been stopped in the middle of it. */
		screen.panicked = true;
		screen_stop();
		memset(screen.shown, 0, screen.cells * sizeof(*screen.shown));
		atomic_store(&screen.busy, 0u);
	}
	if (screen.deferred || atomic_swap(&screen.busy, 1u))
		return;
	compose(0);
	draw(screen.cells);
	atomic_store_release(&screen.busy, 0u);
}

int screen_init(const struct screen_face *face, const char *version)
{
	static struct log_sink sink = { .write = line_logged };
	u32 cells = face->columns * face->rows;
	bool again;
	u16 *grid;

	if (face->columns < SCREEN_MIN_COLUMNS || face->columns > SCREEN_MAX_COLUMNS ||
	    face->rows < SCREEN_MIN_ROWS || face->rows > SCREEN_MAX_ROWS)
		return log_error(HV_EINVAL, "screen: %u columns and %u rows cannot be used",
				 face->columns, face->rows);
	grid = frame_alloc_pages(frame_order(cells * 2 * sizeof(u16)));
	if (!grid)
		return log_error(HV_ENOMEM, "screen: no memory for its cells");
	again = screen.face;
	screen = (struct screen){ .want = { grid, face->columns, face->rows },
				  .shown = grid + cells,
				  .cells = cells,
				  .version = version,
				  .log_end = FOLLOW,
				  .face = face };
	if (!again)
		log_add_sink(&sink);
	line_logged(NULL, 0);
	return HV_OK;
}

bool screen_present(void)
{
	return screen.face;
}

void screen_start(u32 pages_ms, bool keys)
{
	u64 now = plat_tsc();

	screen.pages_ms = pages_ms;
	screen.keys = keys;
	screen.next_page = now + pages_ms * plat_tsc_khz();
	screen.next_look = screen.next_refresh = now;
	screen.stale = true;
	screen.deferred = true;
	sched_event_at(now);
}

void screen_stop(void)
{
	screen.deferred = false;
	if (screen.face)
		show(PAGE_LOG);
}

/* Is another picture due? */
static bool look(u64 now)
{
	bool figures = screen.page == PAGE_VMS || screen.page == PAGE_HOST;

	screen.next_look = now + LOOK_MS * plat_tsc_khz();
	if (screen.asked && now >= screen.asked_until) {
		screen.asked = KEY_NONE;
		screen.stale = true;
	}
	if (screen.pages_ms && !screen.hold && now >= screen.next_page) {
		turn_page();
		screen.next_page = now + screen.pages_ms * plat_tsc_khz();
	}
	if (figures && now >= screen.next_refresh) {
		screen.next_refresh = now + REFRESH_MS * plat_tsc_khz();
		screen.stale = true;
	}
	return screen.stale || (screen.page == PAGE_LOG && screen.log_end == FOLLOW &&
				screen.log_seen != log_written());
}

void screen_tick(u64 now)
{
	if (!screen.face || !screen.deferred || atomic_swap(&screen.busy, 1u))
		return;
	/* A picture is finished before the next: else the lower rows would never come. */
	if (screen.drawn == screen.cells && now >= screen.next_look && look(now))
		compose(now);
	draw(DRAW_MAX);
	sched_event_at(screen.drawn < screen.cells ? now + DRAW_MS * plat_tsc_khz() :
						     screen.next_look);
	atomic_store_release(&screen.busy, 0u);
}
