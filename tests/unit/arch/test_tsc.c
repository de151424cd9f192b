/* SPDX-License-Identifier: BSD-2-Clause */
/* The TSC: its frequency, the difference between two CPUs' TSCs, and its correction. */
#include <tests/fake/fake.h>

#include <arch/x86_64/time/tsc_measure.h>
#include <arch/x86_64/time/tsc_said.h>
#include <arch/x86_64/time/tsc_span.h>

/* Two CPUs: the time is by our TSC; the other is @ahead ticks ahead. */
static u64 now, seed;
static s64 apart, drift; /* @drift: in 1/1000 */

static u64 theirs(void)
{
	return now + (u64)apart + (u64)((s64)now * drift / 1000);
}

/* A message takes 80 to 600 ticks; now and then an SMI or an outer hypervisor delays it. */
static void message(void)
{
	now += 80 + fake_random(&seed) % 520;
	if (fake_random(&seed) % 8 == 0)
		now += fake_random(&seed) % 1000000;
}

static struct tsc_span measure(void)
{
	struct tsc_span s = TSC_SPAN_ANY;

	for (int i = 0; i < 32; i++) {
		u64 sent = now, answer;

		message();
		answer = theirs();
		message();
		tsc_span_add(&s, sent, answer, now);
	}
	return s;
}

/* Measures and shifts until that ends; each write of the TSC loses @lost ticks. */
static enum tsc_verdict put_in_step(struct tsc_fix *f, s64 lost, bool works)
{
	enum tsc_verdict v;

	*f = (struct tsc_fix){ 0 };
	do {
		struct tsc_span s = measure();

		v = tsc_fix(f, &s, !lost);
		if (f->shift && works)
			apart += f->shift - lost;
		assert_true(f->shifts <= 4);
	} while (f->shift);
	return v;
}

static void machine(s64 ticks)
{
	now = 1UL << 40;
	apart = ticks;
	drift = 0;
}

static void equal_ones_are_left_alone(void **state)
{
	struct tsc_fix f;

	(void)state;
	for (seed = 1; seed < 1000; seed++) {
		machine(0);
		assert_int_equal(put_in_step(&f, 0, true), TSC_EQUAL);
		assert_int_equal(f.shifts, 0);
	}
}

/* The rest is less than a message can show, because that takes at least 80 ticks. */
static void those_apart_are_shifted(void **state)
{
	static const s64 by[] = { 3000000000, -3000000000, 700, -700, 1 - (1L << 40) };
	struct tsc_fix f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(by); i++)
		for (s64 lost = 0; lost <= 900; lost += 300)
			for (u64 k = 1; k < 200; k++) {
				seed = k;
				machine(by[i]);
				assert_int_equal(put_in_step(&f, lost, true), TSC_EQUAL);
				assert_in_range(f.ahead, by[i] - 600, by[i] + 600);
				assert_in_range(apart + 600, 0, 1200);
			}
}

static void what_cannot_be_set(void **state)
{
	struct tsc_fix f;

	(void)state;
	seed = 1;
	machine(5000);
	assert_int_equal(put_in_step(&f, 0, false), TSC_APART);
	assert_int_equal(f.shifts, 4); /* three times, and once more to see that it did not help */
	/* One that runs at another speed. */
	machine(5000);
	drift = 100;
	assert_int_equal(put_in_step(&f, 0, true), TSC_UNSTEADY);
}

/* --- the frequency ------------------------------------------------------------------ */

/* A machine in picoseconds: the time of a reading, the speed of its clocks, and its delays. */
static struct {
	u64 ps, read_ps;
	u64 tsc_khz, hz;
	u64 smi_every, smi_ps; /* in readings of either clock */
	u64 dies_at;	       /* the reading from which on the clock stands still */
	u64 reads, frozen;
	bool absent; /* reads as all ones */
} hw;

static void passes(void)
{
	hw.ps += hw.read_ps / 2;
	if (hw.smi_every && ++hw.reads % hw.smi_every == 0)
		hw.ps += hw.smi_ps;
}

static u32 count(u32 mask)
{
	u32 v;

	passes();
	v = (u32)((__uint128_t)hw.ps * hw.hz / 1000000000000UL) & mask;
	if (hw.dies_at && --hw.dies_at == 0)
		hw.frozen = v | 1UL << 32;
	passes();
	return hw.absent ? mask : hw.frozen ? (u32)hw.frozen : v;
}

static u32 read_16(void)
{
	return count(0xffff);
}

static u32 read_24(void)
{
	return count(0xffffff);
}

static u32 read_32(void)
{
	return count(UINT32_MAX);
}

static u64 read_tsc(void)
{
	hw.ps += 10000;
	return (u64)((__uint128_t)hw.ps * hw.tsc_khz / 1000000000UL);
}

static const struct ref_clock clocks[] = {
	{ "PIT", 1193182, 0xffff, read_16, read_tsc },
	{ "PM timer", 3579545, 0xffffff, read_24, read_tsc },
	{ "HPET", 14318180, UINT32_MAX, read_32, read_tsc },
};

static void computer(const struct ref_clock *c, u64 khz, u64 read_ns)
{
	memset(&hw, 0, sizeof(hw));
	hw.ps = 123456789012345; /* two minutes after power-on */
	hw.read_ps = read_ns * 1000;
	hw.tsc_khz = khz;
	hw.hz = c->hz;
}

/* True: off by at most 1/@part. */
static void measures(const struct ref_clock *c, u64 khz, u64 part)
{
	struct tsc_edge first;
	u64 got = tsc_measure(c, &first);

	if (got + khz / part < khz || got > khz + khz / part)
		fail_msg("%s: %lu kHz, not %lu", c->name, got, khz);
}

static void frequencies(void **state)
{
	static const u64 khz[] = { 50000, 800000, 1193182, 2600000, 5700000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
		for (size_t k = 0; k < ARRAY_SIZE(khz); k++) {
			u64 since;

			computer(&clocks[i], khz[k], 900);
			since = hw.ps;
			measures(&clocks[i], khz[k], 5000);
			assert_true(hw.ps - since < 60000000000UL); /* 60 ms */
			/* An SMI of 300 us now and then, of 60 ms, and slow ports. */
			hw.smi_every = 997;
			hw.smi_ps = 300000000;
			measures(&clocks[i], khz[k], 3000);
			hw.smi_every = 7919;
			hw.smi_ps = i ? 60000000000 : 20000000000;
			measures(&clocks[i], khz[k], 2000);
			computer(&clocks[i], khz[k], 40000);
			measures(&clocks[i], khz[k], 300);
		}
}

/* The last window of six is off by an SMI at its end: five agree. */
static void most_windows_decide(void **state)
{
	struct tsc_window w[TSC_WINDOWS];

	(void)state;
	for (u32 i = 0; i < TSC_WINDOWS; i++)
		w[i] = (struct tsc_window){ 10400000, 14318 };
	assert_int_equal(tsc_decide(w, TSC_WINDOWS, 3579545, 2000), 2600032);
	w[5].tsc += 780000;
	assert_int_equal(tsc_decide(w, TSC_WINDOWS, 3579545, 2000), 2600032);
	w[0].count = 0;
	assert_int_equal(tsc_decide(w, TSC_WINDOWS, 3579545, 2000), 2600032);
	w[1].tsc = 0; /* half is not most */
	assert_int_equal(tsc_decide(w, TSC_WINDOWS, 3579545, 2000), 0);
}

static void no_clock(void **state)
{
	struct tsc_edge first;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		const struct ref_clock *c = &clocks[i];
		u64 since;

		/* None there: it takes 10 ms to know, not 100 s. */
		computer(c, 2600000, 900);
		hw.absent = true;
		since = hw.ps;
		assert_int_equal(tsc_measure(c, &first), 0);
		assert_true(hw.ps - since < 20000000000UL);
		/* One that stops. */
		computer(c, 2600000, 900);
		hw.dies_at = 10000;
		since = hw.ps;
		assert_int_equal(tsc_measure(c, &first), 0);
		assert_true(hw.ps - since < 100000000000UL);
		/* The result is outside of all TSCs' frequencies. */
		computer(c, 2000, 900);
		assert_int_equal(tsc_measure(c, &first), 0);
		computer(c, 20000000, 900);
		assert_int_equal(tsc_measure(c, &first), 0);
	}
}

static void refined(void **state)
{
	struct tsc_edge first;

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(clocks); i++) {
		u64 khz;

		computer(&clocks[i], 2592001, 900);
		khz = tsc_measure(&clocks[i], &first);
		assert_int_equal(tsc_refine_khz(&clocks[i], &first, 2592900),
				 2592900); /* too soon */
		hw.ps += 1000000000000;
		assert_in_range(tsc_refine_khz(&clocks[i], &first, khz), 2591996, 2592006);
		assert_in_range(tsc_refine_khz(&clocks[i], &first, 2592900), 2591996, 2592006);
		/*
		 * Differs by more than the first measurement's error: the refined value is wrong.
		 */
		assert_int_equal(tsc_refine_khz(&clocks[i], &first, 2650000), 2650000);
	}
	/* The PM timer has gone round. */
	computer(&clocks[1], 2592001, 900);
	assert_true(tsc_measure(&clocks[1], &first));
	hw.ps += 4500000000000;
	assert_int_equal(tsc_refine_khz(&clocks[1], &first, 2592900), 2592900);
	hw.absent = true;
	assert_int_equal(tsc_refine_khz(&clocks[1], &first, 2592900), 2592900);
}

static u64 said(bool amd, u32 family, u32 model, u32 a, u32 b, u32 c, u32 mhz, u64 p0)
{
	struct cpu_id id = { .intel = !amd, .amd = amd, .family = family, .model = model };
	struct tsc_words w = { &id, { a, b, c }, mhz, p0 };

	return tsc_said(&w);
}

static void words(void **state)
{
	(void)state;
	assert_int_equal(said(false, 6, 0x97, 2, 167, 38400000, 3200, 0), 3206400);
	assert_int_equal(said(false, 6, 0x5e, 2, 284, 0, 3400, 0), 3408000);
	assert_int_equal(said(false, 6, 0x55, 2, 168, 0, 2100, 0), 2100000);
	assert_int_equal(said(false, 6, 0x5c, 3, 171, 0, 0, 0), 1094400);
	assert_int_equal(said(false, 6, 0xa5, 2, 200, 0, 2900, 0), 2900000); /* no crystal known */
	assert_int_equal(said(false, 6, 0x2a, 0, 0, 0, 0, 0), 0);
	assert_int_equal(said(true, 0x17, 0x31, 0, 0, 0, 0, BIT(63) | 0x890), 3600000);
	assert_int_equal(said(true, 0x1a, 0x44, 0, 0, 0, 0, BIT(63) | 0x35c), 4300000);
	assert_int_equal(said(true, 0x17, 0x31, 0, 0, 0, 0, 0x890), 0);	  /* not in use */
	assert_int_equal(said(true, 0x17, 0x31, 0, 0, 0, 0, BIT(63)), 0); /* by nothing */
	assert_int_equal(said(true, 0x15, 2, 0, 0, 0, 0, BIT(63) | 0x890), 0);
	/* KVM's scale for 2.6 GHz, 1 GHz, 500 MHz. */
	assert_in_range(tsc_of_pvclock(3303820996u, -1), 2599990, 2600010);
	assert_in_range(tsc_of_pvclock(0x80000000u, 1), 999999, 1000001);
	assert_in_range(tsc_of_pvclock(0x80000000u, 2), 499999, 500001);
	assert_int_equal(tsc_of_pvclock(0, 0), 0);
	assert_int_equal(tsc_of_pvclock(1, 40), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ones_are_left_alone),
		cmocka_unit_test(those_apart_are_shifted),
		cmocka_unit_test(what_cannot_be_set),
		cmocka_unit_test(frequencies),
		cmocka_unit_test(most_windows_decide),
		cmocka_unit_test(no_clock),
		cmocka_unit_test(refined),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests_name("tsc", tests, NULL, NULL);
}
