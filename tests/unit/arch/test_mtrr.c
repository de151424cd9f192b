/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory types from MTRRs that firmware might leave, and some that it should not. */
#include <tests/fake/fake.h>

#include <arch/x86_64/quirks/mtrr.h>

#define VALID BIT(11)

static struct mtrrs with(u32 bits, u8 default_type)
{
	return (struct mtrrs){ .enabled = true,
			       .default_type = default_type,
			       .address_mask = BIT(bits) - 1 };
}

static void range(struct mtrrs *m, u64 base, u64 size, u8 type)
{
	m->range[m->nr].base = base | type;
	m->range[m->nr++].mask = (~(size - 1) & m->address_mask) | VALID;
}

static void is(const struct mtrrs *m, u64 pa, enum mtrr_type type, u64 end)
{
	u64 got;

	assert_int_equal(mtrr_type(m, pa, &got), type);
	assert_int_equal(got, end);
}

/* SeaBIOS, QEMU and Bochs: all is WB except the PCI hole. */
static void a_hole_in_write_back(void **state)
{
	struct mtrrs m = with(40, MTRR_WB);

	(void)state;
	range(&m, GIB(3), GIB(1), MTRR_UC);
	is(&m, MIB(1), MTRR_WB, GIB(3));
	is(&m, GIB(3) - 1, MTRR_WB, GIB(3));
	is(&m, GIB(3), MTRR_UC, GIB(4));
	is(&m, GIB(4), MTRR_WB, UINT64_MAX);
}

/* Real firmware: UC by default, RAM in powers of two, and the excess made UC again. */
static void ranges_in_uncached(void **state)
{
	struct mtrrs m = with(39, MTRR_UC);

	(void)state;
	range(&m, 0, GIB(2), MTRR_WB);
	range(&m, GIB(2), GIB(1), MTRR_WB);
	range(&m, GIB(3) - MIB(64), MIB(64), MTRR_UC);
	range(&m, GIB(4), GIB(4), MTRR_WB);
	m.range[m.nr++].base = MTRR_UC; /* not valid: no range */
	is(&m, MIB(1), MTRR_WB, GIB(2));
	is(&m, GIB(2), MTRR_WB, GIB(3) - MIB(64));
	is(&m, GIB(3) - MIB(64), MTRR_UC, GIB(3));
	is(&m, GIB(3), MTRR_UC, GIB(4));
	is(&m, GIB(4), MTRR_WB, GIB(8));
	is(&m, GIB(8), MTRR_UC, UINT64_MAX);
}

static void precedence(void **state)
{
	static const u8 types[] = { MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP, MTRR_WB };

	(void)state;
	for (size_t a = 0; a < ARRAY_SIZE(types); a++)
		for (size_t b = 0; b < ARRAY_SIZE(types); b++) {
			struct mtrrs m = with(36, MTRR_WB);
			u8 want = MTRR_UC; /* one of them is UC, or the manual says "undefined" */

			if (types[a] == types[b])
				want = types[a];
			else if (types[a] + types[b] == MTRR_WT + MTRR_WB)
				want = MTRR_WT;
			range(&m, GIB(1), GIB(1), types[a]);
			range(&m, GIB(1), MIB(1), types[b]);
			is(&m, GIB(1), want, GIB(1) + MIB(1));
			is(&m, GIB(1) + MIB(1), types[a], GIB(2));
		}
}

static void address_widths(void **state)
{
	(void)state;
	for (u32 bits = 36; bits <= 52; bits++) {
		struct mtrrs m = with(bits, MTRR_UC);

		range(&m, 0, BIT(bits), MTRR_WB); /* a mask of nothing but "valid" */
		is(&m, 0, MTRR_WB, BIT(bits));
		range(&m, BIT(bits - 1), BIT(bits - 1), MTRR_UC);
		is(&m, 0, MTRR_WB, BIT(bits - 1));
		is(&m, BIT(bits) - PAGE_SIZE, MTRR_UC, BIT(bits));
		/* Firmware writes masks for fewer bits than the CPU has, or for more. */
		m.range[0].mask |= ~(BIT(52) - 1);
		is(&m, 0, MTRR_WB, BIT(bits - 1));
		m = with(bits, MTRR_UC);
		range(&m, 0, GIB(2), MTRR_WB);
		m.range[0].mask &= BIT(34) - 1;
		is(&m, 0, MTRR_WB, GIB(2));
		is(&m, GIB(2), MTRR_UC, UINT64_MAX);
	}
}

static void switched_off(void **state)
{
	struct mtrrs m = with(36, MTRR_WB);

	(void)state;
	m.enabled = false;
	is(&m, GIB(1), MTRR_UC, UINT64_MAX);
}

/* AMD: above 4 GiB the default counts only from TOP_MEM2 on; a range counts everywhere. */
static void amd_above_4g(void **state)
{
	struct mtrrs m = with(48, MTRR_UC);

	(void)state;
	m.wb_4g_to = GIB(80);
	range(&m, 0, GIB(2), MTRR_WB);
	range(&m, GIB(8), GIB(1), MTRR_UC);
	is(&m, 0, MTRR_WB, GIB(2));
	is(&m, GIB(2), MTRR_UC, GIB(4));
	is(&m, GIB(4), MTRR_WB, GIB(8));
	is(&m, GIB(8), MTRR_UC, GIB(9));
	is(&m, GIB(9), MTRR_WB, GIB(80));
	is(&m, GIB(80), MTRR_UC, UINT64_MAX);
}

/* For any mask: memory that it may make uncached never counts as write-back. */
static void masks_with_holes(void **state)
{
	u64 seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct mtrrs m = with(36, i & 1 ? MTRR_WB : MTRR_UC);
		u64 mask = (fake_random(&seed) & m.address_mask & ~PAGE_MASK) | BIT(35), end, pa;
		u64 base = fake_random(&seed) & mask;
		u8 type = i & 1 ? MTRR_UC : MTRR_WB;

		m.range[m.nr].base = base | type;
		m.range[m.nr++].mask = mask | VALID;
		pa = fake_random(&seed) & m.address_mask;
		if (type == MTRR_UC) /* in its range */
			pa = (pa & ~mask) | base;
		else if ((pa & mask) == base) /* out of it */
			continue;
		assert_int_not_equal(mtrr_type(&m, pa, &end), MTRR_WB);
		assert_true(end > pa);
	}
}

/* A walk from end to end, as at boot, gives each address the same type as a single look. */
static void steps_are_whole(void **state)
{
	u64 seed = 3;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct mtrrs m = with(36, fake_random(&seed) & 1 ? MTRR_WB : MTRR_UC);
		u32 steps = 0;

		for (int k = 0; k < 8; k++) {
			u64 size = MIB(1) << fake_random(&seed) % 14;

			range(&m, fake_random(&seed) & m.address_mask & ~(size - 1), size,
			      fake_random(&seed) & 1 ? MTRR_UC : MTRR_WB);
		}
		for (u64 pa = 0, end; pa < GIB(64); pa = end, steps++) {
			u64 other, at;
			enum mtrr_type t = mtrr_type(&m, pa, &end);

			assert_true(end > pa);
			assert_true(steps < 64);
			end = min(end, GIB(64));
			at = pa + fake_random(&seed) % (end - pa);
			assert_int_equal(mtrr_type(&m, at, &other), t);
			assert_int_equal(mtrr_type(&m, end - 1, &other), t);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hole_in_write_back), cmocka_unit_test(ranges_in_uncached),
		cmocka_unit_test(precedence),		cmocka_unit_test(address_widths),
		cmocka_unit_test(switched_off),		cmocka_unit_test(amd_above_4g),
		cmocka_unit_test(masks_with_holes),	cmocka_unit_test(steps_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
