/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices on the PCI bus: for all values and changes of their registers the walk at boot must end,
 * and afterwards no function that it can stop may master the bus.
 */
#include <tests/fuzz/fuzz.h>

#include <hv/drv/pci.h>

#define FUNCTIONS_MAX 8
#define WINDOW KIB(64)
#define MASTER BIT(2)
/* Two walks over all buses, and eight functions that each wait for a million microseconds. */
#define ACCESSES_MAX 20000000u

struct function {
	pci_bdf at;
	u32 config[64];
	u32 *mmio;
	u8 noise; /* reads until a register changes; 0: it never does */
	bool stubborn;
};

static struct function fn[FUNCTIONS_MAX];
static u32 nr, accesses;
static struct input *in;

static struct function *find(pci_bdf at)
{
	for (u32 i = 0; i < nr; i++)
		if (fn[i].at == at)
			return &fn[i];
	return NULL;
}

bool plat_pci_there(void)
{
	return true;
}

u32 plat_pci_read(pci_bdf at, u8 reg)
{
	struct function *f = find(at);

	fuzz_assert(++accesses < ACCESSES_MAX, "the walk has no end");
	fuzz_assert(!(reg & 3), "register %x", reg);
	if (f && f->noise && accesses % f->noise == 0 && in_left(in) && reg != 4)
		f->config[reg / 4] = in_32(in);
	return f ? f->config[reg / 4] : 0xffffffff;
}

void plat_pci_write(pci_bdf at, u8 reg, u32 v)
{
	struct function *f = find(at);

	fuzz_assert(f, "a write where nothing is");
	fuzz_assert(!(reg & 3), "register %x", reg);
	fuzz_assert(reg != 4 || !(v >> 16), "this clears bits of the status: %x", v);
	f->config[reg / 4] = reg == 4 && f->stubborn ? v | MASTER : v;
}

void plat_delay(void)
{
	u32 i = ++accesses % 512;

	/* The registers behind BARs change while the hypervisor waits for them. */
	if (in_left(in) && nr && fn[i % nr].mmio)
		fn[i % nr].mmio[in_16(in) % (WINDOW / 4)] = in_32(in);
}

volatile void *plat_map_device(hpa_t pa, size_t bytes)
{
	fuzz_assert(bytes <= WINDOW, "%zu bytes", bytes);
	if (!nr || pa.v & BIT(40))
		return NULL;
	return fn[(pa.v >> 12) % nr].mmio;
}

void fuzz_setup(void)
{
}

/* Functions: their place, class and BAR; then pieces of their registers. */
static void add(void)
{
	struct function *f = &fn[nr++];
	u8 form = in_8(in);
	u32 n = in_8(in) % 16;

	f->at = in_16(in);
	f->config[0] = 0x12348086;
	f->config[1] = form & 1 ? 0xffff0007 : in_32(in);
	f->config[2] = in_32(in);
	f->config[3] = (u32)(form & 2) << 22;
	f->config[4] = f->config[9] = in_32(in);
	f->noise = form & 4 ? in_8(in) : 0;
	f->stubborn = form & 8;
	f->mmio = (u32 *)fuzz_zeroes(WINDOW);
	while (n--) {
		u8 at = in_8(in);

		if (at & 1)
			f->config[at / 4] = in_32(in);
		else
			f->mmio[at / 2 < 64 ? at / 2 : in_16(in) % (WINDOW / 4)] = in_32(in);
	}
}

void fuzz_one(struct input *input)
{
	struct pci_uart uart;
	u32 wanted = in_8(input) % (FUNCTIONS_MAX + 1);

	in = input;
	while (nr < wanted)
		add();
	pci_quiet(&uart);
	fuzz_assert(!uart.found || find(uart.at), "a 16550 where nothing is");
}
