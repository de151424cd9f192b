/* SPDX-License-Identifier: BSD-2-Clause */
/* hv/base: formatting, strings, the log, errors. */
#include <tests/fake/fake.h>

#include <hv/base/list.h>
#include <hv/base/log.h>
#include <hv/base/nospec.h>
#include <hv/base/string.h>

void *hv_memcpy(void *dst, const void *src, size_t n);
void *hv_memmove(void *dst, const void *src, size_t n);
void *hv_memset(void *dst, int c, size_t n);
int hv_memcmp(const void *a, const void *b, size_t n);
size_t hv_strlen(const char *s);
int hv_strcmp(const char *a, const char *b);
int hv_strncmp(const char *a, const char *b, size_t n);

/* Our formatter and libc's must agree in text and length. */
#define same(...)                                                      \
	do {                                                           \
		char ours[80], theirs[80];                             \
		int n = str_format(ours, sizeof(ours), __VA_ARGS__);   \
		int m = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
		assert_string_equal(ours, theirs);                     \
		assert_int_equal(n, m);                                \
	} while (0)

static void format_like_libc(void **state)
{
	(void)state;
	same("plain %% text");
	same("%s|%10s|%-10s|%.2s|%.*s", "abc", "abc", "abc", "abc", 1, "abc");
	same("%c%c", 'x', 'y');
	same("%d %d %d", 0, -1, INT32_MAX);
	same("%d", INT32_MIN);
	same("%ld %ld", INT64_MAX, INT64_MIN);
	same("%u %lu %zu", UINT32_MAX, UINT64_MAX, (size_t)7);
	same("%x %lx %08x %016lx", 0xbeefu, 0xdeadbeefcafeul, 0xau, 0x1ul);
	same("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
	same("[%5lu.%06lu]", 12ul, 34ul);
	same("%*d|%i", 6, 5, 8);
}

static void format_cuts_and_terminates(void **state)
{
	const char *volatile null = NULL, *volatile odd = "x%";
	char b[8];

	(void)state;
	memset(b, 'z', sizeof(b));
	assert_int_equal(str_format(b, 4, "%s", "abcdefgh"), 8);
	assert_memory_equal(b, "abc\0zzzz", 8);
	assert_int_equal(str_format(b, 1, "%d", 12345), 5);
	assert_int_equal(b[0], 0);
	assert_int_equal(str_format(b, 0, "%d", 77), 2);
	str_format(b, sizeof(b), "%s", null);
	assert_string_equal(b, "(null)");
	str_format(b, sizeof(b), odd, 0);
	assert_string_equal(b, "x");
}

static void copy_terminates(void **state)
{
	char b[4];

	(void)state;
	assert_true(str_copy(b, "abc", sizeof(b)));
	assert_string_equal(b, "abc");
	assert_false(str_copy(b, "abcd", sizeof(b)));
	assert_string_equal(b, "abc");
	assert_true(str_copy(b, "", 1));
	assert_int_equal(b[0], 0);
}

/* Each length and misalignment up to three words, against libc. */
static void memory_functions(void **state)
{
	u8 src[64], a[64], b[64];

	(void)state;
	for (u32 i = 0; i < sizeof(src); i++)
		src[i] = (u8)(i * 37 + 1);
	for (u32 off = 0; off < 9; off++)
		for (u32 n = 0; n < 26; n++) {
			memset(a, 0xee, sizeof(a));
			memset(b, 0xee, sizeof(b));
			assert_ptr_equal(hv_memcpy(a + off, src + 3, n), a + off);
			memcpy(b + off, src + 3, n);
			assert_memory_equal(a, b, sizeof(a));
			hv_memset(a + off, (int)n + 0x1f0, n);
			memset(b + off, (int)n + 0x1f0, n);
			assert_memory_equal(a, b, sizeof(a));
			for (u32 to = 0; to < 20; to++) {
				memcpy(a, src, sizeof(a));
				memcpy(b, src, sizeof(b));
				hv_memmove(a + to, a + off, n);
				memmove(b + to, b + off, n);
				assert_memory_equal(a, b, sizeof(a));
			}
		}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void comparisons(void **state)
{
	static const char *const s[] = { "", "a", "ab", "abc", "abd", "b", "\x80", "a\xff" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		assert_int_equal(hv_strlen(s[i]), strlen(s[i]));
		for (size_t j = 0; j < ARRAY_SIZE(s); j++) {
			size_t n = min(strlen(s[i]), strlen(s[j])) + 1;

			assert_int_equal(sign(hv_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
			assert_int_equal(sign(hv_strncmp(s[i], s[j], 2)),
					 sign(strncmp(s[i], s[j], 2)));
			assert_int_equal(sign(hv_memcmp(s[i], s[j], n)),
					 sign(memcmp(s[i], s[j], n)));
		}
	}
}

static void every_error_has_a_name(void **state)
{
	(void)state;
	for (int e = HV_EIO; e <= 0; e++)
		assert_string_not_equal(hv_strerror(e), "unknown error");
	assert_string_equal(hv_strerror(HV_EIO), "input or output error");
	assert_string_equal(hv_strerror(1), "unknown error");
	assert_string_equal(hv_strerror(HV_EIO - 1), "unknown error");
	assert_string_equal(hv_strerror(INT32_MIN), "unknown error");
}

static void log_lines_are_whole_and_bounded(void **state)
{
	char long_text[2 * LOG_LINE_MAX];

	(void)state;
	fake_machine(16, 1);
	fake.tsc = 12345678 * (FAKE_KHZ / 1000);
	log_line("hello %d", 5);
	assert_string_equal(fake.log, "[   12.345678] hello 5\n");
	fake_log_clear();
	assert_int_equal(log_error_at("f.c:1", HV_ENOMEM, "no %s", "luck"), HV_ENOMEM);
	assert_true(fake_log_has("no luck: no memory (f.c:1)\n"));
	memset(long_text, 'y', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	fake_log_clear();
	log_raw("%s", long_text);
	log_line("%s", long_text);
	log_error_at("f.c:2", HV_EINVAL, "%s", long_text);
	assert_true(fake.log_len <= 3 * LOG_LINE_MAX);
	assert_int_equal(fake.log[fake.log_len - 1], '\n');
	fake_machine_off();
}

static char heard[2 * LOG_RING_SIZE];
static size_t heard_len;

static void hear(const char *s, size_t len)
{
	assert_true(heard_len + len < sizeof(heard));
	memcpy(heard + heard_len, s, len);
	heard_len += len;
	heard[heard_len] = '\0';
}

/*
 * A new sink gets the lines that the ring still has; a sink that is there already gets none twice.
 */
static void a_sink_comes_late(void **state)
{
	static struct log_sink late = { .write = hear };

	(void)state;
	fake_machine(16, 1);
	for (int i = 0; i < 2000; i++)
		log_raw("line %d", i);
	assert_int_equal(log_written() - log_oldest(), LOG_RING_SIZE);
	log_add_sink(&late);
	assert_int_equal(heard_len, LOG_RING_SIZE);
	assert_string_equal(heard + heard_len - 20, "line 1998\nline 1999\n");
	heard_len = 0;
	log_add_sink(&late);
	assert_int_equal(heard_len, 0);
	log_raw("once"); /* not twice, nor for ever */
	assert_string_equal(heard, "once\n");
	fake_machine_off();
}

static void lists(void **state)
{
	struct item {
		int n;
		struct list link;
	} item[3] = { { .n = 0 }, { .n = 1 }, { .n = 2 } }, *i;
	struct list head;
	int sum = 0;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	for (int k = 0; k < 3; k++)
		list_add_tail(&head, &item[k].link);
	list_del(&item[1].link);
	list_for_each(i, &head, link)
		sum = sum * 10 + i->n + 1;
	assert_int_equal(sum, 13);
	list_del(&item[0].link);
	list_del(&item[2].link);
	assert_true(list_empty(&head));
}

/* A refused value gives 0; the check before it does not matter. */
static void indices(void **state)
{
	static const u64 sizes[] = { 1, 2, 3, 16, 1000, BIT(32), BIT(63) };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 n = sizes[i];

		assert_int_equal(index_nospec(0, n), 0);
		assert_true(index_nospec(n - 1, n) == n - 1);
		assert_true(index_nospec(n / 2, n) == n / 2);
		assert_int_equal(index_nospec(n, n), 0);
		assert_int_equal(index_nospec(n + 1, n), 0);
		assert_int_equal(index_nospec(UINT64_MAX, n), 0);
		assert_int_equal(index_nospec(BIT(63) | (n - 1), n), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_like_libc),
		cmocka_unit_test(format_cuts_and_terminates),
		cmocka_unit_test(copy_terminates),
		cmocka_unit_test(memory_functions),
		cmocka_unit_test(comparisons),
		cmocka_unit_test(every_error_has_a_name),
		cmocka_unit_test(log_lines_are_whole_and_bounded),
		cmocka_unit_test(a_sink_comes_late),
		cmocka_unit_test(lists),
		cmocka_unit_test(indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
