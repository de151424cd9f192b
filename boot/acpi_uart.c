/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Serial Port Console Redirection Table" and "Microsoft Debug Port Table 2", as Microsoft
 * publishes them; addresses are ACPI's "Generic Address Structure". Only 16550s and UARTs that
 * behave like one.
 */
#include <boot/acpi.h>
#include <hv/base/string.h>

struct gas {
	u8 space, bit_width, bit_offset, access_size;
	u64 address;
} __packed;

enum { GAS_MEMORY = 0, GAS_IO = 1 };
enum { SUBTYPE_16550 = 0, SUBTYPE_16450 = 1, SUBTYPE_16550_GAS = 0x12 };
#define DBG2_SERIAL 0x8000

static bool is_16550(u32 subtype)
{
	return subtype == SUBTYPE_16550 || subtype == SUBTYPE_16450 || subtype == SUBTYPE_16550_GAS;
}

static u16 word(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

/* Old tables have an access size of 0: then the accesses are as wide as the registers. */
static struct serial_port from_gas(const u8 *p)
{
	struct serial_port port = { 0 };
	u8 bytes;
	struct gas g;

	memcpy(&g, p, sizeof(g));
	bytes = g.bit_width == 16 || g.bit_width == 32 ? g.bit_width / 8 : 1;
	if (g.space > GAS_IO || g.access_size > 3 || (g.space == GAS_IO && g.address > 0xffff))
		return port;
	port.width = g.access_size ? (u8)(1 << (g.access_size - 1)) : bytes;
	port.stride = max(port.width, bytes);
	port.mmio = g.space == GAS_MEMORY;
	port.base = g.address;
	return port;
}

void acpi_parse_spcr(const u8 *t, u32 length, struct serial_port *port)
{
	static const u32 baud[] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	if (length < 80 || !is_16550(t[36]))
		return;
	*port = from_gas(t + 40);
	if (t[58] < ARRAY_SIZE(baud))
		port->baud = baud[t[58]];
	if (t[8] >= 3) /* revision */
		memcpy(&port->clock, t + 76, sizeof(port->clock));
}

/* One "Debug Device Information Structure" at @d, @left bytes to the table's end. */
static void parse_device(const u8 *d, u32 left, struct serial_port *port)
{
	u32 addresses = d[3], at = word(d + 18);

	if (word(d + 12) != DBG2_SERIAL || !is_16550(word(d + 14)) || !addresses)
		return;
	if (at + sizeof(struct gas) <= left)
		*port = from_gas(d + at);
}

void acpi_parse_dbg2(const u8 *t, u32 length, struct serial_port *port)
{
	const u32 head = 22;
	u32 at, count;

	if (length < 44)
		return;
	memcpy(&at, t + 36, 4);
	memcpy(&count, t + 40, 4);
	for (; count && at < length && length - at >= head && !port->base; count--) {
		u32 size = word(t + at + 1);

		if (size < head || size > length - at)
			return;
		parse_device(t + at, size, port);
		at += size;
	}
}
