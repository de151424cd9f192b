/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches by the CPU, which only 32-bit protected mode has: by call, jump, return, interrupt
 * and exception.  The guest leaves long mode for them and comes back.
 */
#include "case.h"

struct tss {
	u32 link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt, trap;
};

#define MAIN 0x18 /* selectors in gdt[], as in the code below */
#define OTHER 0x20
#define FAULTS 0x28
#define MISSING 0x38

extern u8 task_other[], task_faults[];
void task_run(void);

u64 task_gdt[8] __attribute__((aligned(16)));
u64 task_idt[256] __attribute__((aligned(16)));
struct tss task_main_tss, task_other_tss, task_faults_tss;
u8 task_stacks[2][4096] __attribute__((aligned(16)));
u8 task_old_idt[16], task_old_gdt[16], task_new_gdt[16], task_new_idt[16];
u64 task_stack;

/* Values that the code below has seen. */
u32 task_seen[16], task_error, task_nr_faults;

__asm__("	.text\n"
	"	.globl task_run, task_other, task_faults\n"
	"	.code64\n"
	"task_run:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, task_stack\n"
	"	sidt task_old_idt; sgdt task_old_gdt\n"
	"	lgdt task_new_gdt\n"
	"	lidt task_new_idt\n"
	"	pushq $8\n"
	"	pushq $1f\n"
	"	lretq\n"
	"	.code32\n"
	"1:	mov %cr0, %eax\n" /* out of long mode */
	"	and $0x7fffffff, %eax\n"
	"	mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	and $~0x100, %eax\n"
	"	wrmsr\n"
	"	mov $0x10, %eax\n"
	"	mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov %eax, %fs; mov %eax, %gs\n"
	"	mov $0x18, %eax\n"
	"	ltr %ax\n"
	"	clts\n"
	"	mov $0x11111111, %ebx; mov $0x22222222, %esi; mov $0x33333333, %edi\n"
	"	lcall $0x20, $0\n" /* 0: there and back by IRET */
	"	mov %ebx, task_seen + 8; mov %esi, task_seen + 12; mov %edi, task_seen + 16\n"
	"	mov %cr0, %eax; mov %eax, task_seen + 20\n"
	"	pushf; pop %eax; mov %eax, task_seen + 24\n"
	"	int $0x50\n" /* 1: through a gate */
	"	str %eax; mov %eax, task_seen + 28\n"
	"	ljmp $0x20, $0\n" /* 2: only another jump leads back */
	"	str %eax; mov %eax, task_seen + 32\n"
	"	mov $0x7ff8, %eax\n"
	"	mov %eax, %fs\n"   /* 3: #GP with an error code; the other task steps over it */
	"	lcall $0x38, $0\n" /* 4: #NP, of a TSS that is not there */
	"	movl $0x7f0, task_other_tss + 84\n" /* 5: its DS is invalid: #TS in the new task */
	"	lcall $0x20, $0\n"
	"	mov $0xc0000080, %ecx\n" /* back into long mode */
	"	rdmsr\n"
	"	or $0x100, %eax\n"
	"	wrmsr\n"
	"	mov %cr0, %eax\n"
	"	or $0x80000000, %eax\n"
	"	and $~8, %eax\n"
	"	mov %eax, %cr0\n"
	"	lgdt task_old_gdt\n"
	"	ljmp $8, $2f\n"
	"	.code64\n"
	"2:	mov $0x10, %eax\n"
	"	mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov %eax, %fs; mov %eax, %gs\n"
	"	mov task_stack, %rsp\n"
	"	lidt task_old_idt\n"
	"	andb $~2, bare_gdt_tss + 5\n" /* not busy */
	"	mov $0x38, %eax\n"
	"	ltr %ax\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n"
	"	.code32\n"
	"task_other:\n"
	"	pushf; pop %eax; mov %eax, task_seen\n" /* NT: nested */
	"	mov task_other_tss, %eax; mov %eax, task_seen + 4\n"
	"	xor %ebx, %ebx; xor %esi, %esi\n"
	"	iret\n"
	"	incl task_seen + 36\n" /* goes on here at the second time */
	"	iret\n"
	"	pushf; pop %eax; mov %eax, task_seen + 40\n" /* and here, without NT */
	"	ljmp $0x18, $0\n"
	"	incl task_seen + 44\n" /* never: DS is bad */
	"	iret\n"
	"task_faults:\n"
	"	pop %eax\n"
	"	mov %eax, task_error\n"
	"	incl task_nr_faults\n"
	"	mov task_nr_faults, %ecx\n"
	"	mov %eax, task_seen + 44(,%ecx,4)\n" /* 12, 13, 14 */
	"	cmp $1, %ecx\n"
	"	jne 3f\n"
	"	addl $2, task_main_tss + 32\n" /* mov to FS */
	"	iret\n"
	"	jmp task_faults\n"
	"3:	cmp $2, %ecx\n"
	"	jne 4f\n"
	"	addl $7, task_main_tss + 32\n" /* the far call */
	"	iret\n"
	"	jmp task_faults\n"
	"4:	mov task_faults_tss, %eax; mov %eax, task_seen + 60\n" /* whose fault it was: the other's */
	"	andb $~2, task_gdt + 0x1d\n" /* not busy: it was called from */
	"	ljmp $0x18, $0\n"
	"	.code64\n");

static u64 descriptor(u64 base, u32 limit, u32 attr)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)attr << 40 |
	       (u64)(limit >> 16) << 48 | (base >> 24) << 56;
}

static u64 task_gate(u16 selector)
{
	return (u64)selector << 16 | 0x85ul << 40;
}

static void set_table(u8 *to, const void *table, u16 size)
{
	u64 base = (u64)table;

	size--;
	memcpy(to, &size, 2);
	memcpy(to + 2, &base, 8);
}

static void prepare_task(struct tss *t, const u8 *entry, u32 stack)
{
	t->eip = (u32)(u64)entry;
	t->eflags = 2;
	t->cs = 8;
	t->es = t->ss = t->ds = t->fs = t->gs = 0x10;
	t->esp = (u32)(u64)(task_stacks[stack] + sizeof(task_stacks[stack]));
}

static int task(void)
{
	prepare_task(&task_other_tss, task_other, 0);
	prepare_task(&task_faults_tss, task_faults, 1);
	task_gdt[1] = 0x00cf9b000000ffff;
	task_gdt[2] = 0x00cf93000000ffff;
	task_gdt[MAIN / 8] = descriptor((u64)&task_main_tss, 0x67, 0x89);
	task_gdt[OTHER / 8] = descriptor((u64)&task_other_tss, 0x67, 0x89);
	task_gdt[FAULTS / 8] = descriptor((u64)&task_faults_tss, 0x67, 0x89);
	task_gdt[MISSING / 8] = descriptor((u64)&task_other_tss, 0x67, 0x09);
	for (u32 i = 10; i < 14; i++)
		task_idt[i] = task_gate(FAULTS);
	task_idt[0x50] = task_gate(OTHER);
	set_table(task_new_gdt, task_gdt, sizeof(task_gdt));
	set_table(task_new_idt, task_idt, sizeof(task_idt));
	task_run();
	CHECK(task_seen[0] & 1 << 14); /* NT in the called task */
	CHECK_EQ(task_seen[1], MAIN);  /* and its link */
	CHECK_EQ(task_seen[2], 0x11111111);
	CHECK_EQ(task_seen[3], 0x22222222);
	CHECK_EQ(task_seen[4], 0x33333333);
	CHECK(task_seen[5] & 8); /* CR0.TS */
	CHECK_EQ(task_seen[6] & 1 << 14, 0);
	CHECK_EQ(task_seen[7], MAIN); /* by the gate and back */
	CHECK_EQ(task_seen[8], MAIN); /* by two jumps */
	CHECK_EQ(task_seen[9], 1);
	CHECK_EQ(task_seen[10] & 1 << 14, 0);
	CHECK_EQ(task_seen[11], 0);
	CHECK_EQ(task_nr_faults, 3);
	CHECK_EQ(task_seen[12], 0x7ff8); /* #GP, #NP, #TS */
	CHECK_EQ(task_seen[13], MISSING);
	CHECK_EQ(task_seen[14], 0x7f0);
	CHECK_EQ(task_seen[15], OTHER);
	/* Descriptors: a jump leaves no busy task, a call does until the return. */
	CHECK_EQ(task_gdt[FAULTS / 8] >> 40 & 0xf, 9);
	CHECK_EQ(task_gdt[MAIN / 8] >> 40 & 0xf, 11);
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "task", task },
		{ NULL, NULL },
	};

	return run_case(cases);
}
