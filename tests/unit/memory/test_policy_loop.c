/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy in a closed loop with guests that want memory and drivers that take time. */
#include <tests/unit/memory/policy_fixture.h>

#define SCENES 300

/* --- closed loop: guests that want @want frames, drivers that move @speed pages a round --- */

struct guest {
	u64 want;
	u64 speed;
	bool asks;	/* to grow, when its balloon is in its way */
	u32 held_until; /* round */
};

static u64 moved; /* pages that balloons moved in the last round */
static u32 now;	  /* rounds */

/* GROW: memory at once, and no inflation for 2 s. */
static void ask(struct policy_vm *v, struct guest *g)
{
	v->grow = 0;
	if (g->asks && g->want > v->size - v->balloon && now >= g->held_until && v->responsive &&
	    v->balloon) {
		v->grow = min(g->want - (v->size - v->balloon), P(8));
		out.vm[v - vm].target = v->balloon - min(v->balloon, v->grow);
		g->held_until = now + 20;
	}
	v->hold = now < g->held_until;
}

static void round_of(struct guest *g)
{
	u64 held = 0;

	now++;

	moved = 0;
	for (u32 i = 0; i < in.nr_vms; i++) {
		struct policy_vm *v = &vm[i];
		u64 to = out.vm[i].target, step;

		v->target = to;
		if (v->responsive) {
			step = to > v->balloon ? to - v->balloon : v->balloon - to;
			step = min(step, g[i].speed);
			v->balloon = to > v->balloon ? v->balloon + step : v->balloon - step;
			moved += step;
		}
		v->resident = min(v->resident, v->size - v->balloon);
		held += v->resident;
	}
	for (u32 i = 0; i < in.nr_vms; i++) {
		struct policy_vm *v = &vm[i];
		u64 room = min(v->size - v->balloon, g[i].want);
		u64 take = room > v->resident ? room - v->resident : 0;

		v->waiting = take > in.total - held;
		take = min(min(take, in.total - held), g[i].speed);
		v->resident += take;
		v->faulted = take;
		held += take;
		ask(v, &g[i]);
		v->target = out.vm[i].target;
	}
	in.free = in.total - held;
	in.cap_yields = out.cap_yields;
	decide();
}

static void start_loop(u32 n, u64 mib)
{
	vms(n, mib);
	for (u32 i = 0; i < n; i++)
		vm[i].resident = 0;
	in.free = in.total;
	decide();
}

/* Demand is twice the memory: after a while nothing moves, and no VM waits. */
static void overcommit_settles(void **state)
{
	struct guest one = { .want = P(512), .speed = P(16) }, g[4] = { one, one, one, one };
	u64 late = 0, waits = 0;

	(void)state;
	start_loop(4, 512);
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		if (i >= 700) {
			late += moved;
			for (u32 k = 0; k < 4; k++)
				waits += vm[k].waiting;
		}
	}
	assert_true(late < 300 * P(1)); /* less than 1 MiB of a GiB in each round */
	assert_int_equal(waits, 0);
	assert_true(in.free >= policy_thresholds(TOTAL).hard);
	for (u32 k = 0; k < 4; k++)
		assert_in_range(vm[k].resident, P(215), P(262));
}

/*
 * Any VMs with any steady demand: all is at rest after at most 30 s (229 decisions in the slowest
 * of these), and no VM waits any more or is below its min.
 */
static void random_scenes_come_to_rest(void **state)
{
	u64 seed = 5, ever = 0;

	(void)state;
	for (u32 scene = 0; scene < SCENES; scene++) {
		struct guest g[8];
		u32 n = 2 + (u32)(fake_random(&seed) % 7);

		start_loop(n, 1);
		in.tax = (u32)(fake_random(&seed) % 100);
		in.balloon_max = 65;
		in.beyond_balloon = false;
		for (u32 i = 0; i < n; i++) {
			vm[i].size = vm[i].max = P(64) + fake_random(&seed) % P(1000);
			vm[i].min = min(fake_random(&seed) % (TOTAL / 2 / n), vm[i].size);
			vm[i].shares = 100 + (u32)(fake_random(&seed) % 4000);
			vm[i].active_permille = (u32)(fake_random(&seed) % 1001);
			g[i] = (struct guest){ .want = fake_random(&seed) % (vm[i].size + 1),
					       .speed = P(4) + fake_random(&seed) % P(60) };
		}
		for (u32 i = 0; i < 400; i++) {
			round_of(g);
			ever += moved;
			for (u32 k = 0; i >= 300 && k < n; k++) {
				assert_int_equal(moved, 0);
				assert_false(vm[k].waiting);
				assert_true(vm[k].resident >= min(vm[k].min, g[k].want));
			}
		}
	}
	assert_true(ever > SCENES * P(64)); /* targets had moved before */
}

/* Demand goes from one VM to the other: memory follows, both ways. */
static void memory_follows_demand(void **state)
{
	struct guest g[2] = { { P(700), P(16), true, 0 }, { P(100), P(16), true, 0 } };

	(void)state;
	start_loop(2, 800);
	for (int turn = 0; turn < 4; turn++) {
		u32 busy = turn & 1;

		g[busy].want = P(700);
		g[!busy].want = P(100);
		vm[busy].active_permille = 900;
		vm[!busy].active_permille = 50;
		for (int i = 0; i < 300; i++)
			round_of(g);
		assert_true(vm[busy].resident >= P(600));
	}
}

/*
 * One driver is dead and its VM holds all memory that it can: the others keep their share, and
 * their targets are steady.
 */
static void a_stuck_vm_disturbs_nobody(void **state)
{
	struct guest one = { .want = P(512), .speed = P(16) }, g[3] = { one, one, one };
	u64 late = 0;

	(void)state;
	start_loop(3, 512);
	vm[0].responsive = false;
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		if (i >= 700)
			late += moved;
	}
	assert_true(late < 300 * P(1));
	/* The stuck VM's memory is not shared out, and the free margin is kept. */
	assert_in_range(vm[1].resident, P(220), P(345));
	assert_true(vm[1].resident + P(8) > vm[2].resident &&
		    vm[2].resident + P(8) > vm[1].resident);
}

/*
 * A quiet VM at its cap beside one that waits: the waiting ends, nothing swings,
 * and once the other has ended the quiet one has its memory again.
 */
static void nobody_waits_for_a_cap(void **state)
{
	struct guest g[2] = { { P(800), P(16), false, 0 }, { P(200), P(16), false, 0 } };
	u64 late = 0, waits = 0, beyond = 0;

	(void)state;
	start_loop(2, 800);
	in.balloon_max = 50;
	in.beyond_balloon = false;
	vm[1].min = 0;
	vm[0].active_permille = 1000;
	vm[1].active_permille = 0;
	g[0].want = 0;
	g[1].want = P(600);
	for (int i = 0; i < 100; i++)
		round_of(g);
	g[0].want = P(800);
	for (int i = 0; i < 1000; i++) {
		round_of(g);
		beyond += out.vm[1].reason == REASON_BEYOND;
		if (i >= 300) {
			late += moved;
			waits += vm[0].waiting + vm[1].waiting;
		}
	}
	assert_int_equal(waits, 0);
	assert_true(late < P(8));
	assert_true(beyond > 0);
	assert_true(vm[1].balloon > P(400));
	assert_true(out.cap_yields);
	g[0].want = 0;
	vm[0].resident = 0; /* it frees its memory */
	for (int i = 0; i < 100; i++)
		round_of(g);
	assert_int_equal(vm[1].balloon, 0);
	assert_false(out.cap_yields);
}

/* The load goes away: balloons empty themselves. */
static void plenty_gives_back(void **state)
{
	struct guest one = { .want = P(800), .speed = P(16) }, g[2] = { one, one };

	(void)state;
	start_loop(2, 800);
	for (int i = 0; i < 300; i++)
		round_of(g);
	assert_true(vm[0].balloon > P(200));
	in.nr_vms = 1; /* the other has ended */
	for (int i = 0; i < 100; i++)
		round_of(g);
	assert_int_equal(vm[0].balloon, 0);
	assert_int_equal(vm[0].resident, P(800));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overcommit_settles),
		cmocka_unit_test(random_scenes_come_to_rest),
		cmocka_unit_test(memory_follows_demand),
		cmocka_unit_test(a_stuck_vm_disturbs_nobody),
		cmocka_unit_test(nobody_waits_for_a_cap),
		cmocka_unit_test(plenty_gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
