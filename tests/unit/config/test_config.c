/* SPDX-License-Identifier: BSD-2-Clause */
/* aerostat.conf: texts that the parser takes, and its messages for texts that it refuses. */
#include <tests/unit/config/config_fixture.h>

static const char example[] = "# a comment\n"
			      "[host]\n"
			      "memory = 256M ; of this machine\n"
			      "stay = yes\n"
			      "status = 0\n"
			      "policy = 50\n"
			      "sample_pages = 64\n"
			      "tax = 60\n"
			      "balloon_max = 80\n"
			      "\n"
			      "   [vm web-1]\r\n"
			      "\tmemory\t=\t64M\r\n"
			      "min=8M\n"
			      "max = 48MiB\n"
			      "reserve = 64K\n"
			      "shares = 2000\n"
			      "vcpus = 3\n"
			      "control = yes\n"
			      "start = no\n"
			      "kernel = a.elf\n"
			      "cmdline = x=1 y#2 \"z\"   \n"
			      "module = m1 with args\n"
			      "initrd = m2\n"
			      "[vm B_2]\n"
			      "memory = 1G\n"
			      "kernel = b";

static void all_keys(void **state)
{
	(void)state;
	assert_true(parse(example));
	assert_int_equal(c.host.memory, MIB(256));
	assert_true(c.host.stay);
	assert_int_equal(c.host.status_ms, 0);
	assert_int_equal(c.host.policy_ms, 50);
	assert_int_equal(c.host.tax, 60);
	assert_int_equal(c.host.balloon_max, 80);
	assert_int_equal(c.nr_vms, 2);
	assert_string_equal(c.vm[0].name, "web-1");
	assert_int_equal(c.vm[0].line, 11);
	assert_int_equal(c.host.sample_pages, 64);
	assert_int_equal(c.vm[0].memory, MIB(64));
	assert_int_equal(c.vm[0].min, MIB(8));
	assert_int_equal(c.vm[0].max, MIB(48));
	assert_int_equal(c.vm[0].reserve, KIB(64));
	assert_int_equal(c.vm[0].shares, 2000);
	assert_int_equal(c.vm[0].vcpus, 3);
	assert_true(c.vm[0].control);
	assert_false(c.vm[0].start);
	assert_string_equal(c.vm[0].kernel, "a.elf");
	assert_string_equal(c.vm[0].cmdline, "x=1 y#2 \"z\"");
	assert_int_equal(c.vm[0].nr_modules, 2);
	assert_string_equal(c.vm[0].module[0], "m1 with args");
	assert_string_equal(c.vm[0].module[1], "m2");
}

static void defaults(void **state)
{
	(void)state;
	assert_true(parse(example));
	assert_int_equal(c.vm[1].max, GIB(1));
	assert_int_equal(c.vm[1].min, MIB(128));
	assert_int_equal(c.vm[1].reserve, MIB(4));
	assert_int_equal(c.vm[1].shares, 1000);
	assert_int_equal(c.vm[1].vcpus, 1);
	assert_true(c.vm[1].start);
	assert_false(c.vm[1].control);
	assert_true(parse(VM));
	assert_int_equal(c.host.tax, 75);
	assert_int_equal(c.host.balloon_max, 65);
	assert_int_equal(c.host.sample_ms, 30000);
	assert_int_equal(c.host.sample_pages, 100);
	assert_true(parse(VM "min = 0\n"));
	assert_int_equal(c.vm[0].min, 0);
}

static void byte_order_mark(void **state)
{
	(void)state;
	assert_true(parse("\xef\xbb\xbf" VM));
	assert_int_equal(c.nr_vms, 1);
}

static void balloons(void **state)
{
	(void)state;
	assert_true(parse(VM));
	assert_int_equal(c.vm[0].balloon, BALLOON_AUTO);
	assert_true(parse(VM "balloon = virtio\n"));
	assert_int_equal(c.vm[0].balloon, BALLOON_VIRTIO);
	assert_true(parse(VM "balloon = none\n"));
	assert_int_equal(c.vm[0].balloon, BALLOON_NONE);
	refused(VM "balloon = yes\n", "balloon takes auto, aerostat, virtio or none, not \"yes\"");
}

static void errors_name_line_and_remedy(void **state)
{
	(void)state;
	refused("", "line 1: no [vm NAME] section");
	refused("[host]\n", "no [vm NAME] section");
	refused("\xef\xbb\xbf", "no [vm NAME] section");
	refused("\xef\xbb", "line 1");
	refused(VM "\xef\xbb\xbf[host]\n", "line 4"); /* only at the start */
	refused("memory = 4M\n",
		"line 1: a key before any section; start with [host] or [vm NAME]");
	refused("\n\n[guest x]\n", "line 3: unknown section [guest x]; write [host] or [vm NAME]");
	refused("[host\n", "line 1: a section starts with [ and ends with ]");
	refused("[\n", "line 1: a section starts with [");
	refused("[]\n", "unknown section []");
	refused("[vm]\n", "unknown section [vm]");
	refused("[vm ]\n", "line 1: a VM's name is 1 to 31 letters");
	refused("[vm a b]\n", "line 1: a VM's name");
	refused("[vm \xc3\xa9]\n", "line 1: a VM's name");
	refused("[vm aaaaaaaaaabbbbbbbbbbccccccccccdd]\n", "line 1: a VM's name");
	refused(VM "[vm b]\n[vm a]\n",
		"line 5: there is a VM \"a\" already, at line 1; choose another");
	refused("[vm a]\nmemroy = 64M\n",
		"line 2: unknown key \"memroy\"; did you mean \"memory\"?");
	refused("[vm a]\nshare = 1\n", "did you mean \"shares\"?");
	refused("[vm a]\nvcpu = 1\n", "did you mean \"vcpus\"?");
	refused("[vm a]\nkernal = 1\n", "did you mean \"kernel\"?");
	refused("[host]\nballoonmax = 1\n", "did you mean \"balloon_max\"?");
	refused("[host]\nkernel = k\n",
		"line 2: \"kernel\" belongs to a VM; put it under [vm NAME]");
	refused("[vm a]\ntax = 50\n", "line 2: \"tax\" belongs to the host; put it under [host]");
	refused("[vm a]\nmemory 64M\n",
		"line 2: \"memory 64M\" is neither a [section] nor key = value");
	refused("[vm a]\nmemory =\n", "line 2: memory has no value");
	refused("[vm a]\nmemory = lots\n",
		"line 2: \"lots\" is not a size; write for example memory = 64M");
	refused("[vm a]\nmemory = 4M\n[x", "line 3: a section starts");
}

static void times_of_the_host(void **state)
{
	(void)state;
	assert_true(parse("[host]\npages = 3s\n" VM));
	assert_int_equal(c.host.pages_ms, 3000);
	assert_true(parse("[host]\npages = 0\n" VM));
	assert_int_equal(c.host.pages_ms, 0);
	assert_true(parse(VM));
	assert_int_equal(c.host.pages_ms, 10000);
	refused("[host]\npages = 10\n" VM,
		"line 2: \"10\" is not a time; write for example pages = 10s");
	/* Once these three were bare milliseconds. */
	assert_true(parse("[host]\nstatus = 2s\npolicy = 50ms\nsample = 1m\n" VM));
	assert_int_equal(c.host.status_ms, 2000);
	assert_int_equal(c.host.policy_ms, 50);
	assert_int_equal(c.host.sample_ms, 60000);
	assert_string_equal(c.note, "");
	assert_true(parse("[host]\nstatus = 0\npolicy = 50\nsample = 20\n" VM));
	assert_int_equal(c.host.policy_ms, 50);
	assert_string_equal(c.note,
			    "aerostat.conf: line 3: policy = 50 means 50 ms; write policy = 50ms");
	refused("[host]\npolicy = 0\n" VM, "from 1ms to 60s is possible");
	refused("[host]\npages = 2h\n" VM, "from 0ms to 3600s is possible");
}

static void first_console(void **state)
{
	(void)state;
	assert_true(parse(VM));
	assert_string_equal(c.host.console, "");
	assert_true(parse("[host]\nconsole = b\n" VM "[vm b]\nmemory = 64M\nkernel = k\n"));
	assert_string_equal(c.host.console, "b");
	assert_int_equal(c.host.console_vm, 1);
	refused("[host]\nconsole =\n" VM, "line 2: console has no value");
	refused("[host]\n" VM "[host]\nconsole = b\n", "line 6: there is no VM \"b\"");
	refused("[host]\nconsole = a23456789012345678901234567890123\n" VM,
		"line 2: the value is too long; at most 31 characters are allowed");
}

static void ranges(void **state)
{
	(void)state;
	refused("[vm a]\nmemory = 512K\n",
		"line 2: memory = 512K is out of range; from 1024K to 4096G");
	refused("[vm a]\nmemory = 5000G\n", "out of range");
	refused("[vm a]\nmemory = 1048577\n", "line 2: memory must be a multiple of 4K");
	refused("[vm a]\nvcpus = 0\n",
		"line 2: vcpus = 0 is out of range; from 1 to 16 is possible");
	refused("[vm a]\nvcpus = 17\n", "out of range");
	refused("[vm a]\nvcpus = two\n",
		"line 2: \"two\" is not a number; write for example vcpus = 1");
	refused("[vm a]\nvcpus = 2x\n", "is not a number");
	refused("[vm a]\nvcpus = -2\n", "is not a number");
	refused("[vm a]\nvcpus = 4294967297\n", "out of range");
	refused("[vm a]\nshares = 0\n", "out of range");
	refused("[host]\ntax = 100\n", "out of range; from 0 to 99");
	refused("[host]\nsample_pages = 9\n", "out of range; from 10 to 256");
	refused("[host]\nsample_pages = 257\n", "out of range; from 10 to 256");
	refused("[host]\nstay = true\n", "line 2: stay takes yes or no, not \"true\"");
	refused("[vm a]\nmemory = 64M\n", "line 1: VM a has no kernel; add kernel = FILE");
	refused("\n[vm a]\nkernel = k\n",
		"line 2: VM a has no memory; add for example memory = 64M");
	refused(VM "max = 65M\n",
		"line 1: VM a: max is more than its memory; write max = 65536K or less");
	refused(VM "max = 8M\nmin = 9M\n",
		"line 1: VM a: min is more than max; write min = 8192K or less");
	assert_true(parse(VM "max = 64M\nmin = 64M\n"));
}

static void too_much(void **state)
{
	char text[8192];
	int n = 0;

	(void)state;
	refused(VM "module=1\nmodule=2\nmodule=3\nmodule=4\nmodule=5\n",
		"line 8: too many modules; a VM takes at most 4");
	for (int i = 0; i < MAX_VMS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "[vm v%d]\nmemory=1M\nkernel=k\n",
			      i);
	assert_true(parse(text));
	assert_int_equal(c.nr_vms, MAX_VMS);
	snprintf(text + n, sizeof(text) - (size_t)n, "[vm one-more]\n");
	refused(text, "line 193: too many VMs; at most 64 are allowed");
}

static void long_lines(void **state)
{
	char text[2000] = "[vm a]\nmemory = 64M\nkernel = ";
	size_t n = strlen(text);

	(void)state;
	memset(text + n, 'k', 255);
	assert_true(parse(text));
	memset(text + n, 'k', 256);
	refused(text, "line 3: the value is too long; at most 255 characters are allowed");
	memset(text + n, 'k', 600);
	refused(text, "line 3: the line is longer than 511 characters");
	text[0] = '#';
	memset(text + 1, 'x', 600);
	refused(text, "line 1: the line is longer");
	/* An unknown key as long as can be: the message is cut, not the stack. */
	memset(text, 'q', 500);
	strcpy(text + 500, "=1");
	refused(text, "line 1: ");
	memcpy(text, "[vm a]\n", 7);
	refused(text, "line 2: unknown key");
	assert_true(strlen(error) < CONFIG_ERROR_MAX);
}

static void not_text(void **state)
{
	(void)state;
	assert_false(parse_n("[vm a]\nmem\0ory = 1M\n", 20));
	assert_true(strstr(error, "line 2: a NUL byte; is this a text file?"));
	assert_false(parse_n("\0", 1));
	assert_true(strstr(error, "line 1: a NUL byte"));
	assert_true(parse_n(VM "\0\0", sizeof(VM) - 1)); /* what is behind the end is not read */
}

/* Random edits of a good text: the parser may take or refuse them, and must not crash. */
static void fuzz(void **state)
{
	static const char good[] =
		"[host]\nmemory = 256M\ntax = 3\nat = 9s stop a 1\nat=1h min b 64K\n" VM
		"min = 1M\nshares = 7\nvcpus = 2\n"
		"module = m x\n[vm b]\nmemory=1G\nkernel=z\ncmdline = a # b\n";
	static const char alphabet[] = "[]=\n\r\t #;09KMGvmab\0\xff";
	u64 seed = 5, good_ones = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[sizeof(good)];
		size_t len = sizeof(good) - 1;
		u64 r = fake_random(&seed);

		memcpy(text, good, sizeof(good));
		for (u64 k = r % 6; k; k--) {
			u64 q = fake_random(&seed);

			text[q % len] = q & 1UL << 40 ?
						(char)(q >> 48) :
						alphabet[(q >> 48) % (sizeof(alphabet) - 1)];
		}
		if (r >> 62 == 0)
			len = (r >> 8) % len + 1;
		if (parse_n(text, len)) {
			good_ones++;
			for (u32 v = 0; v < c.nr_vms; v++) {
				assert_true(c.vm[v].min <= c.vm[v].max &&
					    c.vm[v].max <= c.vm[v].memory);
				assert_true(c.vm[v].vcpus >= 1 && c.vm[v].vcpus <= MAX_VCPUS);
				assert_true(c.vm[v].memory >= MIB(1));
			}
		} else {
			assert_int_equal(strncmp(error, "aerostat.conf: line ", 20), 0);
			assert_true(strnlen(error, sizeof(error)) < sizeof(error));
		}
	}
	assert_true(good_ones > 1000);
	for (int i = 0; i < 2000; i++) {
		char noise[300];

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (char)fake_random(&seed);
		parse_n(noise, sizeof(noise));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(defaults),
		cmocka_unit_test(byte_order_mark),
		cmocka_unit_test(balloons),
		cmocka_unit_test(errors_name_line_and_remedy),
		cmocka_unit_test(times_of_the_host),
		cmocka_unit_test(first_console),
		cmocka_unit_test(ranges),
		cmocka_unit_test(too_much),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(not_text),
		cmocka_unit_test(fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
