/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI: a fake bus whose functions are correct or faulty. It counts each access. */
#include <tests/fake/fake.h>

#include <hv/drv/pci.h>
#include <hv/base/string.h>

#define MASTER BIT(2)
#define MEMORY BIT(1)
#define MAX_FUNCTIONS 64

struct function {
	pci_bdf at;
	u32 config[64];
	bool stubborn; /* keeps mastering */
	u32 bar_bytes;
	u32 *mmio;
	/* reads until the firmware clears this bit of this register; 0: never */
	u32 *owner;
	u32 owner_bit, patience;
};

static struct function fn[MAX_FUNCTIONS];
static u32 nr, reads, writes, delays, order;
static u32 taken_at, master_off_at; /* when the first of each happened */
static bool there;

bool plat_pci_there(void)
{
	return there;
}

static struct function *find(pci_bdf at)
{
	for (u32 i = 0; i < nr; i++)
		if (fn[i].at == at)
			return &fn[i];
	return NULL;
}

u32 plat_pci_read(pci_bdf at, u8 reg)
{
	struct function *f = find(at);

	reads++;
	assert_int_equal(reg & 3, 0);
	return f ? f->config[reg / 4] : 0xffffffff;
}

void plat_pci_write(pci_bdf at, u8 reg, u32 v)
{
	struct function *f = find(at);

	writes++;
	assert_non_null(f); /* no write to an address without a device */
	if (reg == 4) {
		assert_int_equal(v >> 16, 0); /* would clear status bits */
		if (f->config[1] & MASTER && !(v & MASTER) && !master_off_at)
			master_off_at = ++order;
		f->config[1] = v | (f->stubborn ? MASTER : 0);
	} else {
		f->config[reg / 4] = v;
	}
}

void plat_delay(void)
{
	delays++;
	for (u32 i = 0; i < nr; i++) {
		struct function *f = &fn[i];

		if (!f->owner || !f->patience || --f->patience)
			continue;
		*f->owner &= ~f->owner_bit;
		taken_at = taken_at ? taken_at : ++order;
	}
}

volatile void *plat_map_device(hpa_t pa, size_t bytes)
{
	for (u32 i = 0; i < nr; i++)
		if (fn[i].mmio && pa.v == 0x1234500000 + fn[i].at * 0x10000UL) {
			assert_true(bytes <= fn[i].bar_bytes);
			return fn[i].mmio;
		}
	return NULL;
}

static void start(void)
{
	for (u32 i = 0; i < nr; i++)
		free(fn[i].mmio);
	memset(fn, 0, sizeof(fn));
	nr = reads = writes = delays = order = taken_at = master_off_at = 0;
	there = true;
	fake_log_clear();
}

static struct function *add(u32 bus, u32 dev, u32 func, u32 class)
{
	struct function *f = &fn[nr++];

	f->at = (pci_bdf)(bus << 8 | dev << 3 | func);
	f->config[0] = 0x12348086;
	f->config[1] = 0xffff0000 | MASTER | MEMORY | 1; /* all of status is set */
	f->config[2] = class << 8 | 3;
	return f;
}

/* With a 64-bit memory BAR of registers. */
static u32 *registers(struct function *f, u32 bar, u32 bytes)
{
	u64 pa = 0x1234500000 + f->at * 0x10000UL;

	f->bar_bytes = bytes;
	f->mmio = calloc(1, bytes);
	f->config[4 + bar] = (u32)pa | 4;
	f->config[5 + bar] = (u32)(pa >> 32);
	return f->mmio;
}

static struct pci_uart quiet(void)
{
	struct pci_uart uart;

	pci_quiet(&uart);
	return uart;
}

static bool masters(const struct function *f)
{
	return f->config[1] & MASTER;
}

static void no_pci(void **state)
{
	(void)state;
	start();
	there = false;
	assert_false(quiet().found);
	assert_int_equal(reads + writes, 0);
}

/* All functions except bridges and displays, on any bus, whatever bus numbers bridges have. */
static void mastering_ends(void **state)
{
	struct function *f[9];

	(void)state;
	start();
	f[0] = add(0, 0, 0, 0x060000);
	f[1] = add(0, 1, 0, 0x060400); /* leads to bus 0, for ever, if one follows it */
	f[1]->config[3] = 0x00010000;
	f[2] = add(0, 2, 0, 0x030000);
	f[3] = add(0, 31, 0, 0x060100);
	f[3]->config[3] = 0x00800000; /* several functions */
	f[4] = add(0, 31, 3, 0x010600);
	f[5] = add(0, 31, 7, 0x0c0500);
	f[6] = add(0x80, 31, 0, 0x020000); /* another root */
	f[7] = add(255, 31, 0, 0x010802);
	f[8] = add(0, 2, 1, 0x040300); /* its function 0 says that it is alone */
	quiet();
	for (int i = 0; i < 9; i++)
		assert_int_equal(masters(f[i]), i < 4 || i == 8);
	for (int i = 4; i < 8; i++)
		assert_int_equal(f[i]->config[1] & 3, 3);
	assert_true(fake_log_has("8 functions, bus mastering ended of 4"));
	assert_true(reads < 20000);
}

static void one_that_keeps_on(void **state)
{
	(void)state;
	start();
	add(3, 5, 0, 0x0c0000)->stubborn = true;
	quiet();
	assert_true(fake_log_has("03:05.0 cannot be kept from mastering the bus"));
	assert_true(fake_log_has("ended of 0"));
}

/* A bus on which every address answers with ones: the walk is bounded. */
static void nonsense(void **state)
{
	u64 seed = 17;

	(void)state;
	for (int round = 0; round < 30; round++) {
		start();
		for (u32 i = 0; i < MAX_FUNCTIONS; i++) {
			static const u32 classes[] = { 0x010601, 0x0c0300, 0x0c0310,
						       0x0c0320, 0x0c0330, 0x070002 };
			struct function *f = add((u32)fake_random(&seed) & 1, i / 8, i & 7,
						 classes[i % ARRAY_SIZE(classes)]);
			u32 *r = registers(f, i % 6 ? 0 : 5, KIB(64));

			f->config[3] = 0x00800000;
			for (u32 k = 0; k < KIB(16); k++)
				r[k] = (u32)fake_random(&seed);
			for (u32 k = 0x10; k < 64; k++)
				f->config[k] = (u32)fake_random(&seed);
		}
		quiet();
		for (u32 i = 0; i < nr; i++)
			assert_false(masters(&fn[i]) && !(fn[i].at & 7));
	}
}

static void xhci(void **state)
{
	struct function *f;
	u32 *r;

	(void)state;
	for (int willing = 0; willing < 2; willing++) {
		start();
		f = add(0, 20, 0, 0x0c0330);
		r = registers(f, 0, KIB(64));
		r[4] = 0x2000 << 16;		     /* xECP: at 0x8000 */
		r[0x2000] = 0x10 << 8 | 2;	     /* supported protocol, then 0x10 on */
		r[0x2010] = 0x08 << 8 | 1 | BIT(16); /* legacy support, owned by the firmware */
		r[0x2011] = 0xffffffff;		     /* all SMIs on, and the reserved bits */
		r[0x2018] = 1 | BIT(16);	     /* never looked at */
		f->owner = willing ? &r[0x2010] : NULL;
		f->owner_bit = BIT(16);
		f->patience = 40;
		quiet();
		assert_true(r[0x2010] & BIT(24));
		assert_int_equal(r[0x2011], 0xe00e1fee); /* events cleared, no enables */
		assert_int_equal(r[0x2018], 1 | BIT(16));
		assert_false(masters(f));
		if (willing) {
			assert_true(fake_log_has("00:14.0 xHCI taken over"));
			assert_int_equal(delays, 40);
			assert_true(taken_at <
				    master_off_at); /* it may need its memory to let go */
		} else {
			assert_true(fake_log_has("00:14.0 xHCI is not handed over"));
			assert_true(delays <= 1000000);
		}
	}
	/* A list that has no end within the registers. */
	start();
	f = add(0, 20, 0, 0x0c0330);
	r = registers(f, 0, KIB(64));
	r[4] = 1 << 16;
	for (u32 i = 1; i < KIB(16); i++)
		r[i] = i == 4 ? r[i] : 1 << 8 | 2;
	quiet();
	assert_int_equal(delays, 0);
}

static void ehci(void **state)
{
	struct function *f;
	u32 *r;

	(void)state;
	start();
	f = add(0, 29, 0, 0x0c0320);
	r = registers(f, 0, PAGE_SIZE);
	r[2] = 0x68 << 8;
	f->config[0x68 / 4] = 1 | BIT(16);
	f->config[0x6c / 4] = 0xe000003f;
	f->owner = &f->config[0x68 / 4];
	f->owner_bit = BIT(16);
	f->patience = 3;
	quiet();
	assert_int_equal(f->config[0x68 / 4], 1 | BIT(24));
	assert_int_equal(f->config[0x6c / 4], 0);
	assert_true(fake_log_has("EHCI taken over"));

	/* A capability that is invalid: the driver does not write to it. */
	start();
	f = add(0, 29, 0, 0x0c0320);
	r = registers(f, 0, PAGE_SIZE);
	r[2] = 0x08 << 8;
	f->config[2] |= 1; /* revision */
	quiet();
	assert_int_equal(writes, 1); /* the command register */
}

static void ohci_and_uhci(void **state)
{
	struct function *f;
	u32 *r;

	(void)state;
	start();
	f = add(0, 3, 0, 0x0c0310);
	r = registers(f, 0, PAGE_SIZE);
	r[1] = BIT(8) | 0x80;
	f->owner = &r[1];
	f->owner_bit = BIT(8);
	f->patience = 7;
	quiet();
	assert_int_equal(r[2], BIT(3));
	assert_int_equal(r[4], BIT(30));
	assert_int_equal(r[5], 0xffffffff);
	assert_true(fake_log_has("OHCI taken over"));

	start();
	f = add(0, 29, 0, 0x0c0300);
	f->config[0xc0 / 4] = 0x2000;
	quiet();
	assert_int_equal(f->config[0xc0 / 4], 0x8f00);
}

static void ahci(void **state)
{
	struct function *f;
	u32 *r;

	(void)state;
	for (int has = 0; has < 2; has++) {
		start();
		f = add(0, 31, 0, 0x010601);
		r = registers(f, 5, PAGE_SIZE);
		r[9] = has ? 1 : 0;
		r[10] = 1;
		f->owner = &r[10];
		f->owner_bit = 1;
		f->patience = 25;
		quiet();
		assert_int_equal(r[10], has ? 2 : 1);
		assert_int_equal(delays, has ? 25 : 0);
		assert_false(masters(f));
	}
}

/* A function that does not decode its registers, or has none, is only quieted. */
static void without_registers(void **state)
{
	static const u32 classes[] = { 0x010601, 0x0c0310, 0x0c0320, 0x0c0330 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		for (int why = 0; why < 3; why++) {
			struct function *f;
			u32 bar = i ? 0 : 5, *r;

			start();
			f = add(0, 9, 0, classes[i]);
			r = registers(f, bar, KIB(64));
			memset(r, 0xff, KIB(64));
			if (why == 0)
				f->config[1] &= ~(u32)MEMORY;
			else if (why == 1)
				f->config[4 + bar] = f->config[5 + bar] = 0;
			else
				f->config[4 + bar] = 0xc001;
			quiet();
			for (u32 k = 0; k < KIB(16); k++)
				assert_int_equal(r[k], 0xffffffff);
			assert_false(masters(f));
		}
}

static void uarts(void **state)
{
	struct function *f;
	struct pci_uart u;

	(void)state;
	start();
	add(0, 3, 0, 0x070000); /* an 8250: not ours */
	f = add(0, 4, 0, 0x070002);
	f->config[1] = 0;
	f->config[4] = 0xc011;
	add(0, 5, 0, 0x070002)->config[4] = 0xd001; /* the first is enough */
	u = quiet();
	assert_true(u.found);
	assert_false(u.mmio);
	assert_int_equal(u.base, 0xc010);
	assert_int_equal(f->config[1] & 7, 1); /* it decodes its ports now */
	start();
	f = add(0, 4, 0, 0x070002);
	registers(f, 0, PAGE_SIZE);
	f->config[1] = 0;
	u = quiet();
	assert_true(u.found && u.mmio);
	assert_int_equal(u.base, 0x1234500000 + f->at * 0x10000UL);
	assert_int_equal(f->config[1] & 7, 2);
	start();
	add(0, 4, 0, 0x070002); /* no address */
	assert_false(quiet().found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_pci),
		cmocka_unit_test(mastering_ends),
		cmocka_unit_test(one_that_keeps_on),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(xhci),
		cmocka_unit_test(ehci),
		cmocka_unit_test(ohci_and_uhci),
		cmocka_unit_test(ahci),
		cmocka_unit_test(without_registers),
		cmocka_unit_test(uarts),
	};

	fake_machine(16, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
