/* SPDX-License-Identifier: BSD-2-Clause */
/* Partition tables as bytes: good ones, and each way in which one can be bad. */
#include <tests/unit/block/gpt_fixture.h>

static struct gpt_header h;

static const char *header(void)
{
	return gpt_header(gpt_at(1), gpt_block, 1, GPT_BLOCKS, &h);
}

static void checksum(void **state)
{
	(void)state;
	/* The check value of CRC-32/ISO-HDLC. */
	assert_int_equal(crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
}

static void a_good_table(void **state)
{
	struct gpt_entry e;

	(void)state;
	for (u32 block = 512; block <= 4096; block *= 8) {
		gpt_make(block);
		gpt_part(0, "root", 64, 100);
		gpt_part(3, "swap of the machine, thirty-six long", 101, GPT_BLOCKS - 65);
		assert_null(header());
		assert_int_equal(h.other, GPT_BLOCKS - 1);
		assert_true(gpt_entries_good(&h, gpt_at(h.entries)));
		assert_true(gpt_entry(&h, gpt_at(h.entries), 0, &e));
		assert_string_equal(e.label, "root");
		assert_int_equal(e.first, 64);
		assert_int_equal(e.last, 100);
		assert_false(gpt_entry(&h, gpt_at(h.entries), 1, &e));
		assert_true(gpt_entry(&h, gpt_at(h.entries), 3, &e));
		assert_string_equal(e.label, "swap of the machine, thirty-six long");
		assert_null(gpt_header(gpt_at(h.other), block, h.other, GPT_BLOCKS, &h));
		assert_int_equal(h.other, 1);
	}
}

/* A field with another value, and a correct checksum. */
static const char *with(u32 at, u64 value, u32 bytes)
{
	gpt_make(512);
	gpt_put(gpt_at(1) + at, value, bytes);
	gpt_put(gpt_at(1) + 16, 0, 4);
	gpt_put(gpt_at(1) + 16, crc32(0, gpt_at(1), 92), 4);
	return header();
}

static void senseless_headers(void **state)
{
	static const struct {
		u32 at;
		u64 value;
		u32 bytes;
	} cases[] = {
		{ 24, 2, 8 },	       { 32, GPT_BLOCKS, 8 }, { 40, GPT_BLOCKS, 8 },
		{ 48, GPT_BLOCKS, 8 }, { 48, UINT64_MAX, 8 }, { 72, 0, 8 },
		{ 72, 1, 8 },	       { 72, UINT64_MAX, 8 }, { 72, GPT_BLOCKS - 31, 8 },
		{ 80, 0, 4 },	       { 80, 513, 4 },	      { 80, UINT32_MAX, 4 },
		{ 84, 0, 4 },	       { 84, 64, 4 },	      { 84, 129, 4 },
		{ 84, 1u << 31, 4 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		if (!with(cases[i].at, cases[i].value, cases[i].bytes))
			fail_msg("field %u may be %lx", cases[i].at, cases[i].value);
	assert_null(with(24, 1, 8)); /* that is what it was */
}

static void damaged_headers(void **state)
{
	(void)state;
	gpt_make(512);
	gpt_at(1)[0] = 'e';
	assert_string_equal(header(), "there is none");
	for (u32 i = 8; i < 92; i++) {
		gpt_make(512);
		gpt_at(1)[i] ^= 1;
		assert_non_null(header());
	}
	/* A size that leaves the block is not read. */
	assert_non_null(with(12, 513, 4));
	assert_non_null(with(12, 91, 4));
	assert_non_null(with(12, UINT32_MAX, 4));
}

static void damaged_entries(void **state)
{
	struct gpt_entry e;

	(void)state;
	gpt_make(512);
	gpt_part(0, "a", 64, 100);
	assert_null(header());
	gpt_at(2)[57]++;
	assert_false(gpt_entries_good(&h, gpt_at(2)));
	/* Outside of what the header says, or the wrong way round. */
	gpt_part(0, "a", 63, 100);
	assert_false(gpt_entry(&h, gpt_at(2), 0, &e));
	gpt_part(0, "a", 64, GPT_BLOCKS - 64);
	assert_false(gpt_entry(&h, gpt_at(2), 0, &e));
	gpt_part(0, "a", 100, 99);
	assert_false(gpt_entry(&h, gpt_at(2), 0, &e));
	gpt_part(0, "a\x7f", 64, 64);
	gpt_at(2)[58] = 0xe4; /* not ASCII */
	assert_true(gpt_entry(&h, gpt_at(2), 0, &e));
	assert_string_equal(e.label, "a?");
}

static void old_partitions(void **state)
{
	(void)state;
	gpt_make(512);
	assert_true(mbr_divides(gpt_disk));
	gpt_disk[446 + 4] = 0;
	assert_false(mbr_divides(gpt_disk));
	gpt_disk[446 + 3 * 16 + 4] = 0x83;
	assert_true(mbr_divides(gpt_disk));
	gpt_disk[511] = 0;
	assert_false(mbr_divides(gpt_disk));
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(checksum),	    T(a_good_table),	T(senseless_headers),
		T(damaged_headers), T(damaged_entries), T(old_partitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
