/* SPDX-License-Identifier: BSD-2-Clause */
/* The words after console=, and which console comes first. */
#include <tests/fake/fake.h>

#include <boot/consoles.h>
#include <hv/base/string.h>

/* --- serial= --- */

static struct serial_port opened[8];
static u32 nr_opened, answering;

bool serial_open(const struct serial_port *port, const char *from)
{
	(void)from;
	if (port->base)
		opened[nr_opened++] = *port;
	return port->base && port->base == answering;
}

bool serial_open_com(void)
{
	static const struct serial_port any = { .base = 1 };

	return serial_open(&any, "probing");
}

static void words(void **state)
{
	static const struct {
		const char *line;
		int found;
		u64 base;
		bool mmio;
		u32 baud;
	} t[] = {
		{ "", 0, 0, 0, 0 },
		{ "crash=nmi noserial=none", 0, 0, 0, 0 },
		{ "serial=none", 1, 0, 0, 0 },
		{ "x serial=com2 y", 1, 0x2f8, false, 115200 },
		{ "serial=com4,9600", 1, 0x2e8, false, 9600 },
		{ "serial=0x3f8,38400", 1, 0x3f8, false, 38400 },
		{ "serial=1016", 1, 0x3f8, false, 115200 },
		{ "serial=0xFE042000,115200", 1, 0xfe042000, true, 115200 },
		{ "serial=none serial=com1", 1, 0x3f8, false, 115200 },
		{ "serial=", HV_EINVAL, 0, 0, 0 },
		{ "serial=com5", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,fast", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,0", HV_EINVAL, 0, 0, 0 },
		{ "serial=com1,9600n8", HV_EINVAL, 0, 0, 0 },
		{ "serial=0", HV_EINVAL, 0, 0, 0 },
		{ "serial=0x", HV_EINVAL, 0, 0, 0 },
		{ "serial=nonesuch", HV_EINVAL, 0, 0, 0 },
		{ "serial=0x12345678901234567890", HV_EINVAL, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct serial_port p = { 0 };

		assert_int_equal(consoles_parse(t[i].line, &p), t[i].found);
		if (t[i].found <= 0)
			continue;
		assert_int_equal(p.base, t[i].base);
		assert_int_equal(p.mmio, t[i].mmio);
		assert_int_equal(p.baud, t[i].baud);
	}
}

/*
 * The ports in the order of trying: "i" a port, "m" memory, "c" COM1 to COM4, "p" PCI, "w" by the
 * word.
 */
static void tried(const char *cmdline, struct serial_port firmware, u32 answer, const char *want)
{
	struct pci_uart card = { true, false, 0, 0xc000 };
	char got[ARRAY_SIZE(opened) + 1] = "";

	nr_opened = 0;
	answering = answer;
	consoles_early(cmdline, &firmware);
	if (!answer || !nr_opened || opened[nr_opened - 1].base != answer)
		consoles_late(&card);
	for (u32 i = 0; i < nr_opened; i++)
		got[i] = opened[i].base == 1	  ? 'c' :
			 opened[i].base == 0xc000 ? 'p' :
			 opened[i].base == 0x2f8  ? 'w' :
			 opened[i].mmio		  ? 'm' :
						    'i';
	assert_string_equal(got, want);
}

static void order_of_consoles(void **state)
{
	struct serial_port no = { 0 }, io = { .base = 0x3e8 },
			   mem = { .base = GIB(5), .mmio = true };

	(void)state;
	tried("", no, 0, "ccp");
	tried("", no, 1, "c");
	tried("", io, 0x3e8, "i");
	tried("", io, 0, "icicp"); /* once more, for what a device may have woken up to be */
	tried("", mem, 0, "mcp");  /* memory only when it is mapped */
	tried("serial=none", io, 0, "");
	tried("serial=com2", mem, 0x2f8, "w");
	tried("serial=com9", io, 0x3e8, "i");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(order_of_consoles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
