/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/time/tsc_said.h>

/* SDM: "Time-Stamp Counter", "Nominal Core Crystal Clock Frequency"; Linux, native_calibrate_tsc(). */
static const struct {
	u8 model; /* of Intel's family 6 */
	u16 khz;
} crystals[] = {
	{ 0x4e, 24000 }, { 0x5e, 24000 }, { 0x8e, 24000 }, { 0x9e, 24000 }, /* Skylake, Kaby Lake */
	{ 0x55, 25000 },						    /* Skylake-SP */
	{ 0x5c, 19200 },						    /* Goldmont */
	{ 0x5f, 25000 },						    /* Denverton */
};

static u64 crystal_khz(const struct tsc_words *w)
{
	if (w->leaf15[2])
		return w->leaf15[2] / 1000;
	for (size_t i = 0; i < ARRAY_SIZE(crystals); i++)
		if (w->cpu->intel && crystals[i].model == w->cpu->model)
			return crystals[i].khz;
	return 0;
}

/* AMD's Processor Programming References, "P-state [7:0]": the TSC goes at P0's frequency. */
static u64 p0_khz(const struct tsc_words *w)
{
	u64 divisor = w->p0 >> 8 & 0x3f;

	if (!(w->p0 >> 63) || !w->cpu->amd)
		return 0;
	if (w->cpu->family == 0x17 || w->cpu->family == 0x19)
		return divisor ? (w->p0 & 0xff) * 200000 / divisor : 0;
	return w->cpu->family == 0x1a ? (w->p0 & 0xfff) * 5000 : 0;
}

u64 tsc_said(const struct tsc_words *w)
{
	if (w->leaf15[0] && w->leaf15[1] && crystal_khz(w))
		return crystal_khz(w) * w->leaf15[1] / w->leaf15[0];
	return w->leaf16 ? w->leaf16 * 1000UL : p0_khz(w);
}

u64 tsc_of_pvclock(u32 mul, s8 shift)
{
	u64 khz;

	if (!mul || shift < -31 || shift > 31)
		return 0;
	khz = (1000000UL << 32) / mul;
	return shift < 0 ? khz << -shift : khz >> shift;
}
