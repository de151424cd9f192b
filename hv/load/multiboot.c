/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot-1 kernels: ELF32, or any file with load addresses in its header,
 * and modules.  "Multiboot Specification version 0.6.96", sections "OS image
 * format", "Machine state", "Boot information".
 */
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/load/images.h>
#include <hv/load/load.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define MULTIBOOT_MAGIC 0x2badb002u

struct elf32_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
#define PT_LOAD 1

struct mb_header {
	u32 magic, flags, checksum;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};
#define MB_HEADER_MAGIC 0x1badb002u
#define MB_HAS_ADDRESSES BIT(16)
#define MB_SEARCH 8192

struct mb_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives[2], config_table, boot_loader_name, apm, vbe[6];
};
struct mb_module {
	u32 start, end, string, reserved;
};
struct mb_mmap {
	u32 size;
	u64 base, length;
	u32 type;
} __packed;

/* The page that holds the information: above the BIOS data area, below any kernel. */
#define INFO_PAGE 0x9000

struct info_page {
	struct mb_info info;
	struct mb_module module[MAX_VM_MODULES];
	struct mb_mmap mmap[3];
	char loader[16];
	char cmdline[CONFIG_TEXT_MAX + CONFIG_TEXT_MAX];
	char module_string[MAX_VM_MODULES][CONFIG_TEXT_MAX];
};
_Static_assert(sizeof(struct info_page) <= PAGE_SIZE, "the multiboot information is one page");

static const struct mb_header *find_header(const struct image *img)
{
	size_t end = min(img->size, (size_t)MB_SEARCH);

	for (size_t at = 0; at + 12 <= end; at += 4) {
		const struct mb_header *h = (const void *)(img->data + at);

		if (h->magic != MB_HEADER_MAGIC || h->checksum != -(h->magic + h->flags))
			continue;
		if (h->flags & MB_HAS_ADDRESSES && at + sizeof(*h) > img->size)
			return NULL;
		return h;
	}
	return NULL;
}

static int put(struct vm *vm, u64 to, const u8 *from, size_t bytes, u64 total, u64 *top)
{
	if (to < INFO_PAGE + PAGE_SIZE && to + total > INFO_PAGE)
		return load_bad(vm, HV_ERANGE,
				"wants to be loaded over 0x9000, where the boot information goes");
	*top = max(*top, to + total);
	return load_put(vm, to, from, bytes, total);
}

static int load_elf(struct vm *vm, const struct image *img, u32 *entry, u64 *top)
{
	const struct elf32_header *h = (const void *)img->data;

	if (img->size < sizeof(*h) || h->phoff & 3 ||
	    h->phentsize != sizeof(struct elf32_segment) || h->phoff > img->size ||
	    (img->size - h->phoff) / sizeof(struct elf32_segment) < h->phnum)
		return load_bad(vm, HV_EINVAL, "is a damaged ELF file");
	for (u32 i = 0; i < h->phnum; i++) {
		const struct elf32_segment *s =
			(const void *)(img->data + h->phoff + i * sizeof(*s));
		int err;

		if (s->type != PT_LOAD || !s->memsz)
			continue;
		if (s->offset > img->size || s->filesz > img->size - s->offset)
			return load_bad(vm, HV_EINVAL, "is shorter than its ELF header says");
		err = put(vm, s->paddr, img->data + s->offset, s->filesz, s->memsz, top);
		if (err)
			return err;
	}
	*entry = h->entry;
	return HV_OK;
}

static int load_flat(struct vm *vm, const struct image *img, const struct mb_header *h, u32 *entry,
		     u64 *top)
{
	u64 header_at = (u64)((const u8 *)h - img->data);
	u64 offset = header_at - (h->header_addr - h->load_addr), size;

	if (h->load_addr > h->header_addr || header_at < h->header_addr - h->load_addr)
		return load_bad(vm, HV_EINVAL, "has load addresses that contradict each other");
	size = h->load_end_addr ? h->load_end_addr - h->load_addr : img->size - offset;
	if (size > img->size - offset)
		return load_bad(vm, HV_EINVAL, "is shorter than its multiboot header says");
	*entry = h->entry_addr;
	return put(vm, h->load_addr, img->data + offset, size,
		   max(size, (u64)h->bss_end_addr - min((u64)h->bss_end_addr, (u64)h->load_addr)),
		   top);
}

static int load_kernel(struct vm *vm, const struct image *img, u32 *entry, u64 *top)
{
	const struct mb_header *h = find_header(img);

	if (!h)
		return load_bad(vm, HV_EINVAL,
				"is neither a Linux kernel (bzImage) nor a multiboot-1 kernel "
				"(no header in its first 8 KiB)");
	if (h->flags & MB_HAS_ADDRESSES)
		return load_flat(vm, img, h, entry, top);
	if (img->size < 20 || memcmp(img->data, "\177ELF\1\1", 6) || img->data[18] != 3)
		return load_bad(vm, HV_EINVAL,
				"is not a 32-bit x86 ELF file; objcopy -O elf32-i386 makes one");
	return load_elf(vm, img, entry, top);
}

/* Modules go above the kernel, on page boundaries. */
static int load_modules(struct vm *vm, struct info_page *page, u64 *top)
{
	for (u32 i = 0; i < vm->cfg->nr_modules; i++) {
		const struct image *img = load_module_image(vm, i);
		int err;

		if (!img)
			return HV_ENOENT;
		*top = ALIGN_UP(*top, PAGE_SIZE);
		page->module[i].start = (u32)*top;
		page->module[i].end = (u32)(*top + img->size);
		str_copy(page->module_string[i], vm->cfg->module[i], CONFIG_TEXT_MAX);
		page->module[i].string = INFO_PAGE +
					 (u32)offsetof(struct info_page, module_string[0]) +
					 i * CONFIG_TEXT_MAX;
		err = put(vm, *top, img->data, img->size, img->size, top);
		if (err)
			return err;
	}
	return HV_OK;
}

static void fill_info(struct vm *vm, struct info_page *p)
{
	u64 memory = vm->cfg->memory, low = load_low_end(vm);

	p->info = (struct mb_info){
		.flags = BIT(0) | BIT(2) | BIT(3) | BIT(6) | BIT(9),
		.mem_lower = LOAD_LOW_END >> 10,
		.mem_upper = (u32)((low - LOAD_HIGH_START) >> 10),
		.cmdline = INFO_PAGE + offsetof(struct info_page, cmdline),
		.mods_count = vm->cfg->nr_modules,
		.mods_addr = INFO_PAGE + offsetof(struct info_page, module),
		.mmap_length = (u32)(sizeof(struct mb_mmap) * (memory > LOAD_HOLE_START ? 3 : 2)),
		.mmap_addr = INFO_PAGE + offsetof(struct info_page, mmap),
		.boot_loader_name = INFO_PAGE + offsetof(struct info_page, loader),
	};
	p->mmap[0] = (struct mb_mmap){ 20, 0, LOAD_LOW_END, 1 };
	p->mmap[1] = (struct mb_mmap){ 20, LOAD_HIGH_START, low - LOAD_HIGH_START, 1 };
	p->mmap[2] = (struct mb_mmap){ 20, LOAD_ABOVE_HOLE, memory - low, 1 };
	str_copy(p->loader, "Aerostat", sizeof(p->loader));
	str_format(p->cmdline, sizeof(p->cmdline), "%s %s", vm->cfg->kernel, vm->cfg->cmdline);
}

/* "Machine state" */
static void machine_state(struct loaded *l, u32 entry)
{
	struct guest_state *s = &l->state;

	*s = (struct guest_state){ .rip = entry, .rflags = 2, .cr0 = 0x11 };
	for (int i = 0; i < SEG_NR; i++)
		s->seg[i] = (struct guest_segment){ 0x10, 0xffffffff, 0, 0xc093 };
	s->seg[SEG_CS] = (struct guest_segment){ 0x08, 0xffffffff, 0, 0xc09b };
	s->seg[SEG_LDTR] = (struct guest_segment){ 0, 0xffff, 0, 0x82 };
	s->seg[SEG_TR] = (struct guest_segment){ 0, 0xffff, 0, 0x8b };
	l->rax = MULTIBOOT_MAGIC;
	l->rbx = INFO_PAGE;
}

int load_multiboot(struct vm *vm, const struct image *kernel, struct loaded *out)
{
	struct info_page page = { 0 };
	u64 top = LOAD_HIGH_START;
	u32 entry = 0;
	int err;

	fill_info(vm, &page);
	err = load_kernel(vm, kernel, &entry, &top);
	if (!err)
		err = load_modules(vm, &page, &top);
	if (!err)
		err = guest_write(&vm->p2m, GPA(INFO_PAGE), &page, sizeof(page));
	machine_state(out, entry);
	return err;
}
