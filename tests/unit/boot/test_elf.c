/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader: where the hypervisor's image goes, and images that it refuses. */
#include <tests/fake/fake.h>

#include <boot/multiboot2.h>
#include <boot/efi/elf.h>

/* --- the hypervisor's file -------------------------------------------------------- */

struct file_head {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, ph_offset, sh_offset;
	u32 flags;
	u16 size, ph_size, ph_count, sh_size, sh_count, sh_names;
	struct {
		u32 type, flags;
		u64 offset, virt, phys, file_bytes, memory_bytes, align;
	} ph[2];
	u32 magic;
	u8 rest[1000];
};

#define HIGH 0xffffffff80000000

static struct file_head good_elf(void)
{
	struct file_head f = { .ident = "\177ELF\2\1",
			       .machine = 62,
			       .entry = HIGH + 0x100030,
			       .ph_offset = 64,
			       .ph_size = 56,
			       .ph_count = 2,
			       .ph = { { 1, 5, 0x80, HIGH + 0x100000, 0x100000, 0x200, 0x200, 8 },
				       { 1, 6, 0x280, HIGH + 0x101000, 0x101000, 0x10, 0x3000,
					 8 } },
			       .magic = MB2_HEADER_MAGIC };

	_Static_assert(offsetof(struct file_head, magic) % 8 == 0,
		       "where the header is looked for");
	return f;
}

static struct elf_plan plan;

/* Of a copy of exactly this size: one byte read too far is seen. */
static const char *planned(const struct file_head *f, size_t size)
{
	void *copy = malloc(size);
	const char *why;

	memcpy(copy, f, size);
	why = elf_plan(copy, size, 0x5000000, &plan);
	free(copy);
	return why;
}

static void image_plan(void **state)
{
	struct file_head f = good_elf();

	(void)state;
	assert_null(planned(&f, sizeof(f)));
	assert_int_equal(plan.start, 0x100000);
	assert_int_equal(plan.end, 0x104000);
	assert_memory_equal(&plan.copies[0], (&(struct copy){ 0x100000, 0x5000080, 0x200, 0 }),
			    sizeof(struct copy));
	assert_memory_equal(&plan.copies[1], (&(struct copy){ 0x101000, 0x5000280, 0x10, 0x2ff0 }),
			    sizeof(struct copy));
	assert_int_equal(plan.copies[2].dst, 0);
	assert_int_equal(plan.copies[2].src, 0x100030);
}

/* The boot room is in no segment: the header's address tag says where it ends. */
static void image_plan_boot_room(void **state)
{
	struct file_head f = good_elf();
	/*
	 * They follow the header's 16 bytes, of which the magic is 4; the second is behind
	 * everything else.
	 */
	struct mb2_header_tag *other = (void *)(f.rest + 12);
	struct mb2_header_address *tag = (void *)(f.rest + 12 + 800);
	size_t size = (size_t)((u8 *)(tag + 1) - (u8 *)&f);

	(void)state;
	*other = (struct mb2_header_tag){ 5, 1, 799 };
	*tag = (struct mb2_header_address){ { MB2_HEADER_ADDRESS, 0, 24 }, .bss_end = 0x10f000 };
	assert_null(planned(&f, size));
	assert_int_equal(plan.end, 0x10f000);
	tag->bss_end = 0x101000; /* less than its segments */
	assert_null(planned(&f, size));
	assert_int_equal(plan.end, 0x104000);
	tag->bss_end = 0x10f000;
	assert_null(planned(&f, size - 1)); /* cut */
	assert_int_equal(plan.end, 0x104000);
	other->size = 0; /* it would never end */
	assert_null(planned(&f, size));
	assert_int_equal(plan.end, 0x104000);
}

#define REFUSED(change, words)                                                   \
	do {                                                                     \
		struct file_head f = good_elf();                                 \
		size_t size = sizeof(f);                                         \
		change;                                                          \
		assert_non_null(strstr(planned(&f, size) ?: "accepted", words)); \
	} while (0)

static void image_refused(void **state)
{
	(void)state;
	REFUSED(size = 10, "not a 64-bit ELF");
	REFUSED(f.ident[4] = 1, "not a 64-bit ELF");
	REFUSED(f.machine = 40, "not a 64-bit ELF");
	REFUSED(f.magic = 0, "not Aerostat");
	REFUSED(f.ph_offset = sizeof(f), "program headers");
	REFUSED(f.ph_offset = UINT64_MAX, "program headers");
	REFUSED(f.ph_count = 60000, "program headers");
	REFUSED(f.ph_size = 32, "program headers");
	REFUSED(f.ph[0].offset = UINT64_MAX, "a segment");
	REFUSED(f.ph[0].file_bytes = UINT64_MAX, "a segment");
	REFUSED(f.ph[0].memory_bytes = 1, "a segment");
	REFUSED(f.ph[0].phys = 0x1000, "a segment");
	REFUSED(f.ph[0].phys = GIB(4), "a segment");
	REFUSED(f.ph[1].memory_bytes = UINT64_MAX, "a segment");
	REFUSED(f.ph[1].memory_bytes = MIB(17), "a segment");
	REFUSED(size = 0x280, "a segment"); /* the rest was not copied */
	REFUSED(f.entry = 0x1000, "entry point");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_plan),
		cmocka_unit_test(image_plan_boot_room),
		cmocka_unit_test(image_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
