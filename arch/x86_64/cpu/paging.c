/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host page tables.  Text is read-only and executable, rodata read-only,
 * everything else no-execute; the image's text and rodata are left out of the
 * direct map, so that no writable alias of them exists.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/regs.h>
#include <hv/base/err.h>
#include <hv/base/platform.h>
#include <mm/frame.h>

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000UL

extern u8 __image_start[], __text_end[], __rodata_end[], __image_end[];

static u64 *root;
static u64 mmio_next = VA_MMIO;
static hpa_t (*early_alloc)(void);

void paging_early_alloc(hpa_t (*alloc)(void))
{
	early_alloc = alloc;
}

static u64 *new_table(void)
{
	u32 frame;
	u64 *t;

	if (early_alloc)
		return plat_ptr(early_alloc());
	if (frame_alloc_hv(0, &frame))
		return NULL;
	t = plat_ptr(HPA((u64)frame << PAGE_SHIFT));
	zero_qwords(t, PAGE_SIZE);
	return t;
}

static u64 table_pa(u64 *t)
{
	return (u64)t - VA_DIRECT;
}

/* The entry for @va at @level (1 = 4 KiB); makes tables on the way. */
static u64 *entry_for(u64 va, int level)
{
	u64 *t = root;

	for (int l = 4;; l--) {
		u64 *e = &t[va >> (12 + 9 * (l - 1)) & 511];

		if (l == level)
			return e;
		if (!(*e & PTE_P)) {
			u64 *n = new_table();

			if (!n)
				return NULL;
			*e = table_pa(n) | PTE_P | PTE_W;
		}
		t = plat_ptr(HPA(*e & PTE_ADDR));
	}
}

static u64 pte_flags(unsigned int flags)
{
	u64 e = PTE_P;

	e |= flags & PAGING_W ? PTE_W : 0;
	e |= flags & PAGING_X ? 0 : PTE_NX;
	e |= flags & PAGING_UC ? PTE_PCD | PTE_PWT : 0;
	e |= flags & PAGING_WC ? PTE_PWT : 0; /* PAT entry 1 is made WC in paging_activate() */
	return e;
}

int paging_map(u64 va, hpa_t pa, u64 pages, unsigned int flags)
{
	for (u64 i = 0; i < pages; i++) {
		u64 *e = entry_for(va + i * PAGE_SIZE, 1);

		if (!e)
			return HV_ENOMEM;
		*e = (pa.v + i * PAGE_SIZE) | pte_flags(flags);
	}
	return HV_OK;
}

static int map_section(const u8 *start, const u8 *end, unsigned int flags)
{
	return paging_map((u64)start, HPA((u64)start - VA_IMAGE), (u64)(end - start) / PAGE_SIZE,
			  flags);
}

int paging_init(void)
{
	int err;

	root = new_table();
	err = map_section(__image_start, __text_end, PAGING_X);
	if (!err)
		err = map_section(__text_end, __rodata_end, 0);
	if (!err)
		err = map_section(__rodata_end, __image_end, PAGING_W);
	return err;
}

static bool has_gib_pages(void)
{
	return cpuid(0x80000001, 0).d & BIT(26);
}

int paging_map_range(u64 va, hpa_t at, u64 bytes)
{
	u64 pa = at.v, end = pa + bytes;

	while (pa < end) {
		u64 both = pa | va, size, *e;
		int level = 1;

		if (!(both & (MIB(2) - 1)) && end - pa >= MIB(2))
			level = 2;
		if (!(both & (GIB(1) - 1)) && end - pa >= GIB(1) && has_gib_pages())
			level = 3;
		size = PAGE_SIZE << (9 * (level - 1));
		e = entry_for(va, level);
		if (!e)
			return HV_ENOMEM;
		do { /* to the end of this table; a larger page cannot begin before it */
			*e++ = pa | pte_flags(PAGING_W) | (level > 1 ? PTE_PS : 0);
			pa += size;
			va += size;
		} while ((u64)e & PAGE_MASK && end - pa >= size);
	}
	return HV_OK;
}

/* Every absent entry of [va, end) in @t at @level becomes the entry of @hole for that level. */
static void fill(u64 *t, int level, u64 va, u64 end, const u64 hole[])
{
	u64 size = PAGE_SIZE << (9 * (level - 1)), next;

	for (; va < end; va = next) {
		u64 *e = &t[va >> (12 + 9 * (level - 1)) & 511];

		next = min(ALIGN_DOWN(va, size) + size, end);
		if (!(*e & PTE_P))
			*e = hole[level];
		else if (level > 1 && !(*e & PTE_PS))
			fill(plat_ptr(HPA(*e & PTE_ADDR)), level - 1, va, next, hole);
	}
}

int paging_fill_holes(u64 va, u64 end)
{
	u64 hole[4], *t = new_table(), *e = entry_for(va, 3);

	if (!t || !e)
		return HV_ENOMEM;
	hole[1] = table_pa(t) | pte_flags(0); /* zeroes, read-only */
	for (int level = 2; level < 4; level++) {
		t = new_table();
		if (!t)
			return HV_ENOMEM;
		for (int i = 0; i < 512; i++)
			t[i] = hole[level - 1];
		hole[level] = table_pa(t) | PTE_P | PTE_W;
	}
	fill(plat_ptr(HPA(root[va >> 39 & 511] & PTE_ADDR)), 3, va, end, hole);
	return HV_OK;
}

static int map_range(u64 pa, u64 end)
{
	return paging_map_range(VA_DIRECT + pa, HPA(pa), end - pa);
}

int paging_map_direct(hpa_t start, hpa_t end)
{
	u64 ro_start = (u64)__image_start - VA_IMAGE, ro_end = (u64)__rodata_end - VA_IMAGE;
	u64 s = start.v, e = end.v;
	int err = HV_OK;

	if (s < ro_end && e > ro_start) {
		if (s < ro_start)
			err = map_range(s, ro_start);
		s = min(e, ro_end);
	}
	return err ? err : map_range(s, e);
}

void paging_activate(void)
{
	struct cpuid_regs seven = cpuid(7, 0);
	u64 cr4 = CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (cpuid(0, 0).a >= 7) {
		cr4 |= seven.b & BIT(7) ? CR4_SMEP : 0;
		cr4 |= seven.b & BIT(20) ? CR4_SMAP : 0;
		cr4 |= seven.c & BIT(2) ? CR4_UMIP : 0;
	}
	if (cpuid(1, 0).c & BIT(26))
		cr4 |= CR4_OSXSAVE;
	/* PAT: WB, WC, UC-, UC, and the same again: only entry 1 differs from reset. */
	wrmsr(MSR_IA32_PAT, 0x0007010600070106);
	write_cr3(table_pa(root));
	write_cr4(cr4);
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
}

void *paging_map_mmio(hpa_t pa, size_t bytes, unsigned int flags)
{
	u64 offset = pa.v & PAGE_MASK, va = mmio_next;
	u64 pages = (offset + bytes + PAGE_SIZE - 1) / PAGE_SIZE;

	if (paging_map(va, HPA(pa.v - offset), pages, flags | PAGING_W))
		return NULL;
	mmio_next += (pages + 1) * PAGE_SIZE; /* one unmapped page between two devices */
	return (void *)(va + offset);
}

hpa_t paging_root(void)
{
	return HPA(table_pa(root));
}

int paging_map_trampoline(hpa_t pa)
{
	return paging_map(pa.v, pa, 1, PAGING_X);
}

void paging_unmap_low(void)
{
	root[0] = 0; /* the table below it is never freed: one page, once */
	write_cr3(read_cr3());
}
