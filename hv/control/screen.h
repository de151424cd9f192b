/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's screen: cells of character and colour, shown by a face (VGA text
 * or pixels), in pages: the log, the VMs, the host.
 *
 * The log page is made from the log's ring, so a line costs nothing when it is
 * logged.  What is shown is compared with what should be, and only cells that
 * differ are drawn: at most a few hundred each time that the host's tick comes
 * by, never with a lock held.  During boot, and once nothing runs any more
 * (panic, power off), each line is drawn at once instead.
 */
#ifndef HV_SCREEN_H
#define HV_SCREEN_H

#include <hv/base/types.h>

#define SCREEN_MAX_COLUMNS 320
#define SCREEN_MAX_ROWS 128
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

/* Stands for what cannot be printed. */
#define SCREEN_UNKNOWN 0x7f

struct screen_face {
	u32 columns, rows;
	/* Shows a cell: the character, and the colour in the high byte. */
	void (*draw)(u32 column, u32 row, u16 cell);
};

struct screen_grid {
	u16 *cells; /* row by row */
	u32 columns, rows;
};

/* Cuts @text where the row ends, fills the rest with blanks; rows outside are ignored. */
void screen_put(struct screen_grid *g, u32 row, u8 colour, const char *text, size_t len);
void screen_print(struct screen_grid *g, u32 row, u8 colour, const char *fmt, ...) __printf(4, 5);

/*
 * Takes over @face and shows the log on it, from its beginning.  HV_ENOMEM;
 * HV_EINVAL: it is too small.  Boot, once the frame table is there.
 */
int screen_init(const struct screen_face *face, const char *version);

/* Is there one? */
bool screen_present(void);

/* VMs run from now on: draws from screen_tick(). @pages_ms: between pages, 0: the log only. */
void screen_start(u32 pages_ms, bool keys);

/* Nothing runs any more: each line is drawn at once again, on the page of the log. */
void screen_stop(void);

/* Draws what is due. From the scheduler's tick. */
void screen_tick(u64 now);

/* What a key does; see hv/control/keys.h. From the scheduler's tick. */
enum key;
void screen_key(enum key key);

/* --- the pages (hv/control/pages.c): each fills the grid --- */

/* @first: the VM at the top; false: there are none below the last row. */
bool page_vms(struct screen_grid *g, u32 first);
void page_host(struct screen_grid *g, const char *version);
void page_help(struct screen_grid *g);

#endif
