/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world around the policy: guests that fill memory, drivers that move
 * balloons, faults that are served while there is memory, pages that are
 * sampled.  It never looks into the policy.
 */
#include <string.h>

#include <tools/policysim/sim.h>

/* As in hv/memory/governor.c and hv/memory/balloon.c. */
#define SILENT_MS 3000
#define STUCK_MS 10000
#define HOLD_MS 2000

u64 sim_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void apply(struct sim *s, const struct event *e)
{
	struct guest *g = &s->guest[e->vm];

	switch (e->kind) {
	case EVENT_USE:
		g->want = e->a;
		g->active = e->b;
		break;
	case EVENT_DRIVER:
		g->driver = (enum driver)e->a;
		break;
	case EVENT_STOP:
		g->on = false;
		g->start = UINT64_MAX;
		s->vm[e->vm].resident = s->vm[e->vm].balloon = s->vm[e->vm].target = 0;
		break;
	case EVENT_SHARES:
		s->vm[e->vm].shares = (u32)e->a;
		break;
	case EVENT_SAYS:
		g->says = e->a;
		break;
	case EVENT_TAX:
		s->tax = (u32)e->a;
		break;
	}
}

static void move_balloon(struct sim *s, struct guest *g, struct policy_vm *v)
{
	u64 most = max(g->speed * s->period / 1000, 1UL), to = v->target;

	if (g->driver == DRIVER_SILENT || (g->driver == DRIVER_STUCK && to > v->balloon))
		return;
	to = to > v->balloon ? v->balloon + min(to - v->balloon, most) :
			       v->balloon - min(v->balloon - to, most);
	v->balloon = to;
	v->resident = min(v->resident, v->size - to);
}

static u64 used(const struct sim *s)
{
	u64 sum = 0;

	for (u32 i = 0; i < s->nr; i++)
		sum += s->vm[i].resident;
	return sum;
}

/* It touches what it wants and has not got. */
static void fault(struct sim *s, struct guest *g, struct policy_vm *v, u64 *free)
{
	u64 room = min(v->size - v->balloon, g->want);
	u64 take = room > v->resident ? room - v->resident : 0;

	take = min(take, max(g->fault_speed * s->period / 1000, 1UL));
	v->waiting = take > *free;
	take = min(take, *free);
	v->resident += take;
	*free -= take;
}

/* The call GROW: answered before it returns. */
static void ask(struct sim *s, struct guest *g, struct policy_vm *v)
{
	u64 has = v->size - v->balloon;

	v->grow = 0;
	if (g->asks && g->want > has && s->now > g->hold_until + HOLD_MS &&
	    g->driver != DRIVER_SILENT) {
		v->grow = min(g->want - has, v->balloon);
		v->target = min(v->target, v->balloon) - v->grow;
		g->hold_until = s->now + HOLD_MS;
	}
	v->hold = s->now < g->hold_until && s->out.state != POLICY_LOW;
}

/* Each access to active memory is as likely as any other; outside it costs more. */
static double work(const struct guest *g, const struct policy_vm *v)
{
	double miss =
		g->active > v->resident ? (double)(g->active - v->resident) / (double)g->active : 0;

	return v->waiting ? 0 : 1 / (1 + g->penalty * miss);
}

static u64 truth(const struct guest *g, const struct policy_vm *v)
{
	return v->resident ? min(g->active, v->resident) * 1000 / v->resident : 0;
}

/* One that is slowed down by its disk does not come round to all its pages in a period. */
static u64 seen_active(const struct guest *g, const struct policy_vm *v)
{
	u64 active = min(g->active, v->resident);

	return g->rounds ? (u64)((double)active * g->rounds * g->work / (1 + g->rounds * g->work)) :
			   active;
}

static void sample(struct sim *s, struct guest *g, struct policy_vm *v)
{
	u64 active = seen_active(g, v);
	u32 touched = 0;

	if (!s->sample_pages) { /* as if each page were looked at */
		v->active_permille = (u32)truth(g, v);
		return;
	}
	if (!v->resident)
		return;
	for (u32 i = 0; i < s->sample_pages; i++)
		touched += sim_random(&s->seed) % v->resident < active;
	v->active_permille = estimate_add(&g->estimate, touched, s->sample_pages);
}

/* What the governor knows of a driver: whether it calls, and whether it gives. */
static void judge(struct sim *s, struct guest *g, struct policy_vm *v, u64 before)
{
	bool fine = g->driver != DRIVER_SILENT &&
		    (v->balloon > before || v->balloon + v->size / 64 >= v->target || v->waiting);

	if (fine)
		g->late_since = s->now;
	v->responsive = g->driver != DRIVER_SILENT || s->now - g->late_since < SILENT_MS;
	v->stuck = v->responsive && s->now - g->late_since >= STUCK_MS;
}

static void step_guests(struct sim *s)
{
	u64 taken = used(s), free;
	u32 first = (u32)(s->decisions % max(s->nr, 1u));

	for (u32 i = 0; i < s->nr; i++) {
		struct policy_vm *v = &s->vm[i];
		u64 before = v->balloon;

		if (!s->guest[i].on)
			continue;
		move_balloon(s, &s->guest[i], v);
		judge(s, &s->guest[i], v, before);
	}
	taken = used(s);
	free = s->memory - min(s->memory, taken);
	/* Whoever comes first: not the same each time. */
	for (u32 n = 0; n < s->nr; n++) {
		u32 i = (first + n) % s->nr;

		if (!s->guest[i].on)
			continue;
		fault(s, &s->guest[i], &s->vm[i], &free);
		ask(s, &s->guest[i], &s->vm[i]);
		s->guest[i].work = work(&s->guest[i], &s->vm[i]);
		s->vm[i].paging = s->guest[i].says && s->guest[i].active > s->vm[i].resident;
	}
	s->in.free = free;
}

static void start_guests(struct sim *s)
{
	for (u32 i = 0; i < s->nr; i++)
		if (!s->guest[i].on && s->guest[i].start <= s->now) {
			s->guest[i].on = true;
			s->guest[i].late_since = s->now;
			s->vm[i].active_permille = 1000;
			estimate_init(&s->guest[i].estimate);
		}
}

static void keep(struct sim *s)
{
	struct record *r = s->history + s->decisions * s->nr;

	for (u32 i = 0; i < s->nr; i++) {
		const struct policy_vm *v = &s->vm[i];
		const struct guest *g = &s->guest[i];

		r[i] = (struct record){ .resident = (u32)v->resident,
					.balloon = (u32)v->balloon,
					.target = (u32)v->target,
					.truth = (u16)truth(g, v),
					.estimate = (u16)v->active_permille,
					.low = (u16)g->estimate.low,
					.high = (u16)g->estimate.high,
					.state = (u8)s->out.state,
					.waiting = v->waiting,
					.on = g->on,
					.work = g->on ? (float)g->work : 0 };
	}
	for (u32 n = 0; n < s->in.nr_vms; n++) {
		r[s->of[n]].target = (u32)s->out.vm[n].target;
		r[s->of[n]].entitlement = (u32)s->out.vm[n].entitlement;
		r[s->of[n]].reason = (u8)s->out.vm[n].reason;
	}
}

static void decide(struct sim *s)
{
	s->in.total = s->memory;
	s->in.tax = s->tax;
	s->in.balloon_max = s->balloon_max;
	s->in.beyond_balloon = s->beyond;
	s->in.state = s->out.state;
	s->in.cap_yields = s->out.cap_yields;
	s->in.nr_vms = 0;
	for (u32 i = 0; i < s->nr; i++) {
		struct policy_vm *v = &s->vm[i];

		if (!s->guest[i].on)
			continue;
		v->faulted =
			v->resident > s->last_resident[i] ? v->resident - s->last_resident[i] : 0;
		s->last_resident[i] = v->resident;
		s->of[s->in.nr_vms] = i;
		s->given[s->in.nr_vms++] = *v;
	}
	policy_decide(&s->in, &s->out);
	if (s->keep)
		keep(s);
	for (u32 n = 0; n < s->in.nr_vms; n++)
		s->vm[s->of[n]].target = s->out.vm[n].target;
	s->decisions++;
}

static void prepare(struct sim *s)
{
	u32 n = max(s->nr, 1u);

	s->seed = s->seed ? s->seed : 2026;
	s->last_resident = allocate(n, sizeof(u64));
	s->given = allocate(n, sizeof(*s->given));
	s->of = allocate(n, sizeof(u32));
	s->out.vm = allocate(n, sizeof(*s->out.vm));
	s->out.scratch = allocate(n, sizeof(*s->out.scratch));
	s->in.vm = s->given;
	if (s->keep)
		s->history = allocate((s->until / s->period + 1) * n, sizeof(*s->history));
}

void sim_run(struct sim *s)
{
	prepare(s);
	for (s->now = 0; s->now <= s->until; s->now += s->period) {
		while (s->next_event < s->nr_events && s->event[s->next_event].at <= s->now)
			apply(s, &s->event[s->next_event++]);
		start_guests(s);
		step_guests(s);
		if (s->now >= s->next_sample) {
			for (u32 i = 0; i < s->nr; i++)
				if (s->guest[i].on)
					sample(s, &s->guest[i], &s->vm[i]);
			s->next_sample = s->now + s->sample;
		}
		decide(s);
	}
}

void sim_cost(u32 nr, u32 times)
{
	struct sim s = { .nr = nr, .until = 0, .period = 1000 };
	u64 seed = 7;

	prepare(&s);
	s.in = (struct policy_in){ .total = 1UL << 30, /* 4 TiB */
				   .free = 1UL << 20,
				   .tax = 75,
				   .balloon_max = 65,
				   .state = POLICY_HARD,
				   .nr_vms = nr,
				   .vm = s.given };
	for (u32 t = 0; t < times; t++) {
		for (u32 i = 0; i < nr; i++) {
			u64 size = (s.in.total * 2 / nr) * (50 + sim_random(&seed) % 100) / 100;

			s.given[i] = (struct policy_vm){
				.size = size,
				.min = size / 8,
				.max = size,
				.shares = 100 + (u32)(sim_random(&seed) % 10000),
				.resident = size / 2,
				.balloon = size / 3,
				.target = size / 3,
				.active_permille = (u32)(sim_random(&seed) % 1001),
				.faulted = sim_random(&seed) % 1000,
				.waiting = sim_random(&seed) % 8 == 0,
				.responsive = true,
			};
		}
		s.in.cap_yields = t % 2;
		policy_decide(&s.in, &s.out);
	}
}
