/* SPDX-License-Identifier: BSD-2-Clause */
/* aeroctl over a fake hypervisor: numbers, words, its calls, its output. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <tests/fake/aeroctl.h>

#define F (&fake_hypervisor)
#define PAGES(mib) ((mib)*256ull)

static char said[65536]; /* by the last run(), on both outputs */

static int setup(void **state)
{
	(void)state;
	fake_hypervisor_init();
	return 0;
}

/* aeroctl with these words; its status. What it says, in said[]. */
static int run(const char *line)
{
	char words[256], *argv[16] = { (char *)"aeroctl" }, *save;
	int argc = 1, status, out = dup(1), err = dup(2);
	FILE *both = tmpfile();
	size_t n;

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	fflush(stdout);
	dup2(fileno(both), 1);
	dup2(fileno(both), 2);
	status = aeroctl(argc, argv);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	rewind(both);
	n = fread(said, 1, sizeof(said) - 1, both);
	said[n] = 0;
	fclose(both);
	return status;
}

static bool has(const char *text)
{
	if (!strstr(said, text))
		fprintf(stderr, "no \"%s\" in: %s\n", text, said);
	return strstr(said, text);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t pages;
	} good[] = { { "0", 0 },
		     { "4096", 1 },
		     { "4K", 1 },
		     { "64M", PAGES(64) },
		     { "1g", PAGES(1024) },
		     { "2T", 1ull << 29 },
		     { "16777215T", 16777215ull << 28 } };
	static const char *const bad[] = { "",	   "M",	    "-1M",	 "1.5G",
					   "3K",   "4095",  "1MM",	 "1 M",
					   "64MB", "0x10",  "16777216T", "99999999999999999999K",
					   " 64M", "policy" };
	uint64_t pages;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(parse_size(good[i].text, &pages));
		assert_int_equal(pages, good[i].pages);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(parse_size(bad[i], &pages));
}

static void numbers(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(parse_number("0", 0, 5, &n));
	assert_true(parse_number("5", 0, 5, &n));
	assert_int_equal(n, 5);
	assert_false(parse_number("6", 0, 5, &n));
	assert_false(parse_number("0", 1, 5, &n));
	assert_false(parse_number("", 0, 5, &n));
	assert_false(parse_number("5x", 0, 5, &n));
	assert_false(parse_number("-1", 0, UINT64_MAX, &n));
	assert_false(parse_number("184467440737095516160", 0, UINT64_MAX, &n)); /* 2^64 * 10 */
}

static void texts(void **state)
{
	static const struct {
		uint64_t pages;
		const char *mib, *size;
	} is[] = { { 0, "0.0", "0 KiB" },
		   { 1, "0.0", "4 KiB" },
		   { 255, "0.9", "1020 KiB" },
		   { 256, "1.0", "1.0 MiB" },
		   { PAGES(999) + 255, "999.9", "999.9 MiB" },
		   { PAGES(1000), "1000", "1000 MiB" },
		   { PAGES(99999), "99999", "99999 MiB" },
		   { PAGES(131072) + PAGES(512), "128.5G", "128.5GiB" },
		   { UINT64_MAX >> 12, "17179869183.9G", "17179869183.9GiB" } };
	char text[NUMBER_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(is); i++) {
		assert_string_equal(text_mib(text, is[i].pages), is[i].mib);
		assert_string_equal(text_size(text, is[i].pages), is[i].size);
	}
	/* A hypervisor from the future. */
	assert_string_equal(text_reason(10), "?");
	assert_string_equal(text_rule(4), "?");
	assert_string_equal(text_vm_state(8), "?");
	assert_string_equal(text_memory_state(UINT32_MAX), "?");
	assert_string_equal(text_reason(AERO_REASON_STUCK), "its balloon does not grow");
	assert_string_equal(text_reason(AERO_REASON_BEYOND),
			    "beyond its cap: nothing else takes memory");
}

static void commands_and_usage(void **state)
{
	static const char *const wrong[] = { "",
					     "lst",
					     "list x",
					     "explain",
					     "set web min",
					     "set web foo 1M",
					     "stop",
					     "stop web 256",
					     "stop web x",
					     "set web shares 0",
					     "stats -j",
					     "top 0",
					     "top 1 0",
					     "pressure 10",
					     "set web min 3K",
					     "set web target all",
					     "set web max 64" };
	static const char *const version[] = { "version", "--version", "-V" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (run(wrong[i]) != USAGE)
			fail_msg("\"%s\": no usage error", wrong[i]);
		assert_true(has("aeroctl: "));
	}
	assert_int_equal(F->calls, 0);
	assert_int_equal(run("help"), DONE);
	assert_true(has("set      VM target SIZE|policy"));
	for (size_t i = 0; i < ARRAY_SIZE(version); i++) {
		assert_int_equal(run(version[i]), DONE);
		assert_string_equal(said, "aeroctl 1.2.3, ABI 1\n"); /* tests/unit/unit.mk */
	}
	assert_int_equal(run("set web"), USAGE); /* all of its forms */
	assert_true(has("usage: aeroctl set VM min|max SIZE"));
	assert_true(has("usage: aeroctl set VM shares NUMBER"));
}

static void changed(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	assert_int_equal(F->last.number, number);
	assert_int_equal(F->last.arg[0], a);
	assert_int_equal(F->last.arg[1], b);
	assert_int_equal(F->last.arg[2], c);
}

static void changes(void **state)
{
	(void)state;
	assert_int_equal(run("set db target 300M"), DONE);
	changed(AERO_CALL_SET_TARGET, 1, PAGES(300), 0);
	assert_true(has("db: target 300.0 MiB, was 256.0 MiB"));
	assert_int_equal(run("set db target policy"), DONE);
	changed(AERO_CALL_SET_TARGET, 1, UINT64_MAX, 0);
	assert_int_equal(run("set web min 1G"), DONE);
	changed(AERO_CALL_SET, 0, AERO_SET_MIN, PAGES(1024));
	assert_int_equal(run("set web max 128M"), DONE);
	changed(AERO_CALL_SET, 0, AERO_SET_MAX, PAGES(128));
	assert_int_equal(run("set 1 shares 5"), DONE); /* by number */
	changed(AERO_CALL_SET, 1, AERO_SET_SHARES, 5);
	assert_int_equal(run("pause web"), DONE);
	changed(AERO_CALL_PAUSE, 0, 0, 0);
	assert_int_equal(run("resume db"), DONE);
	changed(AERO_CALL_RESUME, 1, 0, 0);
	assert_int_equal(run("shutdown web"), DONE);
	changed(AERO_CALL_SHUTDOWN, 0, 0, 0);
	assert_int_equal(run("stop web 7"), DONE);
	changed(AERO_CALL_STOP, 0, 7, 0);
	assert_int_equal(run("stop web"), DONE);
	changed(AERO_CALL_STOP, 0, 0, 0);
	F->s.vm[0].flags = 0; /* it has no driver */
	assert_int_equal(run("set web target 1M"), DONE);
	assert_true(has("nothing will move"));
}

static void refusals(void **state)
{
	unsigned int calls;

	(void)state;
	assert_int_equal(run("pause nobody"), NO_VM);
	assert_true(has("\"aeroctl list\" lists them"));
	assert_int_equal(run("pause 3"), NO_VM);
	assert_int_equal(run("set web target 513M"), FAILED);
	F->own = 0;
	assert_int_equal(run("pause web"), FAILED);
	assert_true(has("nothing in it could resume it"));
	assert_int_equal(F->calls, 0);
	assert_int_equal(run("set batch target 1M"), FAILED);
	assert_true(has("batch: it is ended"));
	assert_int_equal(F->calls, 0);
	F->refuse = AERO_ERR_STATE;
	assert_int_equal(run("resume web"), FAILED);
	assert_true(has("web: it is running, and only one that is paused"));
	F->refuse = AERO_ERR_INVALID;
	assert_int_equal(run("set db min 901M"), FAILED);
	assert_true(has("above max 900.0 MiB; raise max first"));
	assert_int_equal(run("set db max 100M"), FAILED);
	assert_true(has("below min 128.0 MiB; lower min first"));
	assert_int_equal(run("set db max 1025M"), FAILED);
	assert_true(has("1024 MiB that it sees"));
	F->refuse = AERO_ERR_NOMEM;
	assert_int_equal(run("set db min 200M"), FAILED);
	assert_true(has("cannot be guaranteed beside what others are"));
	F->refuse = AERO_ERR_PERM;
	calls = F->calls;
	assert_int_equal(run("stop web"), NO_DEVICE);
	assert_true(has("\"control = yes\""));
	assert_int_equal(F->calls, calls + 1); /* asked once */
	F->refuse = AERO_ERR_NOSYS;
	assert_int_equal(run("shutdown web"), NO_DEVICE);
	assert_true(has("older than this aeroctl"));
	F->error = EACCES;
	assert_int_equal(run("list"), NO_DEVICE);
	assert_true(has("become root"));
	F->error = ENOENT;
	assert_int_equal(run("list"), NO_DEVICE);
	assert_true(has("modprobe aerostat"));
	F->own = -1;
	assert_int_equal(run("list"), NO_DEVICE);
	assert_true(has("no VM of Aerostat"));
	F->error = EINVAL;
	assert_int_equal(run("list"), NO_DEVICE);
	assert_true(has("load the aerostat.ko"));
}

static void audits_and_starts(void **state)
{
	(void)state;
	F->again = 5;
	assert_int_equal(run("audit"), DONE);
	assert_int_equal(F->calls, 6);
	assert_true(has("4321 guest frames, all is well"));
	F->refuse = AERO_ERR_CORRUPT;
	assert_int_equal(run("audit"), CORRUPT);
	F->refuse = 0;
	F->ending = 2; /* its memory is still being taken back */
	assert_int_equal(run("start batch"), DONE);
	changed(AERO_CALL_RESTART, 2, 0, 0);
	assert_int_equal(F->ending, 0);
	assert_int_equal(run("start web"), FAILED);
	assert_true(has("web: it is running already"));
}

static void explanations(void **state)
{
	(void)state;
	assert_int_equal(run("explain web"), DONE);
	assert_true(has(
		"web is running: it sees 512.0 MiB, has 300.0 MiB, of which 120.0 MiB are active (31 to 48 %)"));
	assert_true(has(
		"     2.500 s  target 0 KiB -> 100.0 MiB in 4 steps: above its entitlement (had 412.0 MiB, entitled to 400.0 MiB, by shares, rho 999, f 40.5 %, memory hard)"));
	assert_true(has("9.000 s  target 100.0 MiB -> 180.0 MiB: above"));
	assert_int_equal(run("explain batch"), DONE);
	assert_true(has("nothing has been decided"));
	F->explain[0].nr = 1000; /* lines that do not fit are ignored */
	assert_int_equal(run("explain web"), DONE);
}

/* Lines of "aeroctl list", each with its VM. */
static void listing(void **state)
{
	(void)state;
	assert_int_equal(run("list"), DONE);
	assert_true(has("memory 1080 MiB, 100.5 MiB free, state soft, tax 75 %"));
	assert_true(has(
		" 0 web              running     512.0     64.0    512.0    300.0    150.0    180.0    120.0    2000  above its entitlement\n"));
	assert_true(has("batch            ended"));
	assert_true(has("status 7\n"));
	F->s.host.nr_vms = UINT32_MAX; /* more than there can be: no overrun */
	assert_int_equal(run("list"), DONE);
}

static void metrics(void **state)
{
	unsigned int lines = 0, samples = 0;
	char family[128] = "", *save, *line;

	(void)state;
	strcpy(F->s.vm[1].name, "a\"b\\c\n"); /* the configuration allows none of it */
	assert_int_equal(run("metrics"), DONE);
	assert_true(has("\naerostat_host_version{version=\"2.1.3\"} 1\n"));
	assert_true(has("\naerostat_vm_resident_bytes{vm=\"web\"} 314572800\n"));
	assert_true(has("\n# TYPE aerostat_vm_faults counter\n"));
	assert_true(has("\naerostat_vm_cpu_seconds_total{vm=\"web\"} 62.000000\n"));
	assert_true(has("\naerostat_vm_state{vm=\"web\",state=\"running\"} 1\n"));
	assert_true(has("\naerostat_vm_state{vm=\"web\",state=\"paused\"} 0\n"));
	assert_true(has("{vm=\"a\\\"b\\\\c?\"}"));
	assert_string_equal(said + strlen(said) - 6, "# EOF\n");
	/* Each sample belongs to the family before it, and a counter's ends in _total. */
	for (line = strtok_r(said, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), lines++) {
		static bool counter;
		size_t n = strlen(family);

		if (sscanf(line, "# TYPE %127s", family) == 1) {
			counter = strstr(line, " counter");
			continue;
		}
		if (*line == '#')
			continue;
		samples++;
		assert_int_equal(strncmp(line, family, n), 0);
		if (counter)
			assert_int_equal(strncmp(line + n, "_total", 6), 0);
		else
			assert_true(line[n] == ' ' || line[n] == '{');
	}
	assert_int_equal(samples, 1 + nr_host_fields + 3 * nr_vm_fields + 3 * 6);
}

/* python3 reads it, and finds the right values. */
static void json(void **state)
{
	FILE *f;

	(void)state;
	strcpy(F->s.vm[1].name, "a\"b\\c\n");
	F->s.guest[0].available =
		F->s.vm[0].memory - F->s.vm[0].balloon - F->s.vm[0].active - F->s.vm[0].memory / 4;
	assert_int_equal(run("stats --json"), DONE);
	f = popen(
		"python3 -c 'import json, sys; d = json.load(sys.stdin); w = d[\"vms\"][0]; "
		"assert d[\"host\"][\"version\"] == \"2.1.3\"; "
		"assert d[\"host\"][\"state\"] == \"soft\" and len(d[\"vms\"]) == 3; "
		"assert w[\"resident_bytes\"] == 300 << 20 and w[\"control\"] is True; "
		"assert w[\"active_low_bytes\"] < w[\"active_bytes\"] < w[\"active_high_bytes\"]; "
		"assert d[\"vms\"][1][\"name\"] == chr(97) + chr(34) + chr(98) + chr(92) + \"c?\"; "
		"assert w[\"guest_stall_some_seconds\"] == 1.234567; "
		"assert -251 <= w[\"guest_disagreement_permille\"] <= -250'",
		"w");
	assert_non_null(f);
	fputs(said, f);
	assert_int_equal(pclose(f), 0);
	assert_int_equal(run("stats"), DONE);
	assert_true(has("\nvm web resident_bytes 314572800\n"));
	assert_true(has("\nvm web why above its entitlement\n"));
	assert_true(has("host version 2.1.3\n"));
	F->s.host.version = 0; /* older than the field */
	assert_int_equal(run("stats"), DONE);
	assert_true(has("host version ?\n"));
}

static void rows(void **state)
{
	static struct view v;
	char line[LINE_BYTES];

	(void)state;
	memset(&v, 0, sizeof(v));
	view_update(&v, &F->s);
	view_row(&v, 0, 200, line);
	assert_non_null(strstr(line, " 120.0 [93.0-144.0] ###########======... "));
	assert_non_null(strstr(line, "      0    0 ")); /* no rates yet */
	F->s.host.time_us += 2000000;
	F->s.vm[0].faults += 501;
	F->s.vm[0].run_us += 1500000;
	F->s.vm[1].faults = 0;
	view_update(&v, &F->s);
	view_row(&v, 0, 200, line);
	assert_non_null(strstr(line, "    250   75 "));
	for (unsigned int width = 0; width < 250; width++)
		for (int row = -1; row < 3; row++) {
			view_row(&v, row, width, line);
			assert_true(strlen(line) <= width);
		}
	view_row(&v, -1, 80, line);
	assert_non_null(strstr(line, "TARGET"));
	assert_non_null(strstr(line, "ACTIVE [95 %] WHY"));
	assert_int_equal(view_row(&v, 0, 80, line), STYLE_SELECTED);
	assert_int_equal(view_row(&v, 1, 80, line), STYLE_WARN);
	assert_int_equal(view_row(&v, 2, 80, line), STYLE_DIM);
	/* By resident: db, web, batch. */
	v.sort = 1;
	view_update(&v, NULL);
	assert_int_equal(v.order[0], 1);
	assert_int_equal(v.order[1], 0);
	assert_int_equal(v.order[2], 2);
	view_move(&v, 1);
	assert_int_equal(v.selected, 2);
	view_move(&v, 5);
	assert_int_equal(v.selected, 2);
	view_move(&v, -9);
	assert_int_equal(v.selected, 1);
	view_host(&v, line);
	assert_non_null(strstr(
		line,
		"up 1:02:05  soft: 100.5 of 1080 MiB free, 300.0 active, 4.3 overhead; tax 75 %"));
}

static void plain_top(void **state)
{
	(void)state;
	assert_int_equal(run("top 1 1"), DONE); /* its output is no terminal */
	assert_true(has("web          running"));
	F->error = EPERM;
	assert_int_equal(run("top"), NO_DEVICE);
}

static void pressure(void **state)
{
	struct aero_pressure p = { 0 };

	(void)state;
	assert_true(parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=123456\n"
				   "full avg10=0.00 avg60=0.00 avg300=0.00 total=77\n",
				   &p));
	assert_int_equal(p.stall_some, 123456);
	assert_int_equal(p.stall_full, 77);
	assert_false(parse_pressure("", &p));
	assert_false(parse_pressure("some avg10=0.00 total=1\n", &p));
	assert_false(parse_pressure("some total=\nfull total=x\n", &p));
	assert_true(parse_meminfo("MemTotal: 1 kB\nSwapTotal:  4096 kB\nSwapFree: 2048 kB\n", &p));
	assert_int_equal(p.swap_total, 1024);
	assert_int_equal(p.swap_free, 512);
	assert_false(parse_meminfo("MemTotal: 1 kB\nSwapTotal:  4096 kB\n", &p));
	F->error = ENODEV;
	assert_int_equal(run("pressure 0"), NO_DEVICE);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes),
		T(numbers),
		T(texts),
		T(commands_and_usage),
		T(changes),
		T(refusals),
		T(audits_and_starts),
		T(explanations),
		T(listing),
		T(metrics),
		T(json),
		T(rows),
		T(plain_top),
		T(pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
