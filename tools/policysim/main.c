/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policysim TRACE [--out FILE] [--seed N]: what the policy does with a trace.
 * policysim --cost VMS [TIMES]: nothing but decisions, to be counted from outside.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tools/policysim/sim.h>

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "policysim: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		fail("out of memory");
	return p;
}

/* A block a VM, as gnuplot's `index` wants it: seconds, MiB, percent. */
static void write_out(const struct sim *s, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		fail("%s cannot be written", path);
	for (u32 i = 0; i < s->nr; i++) {
		fprintf(f,
			"# %s: 1 s, 2 resident, 3 balloon, 4 target, 5 entitlement MiB, 6 truth, "
			"7 estimate, 8 low, 9 high %%, 10 state, 11 waiting, 12 work\n",
			s->guest[i].name);
		for (u64 d = 0; d < s->decisions; d++) {
			const struct record *r = &s->history[d * s->nr + i];

			if (r->on)
				fprintf(f, "%.1f %u %u %u %u %.1f %.1f %.1f %.1f %u %u %.3f\n",
					(double)(d * s->period) / 1000, r->resident >> 8,
					r->balloon >> 8, r->target >> 8, r->entitlement >> 8,
					r->truth / 10.0, r->estimate / 10.0, r->low / 10.0,
					r->high / 10.0, r->state, r->waiting, (double)r->work);
		}
		fprintf(f, "\n\n");
	}
	if (fclose(f))
		fail("%s cannot be written", path);
}

static void summary(const struct sim *s, const char *trace, double seconds)
{
	printf("%s: %u VMs, %.1f h, %lu decisions, %.0f VM-hours in %.2f s\n", trace, s->nr,
	       (double)s->until / 3600000, s->decisions, (double)s->nr * (double)s->until / 3600000,
	       seconds);
	for (u32 i = 0; i < min(s->nr, 8u); i++)
		printf("  %-12s resident %6lu, balloon %6lu of %6lu MiB, active %5.1f %%, %s\n",
		       s->guest[i].name, s->vm[i].resident >> 8, s->vm[i].balloon >> 8,
		       s->vm[i].size >> 8, s->vm[i].active_permille / 10.0,
		       s->guest[i].on ?
			       policy_reason_text(s->out.vm[i < s->in.nr_vms ? i : 0].reason) :
			       "off");
	printf("  memory %s\n", policy_state_name(s->out.state));
}

int main(int argc, char **argv)
{
	struct sim s = {
		.period = 1000, .sample = 30000, .sample_pages = 100, .tax = 75, .balloon_max = 65
	};
	const char *trace = NULL, *out = NULL;
	struct timespec a, b;

	if (argc >= 3 && !strcmp(argv[1], "--cost")) {
		sim_cost((u32)strtoul(argv[2], NULL, 10),
			 argc > 3 ? (u32)strtoul(argv[3], NULL, 10) : 1);
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--out") && i + 1 < argc)
			out = argv[++i];
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			s.seed = strtoul(argv[++i], NULL, 10);
		else if (argv[i][0] != '-' && !trace)
			trace = argv[i];
		else
			fail("policysim TRACE [--out FILE] [--seed N], or policysim --cost VMS [TIMES]");
	}
	if (!trace)
		fail("which trace? tools/policysim/traces/ has some");
	trace_read(&s, trace);
	s.keep = out || s.nr_checks;
	clock_gettime(CLOCK_MONOTONIC, &a);
	sim_run(&s);
	clock_gettime(CLOCK_MONOTONIC, &b);
	summary(&s, trace, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	if (out)
		write_out(&s, out);
	return checks_run(&s) ? 1 : 0;
}
