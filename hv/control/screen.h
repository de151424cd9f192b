/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's screen: cells of character and colour, shown by a face (VGA text or pixels),
 * in pages.  It knows a page as a row of functions that fill cells.
 *
 * The cells that are shown are compared with those that are wanted, and only those that
 * differ are drawn: at most a few hundred in a tick, never with a lock held.  During boot,
 * and once nothing runs any more (panic, power off), each line of the log is drawn at once
 * instead.
 */
#ifndef HV_CONTROL_SCREEN_H
#define HV_CONTROL_SCREEN_H

#include <hv/base/screen_face.h>
#include <hv/base/types.h>
#include <hv/control/keys.h>

#define SCREEN_MIN_COLUMNS 40
#define SCREEN_MIN_ROWS 8

/* Colours are those of VGA text: background in the high half of the byte. */
enum screen_colour {
	SCREEN_NORMAL = 0x07,
	SCREEN_BRIGHT = 0x0f,
	SCREEN_ALERT = 0x0e,
	SCREEN_DIM = 0x08,
	SCREEN_BAR = 0x70,
};

/* Stands for a character that cannot be printed. */
#define SCREEN_UNKNOWN 0x7f

struct screen_grid {
	u16 *cells; /* row by row */
	u32 columns, rows;
};

/* Cuts @text where the row ends, fills the rest with blanks; rows outside are ignored. */
void screen_put(struct screen_grid *g, u32 row, u8 colour, const char *text, size_t len);
void screen_print(struct screen_grid *g, u32 row, u8 colour, const char *fmt, ...) __printf(4, 5);

/* The rows from @row on become blank. */
void screen_blank(struct screen_grid *g, u32 row);

enum screen_move { MOVE_UP, MOVE_DOWN, MOVE_FIRST, MOVE_LAST };

struct screen_page {
	const char *name; /* in the bar below the page */
	bool turns;	  /* is shown when pages turn by themselves */
	bool figures;	  /* moves without a key: is drawn again twice a second */
	/* Fills the grid, from its @first row on; true: there is more below. */
	bool (*draw)(struct screen_grid *g, u32 first);
	/* --- of a page that keeps its place itself; all NULL for others --- */
	void (*move)(const struct screen_grid *g, enum screen_move move);
	const char *(*note)(void); /* behind the name in the bar */
	bool (*news)(void);	   /* has it changed since it was drawn? */
};

/*
 * Takes over @face and shows the first page, which is the log's; key KEY_LOG + n shows
 * page n.  HV_ENOMEM; HV_EINVAL: the face is too small.  Boot, once the frame table is
 * there.
 */
int screen_init(const struct screen_face *face, const char *version,
		const struct screen_page *pages, u32 nr_pages);

/* Is there a screen? */
bool screen_present(void);

/*
 * VMs run from now on: draws from screen_tick().  @pages_ms: between two pages; 0: only
 * the first.  @keys: there is a keyboard.
 */
void screen_start(u32 pages_ms, bool keys);

/* Nothing runs any more: each line is drawn at once again, on the first page. */
void screen_stop(void);

/* Draws what is due. From the scheduler's tick. */
void screen_tick(u64 now);

/* Does what a key means. From the scheduler's tick. */
void screen_key(enum key key);

#endif
