/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame table is one array for all physical addresses. It has memory of its own only for
 * records of RAM; all other records come from one shared page that says ABSENT. So holes between
 * RAM cost no memory, however wide they are.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mtrr.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/regs.h>
#include <boot/memory.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <mm/frame.h>

#define RECORDS_PER_PAGE (PAGE_SIZE / sizeof(struct frame))
#define SPARE_TABLES 64		       /* stacks, devices, the trampoline */
#define PIECE (GIB(1) >> PAGE_SHIFT)   /* frames that memory_more() adds at a time */
#define AT_BOOT (GIB(2) >> PAGE_SHIFT) /* frames that are there before the first guest */
#define LIMIT (1UL << 32)	       /* frame numbers are 32 bits, and one of them is "none" */

extern u8 __image_start[], boot_room[], boot_room_end[];

static struct {
	struct boot_info *bi; /* its list of RAM: free RAM only */
	u32 nr;		      /* all RAM, free or not */
	struct boot_region ram[BOOT_MAX_REGIONS];
	u64 next, top; /* frames: the next to add; one past the last */
	hpa_t low_page;
	u64 to_come; /* frames of free RAM at or above next */
} mem;

static struct frame *const table = (struct frame *)VA_FRAMES;

/* --- before the frame table: page tables ------------------------------------ */

static u64 early_next, early_end;

/* early_tables_bytes() has counted them. */
static hpa_t early_page(void)
{
	hpa_t pa = HPA(early_next);

	hv_assert(early_next < early_end);
	early_next += PAGE_SIZE;
	zero_qwords(plat_ptr(pa), PAGE_SIZE);
	return pa;
}

/*
 * Takes @bytes from the end of the highest region below @below; 0: no memory. Large pieces get
 * @like's offset in a 2 MiB page.
 */
static u64 take(u64 bytes, u64 below, u64 like)
{
	for (u32 i = mem.bi->nr_ram; i--;) {
		const struct boot_region *r = &mem.bi->ram[i];
		u64 end = min(r->end, below), pa = end - bytes;

		if (bytes >= MIB(2))
			pa -= (pa - like) & (MIB(2) - 1);
		if (r->start >= end || pa < r->start || pa > end)
			continue;
		boot_exclude(mem.bi, pa, pa + bytes);
		return pa;
	}
	return 0;
}

/*
 * Tables for the direct map: one per GiB, and some for its ends. The same for the frame table,
 * which is 256 times smaller, and two for its holes.
 */
static u64 early_tables_bytes(void)
{
	u64 pages = SPARE_TABLES + 2;

	for (u32 i = 0; i < mem.nr; i++)
		pages += (mem.ram[i].end - mem.ram[i].start) / GIB(1) * 257 / 256 + 12;
	return pages * PAGE_SIZE;
}

/* --- the frame table -------------------------------------------------------- */

static u64 table_start(const struct boot_region *r)
{
	return ALIGN_DOWN((u64)&table[r->start >> PAGE_SHIFT], PAGE_SIZE);
}

static u64 table_end(const struct boot_region *r)
{
	return ALIGN_UP((u64)&table[r->end >> PAGE_SHIFT], PAGE_SIZE);
}

/* Returns its size in bytes; 0: no memory. */
static u64 map_table(void)
{
	u64 bytes = 0, done = 0;

	for (u32 i = 0; i < mem.nr; i++) {
		/* Two regions may share a page of records. */
		u64 va = max(table_start(&mem.ram[i]), done), end = table_end(&mem.ram[i]), pa;

		if (va >= end)
			continue;
		pa = take(end - va, UINT64_MAX, va);
		if (!pa || paging_map_range(va, HPA(pa), end - va))
			return 0;
		bytes += end - va;
		done = end;
	}
	return paging_fill_holes(VA_FRAMES, (u64)&table[mem.top]) ? 0 : bytes;
}

static struct boot_region part(const struct boot_region *r, u64 from, u64 to)
{
	u64 start = max(r->start, from << PAGE_SHIFT), end = min(r->end, to << PAGE_SHIFT);

	return (struct boot_region){ start, end };
}

/* Free RAM from frame @from up to @to. */
static u64 count_free(u64 from, u64 to)
{
	u64 n = 0;

	for (u32 i = 0; i < mem.bi->nr_ram; i++) {
		struct boot_region p = part(&mem.bi->ram[i], from, to);

		n += p.start < p.end ? (p.end - p.start) >> PAGE_SHIFT : 0;
	}
	return n;
}

/* Frames [from, to), @from a multiple of RECORDS_PER_PAGE: their records, then the free RAM. */
static void add(u64 from, u64 to)
{
	for (u32 i = 0; i < mem.nr; i++) {
		struct boot_region p = part(&mem.ram[i], from, to);

		if (p.start < p.end)
			zero_qwords((void *)table_start(&p), table_end(&p) - table_start(&p));
	}
	for (u32 i = 0; i < mem.bi->nr_ram; i++) {
		struct boot_region p = part(&mem.bi->ram[i], from, to);

		if (p.start < p.end)
			frames_add((u32)(p.start >> PAGE_SHIFT),
				   (u32)((p.end - p.start) >> PAGE_SHIFT));
	}
}

/* The first frame of the next piece with RAM in it, at or above mem.next. */
static u64 next_piece(void)
{
	for (u32 i = 0; i < mem.bi->nr_ram; i++)
		if (mem.bi->ram[i].end >> PAGE_SHIFT > mem.next)
			return max(mem.next, ALIGN_DOWN(mem.bi->ram[i].start >> PAGE_SHIFT, PIECE));
	return mem.top;
}

bool memory_more(void)
{
	u64 from, to, here;

	if (!mem.to_come)
		return false;
	from = next_piece();
	to = min(from + PIECE, mem.top);
	here = count_free(from, to);
	add(from, to);
	mem.next = to;
	if (here > mem.to_come) /* beyond [host] memory */
		frames_withhold(here - mem.to_come);
	mem.to_come -= min(mem.to_come, here);
	return true;
}

/* Only memory that the loader calls RAM becomes guests' memory. */
static bool boot_room_is_ram(void)
{
	u64 start = (u64)boot_room - VA_IMAGE, end = (u64)boot_room_end - VA_IMAGE;

	for (u32 i = 0; i < mem.nr; i++)
		if (mem.ram[i].start <= start && end <= mem.ram[i].end)
			return true;
	return false;
}

struct boot_info *memory_give_back_boot_room(void)
{
	u64 start = (u64)boot_room - VA_IMAGE, end = (u64)boot_room_end - VA_IMAGE;
	struct boot_info *copy = frame_alloc_pages(frame_order(sizeof(*copy)));

	if (!copy)
		return NULL;
	*copy = *mem.bi;
	mem.bi = copy;
	frames_add((u32)(start >> PAGE_SHIFT), (u32)((end - start) >> PAGE_SHIFT));
	return copy;
}

hpa_t memory_low_page(void)
{
	return mem.low_page;
}

u64 memory_to_come(void)
{
	return mem.to_come;
}

void memory_limit(u64 bytes)
{
	u64 want = bytes >> PAGE_SHIFT, have = frames_available();

	if (!want)
		return;
	if (want > have + mem.to_come) {
		log_line("memory: [host] memory asks for %lu MiB, the machine has only %lu MiB",
			 want >> 8, (have + mem.to_come) >> 8);
		return;
	}
	mem.to_come = want > have ? want - have : 0;
	if (have > want)
		frames_withhold(have - want);
}

/* --- putting it together ---------------------------------------------------- */

/* Guests' memory is mapped write-back. Other types in the MTRRs mean devices or reserved memory. */
static void leave_uncached(struct boot_info *bi)
{
	struct mtrrs m;
	u64 left = 0;

	mtrr_read(&m);
	if (!m.enabled) {
		log_line(
			"memory: the MTRRs are off, which makes all memory uncached; Aerostat uses all of it; update the firmware");
		return;
	}
	for (u32 i = 0; i < mem.nr; i++)
		for (u64 pa = mem.ram[i].start, end; pa < mem.ram[i].end; pa = end) {
			bool wb = mtrr_type(&m, pa, &end) == MTRR_WB;

			end = min(end, mem.ram[i].end);
			if (wb)
				continue;
			boot_exclude(bi, pa, end);
			left += end - pa;
		}
	if (left)
		log_line("memory: %lu KiB are not write-back by the MTRRs and stay unused",
			 left >> 10);
}

static void all_ram(void)
{
	mem.nr = mem.bi->nr_ram;
	memcpy(mem.ram, mem.bi->ram, mem.nr * sizeof(mem.ram[0]));
}

static void exclude_used(struct boot_info *bi)
{
	boot_exclude(bi, (u64)__image_start - VA_IMAGE, (u64)boot_room_end - VA_IMAGE);
	for (u32 i = 0; i < bi->nr_modules; i++)
		boot_exclude(bi, bi->modules[i].start, bi->modules[i].end);
	mem.low_page = HPA(boot_low_page(bi)); /* UEFI keeps some pages below 1 MiB for itself */
	boot_exclude(bi, 0, MIB(1));	       /* the firmware's and the AP trampoline's */
}

static const char *map_all(u64 *table_bytes)
{
	u64 bytes = early_tables_bytes();

	early_next = take(bytes, GIB(4), 0); /* within the boot map's reach */
	if (!early_next)
		return "too little memory for the page tables";
	early_end = early_next + bytes;
	paging_early_alloc(early_page);
	paging_init();
	for (u32 i = 0; i < mem.nr; i++)
		paging_map_direct(HPA(mem.ram[i].start), HPA(mem.ram[i].end));
	*table_bytes = map_table();
	if (!*table_bytes)
		return "too little memory for the frame table";
	return NULL;
}

const char *memory_init(struct boot_info *bi, struct pci_uart *uart)
{
	const char *why;
	u64 table_bytes;

	mem.bi = bi;
	boot_exclude(bi, LIMIT << PAGE_SHIFT, UINT64_MAX);
	all_ram();
	leave_uncached(bi);
	all_ram(); /* all RAM gets mapped, but not all of it is free */
	exclude_used(bi);
	if (bi->error)
		return bi->error;
	if (!bi->nr_ram)
		return "the memory map names no memory above 1 MiB";
	if (!boot_room_is_ram())
		return "the loader has put the image where its memory map has no memory";
	mem.top = mem.ram[mem.nr - 1].end >> PAGE_SHIFT;
	why = map_all(&table_bytes);
	if (why)
		return why;
	paging_activate();
	pci_quiet(uart); /* before any memory can become a guest's */
	paging_early_alloc(NULL);
	/* Memory that the tables did not need is memory like any other. */
	boot_add_ram(bi, early_next, early_end - early_next);
	boot_finish_ram(bi);
	if (bi->error)
		return bi->error;
	frames_init(table, 0);
	mem.to_come = count_free(0, mem.top);
	log_line(
		"memory: %lu MiB in %u regions up to %lu MiB, frame table %lu KiB, %zu bytes a frame",
		mem.to_come >> 8, bi->nr_ram, mem.top >> 8, table_bytes >> 10,
		sizeof(struct frame));
	while (frames_available() < AT_BOOT && memory_more())
		;
	return NULL;
}
