/* SPDX-License-Identifier: BSD-2-Clause */
/* Serial ports in SPCR and DBG2. */
#include <tests/unit/boot/acpi_fixture.h>

static void is_port(const struct serial_port *p, u64 base, bool mmio, u32 stride, u32 width,
		    u32 baud)
{
	assert_int_equal(p->base, base);
	if (!base)
		return;
	assert_int_equal(p->mmio, mmio);
	assert_int_equal(p->stride, stride);
	assert_int_equal(p->width, width);
	assert_int_equal(p->baud, baud);
}

static void spcr(void **state)
{
	struct acpi_info info;

	(void)state;
	spcr_table(1, 0, 1, 8, 0, 0x2f8, 7, 0);
	parse(&info);
	is_port(&info.uart, 0x2f8, false, 1, 1, 115200);
	spcr_table(2, 1, 1, 8, 1, 0x3e8, 3, 0x12345); /* reserved in this revision */
	parse(&info);
	is_port(&info.uart, 0x3e8, false, 1, 1, 9600);
	assert_int_equal(info.uart.clock, 0);
	spcr_table(4, 0x12, 0, 32, 3, 0xfe042000, 0, 48000000);
	parse(&info);
	is_port(&info.uart, 0xfe042000, true, 4, 4, 0);
	assert_int_equal(info.uart.clock, 48000000);
	spcr_table(2, 0, 0, 32, 1, 0xfedc9000, 6, 0); /* bytes, four apart */
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 4, 1, 57600);
	spcr_table(2, 0, 0, 32, 0, 0xfedc9000, 4, 0);
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 4, 4, 19200);
	spcr_table(2, 0, 0, 8, 2, 0xfedc9000, 200, 0); /* no such speed */
	parse(&info);
	is_port(&info.uart, 0xfedc9000, true, 2, 2, 0);

	spcr_table(2, 3, 0, 32, 3, 0xfe042000, 0, 0); /* an ARM PL011 */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 1, 0, 7, 0); /* redirection is off */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 2, 8, 1, 0x2f8, 7, 0); /* in PCI configuration space? */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 1, 0x102f8, 7, 0); /* beyond the ports */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	spcr_table(2, 0, 1, 8, 4, 0x2f8, 7, 0); /* by 64 bits */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
}

static void dbg2(void **state)
{
	struct acpi_info info;

	(void)state;
	dbg2_table(3);
	device(0x8003, 0, 1, 38, 0x1000); /* a network card */
	device(0x8000, 3, 1, 38, 0x2000); /* not a 16550 */
	device(0x8000, 0, 1, 38, 0xfe030000);
	parse(&info);
	is_port(&info.uart, 0xfe030000, true, 4, 4, 0);
	dbg2_table(2); /* no more than it says */
	device(0x8003, 0, 1, 38, 0x1000);
	device(0x8000, 0, 0, 38, 0x2000); /* no address */
	device(0x8000, 0, 1, 38, 0xfe030000);
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	dbg2_table(0xffffffff);
	device(0x8003, 0, 1, 0, 0x1000); /* for ever */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
	dbg2_table(1);
	device(0x8000, 0, 1, 33, 0x1000); /* its address lies outside of it */
	parse(&info);
	is_port(&info.uart, 0, 0, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spcr),
		cmocka_unit_test(dbg2),
	};

	return cmocka_run_group_tests(tests, make_ram, drop_ram);
}
