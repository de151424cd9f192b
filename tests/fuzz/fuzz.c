/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connects libFuzzer and a target. The variables of the sources under test and of the fakes are in
 * sections of their own (fuzz.mk renames them). We save their bytes once and put them back before
 * each input, so that no input depends on those before it.
 */
#include <tests/fuzz/fuzz.h>

#include <signal.h>
#include <sys/time.h>

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include <hv/base/log.h>

/* CPU time, not wall time: other programs must not count. */
#define CPU_SECONDS 20
#define COPIES 64
#define LOG_TAIL 3000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* --- the variables ------------------------------------------------------------------ */

extern char __start_fuzz_data[], __stop_fuzz_data[], __start_fuzz_bss[], __stop_fuzz_bss[];

static struct region {
	char *start, *stop, *first;
} regions[2];

/* AddressSanitizer forbids access to the gaps between variables. */
__attribute__((no_sanitize("all"))) static void copy(char *to, const char *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void remember(struct region *r, char *start, char *stop)
{
	*r = (struct region){ start, stop, malloc((size_t)(stop - start)) };
	copy(r->first, start, (size_t)(stop - start));
}

static void put_back(const struct region *r)
{
	copy(r->start, r->first, (size_t)(r->stop - r->start));
}

/* --- the input ---------------------------------------------------------------------- */

static void *copies[COPIES];
static u32 nr_copies;

u64 in_bytes(struct input *in, size_t n)
{
	u64 value = 0;

	for (size_t i = 0; i < n && in->at < in->end; i++)
		value |= (u64)*in->at++ << (8 * i);
	return value;
}

u64 in_number(struct input *in)
{
	u8 form = in_8(in);
	u64 value = in_bytes(in, form & 8 ? 8 : form & 3);

	if (form & 0x40)
		value <<= PAGE_SHIFT;
	return form & 0x80 ? ~value : value;
}

const u8 *in_take(struct input *in, size_t *n)
{
	const u8 *at = in->at;

	*n = min(*n, in_left(in));
	in->at += *n;
	return at;
}

u8 *fuzz_zeroes(size_t n)
{
	fuzz_assert(nr_copies < COPIES, "the target takes too many copies");
	return copies[nr_copies++] = calloc(1, n ? n : 1);
}

u8 *in_copy(struct input *in, size_t n)
{
	size_t there = n;
	const u8 *from = in_take(in, &there);

	return memcpy(fuzz_zeroes(n), from, there);
}

/* --- findings ----------------------------------------------------------------------- */

void fuzz_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "fuzz: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

static void check_line(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fuzz_assert((s[i] >= ' ' && s[i] < 0x7f) || s[i] == '\n' || s[i] == '\t',
			    "byte %02x in the log", (u8)s[i]);
}

void fuzz_watch_log(void)
{
	static struct log_sink sink = { .write = check_line };

	sink.next = NULL; /* copies of this input: the list is empty again */
	log_add_sink(&sink);
}

static void show_log(void)
{
	size_t from = fake.log_len > LOG_TAIL ? fake.log_len - LOG_TAIL : 0;

	fprintf(stderr, "--- the hypervisor's log\n%s---\n", fake.log + from);
}

static void too_long(int signal)
{
	(void)signal;
	fuzz_fail("%d s of CPU time for one input: an endless loop", CPU_SECONDS);
}

/* The fakes' assertions; in unit tests cmocka supplies these. */
void _assert_true(const LargestIntegralType result, const char *const expression,
		  const char *const file, const int line)
{
	if (!result)
		fuzz_fail("%s:%d: %s", file, line, expression);
}

void _assert_int_equal(const LargestIntegralType a, const LargestIntegralType b,
		       const char *const file, const int line)
{
	if (a != b)
		fuzz_fail("%s:%d: %#lx != %#lx", file, line, a, b);
}

void _assert_int_not_equal(const LargestIntegralType a, const LargestIntegralType b,
			   const char *const file, const int line)
{
	if (a == b)
		fuzz_fail("%s:%d: %#lx", file, line, a);
}

void _fail(const char *const file, const int line)
{
	fuzz_fail("%s:%d", file, line);
}

void print_error(const char *const format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
}

/* --- libFuzzer ---------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__sanitizer_set_death_callback(show_log);
	signal(SIGVTALRM, too_long);
	fuzz_setup();
	remember(&regions[0], __start_fuzz_data, __stop_fuzz_data);
	remember(&regions[1], __start_fuzz_bss, __stop_fuzz_bss);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct itimerval limit = { .it_value = { .tv_sec = CPU_SECONDS } };
	struct input in = { data, data + size };

	put_back(&regions[0]);
	put_back(&regions[1]);
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	fuzz_one(&in);
	fuzz_frames_off();
	fake_machine_off();
	while (nr_copies)
		free(copies[--nr_copies]);
	return 0;
}
