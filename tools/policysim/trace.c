/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces: a text file that says what machine there is, which VMs, what they
 * do when, and what is expected to come out.  docs/policy.md has the format.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tools/policysim/sim.h>

#define MAX_WORDS 24

struct reader {
	struct sim *s;
	const char *path;
	u32 line;
	char *word[MAX_WORDS];
	u32 words;
};

__attribute__((noreturn, format(printf, 2, 3))) static void wrong(const struct reader *r,
								  const char *fmt, ...)
{
	char text[200];
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	__builtin_va_end(ap);
	fail("%s:%u: %s", r->path, r->line, text);
}

/* "64M", "500ms": a number and one of @units, which are pairs of name and factor. */
struct unit {
	const char *name;
	u64 factor;
};

static u64 number(const struct reader *r, const char *text, const struct unit *units,
		  const char *what)
{
	char *end;
	u64 n = strtoul(text, &end, 10);

	if (end != text && *text != '-')
		for (; units->name; units++)
			if (!strcmp(units->name, end) && n <= UINT64_MAX / 2 / units->factor)
				return n * units->factor;
	wrong(r, "\"%s\" is not %s", text, what);
}

static u64 pages(const struct reader *r, const char *text)
{
	static const struct unit units[] = { { "K", 1024 },	 { "M", 1 << 20 }, { "G", 1 << 30 },
					     { "T", 1UL << 40 }, { "0", 1 },	   { NULL, 0 } };
	u64 n = strcmp(text, "0") ?
			number(r, text, units, "a size; write for example 64M") >> PAGE_SHIFT :
			0;

	if (n >= 1UL << 32)
		wrong(r, "%s is more than the policy counts: less than 16T is possible", text);
	return n;
}

static u64 ms(const struct reader *r, const char *text)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { NULL, 0 }
	};

	return strcmp(text, "0") ? number(r, text, units, "a time; write for example 30s") : 0;
}

static u32 plain(const struct reader *r, const char *text, u32 least, u32 most)
{
	static const struct unit units[] = { { "", 1 }, { NULL, 0 } };
	u64 n = number(r, text, units, "a number");

	if (n < least || n > most)
		wrong(r, "%s is out of range; from %u to %u is possible", text, least, most);
	return (u32)n;
}

static bool yes(const struct reader *r, const char *text)
{
	if (strcmp(text, "yes") && strcmp(text, "no"))
		wrong(r, "yes or no, not \"%s\"", text);
	return *text == 'y';
}

static void *grow(void *old, size_t n, size_t size)
{
	void *p = realloc(old, n * size);

	if (!p)
		fail("out of memory");
	return p;
}

/* --- sections --- */

/* Cuts "key=value"; NULL: it is something else. */
static char *value_of(char *word)
{
	char *eq = strchr(word, '=');

	if (eq)
		*eq++ = '\0';
	return eq;
}

static void read_host(struct reader *r)
{
	struct sim *s = r->s;

	for (u32 i = 1; i < r->words; i++) {
		char *k = r->word[i], *v = value_of(k);

		if (!v)
			wrong(r, "key=value, not \"%s\"", k);
		if (!strcmp(k, "memory"))
			s->memory = pages(r, v);
		else if (!strcmp(k, "tax"))
			s->tax = plain(r, v, 0, 99);
		else if (!strcmp(k, "balloon_max"))
			s->balloon_max = plain(r, v, 0, 95);
		else if (!strcmp(k, "beyond"))
			s->beyond = yes(r, v);
		else if (!strcmp(k, "period"))
			s->period = max(ms(r, v), 1UL);
		else if (!strcmp(k, "sample"))
			s->sample = ms(r, v);
		else if (!strcmp(k, "pages"))
			s->sample_pages = plain(r, v, 0, 1000);
		else if (!strcmp(k, "until"))
			s->until = ms(r, v);
		else
			wrong(r,
			      "unknown key \"%s\" of host; there are memory, tax, balloon_max, beyond, "
			      "period, sample, pages, until",
			      k);
	}
}

static void vm_key(struct reader *r, struct guest *g, struct policy_vm *p, char *k, char *v)
{
	if (!strcmp(k, "size"))
		p->size = pages(r, v);
	else if (!strcmp(k, "min"))
		p->min = pages(r, v);
	else if (!strcmp(k, "max"))
		p->max = pages(r, v);
	else if (!strcmp(k, "shares"))
		p->shares = plain(r, v, 1, 1000000);
	else if (!strcmp(k, "start"))
		g->start = ms(r, v);
	else if (!strcmp(k, "want"))
		g->want = pages(r, v);
	else if (!strcmp(k, "active"))
		g->active = pages(r, v);
	else if (!strcmp(k, "speed"))
		g->speed = pages(r, v);
	else if (!strcmp(k, "faults"))
		g->fault_speed = pages(r, v);
	else if (!strcmp(k, "penalty"))
		g->penalty = plain(r, v, 0, 1000000);
	else if (!strcmp(k, "rounds"))
		g->rounds = plain(r, v, 0, 1000000);
	else if (!strcmp(k, "says"))
		g->says = yes(r, v);
	else if (!strcmp(k, "grow"))
		g->asks = yes(r, v);
	else
		wrong(r,
		      "unknown key \"%s\" of vm; there are size, min, max, shares, start, want, "
		      "active, speed, faults, penalty, rounds, says, grow, count",
		      k);
}

static void add_vm(struct sim *s, const struct guest *g, const struct policy_vm *p)
{
	s->guest = grow(s->guest, s->nr + 1, sizeof(*s->guest));
	s->vm = grow(s->vm, s->nr + 1, sizeof(*s->vm));
	s->guest[s->nr] = *g;
	s->vm[s->nr++] = *p;
}

static void read_vm(struct reader *r)
{
	struct guest g = { .speed = 16384, .fault_speed = 65536, .penalty = 1 };
	struct policy_vm p = { .shares = 1000, .responsive = true, .min = UINT64_MAX };
	u32 count = 1;

	if (r->words < 3)
		wrong(r, "vm NAME size=SIZE ...");
	for (u32 i = 2; i < r->words; i++) {
		char *k = r->word[i], *v = value_of(k);

		if (!v)
			wrong(r, "key=value, not \"%s\"", k);
		if (!strcmp(k, "count"))
			count = plain(r, v, 1, SIM_MAX_VMS);
		else
			vm_key(r, &g, &p, k, v);
	}
	p.max = p.max ? p.max : p.size;
	p.min = p.min == UINT64_MAX ? p.size / 8 : p.min;
	if (!p.size || p.max > p.size || p.min > p.max)
		wrong(r, "a VM needs size, and min <= max <= size");
	if (r->s->nr + count > SIM_MAX_VMS)
		wrong(r, "too many VMs; %u are the most", SIM_MAX_VMS);
	for (u32 i = 0; i < count; i++) {
		int n = count > 1 ? snprintf(g.name, sizeof(g.name), "%.24s%u", r->word[1], i) :
				    snprintf(g.name, sizeof(g.name), "%s", r->word[1]);

		if (n >= (int)sizeof(g.name))
			wrong(r, "the name is too long; %zu characters are the most",
			      sizeof(g.name) - 1);
		add_vm(r->s, &g, &p);
	}
}

static u32 vm_index(struct reader *r, const char *name)
{
	for (u32 i = 0; i < r->s->nr; i++)
		if (!strcmp(r->s->guest[i].name, name))
			return i;
	wrong(r, "there is no VM \"%s\" above this line", name);
}

/* --- events: "VM TIME WANT ACTIVE" and the others --- */

static void read_driver(struct reader *r, struct event *e, const char *what)
{
	static const char *const names[] = { "ok", "silent", "stuck" };

	e->kind = EVENT_DRIVER;
	for (e->a = 0; e->a < ARRAY_SIZE(names); e->a++)
		if (!strcmp(names[e->a], what))
			return;
	wrong(r, "a driver is ok, silent or stuck, not \"%s\"", what);
}

static void read_event(struct reader *r)
{
	struct sim *s = r->s;
	struct event e = { .line = r->line };
	char **w = r->word;

	if (r->words < 3)
		wrong(r, "write host, vm, expect, or: VM TIME WANT ACTIVE");
	e.at = ms(r, w[1]);
	if (!strcmp(w[0], "host")) {
		if (r->words != 4 || strcmp(w[2], "tax"))
			wrong(r, "host TIME tax PERCENT");
		e.kind = EVENT_TAX;
		e.a = plain(r, w[3], 0, 99);
	} else {
		e.vm = vm_index(r, w[0]);
		if (!strcmp(w[2], "stop")) {
			e.kind = EVENT_STOP;
		} else if (r->words != 4) {
			wrong(r,
			      "VM TIME WANT ACTIVE, VM TIME driver WHAT, VM TIME shares N, VM TIME says WHAT, or VM TIME stop");
		} else if (!strcmp(w[2], "driver")) {
			read_driver(r, &e, w[3]);
		} else if (!strcmp(w[2], "says")) {
			e.kind = EVENT_SAYS;
			e.a = yes(r, w[3]);
		} else if (!strcmp(w[2], "shares")) {
			e.kind = EVENT_SHARES;
			e.a = plain(r, w[3], 1, 1000000);
		} else {
			e.kind = EVENT_USE;
			e.a = pages(r, w[2]);
			e.b = pages(r, w[3]);
		}
	}
	s->event = grow(s->event, s->nr_events + 1, sizeof(e));
	s->event[s->nr_events++] = e;
}

/* --- what is expected --- */

static double amount(struct reader *r, enum field f, const char *text)
{
	return f == FIELD_WORK ? plain(r, text, 0, 100) / 100.0 : (double)pages(r, text);
}

/* Words @i and on: "from TIME to TIME". */
static void from_to(struct reader *r, u32 i, struct check *c)
{
	if (r->words != i + 4 || strcmp(r->word[i], "from") || strcmp(r->word[i + 2], "to"))
		wrong(r, "from TIME to TIME is missing");
	c->from = ms(r, r->word[i + 1]);
	c->to = ms(r, r->word[i + 3]);
	if (c->from >= c->to)
		wrong(r, "from must be before to");
}

static void read_field(struct reader *r, struct check *c)
{
	static const char *const names[] = { "resident", "balloon", "target", "entitlement",
					     "work" };
	char **w = r->word, *dots;

	for (c->field = 0; c->field < FIELD_NR; c->field++)
		if (!strcmp(names[c->field], w[2]))
			break;
	dots = strstr(w[3], "..");
	if (c->field == FIELD_NR || !dots || r->words != 6 || strcmp(w[4], "at"))
		wrong(r, "expect VM resident|balloon|target|entitlement|work LOW..HIGH at TIME");
	*dots = '\0';
	c->kind = CHECK_RANGE;
	c->low = amount(r, c->field, w[3]);
	c->high = amount(r, c->field, dots + 2);
	c->from = c->to = ms(r, w[5]);
}

static void read_expect(struct reader *r)
{
	struct sim *s = r->s;
	struct check c = { .line = r->line };
	char **w = r->word;

	if (r->words < 4)
		wrong(r, "expect what? docs/policy.md lists it");
	if (!strcmp(w[1], "calm") || !strcmp(w[1], "drift")) { /* calm PERCENT from to */
		c.kind = w[1][0] == 'c' ? CHECK_CALM : CHECK_DRIFT;
		c.low = plain(r, w[2], 0, 100);
		from_to(r, 3, &c);
	} else if (!strcmp(w[1], "nobody-waits")) {
		c.kind = CHECK_NO_WAIT;
		from_to(r, 2, &c);
	} else if (!strcmp(w[1], "steady")) { /* steady DECISIONS from to */
		c.kind = CHECK_STEADY;
		c.low = plain(r, w[2], 1, 1000);
		from_to(r, 3, &c);
	} else if (!strcmp(w[2], "gains")) { /* VM gains PERCENT from to */
		c.kind = CHECK_GAIN;
		c.vm = vm_index(r, w[1]);
		c.low = plain(r, w[3], 0, 1000);
		from_to(r, 4, &c);
	} else if (!strcmp(w[2], "covered")) { /* VM covered PERCENT from to */
		c.kind = CHECK_COVER;
		c.vm = vm_index(r, w[1]);
		c.low = plain(r, w[3], 0, 100);
		from_to(r, 4, &c);
	} else {
		c.vm = vm_index(r, w[1]);
		read_field(r, &c);
	}
	s->check = grow(s->check, s->nr_checks + 1, sizeof(c));
	s->check[s->nr_checks++] = c;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at != y->at ? (x->at > y->at) - (x->at < y->at) :
				(x->line > y->line) - (x->line < y->line);
}

static void read_line(struct reader *r, char *text)
{
	char *hash = strchr(text, '#'), *save = NULL;

	if (hash)
		*hash = '\0';
	r->words = 0;
	for (char *w = strtok_r(text, " \t\r\n", &save); w; w = strtok_r(NULL, " \t\r\n", &save)) {
		if (r->words == MAX_WORDS)
			wrong(r, "more than %u words", MAX_WORDS);
		r->word[r->words++] = w;
	}
	if (!r->words)
		return;
	if (!strcmp(r->word[0], "host") && r->words > 1 && strchr(r->word[1], '='))
		read_host(r);
	else if (!strcmp(r->word[0], "vm"))
		read_vm(r);
	else if (!strcmp(r->word[0], "expect"))
		read_expect(r);
	else
		read_event(r);
}

void trace_read(struct sim *s, const char *path)
{
	struct reader r = { .s = s, .path = path };
	FILE *f = fopen(path, "r");
	char text[1024];

	if (!f)
		fail("%s cannot be opened", path);
	while (fgets(text, sizeof(text), f)) {
		r.line++;
		if (strlen(text) == sizeof(text) - 1)
			wrong(&r, "the line is longer than %zu characters", sizeof(text) - 2);
		read_line(&r, text);
	}
	fclose(f);
	if (!s->memory || !s->until || !s->nr)
		fail("%s: there must be a line \"host memory=SIZE until=TIME\" and a vm", path);
	/* Stable: lines with the same time happen in the order of the file. */
	qsort(s->event, s->nr_events, sizeof(*s->event), by_time);
	for (u32 i = 0; i < s->nr_checks; i++)
		if (s->check[i].to > s->until)
			fail("%s:%u: expected after the end, which is at %lu s", path,
			     s->check[i].line, s->until / 1000);
}
