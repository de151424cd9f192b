/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot kernels, good and bad, and the state at their start. */
#include <tests/fake/guest.h>

#include <hv/load/images.h>
#include <hv/load/load.h>
#include <mm/guestmem.h>

struct elf {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct {
		u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
	} ph[2];
	u32 multiboot[3];
	u8 text[200], data[100];
};

struct flat {
	u32 magic, flags, checksum, header, load, load_end, bss_end, entry;
	u8 text[100];
};

static struct vm_config cfg;
static struct vm *vm;
static struct image *img, *mod; /* what the tests put their files into */
static struct loaded out;

static struct elf good_elf(void)
{
	struct elf e = { .ident = "\177ELF\1\1\1",
			 .type = 2,
			 .machine = 3,
			 .version = 1,
			 .entry = 0x100010,
			 .phoff = offsetof(struct elf, ph),
			 .phentsize = 32,
			 .phnum = 2 };

	e.ph[0].type = e.ph[1].type = 1;
	e.ph[0].offset = offsetof(struct elf, text);
	e.ph[0].paddr = 0x100000;
	e.ph[0].filesz = e.ph[0].memsz = sizeof(e.text);
	e.ph[1].offset = offsetof(struct elf, data);
	e.ph[1].paddr = 0x180ff0;
	e.ph[1].filesz = sizeof(e.data);
	e.ph[1].memsz = 0x5000;
	e.multiboot[0] = 0x1badb002;
	e.multiboot[1] = 3;
	e.multiboot[2] = 0u - 0x1badb002 - 3;
	memset(e.text, 0x11, sizeof(e.text));
	memset(e.data, 0x22, sizeof(e.data));
	return e;
}

static struct flat good_flat(void)
{
	struct flat f = { 0x1badb002, 0x10000,	0u - 0x1badb002 - 0x10000,
			  0x200000,   0x200000, 0,
			  0x209000,   0x200020, { 0 } };

	memset(f.text, 0x33, sizeof(f.text));
	return f;
}

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	if (!image_find("img")) {
		image_add("img", NULL, 0);
		image_add("mod", NULL, 0);
	}
	img = (struct image *)image_find("img");
	mod = (struct image *)image_find("mod");
	cfg = guest_config("vm");
	vm = guest_start(&cfg);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "img");
	return 0;
}

static int load(const void *file, size_t size)
{
	return guest_load(vm, img, file, size, &out);
}

static u32 peek(u64 gpa)
{
	u32 v = 0;

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), &v, sizeof(v)), HV_OK);
	return v;
}

static const char *peek_text(u64 gpa)
{
	static char text[256];

	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), text, sizeof(text) - 1), HV_OK);
	return text;
}

static void elf_kernel(void **state)
{
	struct elf e = good_elf();

	(void)state;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	assert_int_equal(out.state.rip, 0x100010);
	assert_int_equal(peek(0x100000), 0x11111111);
	assert_int_equal(peek(0x1000c8), 0);
	assert_int_equal(peek(0x180ff0), 0x22222222);
	assert_int_equal(peek(0x181050), 0x22222222);
	assert_int_equal(peek(0x181054), 0);
	tables_check(&vm->p2m);
}

static void elf_cut_at_each_length(void **state)
{
	struct elf e = good_elf();

	(void)state;
	for (size_t n = 0; n < sizeof(e) - 1; n++)
		if (load(&e, n) == HV_OK && n < offsetof(struct elf, data) + sizeof(e.data))
			fail_msg("loaded when cut to %zu bytes", n);
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
}

static void bad_elf(void **state)
{
	struct elf e = good_elf();

	(void)state;
	e.machine = 62; /* x86-64 */
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	assert_true(fake_log_has("is not a 32-bit x86 ELF file; objcopy"));
	e = good_elf();
	e.ident[4] = 2;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	e = good_elf();
	e.phnum = 0xffff;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	assert_true(fake_log_has("damaged"));
	e = good_elf();
	e.phoff = 0xfffffff0;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	e = good_elf();
	e.phentsize = 56;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	e = good_elf();
	e.ph[0].filesz = e.ph[0].memsz = UINT32_MAX;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	assert_true(fake_log_has("shorter than its ELF header says"));
	e = good_elf();
	e.ph[1].offset = UINT32_MAX;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	e = good_elf();
	e.ph[0].memsz = 1; /* less than the file has */
	assert_int_equal(load(&e, sizeof(e)), HV_ERANGE);
	e = good_elf();
	e.ph[0].paddr = 0xffffff00;
	assert_int_equal(load(&e, sizeof(e)), HV_ERANGE);
	assert_true(fake_log_has("does not fit into the VM's memory"));
	e = good_elf();
	e.ph[1].memsz = MIB(15);
	assert_int_equal(load(&e, sizeof(e)), HV_ERANGE);
	e = good_elf();
	e.ph[0].paddr = 0xa0000; /* the hole below 1 MiB */
	assert_true(load(&e, sizeof(e)) < 0);
	e = good_elf();
	e.multiboot[2]++;
	assert_int_equal(load(&e, sizeof(e)), HV_EINVAL);
	assert_true(fake_log_has("nor a multiboot-1 kernel"));
	snprintf(cfg.kernel, sizeof(cfg.kernel), "nowhere");
	assert_int_equal(load(&e, sizeof(e)), HV_ENOENT);
}

static void kernel_by_addresses(void **state)
{
	struct flat f = good_flat();

	(void)state;
	assert_int_equal(load(&f, sizeof(f)), HV_OK);
	assert_int_equal(out.state.rip, 0x200020);
	assert_int_equal(peek(0x200000), 0x1badb002);
	assert_int_equal(peek(0x200020), 0x33333333);
	f.load_end = 0x200040;
	f.bss_end = 0; /* none */
	assert_int_equal(load(&f, sizeof(f)), HV_OK);
	for (size_t n = 0; n < 0x40; n++)
		assert_true(load(&f, n) < 0);
	assert_int_equal(load(&f, 0x40), HV_OK);
}

static void bad_addresses(void **state)
{
	struct flat f = good_flat();

	(void)state;
	f.load = 0x200004; /* after the header */
	assert_int_equal(load(&f, sizeof(f)), HV_EINVAL);
	assert_true(fake_log_has("contradict each other"));
	f = good_flat();
	f.header = 0x300000; /* the file does not begin before its beginning */
	assert_int_equal(load(&f, sizeof(f)), HV_EINVAL);
	f = good_flat();
	f.load_end = 0x100000;
	assert_int_equal(load(&f, sizeof(f)), HV_EINVAL);
	f = good_flat();
	f.load_end = 0x200000 + sizeof(f) + 1;
	assert_int_equal(load(&f, sizeof(f)), HV_EINVAL);
	f = good_flat();
	f.bss_end = 0xffffffff;
	assert_int_equal(load(&f, sizeof(f)), HV_ERANGE);
	f = good_flat();
	f.load = f.header = MIB(16);
	assert_int_equal(load(&f, sizeof(f)), HV_ERANGE);
}

static void header_search_ends_at_8k(void **state)
{
	u8 *file = calloc(1, 16384);
	struct flat f = good_flat();

	(void)state;
	memcpy(file + 8192 - 12, &f, 12);
	memset(file + 8192 - 12 + 4, 0, 4); /* no addresses */
	*(u32 *)(file + 8192 - 12 + 8) = 0u - 0x1badb002;
	assert_int_equal(load(file, 16384), HV_EINVAL);
	assert_true(fake_log_has("not a 32-bit x86 ELF")); /* found: the header was seen */
	memmove(file + 8192 - 8, file + 8192 - 12, 12);
	memset(file + 8192 - 12, 0, 4);
	assert_int_equal(load(file, 16384), HV_EINVAL);
	assert_true(fake_log_has("no header in its first 8 KiB"));
	free(file);
}

static void information_and_modules(void **state)
{
	static u8 module[5000];
	struct flat f = good_flat();
	u32 info, mods;

	(void)state;
	memset(module, 0x44, sizeof(module));
	mod->data = module;
	mod->size = sizeof(module);
	snprintf(cfg.cmdline, sizeof(cfg.cmdline), "quiet x=1");
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "mod arg1 arg2");
	snprintf(cfg.module[1], CONFIG_TEXT_MAX, "mod");
	cfg.nr_modules = 2;
	assert_int_equal(load(&f, sizeof(f)), HV_OK);
	info = (u32)out.rbx;
	assert_int_equal(peek(info), 1 | 4 | 8 | 64 | 512);
	assert_int_equal(peek(info + 4), 576); /* above it are ACPI's tables */
	assert_int_equal(peek(info + 8), 15 * 1024);
	assert_string_equal(peek_text(peek(info + 16)), "img quiet x=1");
	assert_int_equal(peek(info + 20), 2);
	mods = peek(info + 24);
	assert_int_equal(peek(mods) & PAGE_MASK, 0);
	assert_true(peek(mods) >= 0x209000); /* above the bss */
	assert_int_equal(peek(mods + 4) - peek(mods), sizeof(module));
	assert_string_equal(peek_text(peek(mods + 8)), "mod arg1 arg2");
	assert_int_equal(peek(peek(mods)), 0x44444444);
	assert_true(peek(mods + 16) >= peek(mods + 4));
	assert_string_equal(peek_text(peek(mods + 24)), "mod");
	/* Memory map: size 20, then base, length, type. */
	assert_int_equal(peek(info + 44), 3 * 24);
	assert_int_equal(peek(peek(info + 48)), 20);
	assert_int_equal(peek(peek(info + 48) + 12), 0x90000);
	assert_int_equal(peek(peek(info + 48) + 24 + 4), 0x90000);
	assert_int_equal(peek(peek(info + 48) + 24 + 12), 0x10000);
	assert_int_equal(peek(peek(info + 48) + 24 + 20), 3); /* ACPI's */
	assert_int_equal(peek(peek(info + 48) + 48 + 4), 0x100000);
	assert_int_equal(peek(peek(info + 48) + 48 + 12), MIB(15));
	assert_string_equal(peek_text(peek(info + 64)), "Aerostat");

	snprintf(cfg.module[1], CONFIG_TEXT_MAX, "absent");
	assert_int_equal(load(&f, sizeof(f)), HV_ENOENT);
	assert_true(fake_log_has("module absent was not loaded"));
	cfg.nr_modules = 1;
	mod->size = MIB(20);
	assert_int_equal(load(&f, sizeof(f)), HV_ERANGE);
}

/* As a BIOS leaves them: Xen takes the place for its real-mode code from these words. */
static void firmware_below_1m(void **state)
{
	struct elf e = good_elf();
	u64 ebda, handler;
	u8 code[9];

	(void)state;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	ebda = (u64)(peek(0x40e) & 0xffff) << 4;
	assert_int_equal(ebda, 0x90000);
	assert_int_equal(peek(0x413) & 0xffff, 576);
	assert_memory_equal(peek_text(ebda), "RSD PTR ", 8);
	handler = (u64)(peek(4 * 0x15) >> 16 << 4) + (peek(4 * 0x15) & 0xffff);
	assert_int_equal(guest_read(&vm->p2m, GPA(handler), code, sizeof(code)), HV_OK);
	assert_int_equal(code[8], 0xcf); /* IRET */
}

/* GRUB's core lies at 0x9000, where the information goes by default. */
static void information_goes_where_the_kernel_is_not(void **state)
{
	struct elf e = good_elf();

	(void)state;
	e.ph[1].paddr = 0x8ff0;
	e.ph[1].memsz = 0x3000;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	assert_int_equal(out.rbx, 0xc000);
	assert_int_equal(peek(0x8ff0), 0x22222222);
	assert_int_equal(peek((u64)out.rbx + 4), 576);
	/* All that is below ACPI's tables: it goes above the kernel. */
	e.ph[1].paddr = 0x1000;
	e.ph[1].memsz = 0x90000 - 0x1000;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	assert_int_equal(out.rbx, 0x101000);
	assert_string_equal(peek_text(peek((u64)out.rbx + 64)), "Aerostat");
	assert_int_equal(peek(0x100000), 0x11111111);
}

/* A kernel that is linked to lie where firmware has its tables does without these. */
static void kernel_in_the_place_of_firmware(void **state)
{
	struct elf e = good_elf();

	(void)state;
	e.ph[1].paddr = 0x9e000;
	e.ph[1].memsz = 0x1000;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	assert_int_equal(peek(0x9e000), 0x22222222);
	assert_int_equal(peek((u64)out.rbx + 4), 640);
	assert_int_equal(peek((u64)out.rbx + 44), 2 * 24);
	e.ph[1].paddr = 0x400;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	assert_int_equal(peek(0x40c), 0x22222222);
}

static void packed_kernel(void **state)
{
	static const u8 packed[64] = { 0x1f, 0x8b, 8 };

	(void)state;
	assert_int_equal(load(packed, sizeof(packed)), HV_EINVAL);
	assert_true(fake_log_has("is packed by gzip: unpack it with gunzip"));
}

static void out_of_memory(void **state)
{
	struct elf e = good_elf();
	u32 f;

	(void)state;
	e.ph[0].paddr = 0x600000;
	while (!frame_alloc_hv(0, &f))
		;
	assert_int_equal(load(&e, sizeof(e)), HV_ENOMEM);
	tables_check(&vm->p2m);
}

static void machine_state(void **state)
{
	struct guest_state s;
	struct elf e = good_elf();

	(void)state;
	assert_int_equal(load(&e, sizeof(e)), HV_OK);
	s = out.state;
	assert_int_equal(s.cr0, 0x11); /* protected, no paging */
	assert_int_equal(s.rflags, 2); /* no interrupts */
	assert_int_equal(s.efer, 0);
	assert_int_equal(s.seg[SEG_CS].attr, 0xc09b);
	assert_int_equal(s.seg[SEG_CS].limit, 0xffffffff);
	assert_int_equal(s.seg[SEG_DS].attr, 0xc093);
	assert_int_equal(vm->vcpus[0]->gpr[GPR_RAX], 0x2badb002);
	assert_int_equal(vm->vcpus[0]->gpr[GPR_RBX], 0x9000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

/* As FAT has it: names differ in more than case, but an exact one comes first. */
static void names_of_files(void **state)
{
	(void)state;
	image_add("guests/Kernel-1.ELF", "a", 1);
	image_add("guests/kernel-1.elf", "b", 1);
	assert_int_equal(image_find("guests/Kernel-1.ELF")->data[0], 'a');
	assert_int_equal(image_find("guests/kernel-1.elf")->data[0], 'b');
	assert_int_equal(image_find("GUESTS/KERNEL-1.elf")->data[0], 'a');
	assert_null(image_find("guests/kernel-1.el"));
	assert_null(image_find("guests/kernel-1.elff"));
	assert_null(image_find("guests/kernel-\x11.elf"));
	assert_null(image_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(elf_kernel),
		T(elf_cut_at_each_length),
		T(bad_elf),
		T(kernel_by_addresses),
		T(bad_addresses),
		T(header_search_ends_at_8k),
		T(information_and_modules),
		T(firmware_below_1m),
		T(information_goes_where_the_kernel_is_not),
		T(kernel_in_the_place_of_firmware),
		T(packed_kernel),
		T(out_of_memory),
		T(machine_state),
		cmocka_unit_test(names_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
