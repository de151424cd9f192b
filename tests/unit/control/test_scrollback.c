/* SPDX-License-Identifier: BSD-2-Clause */
/* The log for people: which lines are kept, found from above and from below. */
#include <tests/fake/fake.h>

#include <hv/base/log.h>
#include <hv/control/scrollback.h>

#define SIZE SCROLLBACK_MIN
#define LINES 20000

static char memory[SIZE + 16];
static char *lines[LINES]; /* those for people, in their order */
static u32 nr_lines;

static int setup(void **state)
{
	(void)state;
	memset(memory, 'm', sizeof(memory));
	scrollback_init(memory, SIZE);
	nr_lines = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (nr_lines)
		free(lines[--nr_lines]);
	scrollback_init(NULL, 0);
	return 0;
}

/* A line for people, with its newline, in pieces of any size. */
static void say(u64 *seed, const char *text)
{
	size_t n = strlen(text);

	if (text[0] != '@')
		lines[nr_lines++] = strdup(text);
	for (size_t at = 0, m; at < n; at += m) {
		m = min(1 + fake_random(seed) % 80, n - at);
		scrollback_add(text + at, m);
	}
}

static bool is_line(const struct scrollback_line *l, const char *text)
{
	size_t n = l->end - l->start;

	if (strlen(text) != n + 1 || scrollback_byte(l->end) != '\n')
		return false;
	for (size_t i = 0; i < n; i++)
		if (scrollback_byte(l->start + i) != text[i])
			return false;
	return true;
}

/* From the first line to the last: returns how many are pinned; the rest are the newest. */
static u32 check_all(void)
{
	struct scrollback_line l, down[LINES];
	u32 n = 0, i = 0, pinned = 0, lost = 0;

	for (u64 at = 0; scrollback_from(at, &l); at = l.end + 1) {
		down[n++] = l;
		if (l.lost) {
			assert_int_equal(lost, 0);
			pinned = n - 1;
			lost = (u32)l.lost;
			i += lost;
		}
		assert_true(i < nr_lines);
		assert_true(is_line(&l, lines[i++]));
	}
	assert_int_equal(i, nr_lines);
	l.start = scrollback_end();
	for (u32 k = n; k--;) {
		assert_true(scrollback_before(l.start, &l));
		assert_memory_equal(&l, &down[k], sizeof(l));
	}
	assert_false(scrollback_before(0, &l));
	assert_false(scrollback_from(scrollback_end(), &l));
	assert_memory_equal(memory + SIZE, "mmmmmmmmmmmmmmmm", 16);
	return pinned;
}

static void only_lines_for_people(void **state)
{
	u64 seed = 1;

	(void)state;
	assert_int_equal(check_all(), 0);
	say(&seed, "[    0.000000] Aerostat\n");
	for (u32 i = 0; i < 10000; i++)
		say(&seed, "@vm name=a state=running\n");
	say(&seed, "one| @vm is a guest's word\n");
	say(&seed, "\n");
	check_all();
	assert_int_equal(nr_lines, 3);
	scrollback_add("half of a ", 10);
	check_all(); /* not before it ends */
}

/* Of every length, until long after the ring is full; checked again and again. */
static void first_and_newest(void **state)
{
	char text[LOG_LINE_MAX];
	u64 seed = 5;
	u32 pinned = 0;

	(void)state;
	while (nr_lines < 6000) {
		u32 n = (u32)(fake_random(&seed) % (LOG_LINE_MAX - 1));

		for (u32 i = 0; i < n; i++)
			text[i] = (char)(' ' + fake_random(&seed) % 95);
		text[n] = '\n';
		text[n + 1] = '\0';
		say(&seed, text);
		if (nr_lines % 50 == 0)
			pinned = check_all();
	}
	assert_in_range(pinned, SCROLLBACK_PINNED / LOG_LINE_MAX, 200);
	/* The whole ring is used, except less than a line. */
	assert_true(scrollback_end() > 4 * SIZE);
	for (u32 i = 0, held = 0;; i++) {
		held += (u32)strlen(lines[nr_lines - 1 - i]);
		if (held > SIZE - SCROLLBACK_PINNED - LOG_LINE_MAX) {
			struct scrollback_line l = { .start = scrollback_end() };

			for (u32 k = 0; k < i; k++)
				assert_true(scrollback_before(l.start, &l));
			assert_true(is_line(&l, lines[nr_lines - i]));
			break;
		}
	}
}

static void without_memory(void **state)
{
	struct scrollback_line l;

	(void)state;
	scrollback_init(NULL, 0);
	scrollback_add("nobody\n", 7);
	assert_int_equal(scrollback_end(), 0);
	assert_false(scrollback_from(0, &l));
	assert_false(scrollback_before(0, &l));
}

/* Lines logged before there was memory are kept, too, from the first whole line on. */
static void begins_with_the_log(void **state)
{
	struct scrollback_line l;
	u32 n = 0;

	(void)state;
	fake_machine(16, 1);
	for (u32 i = 0; i < 3000; i++)
		log_raw(i % 2 ? "@line %u" : "line %u", i);
	scrollback_init(memory, SIZE);
	assert_true(scrollback_from(0, &l));
	for (u64 at = 0; scrollback_from(at, &l); at = l.end + 1) {
		assert_int_equal(scrollback_byte(l.start), 'l');
		n++;
	}
	assert_in_range(n, LOG_RING_SIZE / 21 - 2, LOG_RING_SIZE / 21 + 2);
	assert_true(is_line(&l, "line 2998\n"));
	fake_machine_off();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_lines_for_people, setup, teardown),
		cmocka_unit_test_setup_teardown(first_and_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_with_the_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
