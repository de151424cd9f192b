/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A screen as hardware shows it: rows of cells, each a character and a colour.
 * VGA text and pixels (arch/x86_64/pc) provide one, hv/control/screen.h draws on it.
 */
#ifndef HV_BASE_SCREEN_FACE_H
#define HV_BASE_SCREEN_FACE_H

#include <hv/base/types.h>

#define SCREEN_MAX_COLUMNS 320
#define SCREEN_MAX_ROWS 128

struct screen_face {
	u32 columns, rows;
	/* Shows a cell: the character in the low byte, the colour of VGA text in the high one. */
	void (*draw)(u32 column, u32 row, u16 cell);
};

#endif
