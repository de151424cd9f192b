/* SPDX-License-Identifier: BSD-2-Clause */
/* A long line takes several rows; where lines have been lost there is a row that says so. */
#include <hv/control/page_log.h>
#include <hv/control/scrollback.h>

#define FOLLOW UINT64_MAX /* the newest lines are shown */

static u64 bottom = FOLLOW; /* where the first line starts that is below the page */
static u64 seen;	    /* scrollback_end() of the picture */

static u64 page_end(void)
{
	struct scrollback_line l;

	/* The lines that were shown have left the ring. */
	if (bottom != FOLLOW && (!scrollback_before(bottom, &l) || l.end + 1 != bottom))
		bottom = FOLLOW;
	return bottom == FOLLOW ? scrollback_end() : bottom;
}

static u32 line_rows(const struct screen_grid *g, const struct scrollback_line *l)
{
	u32 rows = (u32)((l->end - l->start + g->columns - 1) / g->columns);

	return max(rows, 1u) + (l->lost > 0);
}

/* The start of the line from which g->rows rows lead to @end; the rows above them in @skip. */
static u64 page_top(const struct screen_grid *g, u64 end, u32 *skip)
{
	struct scrollback_line l = { .start = end };
	u32 have = 0;

	while (have < g->rows && scrollback_before(l.start, &l))
		have += line_rows(g, &l);
	*skip = have > g->rows ? have - g->rows : 0;
	return l.start;
}

/* A piece of a line that is not skipped, in the next row. */
static void put_row(struct screen_grid *g, u32 *row, u32 *skip, u64 at, u64 end, u8 colour)
{
	char text[SCREEN_MAX_COLUMNS];
	u32 len = 0;

	if (*skip) {
		(*skip)--;
		return;
	}
	for (; at < end && len < g->columns; at++)
		text[len++] = scrollback_byte(at);
	screen_put(g, (*row)++, colour, text, len);
}

static void put_line(struct screen_grid *g, u32 *row, u32 *skip, const struct scrollback_line *l)
{
	u8 colour = scrollback_byte(l->start) == '*' ? SCREEN_ALERT : SCREEN_NORMAL;
	u64 at = l->start;

	if (l->lost && *skip)
		(*skip)--;
	else if (l->lost)
		screen_print(g, (*row)++, SCREEN_DIM, "... %lu lines are no longer kept ...",
			     l->lost);
	do {
		put_row(g, row, skip, at, l->end, colour);
		at += g->columns;
	} while (at < l->end);
}

bool page_log_draw(struct screen_grid *g, u32 first)
{
	struct scrollback_line l;
	u64 end = page_end(), at;
	u32 row = 0, skip;

	(void)first;
	seen = scrollback_end();
	for (at = page_top(g, end, &skip); at < end && scrollback_from(at, &l) && row < g->rows;
	     at = l.end + 1)
		put_line(g, &row, &skip, &l);
	screen_blank(g, row);
	return false;
}

/* The line at the top comes to the bottom; all of it, if it began above the page. */
static void up(const struct screen_grid *g)
{
	struct scrollback_line l;
	u32 skip;
	u64 end = page_end(), top = page_top(g, end, &skip);

	if (skip && scrollback_from(top, &l) && l.end + 1 < end)
		top = l.end + 1;
	if (scrollback_before(top, &l))
		bottom = top;
}

/* The page ends with the last line behind @at of which all rows fit, but has one at least. */
static void down_from(const struct screen_grid *g, u64 at)
{
	struct scrollback_line l;
	u32 have = 0;

	while (scrollback_from(at, &l)) {
		u32 rows = line_rows(g, &l);

		if (have && have + rows > g->rows)
			break;
		have += rows;
		at = l.end + 1;
	}
	bottom = at < scrollback_end() ? at : FOLLOW;
}

void page_log_move(const struct screen_grid *g, enum screen_move move)
{
	switch (move) {
	case MOVE_UP:
		up(g);
		break;
	case MOVE_DOWN:
		down_from(g, page_end());
		break;
	case MOVE_FIRST:
		down_from(g, 0);
		break;
	case MOVE_LAST:
		bottom = FOLLOW;
	}
}

const char *page_log_note(void)
{
	return bottom == FOLLOW ? "" : " (earlier)";
}

bool page_log_news(void)
{
	return bottom == FOLLOW && seen != scrollback_end();
}
