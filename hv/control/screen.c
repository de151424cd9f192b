/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/atomic.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/control/manage.h>
#include <hv/control/screen.h>
#include <hv/control/scrollback.h>
#include <hv/vm/sched.h>
#include <mm/frame.h>

#define DRAW_MAX 256	/* cells in one go */
#define DRAW_MS 2	/* from one go to the next */
#define LOOK_MS 100	/* between two looks at the log and the keyboard */
#define REFRESH_MS 500	/* between two pictures of pages that are figures */
#define CONFIRM_MS 5000 /* in which a dangerous key must come again */

static struct screen {
	const struct screen_face *face;
	const char *version;
	const struct screen_page *pages;
	u32 nr_pages;
	struct screen_grid want;
	u16 *shown;
	u32 cells, drawn; /* all, and those of this picture that are done */
	u32 busy;	  /* (a) a CPU draws */
	bool deferred;	  /* VMs run: lines wait for the tick */
	bool keys, hold, panicked;
	u32 page, first; /* the page that is shown, and its row at the top */
	bool more;	 /* the page has rows below the last one */
	bool stale;	 /* the picture must be made again */
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

void screen_blank(struct screen_grid *g, u32 row)
{
	for (; row < g->rows; row++)
		screen_put(g, row, SCREEN_NORMAL, "", 0);
}

/* Draws at most @max cells that differ; the last row, which names the keys, comes first. */
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

/* --- which page, and the line below it ------------------------------------------------ */

static const struct screen_page *page(void)
{
	return &screen.pages[screen.page];
}

/* The rows that are the page's. */
static struct screen_grid body(void)
{
	struct screen_grid g = screen.want;

	g.rows--;
	return g;
}

static void bar(struct screen_grid *g, u64 now)
{
	const char *note = page()->note ? page()->note() : "";
	u32 row = g->rows - 1;

	if (screen.asked && now < screen.asked_until)
		screen_print(g, row, SCREEN_ALERT,
			     " %s: press the same key again within %u seconds",
			     screen.asked == KEY_OFF ? "power off" : "reboot", CONFIRM_MS / 1000);
	else if (screen.keys)
		screen_print(g, row, SCREEN_BAR, " %-4s%s | 1 log  2 VMs  3 host  ? help",
			     page()->name,
			     note[0]	 ? note :
			     screen.hold ? " (held)" :
					   "");
	else
		screen_print(g, row, SCREEN_BAR, " %-4s | Aerostat %s", page()->name,
			     screen.version);
}

static void compose(u64 now)
{
	struct screen_grid g = body();

	screen.more = page()->draw(&g, screen.first);
	bar(&screen.want, now);
	screen.drawn = 0;
	screen.stale = false;
}

static void show(u32 page_nr)
{
	struct screen_grid g = body();

	screen.page = page_nr;
	screen.first = 0;
	if (page()->move)
		page()->move(&g, MOVE_LAST);
	screen.stale = true;
}

static void turn_page(void)
{
	u32 next = screen.page;

	if (screen.more) {
		screen.first += screen.want.rows / 2;
		screen.stale = true;
		return;
	}
	do
		next = (next + 1) % screen.nr_pages;
	while (!screen.pages[next].turns);
	show(next);
}

static void move(enum screen_move move)
{
	struct screen_grid g = body();
	u32 step = screen.want.rows / 2;

	if (page()->move)
		page()->move(&g, move);
	else if (move == MOVE_UP)
		screen.first -= min(step, screen.first);
	else if (move == MOVE_DOWN && screen.more)
		screen.first += step;
}

/* Needs the key twice: this cannot be undone. */
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
	/* A key holds the page; a blank lets the pages turn again. */
	screen.hold = key != KEY_HOLD || !screen.hold;
	if (key >= KEY_LOG && key < KEY_LOG + screen.nr_pages)
		show(key - KEY_LOG);
	else if (key == KEY_UP || key == KEY_DOWN)
		move(key == KEY_UP ? MOVE_UP : MOVE_DOWN);
	else if (key == KEY_END || key == KEY_HOME)
		show(0);
	else
		screen.next_page = plat_tsc() + screen.pages_ms * plat_tsc_khz();
	if (key == KEY_HOME)
		move(MOVE_FIRST);
}

/* --- when ------------------------------------------------------------------------------- */

/* The sink of the log: gets whole lines. */
static void line_logged(const char *s, size_t len)
{
	if (!screen.face)
		return;
	scrollback_add(s, len);
	if (log_is_busted() && !screen.panicked) {
		/* The CPU that drew last may have been stopped in the middle of it. */
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

/* 1/1024 of the memory that is known now, from 64 KiB to 1 MiB; less if there is less. HV_ENOMEM. */
static int make_scrollback(void)
{
	unsigned int least = frame_order(SCROLLBACK_MIN), order = frame_order(MIB(1));
	char *memory = NULL;

	while (order > least && PAGE_SIZE << order > frames_stats().total * PAGE_SIZE / 1024)
		order--;
	for (;; order--) {
		memory = frame_alloc_pages(order);
		if (memory || order == least)
			break;
	}
	scrollback_init(memory, memory ? PAGE_SIZE << order : 0);
	return memory ? HV_OK : HV_ENOMEM;
}

int screen_init(const struct screen_face *face, const char *version,
		const struct screen_page *pages, u32 nr_pages)
{
	static struct log_sink sink = { .write = line_logged };
	u32 cells = face->columns * face->rows;
	u16 *grid;

	if (face->columns < SCREEN_MIN_COLUMNS || face->columns > SCREEN_MAX_COLUMNS ||
	    face->rows < SCREEN_MIN_ROWS || face->rows > SCREEN_MAX_ROWS)
		return log_error(HV_EINVAL, "screen: %u columns and %u rows cannot be used",
				 face->columns, face->rows);
	grid = frame_alloc_pages(frame_order(cells * 2 * sizeof(u16)));
	if (!grid || make_scrollback()) {
		frame_free_pages(grid);
		return log_error(HV_ENOMEM, "screen: no memory for its cells and the log");
	}
	log_add_sink(&sink); /* replays nothing: there is no face yet */
	screen = (struct screen){ .want = { grid, face->columns, face->rows },
				  .shown = grid + cells,
				  .cells = cells,
				  .version = version,
				  .pages = pages,
				  .nr_pages = nr_pages,
				  .face = face };
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
		show(0);
}

/* Is another picture due? */
static bool look(u64 now)
{
	screen.next_look = now + LOOK_MS * plat_tsc_khz();
	if (screen.asked && now >= screen.asked_until) {
		screen.asked = KEY_NONE;
		screen.stale = true;
	}
	if (screen.pages_ms && !screen.hold && now >= screen.next_page) {
		turn_page();
		screen.next_page = now + screen.pages_ms * plat_tsc_khz();
	}
	if (page()->figures && now >= screen.next_refresh) {
		screen.next_refresh = now + REFRESH_MS * plat_tsc_khz();
		screen.stale = true;
	}
	return screen.stale || (page()->news && page()->news());
}

void screen_tick(u64 now)
{
	if (!screen.face || !screen.deferred || atomic_swap(&screen.busy, 1u))
		return;
	/* A picture is finished before the next one: else the lower rows would never be drawn. */
	if (screen.drawn == screen.cells && now >= screen.next_look && look(now))
		compose(now);
	draw(DRAW_MAX);
	sched_event_at(screen.drawn < screen.cells ? now + DRAW_MS * plat_tsc_khz() :
						     screen.next_look);
	atomic_store_release(&screen.busy, 0u);
}
