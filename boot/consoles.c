/* SPDX-License-Identifier: BSD-2-Clause */
#include <boot/consoles.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/string.h>

#define DEFAULT_BAUD 115200

static struct serial_port wanted;
static const char *wanted_by;
static bool none;

/* Reads a number, decimal or hexadecimal with 0x. NULL: there is none, or it is too large. */
static const char *number(const char *s, u64 *v)
{
	u32 base = 10;
	const char *first;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	*v = 0;
	for (first = s;; s++) {
		u32 digit = *s >= '0' && *s <= '9' ? (u32)(*s - '0') : ((u32)*s | 0x20) - 'a' + 10;

		if (digit >= base)
			return s == first ? NULL : s;
		if (*v >> 48)
			return NULL;
		*v = *v * base + digit;
	}
}

static bool ends(const char *s)
{
	return !*s || *s == ' ';
}

static int parse_value(const char *s, struct serial_port *port)
{
	static const u16 com[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	u64 baud = DEFAULT_BAUD;

	*port = (struct serial_port){ .stride = 1, .width = 1 };
	if (!strncmp(s, "none", 4) && ends(s + 4))
		return 1;
	if (!strncmp(s, "com", 3) && s[3] >= '1' && s[3] <= '4') {
		port->base = com[s[3] - '1'];
		s += 4;
	} else {
		s = number(s, &port->base);
	}
	if (s && *s == ',')
		s = number(s + 1, &baud);
	if (!s || !ends(s) || !port->base || baud < 50 || baud > 4000000)
		return HV_EINVAL;
	port->mmio = port->base > 0xffff;
	port->baud = (u32)baud;
	return 1;
}

int consoles_parse(const char *cmdline, struct serial_port *port)
{
	int found = 0;

	for (const char *s = cmdline; *s; s++)
		if ((s == cmdline || s[-1] == ' ') && !strncmp(s, "serial=", 7))
			found = parse_value(s + 7, port); /* the last one counts */
	return found;
}

void consoles_early(const char *cmdline, const struct serial_port *firmware)
{
	int err = consoles_parse(cmdline, &wanted);

	wanted_by = "the command line";
	none = err > 0 && !wanted.base;
	if (err <= 0) {
		wanted = *firmware;
		wanted_by = "the firmware's tables";
	}
	if (err < 0)
		log_line(
			"console: serial= of the command line is not understood: expected none, com1 to com4, or an address, then maybe a comma and the baud rate");
	if (none || (wanted.mmio && wanted.base))
		return;
	if (!serial_open(&wanted, wanted_by))
		serial_open_com();
}

void consoles_late(const struct pci_uart *card)
{
	struct serial_port p = { card->base, card->mmio, 1, 1, DEFAULT_BAUD, 0 };

	if (!none && !serial_open(&wanted, wanted_by) && !serial_open_com())
		serial_open(&p, "PCI");
}
