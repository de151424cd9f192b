/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial console on registers in memory, in all the ways that they are laid out. */
#include <tests/fake/fake.h>

#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/cpu/paging.h>
#include <hv/base/log.h>

static u8 device[64] __aligned(8);
static u64 mapped;
static size_t mapped_bytes;

void *paging_map_mmio(hpa_t pa, size_t bytes, unsigned int flags)
{
	assert_int_equal(flags, PAGING_UC);
	mapped = pa.v;
	mapped_bytes = bytes;
	return mapped == 0xdead ? NULL : device;
}

void pic_unmask(u32 irq)
{
	fail_msg("line %u of an 8259 for a port in memory", irq);
}

void pic_eoi(void)
{
	fail_msg("EOI");
}

static u64 next_tick;

static void ask_for_tick(u64 tsc)
{
	next_tick = tsc;
}

/* Memory that keeps its bytes looks like a UART with a scratch register. */
static void reset(u8 line_status)
{
	memset(device, 0, sizeof(device));
	device[5] = device[5 * 2] = device[5 * 4] = line_status;
}

/* The order matters: only one port is ever opened. */
static void what_is_not_there(void **state)
{
	struct serial_port p = { GIB(6), true, 1, 1, 115200, 0 };

	(void)state;
	reset(0xff); /* the bus floats */
	assert_false(serial_open(&p, "a test"));
	reset(0x60);
	p.base = 0;
	assert_false(serial_open(&p, "a test"));
	p.base = 0xdead; /* no memory to map it */
	assert_false(serial_open(&p, "a test"));
	assert_false(fake_log_has("console:"));
	assert_null(serial_sink());
	serial_write("nowhere", 7);
	assert_int_equal(device[0], 0);
}

static void words_four_apart(void **state)
{
	struct serial_port p = { GIB(6), true, 4, 4, 9600, 48000000 };
	u32 *r = (u32 *)device;

	(void)state;
	reset(0x60);
	assert_true(serial_open(&p, "a test"));
	assert_int_equal(mapped, GIB(6));
	assert_int_equal(mapped_bytes, 32);
	assert_true(fake_log_has("console: serial memory 180000000, 9600 baud, from a test"));
	assert_int_equal(r[1], 313 >> 8); /* 48,000,000 / 16 / 9600, and half: the high byte */
	assert_int_equal(r[3], 3);
	assert_int_equal(r[4], 3);
	log_raw("the end is Z");
	assert_int_equal(r[0], '\n');
	assert_non_null(serial_sink());
	serial_write("as it is", 8);
	assert_int_equal(r[0], 's');
	assert_false(serial_open(&p, "another test")); /* there is one already */
}

/* We know no interrupt of a UART in memory: it is polled, faster while somebody types. */
static void listens(void **state)
{
	u32 *r = (u32 *)device;
	char typed[4];

	(void)state;
	r[5] = 0x61;
	r[0] = 'k';
	r[1] = 0;
	assert_int_equal(serial_read(typed, sizeof(typed)), 0); /* not yet asked to */
	serial_listen(ask_for_tick);
	assert_int_equal(r[1], 0); /* its interrupts stay off */
	assert_int_equal(next_tick, fake.tsc);
	assert_int_equal(serial_read(typed, sizeof(typed)), sizeof(typed)); /* and there is more */
	assert_memory_equal(typed, "kkkk", 4);
	assert_int_equal(next_tick, fake.tsc + FAKE_KHZ);
	r[5] = 0x71; /* a break: no byte, and it has an end */
	assert_int_equal(serial_read(typed, sizeof(typed)), 0);
	assert_int_equal(next_tick, fake.tsc + FAKE_KHZ);
	r[5] = 0x60;
	assert_int_equal(serial_read(typed, sizeof(typed)), 0);
	assert_int_equal(next_tick, fake.tsc + 10 * FAKE_KHZ);
	serial_interrupt(4); /* not ours */
	assert_int_equal(r[1], 0);
}

static void one_that_goes_away(void **state)
{
	u32 *r = (u32 *)device;

	(void)state;
	r[5] = 0; /* never ready again */
	r[0] = 0;
	log_raw("nobody hears this");
	assert_int_equal(r[0], 0);
	r[5] = 0x60; /* too late: it is not read again */
	log_raw("nor this");
	assert_int_equal(r[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(words_four_apart),
		cmocka_unit_test(listens),
		cmocka_unit_test(one_that_goes_away),
	};

	fake_machine(16, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
