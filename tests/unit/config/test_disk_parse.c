/* SPDX-License-Identifier: BSD-2-Clause */
/* disk = FILE cow SIZE latency=TIME, and disk = blank SIZE. */
#include <tests/unit/config/config_fixture.h>

static void disks(void **state)
{
	(void)state;
	assert_true(parse(VM "disk = a.img\ndisk = b.img cow latency=5ms\n"
			     "disk = c.img latency=200us cow 64M\ndisk = blank 1G latency=0\n"));
	assert_int_equal(c.vm[0].nr_disks, 4);
	assert_string_equal(c.vm[0].disk[0].file, "a.img");
	assert_int_equal(c.vm[0].disk[0].writable, 0);
	assert_int_equal(c.vm[0].disk[0].latency_us, 0);
	assert_int_equal(c.vm[0].disk[1].writable, UINT64_MAX);
	assert_int_equal(c.vm[0].disk[1].latency_us, 5000);
	assert_int_equal(c.vm[0].disk[2].writable, MIB(64));
	assert_int_equal(c.vm[0].disk[2].latency_us, 200);
	assert_false(c.vm[0].disk[2].blank);
	assert_true(c.vm[0].disk[3].blank);
	assert_int_equal(c.vm[0].disk[3].writable, GIB(1));
	assert_true(parse(VM "disk = a.img ro\n"));
	refused(VM "disk=1\ndisk=2\ndisk=3\ndisk=4\ndisk=5\n",
		"too many disks; a VM takes at most 4");
	refused(VM "disk = blank\n", "a blank disk needs a size");
	refused(VM "disk = blank 0\n", "is not the size of a disk");
	refused(VM "disk = blank 64MB\n", "is not the size of a disk");
	refused(VM "disk = blank 4097\n", "is not the size of a disk");
	refused(VM "disk = blank 65G\n", "is not the size of a disk");
	refused(VM "disk = blank 1M ro\n", "\"ro\" is not understood after disk = blank SIZE");
	refused(VM "disk = a.img rw\n", "\"rw\" is not understood after disk = FILE");
	refused(VM "disk = a.img cow 1M cow\n", "\"cow\" is not understood");
	refused(VM "disk = a.img 64M\n", "\"64M\" is not understood");
	refused(VM "disk = a.img latency=5\n", "\"5\" is not a latency of a disk");
	refused(VM "disk = a.img latency=11s\n", "is not a latency");
	refused(VM "disk = a.img latency=us\n", "is not a latency");
	refused(VM "disk = a.img latency=99999999999999999999us\n", "is not a latency");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
