/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux kernels, by the 64-bit boot protocol.  Linux:
 * Documentation/arch/x86/boot.rst, "64-bit BOOT PROTOCOL", and zero-page.rst.
 */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/load/acpi.h>
#include <hv/load/load.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

/* What we put below 640 KiB, and the kernel copies or is told to leave alone. */
#define ZERO_PAGE 0x7000
#define GDT 0x8000
#define TABLES 0x9000 /* PML4, PDPT, four page directories: the first 4 GiB, 1:1 */
#define COMMAND_LINE 0x20000

#define SETUP_HEADER 0x1f1
#define SETUP_MAGIC 0x53726448 /* "HdrS" */
#define SETUP_MIN_VERSION 0x020c
#define SETUP_MIN_END 0x268 /* where a header of that version ends */
#define SETUP_MAX_END 0x281 /* as far as its jump instruction reaches */
#define XLF_KERNEL_64 BIT(0)
#define ENTRY_64 0x200
#define LOADER_UNDEFINED 0xff
#define CAN_USE_HEAP BIT(7)

struct setup_header {
	u8 setup_sects;
	u16 root_flags;
	u32 syssize; /* of the protected-mode code, in 16 bytes */
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u16 jump; /* its second byte tells where this header ends */
	u32 header;
	u16 version;
	u32 realmode_swtch;
	u16 start_sys_seg, kernel_version;
	u8 type_of_loader, loadflags;
	u16 setup_move_size;
	u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
	u8 relocatable_kernel, min_alignment;
	u16 xloadflags;
	u32 cmdline_size, hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;
	u64 setup_data, pref_address;
	u32 init_size, handover_offset, kernel_info_offset;
	u8 later[SETUP_MAX_END - 0x26c]; /* what newer kernels tell themselves */
} __packed;

struct e820 {
	u64 start, size;
	u32 type;
} __packed;
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

/* Its end, which nothing is written to, is left out. */
struct zero_page {
	u8 screen[0x70];
	u64 acpi_rsdp_addr;
	u8 drives[0x1e8 - 0x78];
	u8 e820_entries;
	u8 edd[SETUP_HEADER - 0x1e9];
	struct setup_header hdr;
	u8 before_e820[0x2d0 - SETUP_MAX_END];
	struct e820 e820[4];
} __packed;
_Static_assert(offsetof(struct zero_page, e820) == 0x2d0, "zero-page.rst");
_Static_assert(offsetof(struct setup_header, later) == 0x26c - SETUP_HEADER, "boot.rst");

static const struct setup_header *header_of(const struct image *img)
{
	return (const void *)(img->data + SETUP_HEADER);
}

bool load_is_linux(const struct image *img)
{
	return img->size >= 2 * 512 && header_of(img)->boot_flag == 0xaa55 &&
	       header_of(img)->header == SETUP_MAGIC;
}

/* Where the header ends in the file; its length is that of the jump over it. */
static u32 header_end(const struct setup_header *h)
{
	return 0x202u + (h->jump >> 8);
}

/* The part of the file behind the real-mode code; NULL with the reason logged. */
static const u8 *protected_mode_part(const struct vm *vm, const struct image *img, u64 *size)
{
	const struct setup_header *h = header_of(img);
	u64 setup = ((h->setup_sects ? h->setup_sects : 4) + 1) * 512UL;

	if (h->version < SETUP_MIN_VERSION || !(h->xloadflags & XLF_KERNEL_64)) {
		load_bad(vm, HV_EINVAL,
			 "is a Linux kernel without 64-bit entry (32-bit, or older than 3.8); "
			 "use an amd64 one");
		return NULL;
	}
	*size = h->syssize * 16UL;
	if (header_end(h) < SETUP_MIN_END || header_end(h) > SETUP_MAX_END || *size <= ENTRY_64) {
		load_bad(vm, HV_EINVAL,
			 "has a setup header that contradicts itself: is it damaged?");
		return NULL;
	}
	if (setup > img->size || *size > ALIGN_UP(img->size - setup, 16)) {
		load_bad(vm, HV_EINVAL,
			 "is shorter than its setup header says: was it copied whole?");
		return NULL;
	}
	*size = min(*size, img->size - setup);
	return img->data + setup;
}

/*
 * With less, a kernel unpacks itself and then kills all there is ("System is deadlocked on
 * memory").  Measured for Debian's kernels: init_size, some 13.5 MiB, and the initrd twice, as it
 * is in memory and unpacked.  A small kernel allocates less.
 */
#define BOOT_ALLOCATIONS KIB(13824)

static u64 least_memory(const struct setup_header *h, const struct image *initrd)
{
	return h->init_size + min(h->init_size / 3UL, BOOT_ALLOCATIONS) +
	       (initrd ? 2 * initrd->size : 0);
}

static u64 to_mib(u64 bytes)
{
	return (bytes + MIB(1) - 1) >> 20;
}

/* @end: of what the kernel unpacks itself over, which must be below the hole. */
static int check_memory(const struct vm *vm, const struct setup_header *h,
			const struct image *initrd, u64 end)
{
	u64 least = least_memory(h, initrd), memory = vm->cfg->memory;

	if (end > load_low_end(vm))
		return log_error(
			HV_ERANGE,
			"vm %s: %s needs %lu MiB below 3 GiB to start, and the VM has %lu; give it more",
			vm->cfg->name, vm->cfg->kernel, to_mib(max(end, least)),
			load_low_end(vm) >> 20);
	if (least > memory)
		return log_error(
			HV_ERANGE,
			"vm %s: %s needs %lu MiB to get to its init%s%s, and the VM has %lu; write memory = %luM or more",
			vm->cfg->name, vm->cfg->kernel, to_mib(least), initrd ? " with " : "",
			initrd ? vm->cfg->module[0] : "", memory >> 20, to_mib(least));
	return HV_OK;
}

static int load_kernel(struct vm *vm, const struct image *img, const struct image *initrd,
		       u64 *address, u64 *end)
{
	const struct setup_header *h = header_of(img);
	u64 size;
	const u8 *code = protected_mode_part(vm, img, &size);
	int err;

	if (!code)
		return HV_EINVAL;
	*address = h->pref_address;
	/* Elsewhere than on its alignment, a kernel would need more than init_size. */
	if (*address < LOAD_HIGH_START || *address >= LOAD_HOLE_START ||
	    *address & (h->kernel_alignment - 1UL))
		return load_bad(vm, HV_EINVAL,
				"has a load address below 1 MiB, above 3 GiB or off its alignment: "
				"is it damaged?");
	*end = *address + max((u64)h->init_size, size);
	err = check_memory(vm, h, initrd, *end);
	return err ? err : load_put(vm, *address, code, size, *end - *address);
}

/* NULL in *@img: it has none. */
static int find_initrd(const struct vm *vm, const struct image **img)
{
	*img = NULL;
	if (!vm->cfg->nr_modules)
		return HV_OK;
	if (vm->cfg->nr_modules > 1)
		return load_bad(vm, HV_EINVAL, "is a Linux kernel, which takes one initrd");
	*img = load_module_image(vm, 0);
	return *img ? HV_OK : HV_ENOENT;
}

/* As high as the kernel allows, so that it does not lie where the kernel unpacks itself. */
static int load_initrd(struct vm *vm, const struct image *img, u64 kernel_end,
		       struct setup_header *h)
{
	u64 top = min(load_low_end(vm), h->initrd_addr_max + 1UL), at;

	h->ramdisk_image = h->ramdisk_size = 0;
	if (!img)
		return HV_OK;
	at = img->size <= top ? (top - img->size) & ~PAGE_MASK : 0;
	if (at < kernel_end)
		return log_error(
			HV_ERANGE,
			"vm %s: %s (%lu MiB) and the kernel do not fit below %lu MiB, where "
			"the VM's memory or what the kernel can reach ends",
			vm->cfg->name, vm->cfg->module[0], img->size >> 20, top >> 20);
	h->ramdisk_image = (u32)at;
	h->ramdisk_size = (u32)img->size;
	return load_put(vm, at, img->data, img->size, img->size);
}

static void e820_add(struct zero_page *z, u64 start, u64 end, u32 type)
{
	if (end > start)
		z->e820[z->e820_entries++] = (struct e820){ start, end - start, type };
}

static void fill_map(const struct vm *vm, struct zero_page *z)
{
	e820_add(z, 0, ACPI_TABLES, E820_RAM);
	e820_add(z, ACPI_TABLES, LOAD_LOW_END, E820_ACPI);
	e820_add(z, LOAD_HIGH_START, load_low_end(vm), E820_RAM);
	e820_add(z, LOAD_ABOVE_HOLE, LOAD_ABOVE_HOLE + vm->cfg->memory - load_low_end(vm),
		 E820_RAM);
}

static bool is_word(const char *s, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(s, word, n) && (!s[n] || s[n] == ' ');
}

/*
 * A kernel that is told to do without kvmclock measures its TSC by the ACPI timer if three
 * reads of that take less than 50,000 TSC ticks, and with no frequency at all it stands still
 * before its first message.  Intel's CPUs have a leaf for it; AMD's get it said here.
 */
static bool needs_frequency(const char *text)
{
	bool without = false, told = false;

	for (const char *s = text; *s; s++) {
		if (s != text && s[-1] != ' ')
			continue;
		without |= is_word(s, "no-kvmclock") || is_word(s, "nopv");
		told |= !strncmp(s, "tsc_early_khz=", 14);
	}
	return without && !told;
}

static int load_command_line(struct vm *vm, struct zero_page *z)
{
	char text[CONFIG_TEXT_MAX + 40];
	size_t length;

	str_copy(text, vm->cfg->cmdline, sizeof(text));
	if (needs_frequency(text))
		str_format(text, sizeof(text), "%s tsc_early_khz=%lu", vm->cfg->cmdline,
			   plat_tsc_khz());
	length = strlen(text);
	if (length > z->hdr.cmdline_size)
		return load_bad(vm, HV_ERANGE, "takes no command line of that length");
	z->hdr.cmd_line_ptr = COMMAND_LINE;
	return load_put(vm, COMMAND_LINE, text, length + 1, length + 1);
}

static int put_entry(struct vm *vm, u64 table, u64 index, u64 value)
{
	return guest_write(&vm->p2m, GPA(table + index * 8), &value, 8);
}

/* The GDT and the page tables that the protocol asks for. */
static int load_tables(struct vm *vm)
{
	static const u64 gdt[] = { 0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff };
	const u64 present_writable = 3, large = BIT(7);
	int err = load_put(vm, GDT, gdt, sizeof(gdt), sizeof(gdt));

	if (!err)
		err = put_entry(vm, TABLES, 0, (TABLES + PAGE_SIZE) | present_writable);
	for (u64 i = 0; i < 4 && !err; i++)
		err = put_entry(vm, TABLES + PAGE_SIZE, i,
				(TABLES + (2 + i) * PAGE_SIZE) | present_writable);
	for (u64 i = 0; i < 4 * 512UL && !err; i++)
		err = put_entry(vm, TABLES + 2 * PAGE_SIZE, i, i << 21 | present_writable | large);
	return err;
}

static void machine_state(struct loaded *l, u64 entry)
{
	struct guest_state *s = &l->state;

	*s = (struct guest_state){
		.rip = entry,
		.rflags = 2,
		.cr0 = 0x80000011, /* PG ET PE */
		.cr3 = TABLES,
		.cr4 = 0x20,   /* PAE */
		.efer = 0x500, /* LMA LME */
		.gdtr_base = GDT,
		.gdtr_limit = 4 * 8 - 1,
	};
	for (int i = 0; i < SEG_NR; i++)
		s->seg[i] = (struct guest_segment){ 0x18, 0xffffffff, 0, 0xc093 };
	s->seg[SEG_CS] = (struct guest_segment){ 0x10, 0xffffffff, 0, 0xa09b };
	s->seg[SEG_LDTR] = (struct guest_segment){ 0, 0xffff, 0, 0x82 };
	s->seg[SEG_TR] = (struct guest_segment){ 0, 0xffff, 0, 0x8b };
	l->rsi = ZERO_PAGE;
}

int load_linux(struct vm *vm, const struct image *kernel, struct loaded *out)
{
	struct zero_page z = { 0 };
	const struct setup_header *h = header_of(kernel);
	const struct image *initrd;
	u64 address, end = 0;
	int err = find_initrd(vm, &initrd);

	if (!err)
		err = load_kernel(vm, kernel, initrd, &address, &end);
	if (err)
		return err;
	memcpy(&z.hdr, h, header_end(h) - SETUP_HEADER);
	z.hdr.type_of_loader = LOADER_UNDEFINED;
	z.hdr.setup_data = 0;
	z.hdr.loadflags &= (u8)~CAN_USE_HEAP;
	z.acpi_rsdp_addr = ACPI_TABLES;
	fill_map(vm, &z);
	err = load_initrd(vm, initrd, end, &z.hdr);
	if (!err)
		err = load_command_line(vm, &z);
	if (!err)
		err = load_tables(vm);
	if (!err)
		err = acpi_load(vm);
	if (!err)
		err = load_put(vm, ZERO_PAGE, &z, sizeof(z), PAGE_SIZE);
	machine_state(out, address + ENTRY_64);
	return err;
}
