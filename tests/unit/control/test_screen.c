/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen's contents and times: pages, keys, the log in its rows, bounded drawing. */
#include <tests/fake/guest.h>

#include <hv/base/log.h>
#include <hv/memory/governor.h>
#include <hv/control/keys.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <hv/control/pages.h>
#include <hv/control/screen.h>
#include <hv/control/scrollback.h>

#define COLUMNS 80
#define ROWS 25
#define MS FAKE_KHZ

static struct screen_face face;
static u16 cells[SCREEN_MAX_ROWS][SCREEN_MAX_COLUMNS];
static u32 drawn; /* cells since the test looked */

static void draw(u32 column, u32 row, u16 cell)
{
	assert_true(column < face.columns && row < face.rows);
	assert_int_not_equal(cells[row][column], cell); /* drawn although it is there */
	cells[row][column] = cell;
	drawn++;
}

static struct vm_config cfg[3];

static void open_face(u32 columns, u32 rows)
{
	memset(cells, 0, sizeof(cells));
	face = (struct screen_face){ columns, rows, draw };
	assert_int_equal(screen_init(&face, "1.2-test", screen_pages("1.2-test"), NR_PAGES), HV_OK);
}

static int setup(void **state)
{
	(void)state;
	if (screen_present())
		screen_start(0, false); /* its cells are in the machine that goes now ... */
	scrollback_init(NULL, 0);	/* ... and so are the lines */
	guest_machine(MIB(128), 2);
	for (u32 i = 0; i < 3; i++) {
		cfg[i] = guest_config((const char *[]){ "web1", "db1", "idle" }[i]);
		cfg[i].shares = 500 * (i + 1);
	}
	guest_start(&cfg[0]);
	guest_start(&cfg[1]);
	assert_int_equal(vm_create(2, &cfg[2]), HV_OK);
	fake.tsc = 100 * 1000 * MS;
	open_face(COLUMNS, ROWS);
	return 0;
}

/* Row @row as text, without the blanks at its end. */
static const char *row_text(u32 row)
{
	static char text[SCREEN_MAX_COLUMNS + 1];
	u32 end = 0;

	for (u32 i = 0; i < face.columns; i++) {
		text[i] = (char)cells[row][i];
		if (text[i] != ' ')
			end = i + 1;
	}
	text[end] = '\0';
	return text;
}

static bool on_screen(const char *words)
{
	for (u32 i = 0; i < face.rows; i++)
		if (strstr(row_text(i), words))
			return true;
	return false;
}

/* Lets @ms pass as the scheduler would: with a tick at each time that was asked for. */
static void pass(u64 ms)
{
	u64 end = fake.tsc + ms * MS;

	while (fake.tsc < end) {
		u64 next = min(sched_event, end);

		fake.tsc = max(fake.tsc + 1, next);
		sched_event = UINT64_MAX;
		screen_tick(fake.tsc);
	}
}

static void press(enum key k)
{
	screen_key(k);
	pass(400);
}

static void boot_lines_come_at_once(void **state)
{
	(void)state;
	log_line("first words");
	assert_true(on_screen("first words"));
	log_raw("@stat t=1 for programs");
	assert_false(on_screen("for programs"));
	log_raw("tab\tand \x1b[2J and \xc3\xa4");
	assert_true(on_screen("tab\x7f"
			      "and \x7f[2J and \x7f\x7f"));
	assert_string_equal(row_text(ROWS - 1), " log  | Aerostat 1.2-test");
	assert_int_equal(cells[ROWS - 1][70] >> 8, SCREEN_BAR);
}

static void lines_wrap_and_scroll(void **state)
{
	char line[202];

	(void)state;
	for (u32 i = 0; i < 100; i++)
		log_raw("line %u", i);
	/* 24 rows, the last line at the bottom. */
	assert_string_equal(row_text(0), "line 76");
	assert_string_equal(row_text(ROWS - 2), "line 99");
	memset(line, 'x', 200);
	line[200] = 'E';
	line[201] = '\0';
	log_raw("%s", line);
	assert_string_equal(row_text(0), "line 79");
	assert_int_equal(strlen(row_text(ROWS - 3)), COLUMNS);
	assert_int_equal(strlen(row_text(ROWS - 2)), 41);
	/* Exactly a row: no empty one after it. */
	line[COLUMNS] = '\0';
	log_raw("%s", line);
	log_raw("after");
	assert_string_equal(row_text(ROWS - 2), "after");
	assert_int_equal(strlen(row_text(ROWS - 3)), COLUMNS);
	assert_string_equal(row_text(0), "line 81");
	log_raw("%s", "");
	assert_string_equal(row_text(ROWS - 2), "");
	assert_string_equal(row_text(ROWS - 3), "after");
}

static void a_line_costs_nothing_while_vms_run(void **state)
{
	(void)state;
	screen_start(0, true);
	pass(1000);
	drawn = 0;
	for (u32 i = 0; i < 1000; i++)
		log_raw("busy guest %u, says more and more and more and more", i);
	assert_int_equal(drawn, 0);
	/* Then it comes in pieces: no tick draws more than this. */
	for (u32 i = 0; i < 60; i++) {
		drawn = 0;
		fake.tsc = max(fake.tsc, sched_event);
		sched_event = UINT64_MAX;
		screen_tick(fake.tsc);
		assert_true(drawn <= 256);
		assert_true(sched_event <= fake.tsc + 100 * MS);
	}
	assert_string_equal(row_text(ROWS - 2),
			    "busy guest 999, says more and more and more and more");
	assert_string_equal(row_text(0), "busy guest 976, says more and more and more and more");
	/* Nothing new: nothing is drawn. */
	drawn = 0;
	pass(3000);
	assert_int_equal(drawn, 0);
}

static void a_storm_starves_no_row(void **state)
{
	char noise[256] = { 0 };

	(void)state;
	for (u32 i = 0; i < sizeof(noise) - 1; i++)
		noise[i] = (char)('a' + i % 26);
	open_face(240, 67);
	screen_start(0, true);
	for (u32 i = 0; i < 300; i++) {
		for (u32 k = 0; k < 20; k++)
			log_raw("storm %u %.200s", i, noise + (i * 20 + k) % 26);
		pass(10);
	}
	for (u32 i = 0; i < 66; i++)
		assert_true(!strncmp(row_text(i), "storm ", 6));
	/* The bottom row belongs to a picture of the last half second. */
	assert_true(atoi(row_text(65) + 6) > 250);
}

static void vms_page(void **state)
{
	struct vcpu *v = vms[0]->vcpus[0];

	(void)state;
	guest_touch(v, 0x200);
	vms[0]->balloon.target = 0x180;
	screen_start(0, true);
	press(KEY_VMS);
	assert_true(!strncmp(row_text(0), "memory high: ", 13));
	assert_non_null(strstr(row_text(0), " MiB free, up 0 d 00:01:4"));
	assert_string_equal(row_text(2),
			    "VM           state        MiB resident balloon  target  shares why");
	assert_true(!strncmp(row_text(3), "web1         running     16.0 ", 30));
	assert_true(!strncmp(row_text(3) + 39, "    0.0     1.5     500 nothing asked", 37));
	assert_true(!strncmp(row_text(5), "idle         off         16.0 ", 30));
	assert_string_equal(row_text(6), "");
	assert_string_equal(row_text(ROWS - 1), " VMs  (held) | 1 log  2 VMs  3 host  ? help");
	/* Figures move without a key. */
	vm_end(vms[1], 3, "it broke");
	pass(1000);
	assert_true(!strncmp(row_text(4), "db1          ended ", 19));
	assert_non_null(strstr(row_text(4), "1000 it broke"));
	assert_int_equal(cells[4][0] >> 8, SCREEN_ALERT);
	vms[0]->waiting = 1;
	pass(1000);
	assert_non_null(strstr(row_text(3), "waiting"));
}

static void many_vms(void **state)
{
	(void)state;
	open_face(80, 10); /* room for six */
	for (u32 i = 3; i < 16; i++)
		assert_int_equal(vm_create((u16)i, &cfg[i % 3]), HV_OK);
	cfg[0].shares = 4000000000u;
	vms[15]->pages = 0x100000000; /* as large as can be written */
	screen_start(0, true);
	press(KEY_VMS);
	assert_string_equal(row_text(2),
			    "VM           state        MiB resident balloon  target  shares why");
	assert_true(!strncmp(row_text(3), "web1", 4));
	press(KEY_DOWN);
	assert_true(!strncmp(row_text(3), "idle         off", 16));
	press(KEY_DOWN);
	press(KEY_DOWN); /* past the end: stays */
	press(KEY_DOWN);
	assert_non_null(strstr(row_text(8), "16777216"));
	press(KEY_UP);
	press(KEY_UP);
	press(KEY_UP);
	assert_true(!strncmp(row_text(3), "web1         running", 20));
}

static void host_page_and_help(void **state)
{
	(void)state;
	screen_start(0, true);
	press(KEY_HOST);
	assert_true(on_screen("version      Aerostat 1.2-test"));
	assert_true(on_screen("CPUs         2, "));
	assert_true(on_screen("VMs          2 of 3 run, "));
	press(KEY_HELP);
	assert_true(on_screen("p p            power off"));
	assert_false(on_screen("version"));
}

static void pages_turn(void **state)
{
	(void)state;
	log_raw("a word in the log");
	screen_start(2000, false);
	pass(1800);
	assert_true(on_screen("a word in the log"));
	pass(2000);
	assert_true(on_screen("shares why"));
	assert_string_equal(row_text(ROWS - 1), " VMs  | Aerostat 1.2-test");
	pass(2000);
	assert_true(on_screen("version      Aerostat"));
	pass(2000);
	assert_true(on_screen("a word in the log"));
	/* A key stops them; a blank lets them go on. */
	press(KEY_VMS);
	pass(20000);
	assert_true(on_screen("shares why"));
	press(KEY_HOLD);
	pass(2000);
	assert_true(on_screen("version      Aerostat"));
	press(KEY_HOLD);
	pass(20000);
	assert_true(on_screen("version      Aerostat"));
}

static void pages_that_do_not_turn(void **state)
{
	(void)state;
	log_raw("a word in the log");
	screen_start(0, false);
	pass(100000);
	assert_true(on_screen("a word in the log"));
}

static void looking_back(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100; i++)
		log_raw("line %u", i);
	screen_start(0, true);
	press(KEY_UP);
	assert_string_equal(row_text(ROWS - 2), "line 75");
	assert_string_equal(row_text(0), "line 52");
	assert_non_null(strstr(row_text(ROWS - 1), "earlier"));
	/* New lines do not move it. */
	log_raw("news");
	pass(1000);
	assert_string_equal(row_text(0), "line 52");
	press(KEY_UP);
	assert_string_equal(row_text(ROWS - 2), "line 51");
	press(KEY_DOWN);
	assert_string_equal(row_text(ROWS - 2), "line 75");
	press(KEY_DOWN);
	assert_string_equal(row_text(ROWS - 2), "line 99");
	press(KEY_DOWN);
	assert_string_equal(row_text(ROWS - 2), "news");
	press(KEY_UP);
	press(KEY_END);
	assert_string_equal(row_text(ROWS - 2), "news");
	/* The page that was shown leaves the ring: the newest page comes in its place. */
	press(KEY_UP);
	for (u32 i = 0; i < 20000; i++)
		log_raw("flood %u", i);
	press(KEY_DOWN);
	assert_string_equal(row_text(ROWS - 2), "flood 19999");
}

/* Row @row has @words with a number at its end, which is returned. */
static u32 number_in(u32 row, const char *words)
{
	if (strncmp(row_text(row), words, strlen(words)))
		fail_msg("row %u: %s", row, row_text(row));
	return (u32)atoi(row_text(row) + strlen(words));
}

/* Lines for programs push nothing out, and the first lines of all stay. */
static void the_first_lines_are_kept(void **state)
{
	u32 first, line, row = 0, gone, kept;

	(void)state;
	for (u32 i = 0; i < 2000; i++)
		log_raw("boot %u", i);
	open_face(COLUMNS, ROWS); /* from the log's ring, whose oldest line is cut */
	screen_start(0, true);
	press(KEY_HOME);
	first = number_in(0, "boot ");
	assert_in_range(first, 100, 800);
	for (u32 i = 0; i < 20000; i++)
		log_raw("@vm name=web1 state=running size=%u", i);
	press(KEY_HOME);
	assert_int_equal(number_in(0, "boot "), first);
	press(KEY_END);
	assert_int_equal(number_in(ROWS - 2, "boot "), 1999);
	/* Lines for people do push others out. */
	for (u32 i = 0; i < 40000; i++)
		log_raw("flood %u", i);
	press(KEY_HOME);
	for (line = first; strncmp(row_text(row), "...", 3); row++) {
		if (row == ROWS - 1) {
			press(KEY_DOWN);
			row = 0;
		}
		if (!strncmp(row_text(row), "...", 3))
			break;
		if (number_in(row, "boot ") == line) /* not seen on the page before */
			line++;
	}
	assert_in_range((line - first) * 9, SCROLLBACK_PINNED - 300, SCROLLBACK_PINNED + 600);
	assert_non_null(strstr(row_text(row), " lines are no longer kept ..."));
	/* The lines after the first ones: boot lines, and then the flood. */
	gone = number_in(row, "... ") - (2000 - line);
	kept = 40000 - gone;
	press(KEY_DOWN);
	assert_in_range(number_in(0, "flood "), gone, gone + ROWS);
	/* The same, from below. */
	press(KEY_END);
	for (line = 0; strncmp(row_text(0), "boot ", 5) && line < 2000; line++)
		press(KEY_UP);
	assert_in_range(line, kept / (ROWS - 1) - 1, kept / (ROWS - 1) + 1);
	for (; line < 4000; line++)
		press(KEY_UP);
	assert_int_equal(number_in(0, "boot "), first);
}

static void ends_only_if_asked_twice(void **state)
{
	(void)state;
	screen_start(0, true);
	press(KEY_OFF);
	assert_true(on_screen("power off: press the same key again within 5 seconds"));
	press(KEY_REBOOT);
	press(KEY_OFF);
	pass(6000);
	assert_false(on_screen("press the same key again"));
	press(KEY_OFF);
	press(KEY_LOG);
	press(KEY_OFF);
	assert_int_equal(manage_host_end(), HOST_STAYS);
	press(KEY_OFF);
	assert_int_equal(manage_host_end(), HOST_POWER_OFF);
	manage_tick();
	assert_int_equal(vms[0]->state, VM_ENDING);
	assert_int_equal(vms[0]->exit_status, 0);
}

static void keys(void **state)
{
	static const u8 codes[] = {
		0x02, 0x82,					/* 1, its release */
		0xe0, 0x49, 0xe0, 0xc9,				/* PgUp of its own */
		0x51,						/* PgDn of the keypad */
		0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5,		/* Pause */
		0x2a, 0x35, 0xb5, 0xaa,				/* shift and ? */
		0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa, /* Print */
		0x39, 0x1e, 0xfa, 0xff, 0x00,			/* blank, a, an answer, errors */
		0xe0, 0x47,					/* Home */
	};
	static const enum key want[] = { KEY_LOG, KEY_UP, KEY_DOWN, KEY_HELP, KEY_HOLD, KEY_HOME };
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < sizeof(codes); i++) {
		enum key k = key_decode(codes[i]);

		if (k == KEY_NONE)
			continue;
		assert_true(n < ARRAY_SIZE(want));
		assert_int_equal(k, want[n++]);
	}
	assert_int_equal(n, ARRAY_SIZE(want));
}

static void sizes_that_do_not_do(void **state)
{
	struct screen_face odd[] = {
		{ 39, 25, draw },  { 80, 7, draw },   { 0, 0, draw },
		{ 321, 25, draw }, { 80, 129, draw },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(odd); i++)
		assert_int_equal(screen_init(&odd[i], "", screen_pages(""), NR_PAGES), HV_EINVAL);
	/* The smallest and the largest screen that works. */
	open_face(SCREEN_MIN_COLUMNS, SCREEN_MIN_ROWS);
	screen_start(0, true);
	press(KEY_VMS);
	assert_int_equal(strlen(row_text(2)), SCREEN_MIN_COLUMNS);
	press(KEY_HOST);
	press(KEY_HELP);
	press(KEY_LOG);
	press(KEY_UP);
	open_face(SCREEN_MAX_COLUMNS, SCREEN_MAX_ROWS);
	screen_start(0, true);
	press(KEY_VMS);
	press(KEY_LOG);
}

/* The last test: a panic cannot be undone. */
static void a_panic_is_seen_at_once(void **state)
{
	(void)state;
	screen_start(1000, true);
	press(KEY_VMS);
	log_bust_lock();
	memset(cells, 0, sizeof(cells)); /* half of a picture may have been lost */
	log_raw("*** CPU 0: a broken invariant");
	assert_true(on_screen("*** CPU 0: a broken invariant"));
	assert_true(!strncmp(row_text(ROWS - 1), " log ", 5));
	log_raw("  0 ffffffff80101181 somewhere");
	assert_string_equal(row_text(ROWS - 2), "  0 ffffffff80101181 somewhere");
	assert_int_equal(cells[ROWS - 3][0] >> 8, SCREEN_ALERT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(boot_lines_come_at_once, setup),
		cmocka_unit_test_setup(lines_wrap_and_scroll, setup),
		cmocka_unit_test_setup(a_line_costs_nothing_while_vms_run, setup),
		cmocka_unit_test_setup(a_storm_starves_no_row, setup),
		cmocka_unit_test_setup(vms_page, setup),
		cmocka_unit_test_setup(many_vms, setup),
		cmocka_unit_test_setup(host_page_and_help, setup),
		cmocka_unit_test_setup(pages_turn, setup),
		cmocka_unit_test_setup(pages_that_do_not_turn, setup),
		cmocka_unit_test_setup(looking_back, setup),
		cmocka_unit_test_setup(the_first_lines_are_kept, setup),
		cmocka_unit_test_setup(ends_only_if_asked_twice, setup),
		cmocka_unit_test(keys),
		cmocka_unit_test_setup(sizes_that_do_not_do, setup),
		cmocka_unit_test_setup(a_panic_is_seen_at_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
