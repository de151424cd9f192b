/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot-1 kernels: ELF32, or any file with load addresses in its header,
 * and modules.  "Multiboot Specification version 0.6.96", sections "OS image
 * format", "Machine state", "Boot information".  Below 1 MiB they find what a PC's firmware
 * leaves there: the words of the BIOS data area that say where memory ends, and ACPI's RSDP.
 */
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/load/acpi.h>
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

/*
 * The page that holds the information: above the BIOS data area, below most kernels.  A kernel
 * that lies there gets the next free one.
 */
#define INFO_PAGE 0x9000UL

struct info_page {
	struct mb_info info;
	struct mb_module module[MAX_VM_MODULES];
	struct mb_mmap mmap[4];
	char loader[16];
	char cmdline[CONFIG_TEXT_MAX + CONFIG_TEXT_MAX];
	char module_string[MAX_VM_MODULES][CONFIG_TEXT_MAX];
};
_Static_assert(sizeof(struct info_page) <= PAGE_SIZE, "the multiboot information is one page");
enum { MMAP_RAM = 1, MMAP_ACPI = 3 };

/* "BIOS data area": where the extended one begins, as a segment; KiB of memory below it. */
#define BDA_EBDA 0x40eUL
#define BDA_LOW_KIB 0x413UL

/*
 * A kernel that goes to real mode and asks the BIOS gets "no": all 256 vectors lead to this code,
 * behind the data area, which sets the carry flag that its caller gets back.
 */
#define VECTORS 256
#define VECTOR_CODE 0x600U
static const u8 vector_code[] = {
	0x55,			/* push bp */
	0x89, 0xe5,		/* mov bp, sp */
	0x80, 0x4e, 0x06, 0x01, /* or byte [bp + 6], 1 */
	0x5d,			/* pop bp */
	0xcf,			/* iret */
};

/* What the kernel and its modules take. */
struct layout {
	u64 top;			      /* their end, or 1 MiB */
	bool low[LOAD_LOW_END >> PAGE_SHIFT]; /* pages below 640 KiB */
};

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

static int put(struct vm *vm, u64 to, const u8 *from, size_t bytes, u64 total, struct layout *l)
{
	for (u64 at = to & ~PAGE_MASK; at < min(to + total, LOAD_LOW_END); at += PAGE_SIZE)
		l->low[at >> PAGE_SHIFT] = true;
	l->top = max(l->top, to + total);
	return load_put(vm, to, from, bytes, total);
}

static int load_elf(struct vm *vm, const struct image *img, u32 *entry, struct layout *l)
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
		err = put(vm, s->paddr, img->data + s->offset, s->filesz, s->memsz, l);
		if (err)
			return err;
	}
	*entry = h->entry;
	return HV_OK;
}

static int load_flat(struct vm *vm, const struct image *img, const struct mb_header *h, u32 *entry,
		     struct layout *l)
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
		   l);
}

static int load_kernel(struct vm *vm, const struct image *img, u32 *entry, struct layout *l)
{
	const struct mb_header *h = find_header(img);

	if (img->size > 2 && img->data[0] == 0x1f && img->data[1] == 0x8b)
		return load_bad(vm, HV_EINVAL,
				"is packed by gzip: unpack it with gunzip; make image and "
				"make run do so by themselves");
	if (!h)
		return load_bad(vm, HV_EINVAL,
				"is neither a Linux kernel (bzImage) nor a multiboot-1 kernel "
				"(no header in its first 8 KiB)");
	if (h->flags & MB_HAS_ADDRESSES)
		return load_flat(vm, img, h, entry, l);
	if (img->size < 20 || memcmp(img->data, "\177ELF\1\1", 6) || img->data[18] != 3)
		return load_bad(vm, HV_EINVAL,
				"is not a 32-bit x86 ELF file; objcopy -O elf32-i386 makes one");
	return load_elf(vm, img, entry, l);
}

/* Modules go above the kernel, on page boundaries. */
static int load_modules(struct vm *vm, struct info_page *page, struct layout *l)
{
	for (u32 i = 0; i < vm->cfg->nr_modules; i++) {
		const struct image *img = load_module_image(vm, i);
		int err;

		if (!img)
			return HV_ENOENT;
		l->top = ALIGN_UP(l->top, PAGE_SIZE);
		page->module[i].start = (u32)l->top;
		page->module[i].end = (u32)(l->top + img->size);
		str_copy(page->module_string[i], vm->cfg->module[i], CONFIG_TEXT_MAX);
		err = put(vm, l->top, img->data, img->size, img->size, l);
		if (err)
			return err;
	}
	return HV_OK;
}

/* From @from up to @end, or above all that is loaded. */
static u64 find_free_page(const struct layout *l, u64 from, u64 end)
{
	for (u64 at = from; at < end; at += PAGE_SIZE)
		if (!l->low[at >> PAGE_SHIFT])
			return at;
	return ALIGN_UP(l->top, PAGE_SIZE);
}

/* Nothing of it where the kernel itself lies in the lowest page. */
static int load_bios(struct vm *vm)
{
	u16 ebda = ACPI_TABLES >> 4, kib = ACPI_TABLES >> 10;
	u32 vectors[VECTORS];
	int err;

	for (u32 i = 0; i < VECTORS; i++)
		vectors[i] = VECTOR_CODE; /* segment 0 */
	err = guest_write(&vm->p2m, GPA(0), vectors, sizeof(vectors));
	if (!err)
		err = guest_write(&vm->p2m, GPA(VECTOR_CODE), vector_code, sizeof(vector_code));
	if (!err)
		err = guest_write(&vm->p2m, GPA(BDA_EBDA), &ebda, sizeof(ebda));
	return err ? err : guest_write(&vm->p2m, GPA(BDA_LOW_KIB), &kib, sizeof(kib));
}

/*
 * As a BIOS leaves it: the RSDP at the begin of the extended data area, which is not free memory.
 * A kernel that is linked to lie there does without.  Sets @low to the end of the low memory.
 */
static int load_firmware(struct vm *vm, const struct layout *l, u64 *low)
{
	int err;

	*low = LOAD_LOW_END;
	for (u64 at = ACPI_TABLES; at < LOAD_LOW_END; at += PAGE_SIZE)
		if (l->low[at >> PAGE_SHIFT])
			return HV_OK;
	*low = ACPI_TABLES;
	err = acpi_load(vm);
	return err || l->low[0] ? err : load_bios(vm);
}

static void add_memory(struct info_page *p, u64 base, u64 end, u32 type)
{
	u32 n = p->info.mmap_length / (u32)sizeof(struct mb_mmap);

	if (end <= base)
		return;
	p->mmap[n] = (struct mb_mmap){ 20, base, end - base, type };
	p->info.mmap_length += (u32)sizeof(struct mb_mmap);
}

/* @at is where the page will be, @low_end where the low memory ends. */
static void fill_info(struct vm *vm, struct info_page *p, u32 at, u64 low_end)
{
	u64 memory = vm->cfg->memory, high_end = load_low_end(vm);

	p->info = (struct mb_info){
		.flags = BIT(0) | BIT(2) | BIT(3) | BIT(6) | BIT(9),
		.mem_lower = (u32)(low_end >> 10),
		.mem_upper = (u32)((high_end - LOAD_HIGH_START) >> 10),
		.cmdline = at + (u32)offsetof(struct info_page, cmdline),
		.mods_count = vm->cfg->nr_modules,
		.mods_addr = at + (u32)offsetof(struct info_page, module),
		.mmap_addr = at + (u32)offsetof(struct info_page, mmap),
		.boot_loader_name = at + (u32)offsetof(struct info_page, loader),
	};
	add_memory(p, 0, low_end, MMAP_RAM);
	add_memory(p, low_end, LOAD_LOW_END, MMAP_ACPI);
	add_memory(p, LOAD_HIGH_START, high_end, MMAP_RAM);
	add_memory(p, LOAD_ABOVE_HOLE, LOAD_ABOVE_HOLE + memory - high_end, MMAP_RAM);
	for (u32 i = 0; i < vm->cfg->nr_modules; i++)
		p->module[i].string = at + (u32)offsetof(struct info_page, module_string[0]) +
				      i * CONFIG_TEXT_MAX;
	str_copy(p->loader, "Aerostat", sizeof(p->loader));
	str_format(p->cmdline, sizeof(p->cmdline), "%s %s", vm->cfg->kernel, vm->cfg->cmdline);
}

/* "Machine state" */
static void machine_state(struct loaded *l, u32 entry, u64 info)
{
	struct guest_state *s = &l->state;

	*s = (struct guest_state){ .rip = entry, .rflags = 2, .cr0 = 0x11 };
	for (int i = 0; i < SEG_NR; i++)
		s->seg[i] = (struct guest_segment){ 0x10, 0xffffffff, 0, 0xc093 };
	s->seg[SEG_CS] = (struct guest_segment){ 0x08, 0xffffffff, 0, 0xc09b };
	s->seg[SEG_LDTR] = (struct guest_segment){ 0, 0xffff, 0, 0x82 };
	s->seg[SEG_TR] = (struct guest_segment){ 0, 0xffff, 0, 0x8b };
	l->rax = MULTIBOOT_MAGIC;
	l->rbx = info;
}

int load_multiboot(struct vm *vm, const struct image *kernel, struct loaded *out)
{
	struct info_page page = { 0 };
	struct layout l = { .top = LOAD_HIGH_START };
	u64 at, low = 0;
	u32 entry = 0;
	int err;

	err = load_kernel(vm, kernel, &entry, &l);
	if (!err)
		err = load_modules(vm, &page, &l);
	if (!err)
		err = load_firmware(vm, &l, &low);
	if (err)
		return err;
	at = find_free_page(&l, INFO_PAGE, low);
	fill_info(vm, &page, (u32)at, low);
	machine_state(out, entry, at);
	return load_put(vm, at, &page, sizeof(page), PAGE_SIZE);
}
