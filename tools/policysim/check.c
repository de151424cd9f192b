/* SPDX-License-Identifier: BSD-2-Clause */
/* What a trace expects, against what came out. */
#include <stdio.h>

#include <tools/policysim/sim.h>

#define STEADY_PART 100 /* a target is steady within a hundredth of its VM's size */
#define WORK_MS 60000	/* work is averaged over a minute up to the time asked for */

static const struct record *at(const struct sim *s, u64 ms, u32 vm)
{
	return &s->history[ms / s->period * s->nr + vm];
}

static double work_at(const struct sim *s, u64 ms, u32 vm)
{
	u64 first = ms > WORK_MS ? ms - WORK_MS : 0, n = 0;
	double sum = 0;

	for (u64 t = first; t <= ms; t += s->period, n++)
		sum += at(s, t, vm)->work;
	return sum / (double)n;
}

static double value(const struct sim *s, const struct check *c)
{
	const struct record *r = at(s, c->from, c->vm);

	switch (c->field) {
	case FIELD_RESIDENT:
		return r->resident;
	case FIELD_BALLOON:
		return r->balloon;
	case FIELD_TARGET:
		return r->target;
	case FIELD_ENTITLEMENT:
		return r->entitlement;
	default:
		return work_at(s, c->from, c->vm);
	}
}

static bool say(const struct check *c, bool good, const char *what, double is, const char *unit)
{
	printf("%s line %u: %s: %.4g %s\n", good ? "ok  " : "FAIL", c->line, what, is, unit);
	return good;
}

static bool range(const struct sim *s, const struct check *c)
{
	double v = value(s, c);

	return say(c, v >= c->low && v <= c->high, s->guest[c->vm].name,
		   c->field == FIELD_WORK ? v : v / 256,
		   c->field == FIELD_WORK ? "of full speed" : "MiB");
}

static bool gain(const struct sim *s, const struct check *c)
{
	double g = (work_at(s, c->to, c->vm) / work_at(s, c->from, c->vm) - 1) * 100;

	return say(c, g >= c->low, "more work done", g, "%");
}

/*
 * How many decisions after @from the targets are where they are at @to: the
 * first is made on what was seen when the step had just happened.
 */
static bool steady(const struct sim *s, const struct check *c)
{
	u64 last = 0;

	for (u64 t = c->from, n = 1; t <= c->to; t += s->period, n++)
		for (u32 i = 0; i < s->nr; i++) {
			s64 d = (s64)at(s, t, i)->target - (s64)at(s, c->to, i)->target;

			if ((u64)(d < 0 ? -d : d) > s->vm[i].size / STEADY_PART)
				last = n;
		}
	return say(c, (double)(last + 1) <= c->low, "targets steady from decision",
		   (double)(last + 1), "on");
}

/* Pages that balloons moved in the period up to @t, in percent of the host's. */
static double moved(const struct sim *s, u64 t)
{
	u64 sum = 0;

	for (u32 i = 0; i < s->nr; i++) {
		s64 d = (s64)at(s, t, i)->balloon - (s64)at(s, t - s->period, i)->balloon;

		sum += (u64)(d < 0 ? -d : d);
	}
	return (double)sum * 100 / (double)s->memory;
}

static bool calm(const struct sim *s, const struct check *c)
{
	double worst = 0;

	for (u64 t = c->from + s->period; t <= c->to; t += s->period)
		worst = max(worst, moved(s, t));
	return say(c, worst <= c->low, "of memory moved in the worst period", worst, "%");
}

static bool drift(const struct sim *s, const struct check *c)
{
	double sum = 0;

	for (u64 t = c->from + s->period; t <= c->to; t += s->period)
		sum += moved(s, t);
	sum *= 60000 / (double)(c->to - c->from);
	return say(c, sum <= c->low, "of memory moved a minute", sum, "%");
}

static bool no_wait(const struct sim *s, const struct check *c)
{
	u64 waits = 0;

	for (u64 t = c->from; t <= c->to; t += s->period)
		for (u32 i = 0; i < s->nr; i++)
			waits += at(s, t, i)->waiting;
	return say(c, !waits, "periods in which a VM waited", (double)waits, "");
}

/* Each sample once: is the truth within its published interval? */
static bool cover(const struct sim *s, const struct check *c)
{
	u64 n = 0, in = 0;

	for (u64 t = ALIGN_UP(c->from, s->sample); t <= c->to; t += s->sample, n++) {
		const struct record *r = at(s, t, c->vm);

		in += r->truth >= r->low && r->truth <= r->high;
	}
	return say(c, n && (double)in * 100 >= c->low * (double)n,
		   "of the samples have the truth in their interval",
		   n ? (double)in * 100 / (double)n : 0, "%");
}

u32 checks_run(const struct sim *s)
{
	static bool (*const how[])(const struct sim *s, const struct check *c) = {
		[CHECK_RANGE] = range, [CHECK_GAIN] = gain,   [CHECK_STEADY] = steady,
		[CHECK_CALM] = calm,   [CHECK_DRIFT] = drift, [CHECK_NO_WAIT] = no_wait,
		[CHECK_COVER] = cover,
	};
	u32 failed = 0;

	for (u32 i = 0; i < s->nr_checks; i++)
		failed += !how[s->check[i].kind](s, &s->check[i]);
	return failed;
}
