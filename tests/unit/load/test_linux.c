/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux kernels, good and bad: a bzImage made up here, and what the 64-bit boot
 * protocol promises it.  Fields by their offsets in boot.rst and zero-page.rst,
 * not by the loader's own structures.
 */
#include <tests/fake/guest.h>

#include <hv/load/images.h>
#include <hv/load/acpi.h>
#include <hv/load/load.h>
#include <mm/guestmem.h>

#define SETUP 0x600 /* boot sector and two more */
#define CODE 0x1800
#define FILE_SIZE (SETUP + CODE)
#define ADDRESS MIB(16)
#define INIT_SIZE MIB(8)

static u8 file[FILE_SIZE];
static struct vm_config cfg;
static struct vm *vm;
static struct image *img, *initrd;
static struct loaded out;

static void put(size_t at, u64 value, size_t bytes)
{
	memcpy(file + at, &value, bytes);
}

static void good_file(void)
{
	memset(file, 0xcc, sizeof(file)); /* what is no header is not for the zero page */
	memset(file + 0x1f1, 0, 0x281 - 0x1f1);
	file[0x1f1] = SETUP / 512 - 1;
	put(0x1f4, CODE / 16, 4);
	put(0x1fa, 0xffff, 2); /* vid_mode */
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2); /* jump to 0x26c */
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020f, 2);
	file[0x211] = 0x81; /* LOADED_HIGH, CAN_USE_HEAP */
	put(0x214, 0x100000, 4);
	put(0x22c, 0x7fffffff, 4); /* initrd_addr_max */
	put(0x230, MIB(2), 4);
	file[0x234] = 1;
	file[0x235] = 21;
	put(0x236, 0x7f, 2); /* xloadflags */
	put(0x238, 2047, 4); /* cmdline_size */
	put(0x258, ADDRESS, 8);
	put(0x260, INIT_SIZE, 4);
	put(0x264, 0x190, 4);
	put(0x268, 0x1234, 4);
	for (size_t i = 0; i < CODE; i++)
		file[SETUP + i] = (u8)(i * 7 + i / 256);
}

static int setup_with(u64 memory)
{
	guest_machine(MIB(64), 1);
	if (!image_find("bzImage")) {
		image_add("bzImage", NULL, 0);
		image_add("initrd", NULL, 0);
	}
	img = (struct image *)image_find("bzImage");
	initrd = (struct image *)image_find("initrd");
	cfg = guest_config("vm");
	cfg.memory = cfg.max = memory;
	snprintf(cfg.kernel, sizeof(cfg.kernel), "bzImage");
	snprintf(cfg.cmdline, sizeof(cfg.cmdline), "console=ttyS0 quiet");
	good_file();
	img->data = file;
	img->size = sizeof(file);
	vm = guest_start(&cfg);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(MIB(64));
}

static int load_cut(size_t size)
{
	return guest_load(vm, img, file, size, &out);
}

static int load(void)
{
	return load_cut(sizeof(file));
}

static u64 peek(u64 gpa, size_t bytes)
{
	u64 v = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &v, bytes), HV_OK);
	return v;
}

static void assert_memory(u64 gpa, const void *expected, size_t bytes)
{
	u8 *is = malloc(bytes);

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), is, bytes), HV_OK);
	assert_memory_equal(is, expected, bytes);
	free(is);
}

static u64 zero_page(void)
{
	return out.rsi;
}

static u64 z(size_t field, size_t bytes)
{
	return peek(zero_page() + field, bytes);
}

/* "64-bit Boot Protocol", its last paragraph. */
static void state_at_the_entry(void **state)
{
	const struct guest_state *s = &out.state;
	u64 pdpt, gdt;

	(void)state;
	assert_int_equal(load(), HV_OK);
	assert_int_equal(s->rip, ADDRESS + 0x200);
	assert_int_equal(s->rflags & 1 << 9, 0);
	assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s->cr4, 1 << 5);
	assert_int_equal(s->efer, 0x500);
	assert_int_equal(s->seg[SEG_CS].selector, 0x10);
	assert_int_equal(s->seg[SEG_CS].attr & 0x6098, 0x2098); /* 64-bit, present, code */
	assert_int_equal(s->seg[SEG_DS].selector, 0x18);
	assert_int_equal(s->seg[SEG_ES].selector, 0x18);
	assert_int_equal(s->seg[SEG_SS].selector, 0x18);
	gdt = s->gdtr_base;
	assert_int_equal(s->gdtr_limit, 0x1f);
	assert_int_equal(peek(gdt, 8), 0);
	assert_int_equal(peek(gdt + 0x10, 8) | BIT(40), 0x00af9b000000ffff);
	assert_int_equal(peek(gdt + 0x18, 8) | BIT(40), 0x00cf93000000ffff);
	/* All of the first 4 GiB is where it is. */
	pdpt = peek(s->cr3, 8);
	assert_int_equal(pdpt & PAGE_MASK, 3);
	for (u64 i = 0; i < 4; i++) {
		u64 pd = peek((pdpt & ~PAGE_MASK) + i * 8, 8);

		assert_int_equal(pd & PAGE_MASK, 3);
		for (u64 k = 0; k < 512; k++)
			assert_int_equal(peek((pd & ~PAGE_MASK) + k * 8, 8),
					 (i << 30 | k << 21) | 0x83);
	}
	assert_int_equal(peek(s->cr3 + 8, 8), 0);
	assert_int_equal(peek((pdpt & ~PAGE_MASK) + 32, 8), 0);
	assert_memory(ADDRESS, file + SETUP, CODE);
	assert_int_equal(peek(ADDRESS + CODE, 8), 0);
	tables_check(&vm->p2m);
}

/* What the vCPU gets when the VM starts by itself. */
static void registers_of_a_started_vm(void **state)
{
	struct guest_state s;

	(void)state;
	backend->get_state(vm->vcpus[0], &s);
	assert_int_equal(s.rip, ADDRESS + 0x200);
	assert_int_equal(peek(vm->vcpus[0]->gpr[GPR_RSI] + 0x202, 4), 0x53726448);
}

struct expected_e820 {
	u64 start, size;
	u32 type;
} __packed;

/* The whole page, byte by byte: the file's header, what we fill in, and zeros. */
static void expect_zero_page(const struct expected_e820 *map, u8 entries, u32 ramdisk, u32 size)
{
	static u8 page[PAGE_SIZE];
	u64 rsdp = ACPI_TABLES;
	u32 at = (u32)z(0x228, 4);

	memset(page, 0, sizeof(page));
	memcpy(page + 0x1f1, file + 0x1f1, 0x26c - 0x1f1);
	memcpy(page + 0x70, &rsdp, 8);
	page[0x1e8] = entries;
	page[0x210] = 0xff;  /* type_of_loader: none of the list */
	page[0x211] &= 0x7f; /* there is no heap */
	memcpy(page + 0x218, &ramdisk, 4);
	memcpy(page + 0x21c, &size, 4);
	memcpy(page + 0x228, &at, 4);
	memset(page + 0x250, 0, 8); /* setup_data */
	memcpy(page + 0x2d0, map, entries * 20UL);
	assert_memory(zero_page(), page, sizeof(page));
	assert_in_range(at, 1, 0x90000 - 2048);
	assert_memory(at, cfg.cmdline, strlen(cfg.cmdline) + 1);
}

/* One that may not ask kvmclock is told the frequency, unless its owner tells it. */
static void frequency_on_the_command_line(void **state)
{
	static const struct {
		const char *given, *added;
	} lines[] = {
		{ "no-kvmclock quiet", " tsc_early_khz=1000000" },
		{ "quiet nopv", " tsc_early_khz=1000000" },
		{ "no-kvmclock tsc_early_khz=5", "" },
		{ "no-kvmclock-vsyscall nopvspin x=nopv", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char want[128];

		snprintf(cfg.cmdline, sizeof(cfg.cmdline), "%s", lines[i].given);
		snprintf(want, sizeof(want), "%s%s", lines[i].given, lines[i].added);
		assert_int_equal(load(), HV_OK);
		assert_memory(z(0x228, 4), want, strlen(want) + 1);
	}
	/* As long as the configuration takes it, and with no word that is too long to be one. */
	memset(cfg.cmdline, 'x', sizeof(cfg.cmdline) - 1);
	memcpy(cfg.cmdline, "nopv ", 5);
	assert_int_equal(load(), HV_OK);
	assert_memory(z(0x228, 4) + CONFIG_TEXT_MAX - 1, " tsc_early_khz=1000000", 23);
}

static void zero_page_of_a_small_vm(void **state)
{
	static const struct expected_e820 map[] = {
		{ 0, 0x90000, 1 },
		{ 0x90000, 0x10000, 3 },
		{ MIB(1), MIB(63), 1 },
	};

	(void)state;
	/* What is not the file's to say does not come through. */
	put(0x218, 0x1111, 4);
	put(0x21c, 0x2222, 4);
	put(0x228, 0x3333, 4);
	put(0x250, 0x4444, 8);
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 3, 0, 0);
}

static void zero_page_above_3g(void **state)
{
	static const struct expected_e820 map[] = {
		{ 0, 0x90000, 1 },
		{ 0x90000, 0x10000, 3 },
		{ MIB(1), 0xc0000000 - MIB(1), 1 },
		{ GIB(4), GIB(2) + PAGE_SIZE, 1 },
	};
	static const u8 text[100] = "initrd";
	u32 at = 0x80000000 - PAGE_SIZE;

	(void)state;
	setup_with(GIB(5) + PAGE_SIZE);
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 4, 0, 0);
	initrd->data = text;
	initrd->size = sizeof(text);
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
	cfg.nr_modules = 1;
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 4, at, sizeof(text)); /* below initrd_addr_max */
	assert_memory(at, text, sizeof(text));
	put(0x22c, 0xffffffff, 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), 0xc0000000 - PAGE_SIZE); /* in RAM, not in the hole */
	/* 3 GiB to the byte: nothing above 4 GiB is listed. */
	setup_with(GIB(3));
	assert_int_equal(load(), HV_OK);
	expect_zero_page(map, 3, 0, 0);
}

/* The header's own length counts: a newer kernel's is copied whole, what follows is not. */
static void longer_headers(void **state)
{
	(void)state;
	memset(file + 0x26c, 0x5a, 0x281 - 0x26c);
	file[0x201] = 0x7f;
	assert_int_equal(load(), HV_OK);
	assert_memory(zero_page() + 0x26c, file + 0x26c, 0x281 - 0x26c);
	assert_int_equal(z(0x281, 8), 0);
	file[0x201] = 0x66;
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x264, 4), 0x190);
	assert_int_equal(z(0x268, 8), 0);
	for (u32 n = 0; n < 256; n++) {
		file[0x201] = (u8)n;
		assert_int_equal(load(), n < 0x66 || n > 0x7f ? HV_EINVAL : HV_OK);
	}
	assert_true(fake_log_has("contradicts itself"));
}

static u8 *initrd_of(size_t size)
{
	u8 *data = malloc(size);

	for (size_t i = 0; i < size; i++)
		data[i] = (u8)(i >> 8 ^ i);
	initrd->data = data;
	initrd->size = size;
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
	cfg.nr_modules = 1;
	return data;
}

static void initrd_goes_high(void **state)
{
	static const size_t sizes[] = { 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, MIB(1) + 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *data = initrd_of(sizes[i]);

		assert_int_equal(load(), HV_OK);
		assert_int_equal(z(0x218, 4), MIB(64) - ALIGN_UP(sizes[i], PAGE_SIZE));
		assert_int_equal(z(0x21c, 4), sizes[i]);
		assert_memory(z(0x218, 4), data, sizes[i]);
		free(data);
	}
	tables_check(&vm->p2m);
}

static u64 late;

/* Time passes with each look at it. */
static u64 ticking(void)
{
	return fake.tsc += late;
}

/* A large image is copied in pieces of 16 KiB, while others go on, and charged to its VM. */
static void large_images_come_in_pieces(void **state)
{
	u8 *data = initrd_of(MIB(1));
	u32 calls = 0;

	(void)state;
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		assert_true(vm_background());
	fake_settle();
	late = FAKE_KHZ; /* a millisecond */
	fake.on_tsc = ticking;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	while (vm->state != VM_RUNNING) {
		assert_true(vm_background());
		assert_true(calls++ < 1000);
	}
	fake.on_tsc = NULL;
	assert_in_range(calls, MIB(1) / KIB(16), MIB(1) / KIB(16) + 8);
	assert_true(vm->vcpus[0]->vruntime >= MIB(1) / KIB(16) * FAKE_KHZ);
	assert_memory(MIB(63), data, MIB(1));
	free(data);
}

static void initrd_limits(void **state)
{
	u8 *data = initrd_of(MIB(2));

	(void)state;
	/* From the end of what the kernel unpacks itself over, to the last byte it reaches. */
	put(0x22c, ADDRESS + INIT_SIZE + MIB(2) - 1, 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), ADDRESS + INIT_SIZE);
	put(0x22c, ADDRESS + INIT_SIZE + MIB(2) - 2, 4);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(fake_log_has("initrd (2 MiB) and the kernel do not fit below 25 MiB"));
	put(0x22c, 0, 4);
	assert_int_equal(load(), HV_ERANGE);
	put(0x22c, 0xffffffff, 4);
	put(0x260, MIB(64) - ADDRESS - MIB(2), 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), MIB(62));
	put(0x260, MIB(64) - ADDRESS - MIB(2) + 1, 4);
	assert_int_equal(load(), HV_ERANGE);
	good_file();
	initrd->size = 0; /* none, as the kernel sees it */
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x21c, 4), 0);
	initrd->size = SIZE_MAX;
	assert_int_equal(load(), HV_ERANGE);
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "nowhere");
	assert_int_equal(load(), HV_ENOENT);
	assert_true(fake_log_has("module nowhere was not loaded"));
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
	cfg.nr_modules = 2;
	assert_int_equal(load(), HV_EINVAL);
	assert_true(fake_log_has("takes one initrd"));
	free(data);
}

/* Up to 15 bytes may be missing: the size counts in 16. */
static void cut_at_each_length(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof(file); n++)
		if ((load_cut(n) == HV_OK) != (n > sizeof(file) - 16))
			fail_msg("cut to %zu bytes", n);
	assert_int_equal(load_cut(SETUP + 1), HV_EINVAL);
	assert_true(fake_log_has("was it copied whole?"));
	assert_int_equal(load_cut(1023), HV_EINVAL);
	assert_true(fake_log_has("is neither a Linux kernel"));
	tables_check(&vm->p2m);
}

struct wild {
	size_t at, bytes;
	u64 value;
	int err;
	const char *says;
};

static void wild_fields(void **state)
{
	static const struct wild wild[] = {
		{ 0x1f1, 1, 0, HV_EINVAL, "copied whole" }, /* means 4: this file has 2 */
		{ 0x1f1, 1, 255, HV_EINVAL, "copied whole" },
		{ 0x1f4, 4, 0, HV_EINVAL, "contradicts itself" },
		{ 0x1f4, 4, 0x200 / 16, HV_EINVAL, "contradicts itself" }, /* ends at the entry */
		{ 0x1f4, 4, 0x210 / 16, HV_OK, "" },
		{ 0x1f4, 4, CODE / 16 + 1, HV_EINVAL, "copied whole" },
		{ 0x1f4, 4, UINT32_MAX, HV_EINVAL, "copied whole" },
		{ 0x1fe, 2, 0xaa54, HV_EINVAL, "is neither a Linux kernel" },
		{ 0x202, 4, 0x53726449, HV_EINVAL, "is neither a Linux kernel" },
		{ 0x206, 2, 0x020b, HV_EINVAL, "older than 3.8" },
		{ 0x206, 2, 0, HV_EINVAL, "use an amd64 one" },
		{ 0x206, 2, 0xffff, HV_OK, "" },
		{ 0x230, 4, 0, HV_EINVAL, "off its alignment" },
		{ 0x230, 4, MIB(16), HV_OK, "" },
		{ 0x230, 4, MIB(32), HV_EINVAL, "off its alignment" },
		{ 0x236, 2, 0x7e, HV_EINVAL, "without 64-bit entry" },
		{ 0x238, 4, 0, HV_ERANGE, "takes no command line of that length" },
		{ 0x238, 4, 18, HV_ERANGE, "takes no command line of that length" },
		{ 0x238, 4, 19, HV_OK, "" },
		{ 0x238, 4, UINT32_MAX, HV_OK, "" },
		{ 0x258, 8, 0, HV_EINVAL, "below 1 MiB" },
		{ 0x258, 8, MIB(1) - PAGE_SIZE, HV_EINVAL, "below 1 MiB" },
		{ 0x258, 8, ADDRESS + 1, HV_EINVAL, "off its alignment" },
		{ 0x258, 8, ADDRESS + MIB(1), HV_EINVAL, "off its alignment" },
		{ 0x258, 8, MIB(56), HV_OK, "" },
		{ 0x258, 8, MIB(58), HV_ERANGE,
		  "needs 66 MiB below 3 GiB to start, and the VM has 64" },
		{ 0x258, 8, 0xc0000000 - MIB(2), HV_ERANGE, "give it more" },
		{ 0x258, 8, 0xc0000000, HV_EINVAL, "above 3 GiB" },
		{ 0x258, 8, GIB(4) + ADDRESS, HV_EINVAL, "above 3 GiB" },
		{ 0x258, 8, 0 - MIB(2), HV_EINVAL, "above 3 GiB" },
		{ 0x260, 4, 0, HV_OK, "" }, /* then the file's size is what it needs */
		{ 0x260, 4, MIB(48), HV_OK, "" },
		{ 0x260, 4, MIB(48) + 1, HV_ERANGE, "needs 65 MiB" },
		{ 0x260, 4, UINT32_MAX, HV_ERANGE, "needs 4112 MiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		const struct wild *w = &wild[i];

		good_file();
		put(w->at, w->value, w->bytes);
		if (load() != w->err || !fake_log_has(w->says))
			fail_msg("%zx = %lx: %s", w->at, w->value, fake.log);
	}
	/* The default of four sectors, when it is meant. */
	good_file();
	file[0x1f1] = 0;
	put(0x1f4, (FILE_SIZE - 5 * 512) / 16, 4);
	assert_int_equal(load(), HV_OK);
	assert_memory(ADDRESS, file + 5 * 512, FILE_SIZE - 5 * 512);
	tables_check(&vm->p2m);
}

/* Whatever the header says: no crash, and what loads is within the VM's memory. */
static void random_headers(void **state)
{
	u64 seed = 0x11223344, loaded = 0;
	u8 *data = initrd_of(3 * PAGE_SIZE);

	(void)state;
	for (int i = 0; i < 1500; i++) {
		good_file();
		for (u64 n = fake_random(&seed) % 4; n < 4; n++) {
			u64 r = fake_random(&seed);

			put(0x1f1 + r % (0x281 - 0x1f1), fake_random(&seed),
			    (size_t[]){ 1, 1, 2, 4 }[r >> 32 & 3]);
		}
		if (load())
			continue;
		loaded++;
		assert_in_range(out.state.rip, MIB(1) + 0x200, MIB(64) - 1);
		assert_in_range(z(0x218, 4), out.state.rip, MIB(64));
		assert_true(z(0x218, 4) + z(0x21c, 4) <= MIB(64));
		assert_int_equal(z(0x1e8, 1), 3);
	}
	assert_true(loaded > 100);
	tables_check(&vm->p2m);
	free(data);
}

/* The smallest VM that there may be, and sizes around what the kernel needs. */
static void small_vms(void **state)
{
	(void)state;
	cfg.memory = MIB(1);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(
		fake_log_has("needs 24 MiB below 3 GiB to start, and the VM has 1; give it more"));
	cfg.memory = ADDRESS + INIT_SIZE - PAGE_SIZE;
	assert_int_equal(load(), HV_ERANGE);
	setup_with(ADDRESS + INIT_SIZE);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x2d0 + 2 * 20 + 8, 8), ADDRESS + INIT_SIZE - MIB(1));
}

/* With less, the kernel would start and then find no memory for what it does next. */
static void least_to_get_to_init(void **state)
{
	u8 *data = initrd_of(MIB(2));

	(void)state;
	put(0x260, MIB(46), 4); /* and 13.5 MiB, and the initrd twice */
	assert_int_equal(load(), HV_OK);
	free(data);
	data = initrd_of(MIB(3)); /* it fits beside the kernel, but not unpacked as well */
	put(0x260, MIB(45), 4);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(fake_log_has(
		"needs 65 MiB to get to its init with initrd, and the VM has 64; write memory = 65M or more"));
	free(data);
}

/* Each allocation of a start fails once: the VM tries again, and nothing is left behind. */
static void out_of_memory_at_each_step(void **state)
{
	u8 *data = initrd_of(3 * PAGE_SIZE);
	u32 k = 0;

	for (;; k++) {
		struct frame_stats before;

		setup(state);
		cfg.nr_modules = 1;
		snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
		vm_end(vm, 0, "test");
		while (vm->state != VM_ENDED)
			assert_true(vm_background());
		fake_settle();
		before = frames_stats();
		assert_int_equal(vm_queue_start(vm), HV_OK);
		fake_alloc_fail_at(k);
		vm_background();
		fake_alloc_off();
		if (!fake_alloc.failed)
			break;
		if (vm->state == VM_RUNNING) /* there was another way */
			continue;
		assert_int_equal(vm->state, VM_ENDING);
		assert_true(vm->again);
		vm_background();
		assert_int_equal(vm->state, VM_QUEUED);
		fake_settle();
		assert_int_equal(frames_stats().guest, before.guest);
		assert_int_equal(frames_stats().table, before.table);
		/* Its promises stay while it waits, or were never made. */
		assert_int_equal(frames_stats().reserved,
				 before.reserved + vm->p2m.acct.min_promised +
					 vm->p2m.acct.tables_promised + vm->p2m.acct.reserve);
		assert_int_equal(frames_stats().hv, before.hv);
		fake.tsc += 50 * FAKE_KHZ;
		vm_background();
		assert_int_equal(vm->state, VM_RUNNING);
		tables_check(&vm->p2m);
		out.rsi = vm->vcpus[0]->gpr[GPR_RSI];
		assert_memory(ADDRESS, file + SETUP, CODE);
		assert_memory(z(0x218, 4), data, 3 * PAGE_SIZE);
		assert_int_equal(z(0x202, 4), 0x53726448);
		assert_int_equal(peek(ACPI_TABLES, 8), 0x2052545020445352); /* "RSD PTR " */
	}
	assert_true(k > 20);
	assert_int_equal(vm->state, VM_RUNNING);
	free(data);
}

/* None at all, for longer than a start is tried: the VM ends, and says why. */
static void no_memory_at_all(void **state)
{
	static struct frame_acct others; /* nobody promised them that */
	u32 f;

	(void)state;
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	fake_settle();
	for (u64 gfn = 0; !frame_alloc_guest(&others, gfn, 0, 0, &f); gfn++)
		;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	for (int i = 0; i < 1000 && vm->state != VM_ENDED; i++) {
		vm_background();
		fake.tsc += 20 * FAKE_KHZ;
	}
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->exit_status, VM_STATUS_CRASHED);
	assert_string_equal(vm->exit_reason, "not started: no memory");
	assert_int_equal(vm->p2m.acct.resident, 0);
	assert_int_equal(vm->p2m.acct.tables, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(state_at_the_entry),
		T(registers_of_a_started_vm),
		T(frequency_on_the_command_line),
		T(zero_page_of_a_small_vm),
		T(zero_page_above_3g),
		T(longer_headers),
		T(initrd_goes_high),
		T(large_images_come_in_pieces),
		T(initrd_limits),
		T(cut_at_each_length),
		T(wild_fields),
		T(random_headers),
		T(small_vms),
		T(least_to_get_to_init),
		T(out_of_memory_at_each_step),
		T(no_memory_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
