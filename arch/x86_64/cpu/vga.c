/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VGA text.  Machine-readable lines (those that start with @) are for the
 * serial port; here they are left out.  The screen is write-only for us: the
 * shadow is what scrolls, since reading video memory is slow.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/console.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/log.h>
#include <hv/base/string.h>

#define COLUMNS 80
#define ROWS 25
#define ATTRIBUTE 0x0700
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF 0x20

static struct {
	u16 *screen;
	u16 shadow[ROWS * COLUMNS];
	int row, column;
	bool at_start, skipping;
} vga;

static void newline(void)
{
	vga.column = 0;
	if (++vga.row < ROWS)
		return;
	vga.row = ROWS - 1;
	memmove(vga.shadow, vga.shadow + COLUMNS, sizeof(vga.shadow) - COLUMNS * 2);
	for (int i = 0; i < COLUMNS; i++)
		vga.shadow[vga.row * COLUMNS + i] = ATTRIBUTE | ' ';
}

static void put(char c)
{
	if (vga.at_start)
		vga.skipping = c == '@';
	vga.at_start = c == '\n';
	if (vga.skipping)
		return;
	if (c == '\n') {
		newline();
		return;
	}
	if (vga.column == COLUMNS)
		newline();
	vga.shadow[vga.row * COLUMNS + vga.column++] = (u16)(ATTRIBUTE | (u8)c);
}

static void vga_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(s[i]);
	memcpy(vga.screen, vga.shadow, sizeof(vga.shadow));
}

void vga_init(bool in_text_mode)
{
	static struct log_sink sink = { .write = vga_write };

	if (!in_text_mode)
		return;
	vga.screen = paging_map_mmio(HPA(0xb8000), sizeof(vga.shadow), PAGING_WC);
	if (!vga.screen)
		return;
	outb(CRTC_INDEX, CRTC_CURSOR_START);
	outb(CRTC_DATA, CURSOR_OFF);
	vga.at_start = true;
	for (int i = 0; i < ROWS * COLUMNS; i++)
		vga.shadow[i] = ATTRIBUTE | ' ';
	log_add_sink(&sink);
}
