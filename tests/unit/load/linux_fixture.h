/* SPDX-License-Identifier: BSD-2-Clause */
/* A Linux kernel's file of our own, and the VM that it is loaded into. */
#ifndef TESTS_UNIT_LOAD_LINUX_FIXTURE_H
#define TESTS_UNIT_LOAD_LINUX_FIXTURE_H

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

static inline void put(size_t at, u64 value, size_t bytes)
{
	memcpy(file + at, &value, bytes);
}

static inline void good_file(void)
{
	memset(file, 0xcc, sizeof(file)); /* not of the header: not for the zero page */
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

static inline int setup_with(u64 memory)
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

static inline int setup(void **state)
{
	(void)state;
	return setup_with(MIB(64));
}

static inline int load_cut(size_t size)
{
	return guest_load(vm, img, file, size, &out);
}

static inline int load(void)
{
	return load_cut(sizeof(file));
}

static inline u64 peek(u64 gpa, size_t bytes)
{
	u64 v = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &v, bytes), HV_OK);
	return v;
}

static inline void assert_memory(u64 gpa, const void *expected, size_t bytes)
{
	u8 *is = malloc(bytes);

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), is, bytes), HV_OK);
	assert_memory_equal(is, expected, bytes);
	free(is);
}

static inline u64 zero_page(void)
{
	return out.rsi;
}

static inline u64 z(size_t field, size_t bytes)
{
	return peek(zero_page() + field, bytes);
}

static inline u8 *initrd_of(size_t size)
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

#endif
