/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells to pixels: all modes that work, modes that are refused, and no writes outside of the cells.
 */
#include <tests/fake/fake.h>

#include <arch/x86_64/pc/fb.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/log.h>

extern const u8 font_glyphs[96][16];

static u8 *memory; /* of the fake screen, exactly as large as it says */
static size_t mapped;
static unsigned int flags_seen;
static bool no_memory;
static char log_text[512];

void *paging_map_mmio(hpa_t pa, size_t bytes, unsigned int flags)
{
	assert_int_equal(pa.v, 0xfd000000);
	if (no_memory)
		return NULL;
	free(memory);
	memory = malloc(bytes);
	memset(memory, 0x5a, bytes);
	mapped = bytes;
	flags_seen = flags;
	return memory;
}

int log_error_at(const char *where, int err, const char *fmt, ...)
{
	va_list ap;

	(void)where;
	va_start(ap, fmt);
	vsnprintf(log_text, sizeof(log_text), fmt, ap);
	va_end(ap);
	return err;
}

static struct fb_mode mode(u32 width, u32 height, u8 bpp, u32 extra)
{
	return (struct fb_mode){ .address = 0xfd000000,
				 .pitch = width * ((bpp + 7u) / 8) + extra,
				 .width = width,
				 .height = height,
				 .bpp = bpp };
}

static u32 pixel(const struct fb_mode *m, u32 x, u32 y)
{
	u32 v = 0, bytes = (m->bpp + 7u) / 8;

	memcpy(&v, memory + y * m->pitch + x * bytes, bytes);
	return v;
}

/* The letter at a cell is the font's, in these two values, enlarged by @scale. */
static void is_letter(const struct fb_mode *m, u32 column, u32 row, u32 glyph, u32 ink, u32 paper,
		      u32 scale)
{
	for (u32 y = 0; y < 16 * scale; y++)
		for (u32 x = 0; x < 8 * scale; x++) {
			bool on = font_glyphs[glyph][y / scale] >> (7 - x / scale) & 1;

			assert_int_equal(pixel(m, column * 8 * scale + x, row * 16 * scale + y),
					 on ? ink : paper);
		}
}

/* All pixels outside of the cell at @column, @row are unchanged. */
static void rest_untouched(const struct fb_mode *m, u32 column, u32 row, u32 scale)
{
	u32 bytes = (m->bpp + 7u) / 8;

	for (size_t i = 0; i < mapped; i++) {
		u32 y = (u32)(i / m->pitch) / (16 * scale);
		u32 x = (u32)(i % m->pitch) / (8 * scale * bytes);

		if (y != row || x != column)
			assert_int_equal(memory[i], 0x5a);
	}
}

static const struct screen_face *open_mode(const struct fb_mode *m, u32 columns, u32 rows)
{
	const struct screen_face *f = fb_init(*m);

	assert_non_null(f);
	assert_int_equal(f->columns, columns);
	assert_int_equal(f->rows, rows);
	assert_int_equal(flags_seen, PAGING_WC);
	return f;
}

/* White on blue: both bytes of the colour, all three fields. */
#define WHITE_ON_BLUE (0x1f << 8)

static void every_depth(void **state)
{
	static const struct {
		u8 bpp;
		u32 white, blue, brown;
	} depths[] = {
		{ 32, 0xffffff, 0x0000aa, 0xaa5500 },
		{ 24, 0xffffff, 0x0000aa, 0xaa5500 },
		{ 16, 0xffff, 0x0015, 0x15 << 11 | (0x55 >> 2) << 5 },
		{ 15, 0x7fff, 0x0015, 0x15 << 10 | (0x55 >> 3) << 5 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(depths); i++) {
		/* A pitch larger than the width; 3 pixels and 5 lines that no cell has. */
		struct fb_mode m = mode(40 * 8 + 3, 8 * 16 + 5, depths[i].bpp, 52);
		const struct screen_face *f = open_mode(&m, 40, 8);

		f->draw(39, 7, WHITE_ON_BLUE | 'g');
		is_letter(&m, 39, 7, 'g' - ' ', depths[i].white, depths[i].blue, 1);
		rest_untouched(&m, 39, 7, 1);
		f->draw(39, 7, 0x0600 | 'W');
		is_letter(&m, 39, 7, 'W' - ' ', depths[i].brown, 0, 1);
	}
}

static void every_letter(void **state)
{
	struct fb_mode m = mode(320, 128, 32, 0);
	const struct screen_face *f = open_mode(&m, 40, 8);
	u32 box = 0;

	(void)state;
	for (u32 c = 0; c < 256; c++) {
		f->draw(1, 1, (u16)(0x0700 | c));
		is_letter(&m, 1, 1, c >= ' ' && c <= '~' ? c - ' ' : 95, 0xaaaaaa, 0, 1);
	}
	for (u32 y = 0; y < 16; y++)
		box += font_glyphs[95][y];
	assert_true(box); /* characters without a glyph are visible */
	/* The colours differ. */
	for (u32 a = 0; a < 96; a++)
		for (u32 b = 0; b < a; b++)
			assert_memory_not_equal(font_glyphs[a], font_glyphs[b], 16);
}

static void fields_as_the_mode_says(void **state)
{
	/* Red lowest, as some firmware has it; and ten bits for each. */
	struct fb_mode rgb = mode(320, 128, 32, 0), deep = rgb;
	const struct screen_face *f;

	(void)state;
	rgb.red = (struct fb_field){ 0, 8 };
	rgb.green = (struct fb_field){ 8, 8 };
	rgb.blue = (struct fb_field){ 16, 8 };
	f = open_mode(&rgb, 40, 8);
	f->draw(0, 0, WHITE_ON_BLUE | ' ');
	assert_int_equal(pixel(&rgb, 0, 0), 0xaa0000);
	f->draw(0, 0, 0x4000 | ' ');
	assert_int_equal(pixel(&rgb, 0, 0), 0x0000aa);
	deep.red = (struct fb_field){ 20, 10 };
	deep.green = (struct fb_field){ 10, 10 };
	deep.blue = (struct fb_field){ 0, 10 };
	f = open_mode(&deep, 40, 8);
	f->draw(0, 0, 0x4000 | ' ');
	assert_int_equal(pixel(&deep, 0, 0), (0xaau << 2) << 20);
}

static void large_screens_have_large_letters(void **state)
{
	static const struct {
		u32 width, height, scale;
	} sizes[] = {
		{ 1024, 768, 1 },  { 1920, 1080, 1 }, { 1280, 2000, 1 }, { 2560, 1440, 2 },
		{ 3840, 2160, 3 }, { 7680, 4320, 6 }, { 2560, 1399, 1 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 s = sizes[i].scale;
		struct fb_mode m = mode(sizes[i].width, sizes[i].height, 16, 0);
		const struct screen_face *f =
			open_mode(&m, sizes[i].width / 8 / s, sizes[i].height / 16 / s);

		f->draw(f->columns - 1, f->rows - 1, 0x0f00 | 'R');
		is_letter(&m, f->columns - 1, f->rows - 1, 'R' - ' ', 0xffff, 0, s);
	}
	/* More cells than the screen takes: the rest stays dark. */
	struct fb_mode wide = mode(20000, 600, 16, 0);

	open_mode(&wide, SCREEN_MAX_COLUMNS, 37);
}

static void refused(struct fb_mode m, const char *words)
{
	log_text[0] = '\0';
	assert_null(fb_init(m));
	if (!strstr(log_text, words))
		fail_msg("\"%s\" lacks \"%s\"", log_text, words);
}

static void odd_modes_are_refused(void **state)
{
	struct fb_mode good = mode(640, 480, 32, 0), m;

	(void)state;
	refused(mode(640, 480, 8, 0), "16, 24 or 32 bits");
	refused(mode(640, 480, 0, 0), "16, 24 or 32 bits");
	refused(mode(640, 480, 64, 0), "16, 24 or 32 bits");
	m = good;
	m.pitch--;
	refused(m, "makes no sense");
	m = good;
	m.address = 0;
	refused(m, "makes no sense");
	m = good;
	m.address = UINT64_MAX - PAGE_SIZE;
	refused(m, "makes no sense");
	refused(mode(70000, 480, 32, 0), "makes no sense");
	refused(mode(16, 70000, 32, 0), "makes no sense");
	m = mode(65000, 65000, 32, 0);
	refused(m, "makes no sense");
	m = good;
	m.width = 0x40000000; /* times four is zero */
	m.pitch = 0;
	refused(m, "makes no sense");
	m = good;
	m.red = (struct fb_field){ 28, 8 };
	m.green = m.blue = (struct fb_field){ 0, 8 };
	refused(m, "colours");
	m.red = (struct fb_field){ 16, 8 };
	m.green = (struct fb_field){ 8, 0 };
	refused(m, "colours");
	no_memory = true;
	refused(good, "no memory");
	no_memory = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_depth),
		cmocka_unit_test(every_letter),
		cmocka_unit_test(fields_as_the_mode_says),
		cmocka_unit_test(large_screens_have_large_letters),
		cmocka_unit_test(odd_modes_are_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(memory);
	return failed;
}
