/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen's face for pixels of 16, 24 or 32 bits. Draws with the font of the build, enlarged on
 * screens of high resolution. The memory is mapped write-combining and never read.
 */
#include <arch/x86_64/pc/fb.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/err.h>
#include <hv/base/log.h>

#define GLYPH_WIDTH 8
#define GLYPH_HEIGHT 16
#define GLYPH_FIRST ' '
#define BYTES_MAX MIB(256)
/* Letters are n times as large on a screen of n times this size. */
#define SCALE_WIDTH 1280
#define SCALE_HEIGHT 700

/* tools/font: U+0020 to U+007E, and one glyph for all others. */
extern const u8 font_glyphs['~' - GLYPH_FIRST + 2][GLYPH_HEIGHT];

static struct {
	u8 *memory;
	u32 pitch, bytes; /* of a row, of a pixel */
	u32 scale;
	u32 palette[16];
	struct screen_face face;
} fb;

/* The upper bits of @value (8 bits), at the place of that colour in the mode. */
static u32 field(u32 value, const struct fb_field *f)
{
	return (f->bits > 8 ? value << (f->bits - 8) : value >> (8 - f->bits)) << f->at;
}

/* VGA's sixteen colours: bit 0 blue, 1 green, 2 red, 3 bright; and brown. */
static u32 colour(u32 i, const struct fb_mode *m)
{
	u32 low = i & 8 ? 0x55 : 0, high = i & 8 ? 0xff : 0xaa;

	return field(i & 4 ? high : low, &m->red) |
	       field(i == 6 ? 0x55 :
		     i & 2  ? high :
			      low,
		     &m->green) |
	       field(i & 1 ? high : low, &m->blue);
}

static void put_pixel(volatile u8 *p, u32 pixel)
{
	switch (fb.bytes) {
	case 4:
		*(volatile u32 *)p = pixel;
		break;
	case 3:
		p[0] = (u8)pixel;
		p[1] = (u8)(pixel >> 8);
		p[2] = (u8)(pixel >> 16);
		break;
	default:
		*(volatile u16 *)p = (u16)pixel;
	}
}

static void fb_draw(u32 column, u32 row, u16 cell)
{
	u32 c = cell & 0xff, ink = fb.palette[cell >> 8 & 15], paper = fb.palette[cell >> 12];
	const u8 *glyph =
		font_glyphs[c >= GLYPH_FIRST && c <= '~' ? c - GLYPH_FIRST : '~' - GLYPH_FIRST + 1];
	u8 *line = fb.memory + (u64)row * GLYPH_HEIGHT * fb.scale * fb.pitch +
		   (u64)column * GLYPH_WIDTH * fb.scale * fb.bytes;

	for (u32 y = 0; y < GLYPH_HEIGHT * fb.scale; y++, line += fb.pitch) {
		u8 *p = line;

		for (u32 mask = 0x80; mask; mask >>= 1)
			for (u32 i = 0; i < fb.scale; i++, p += fb.bytes)
				put_pixel(p, glyph[y / fb.scale] & mask ? ink : paper);
	}
}

static bool field_fits(const struct fb_field *f, u32 bpp)
{
	return f->bits && f->at + f->bits <= bpp;
}

/* Why we cannot use the mode; NULL: we can. */
static const char *fault(const struct fb_mode *m)
{
	if (m->bpp != 32 && m->bpp != 24 && m->bpp != 16 && m->bpp != 15)
		return "16, 24 or 32 bits a pixel are needed";
	if (!field_fits(&m->red, m->bpp) || !field_fits(&m->green, m->bpp) ||
	    !field_fits(&m->blue, m->bpp))
		return "its colours are not in the pixel";
	if (m->width > 65535 || m->height > 65535 || m->pitch < m->width * fb.bytes ||
	    (u64)m->pitch * m->height > BYTES_MAX || !m->address ||
	    m->address > BIT(52) - BYTES_MAX)
		return "its size or place makes no sense";
	return NULL;
}

/* The colours' places on nearly all screens, for loaders that do not tell them. */
static void usual_fields(struct fb_mode *m)
{
	u8 bits = m->bpp > 16 ? 8 : 5, green = m->bpp == 16 ? 6 : bits;

	if (m->red.bits || m->green.bits || m->blue.bits)
		return;
	m->blue = (struct fb_field){ 0, bits };
	m->green = (struct fb_field){ bits, green };
	m->red = (struct fb_field){ (u8)(bits + green), bits };
}

const struct screen_face *fb_init(struct fb_mode m)
{
	const char *why;

	usual_fields(&m);
	fb.bytes = (m.bpp + 7u) / 8;
	fb.pitch = m.pitch;
	why = fault(&m);
	if (!why) {
		fb.memory = paging_map_mmio(HPA(m.address), (size_t)m.pitch * m.height, PAGING_WC);
		why = fb.memory ? NULL : "no memory to map it";
	}
	if (why) {
		log_error(HV_EINVAL, "screen: %ux%u pixels of %u bits at %lx: %s", m.width,
			  m.height, m.bpp, m.address, why);
		return NULL;
	}
	for (u32 i = 0; i < 16; i++)
		fb.palette[i] = colour(i, &m);
	fb.scale = max(min(m.width / SCALE_WIDTH, m.height / SCALE_HEIGHT), 1u);
	fb.face.columns = min(m.width / (GLYPH_WIDTH * fb.scale), (u32)SCREEN_MAX_COLUMNS);
	fb.face.rows = min(m.height / (GLYPH_HEIGHT * fb.scale), (u32)SCREEN_MAX_ROWS);
	fb.face.draw = fb_draw;
	return &fb.face;
}
