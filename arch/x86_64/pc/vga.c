/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen's face for VGA text. It only writes video memory: reading that is slow. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/cpu/paging.h>

#define COLUMNS 80
#define ROWS 25
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF 0x20

static volatile u16 *text;

static void vga_draw(u32 column, u32 row, u16 cell)
{
	text[row * COLUMNS + column] = cell;
}

const struct screen_face *vga_init(void)
{
	static const struct screen_face face = { COLUMNS, ROWS, vga_draw };

	text = paging_map_mmio(HPA(0xb8000), ROWS * COLUMNS * sizeof(*text), PAGING_WC);
	if (!text)
		return NULL;
	outb(CRTC_INDEX, CRTC_CURSOR_START);
	outb(CRTC_DATA, CURSOR_OFF);
	return &face;
}
