/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that firmware leaves on: I/O APICs and the HPET. */
#include <tests/fake/fake.h>

#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/pc/ioapic.h>
#include <arch/x86_64/pc/watchdog.h>
#include <arch/x86_64/time/hpet.h>

void *paging_map_mmio(hpa_t pa, size_t bytes, unsigned int flags)
{
	(void)bytes;
	(void)flags;
	return (void *)pa.v;
}

static void entries(void **state)
{
	(void)state;
	assert_int_equal(ioapic_quiet_entry(0x10000), 0x10000);
	assert_int_equal(ioapic_quiet_entry(0x00040), 0x10040);
	assert_int_equal(ioapic_quiet_entry(0x00700), 0x10700); /* the 8259s */
	assert_int_equal(ioapic_quiet_entry(0x00400), 0x10400); /* an NMI */
	/* A level interrupt that nobody has ended is dropped. */
	assert_int_equal(ioapic_quiet_entry(0x0e071), 0x12071);
	assert_int_equal(ioapic_quiet_entry(0x1c071), 0x10071);
	/* The firmware's own. */
	assert_int_equal(ioapic_quiet_entry(0x00200), 0x00200);
	assert_int_equal(ioapic_quiet_entry(0x08200), 0x08200);
}

static void hpet(void **state)
{
	u32 regs[256] = { 0x80862201, 69841279 }; /* three timers, 14.3 MHz */

	(void)state;
	regs[0x10 / 4] = 2;	  /* stands still, legacy routes */
	regs[0x100 / 4] = 0x0c;	  /* periodic, on */
	regs[0x120 / 4] = 0x4004; /* by message */
	regs[0x140 / 4] = 0x30;	  /* off */
	regs[0x160 / 4] = 4;	  /* no timer */
	assert_int_equal(hpet_quiet(regs), 2);
	assert_int_equal(regs[0x10 / 4], 1);
	assert_int_equal(regs[0x100 / 4], 0x08);
	assert_int_equal(regs[0x120 / 4], 0);
	assert_int_equal(regs[0x140 / 4], 0x30);
	assert_int_equal(regs[0x160 / 4], 4);
	hpet_init(0);
	assert_int_equal(hpet_hz(), 0);
	hpet_init((u64)regs);
	assert_in_range(hpet_hz(), 14318179, 14318181);
	regs[0xf0 / 4] = 77;
	assert_int_equal(hpet_read(), 77);
	/* No HPET there, or no period. */
	memset(regs, 0xff, sizeof(regs));
	assert_int_equal(hpet_quiet(regs), -1);
	memset(regs, 0, sizeof(regs));
	assert_int_equal(hpet_quiet(regs), -1);
}

static void watchdog(void **state)
{
	u8 one = 0xff;
	u16 two = 0x1234;
	u32 four = 0x12345678;
	struct watchdog w = {
		.table = "WDAT",
		.nr = 3,
		.step = { { { .address = (u64)&one }, 1, false, 0x40, 0xc0 },
			  { { .address = (u64)&two }, 2, true, 0x0800, 0x0800 },
			  { { .address = (u64)&four }, 4, true, 0, 0x1000 } },
	};

	(void)state;
	fake_machine(64, 1);
	watchdog_stop(&w);
	assert_int_equal(one, 0x40);
	assert_int_equal(two, 0x1a34);
	assert_int_equal(four, 0x12344678);
	assert_true(fake_log_has("watchdog: stopped, as the firmware's WDAT table tells"));
	fake_log_clear();
	w = (struct watchdog){ .table = "WDRT" };
	watchdog_stop(&w);
	assert_true(fake_log_has("WDRT table names one that Aerostat cannot stop"));
	fake_log_clear();
	w = (struct watchdog){ 0 };
	watchdog_stop(&w);
	assert_false(fake_log_has("watchdog"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(hpet),
		cmocka_unit_test_teardown(watchdog, fake_teardown),
	};

	return cmocka_run_group_tests_name("leftovers", tests, NULL, NULL);
}
