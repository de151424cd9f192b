/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-CPU records, stacks with guard pages, and the descriptor tables. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/paging.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <mm/frame.h>

struct cpu *cpus[MAX_CPUS];

/* One CPU's stacks: each preceded by an unmapped guard page. */
#define STACK_SLOT ((STACK_PAGES + 1 + IST_COUNT * 2) * PAGE_SIZE)

struct gate {
	u16 offset0;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset1;
	u32 offset2;
	u32 reserved;
};

static struct gate idt[256] __aligned(16);
extern u8 trap_entries[];

static int map_stack(u64 va, unsigned int pages)
{
	for (unsigned int i = 0; i < pages; i++) {
		u32 frame;
		int err = frame_alloc_hv(0, &frame);

		if (!err)
			err = paging_map(va + i * PAGE_SIZE, HPA((u64)frame << PAGE_SHIFT), 1,
					 PAGING_W);
		if (err)
			return err;
	}
	return HV_OK;
}

int percpu_create(u32 id, u32 apic_id)
{
	u64 va = VA_STACKS + id * STACK_SLOT;
	struct cpu *c;
	u32 frame;
	int err = frame_alloc_hv(0, &frame);

	_Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "a CPU's record is one page");
	if (err)
		return err;
	c = plat_ptr(HPA((u64)frame << PAGE_SHIFT));
	zero_qwords(c, PAGE_SIZE);
	c->self = c;
	c->id = id;
	c->apic_id = apic_id;
	err = map_stack(va + PAGE_SIZE, STACK_PAGES);
	va += (STACK_PAGES + 1) * PAGE_SIZE;
	c->stack_top = (void *)va;
	for (int i = 0; i < IST_COUNT && !err; i++) {
		err = map_stack(va + PAGE_SIZE, 1);
		va += 2 * PAGE_SIZE;
		c->tss.ist[i] = va;
	}
	c->tss.iomap = sizeof(struct tss);
	cpus[id] = c;
	return err;
}

static u8 ist_of(int vector)
{
	return vector == 2 ? IST_NMI : vector == 8 ? IST_DF : vector == 18 ? IST_MC : IST_NONE;
}

static void idt_init(void)
{
	for (int v = 0; v < 256; v++) {
		u64 entry = (u64)trap_entries + (u64)v * 16;

		idt[v] = (struct gate){
			.offset0 = (u16)entry,
			.selector = SEL_CODE,
			.ist = ist_of(v),
			.type = 0x8e, /* present, 64-bit interrupt gate */
			.offset1 = (u16)(entry >> 16),
			.offset2 = (u32)(entry >> 32),
		};
	}
}

void percpu_load(struct cpu *c)
{
	u64 base = (u64)&c->tss, limit = sizeof(struct tss) - 1;
	struct {
		u16 limit;
		u64 base;
	} __packed gdtr = { sizeof(c->gdt) - 1, (u64)c->gdt }, idtr = { sizeof(idt) - 1, (u64)idt };

	if (!idt[0].type)
		idt_init();
	c->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	c->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	c->gdt[SEL_TSS / 8] =
		limit | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
	c->gdt[SEL_TSS / 8 + 1] = base >> 32;
	asm volatile("lgdt %0" ::"m"(gdtr));
	asm volatile("pushq %0\n"
		     "lea 1f(%%rip), %%rax\n"
		     "pushq %%rax\n"
		     "lretq\n"
		     "1:" ::"i"(SEL_CODE)
		     : "rax", "memory");
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" ::"r"(SEL_DATA));
	asm volatile("lidt %0" ::"m"(idtr));
	asm volatile("ltr %w0" ::"r"(SEL_TSS));
	wrmsr(MSR_GS_BASE, (u64)c);
}
