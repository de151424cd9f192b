/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fuzz/machine/machine.h>

#include <ucontext.h>

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include <hv/vm/sched.h>

#define STACK (256UL * 1024)
#define HOME CPUS_MAX

/* [HOME] is the harness, which already has a stack. */
static struct {
	ucontext_t context;
	void *fake_stack;
	const void *bottom;
	size_t size;
} cpu[CPUS_MAX + 1];
static u32 runs; /* who does */

static u8 *stacks;

static u8 *stack_of(u32 i)
{
	return stacks + i * STACK;
}

void cpus_setup(void)
{
	stacks = malloc(CPUS_MAX * STACK);
}

static void change_to(u32 to)
{
	u32 from = runs;

	runs = to;
	__sanitizer_start_switch_fiber(&cpu[from].fake_stack, cpu[to].bottom, cpu[to].size);
	swapcontext(&cpu[from].context, &cpu[to].context);
	__sanitizer_finish_switch_fiber(cpu[from].fake_stack, NULL, NULL);
	if (from != HOME)
		fake.cpu = from;
}

static void life(void)
{
	/* The first switch from the harness tells where its stack is. */
	__sanitizer_finish_switch_fiber(NULL, cpu[HOME].bottom ? NULL : &cpu[HOME].bottom,
					cpu[HOME].bottom ? NULL : &cpu[HOME].size);
	fake.cpu = runs;
	sched_loop();
}

static void make(u32 i)
{
	__asan_unpoison_memory_region(stack_of(i), STACK);
	getcontext(&cpu[i].context);
	cpu[i].context.uc_stack.ss_sp = stack_of(i);
	cpu[i].context.uc_stack.ss_size = STACK;
	cpu[i].bottom = stack_of(i);
	cpu[i].size = STACK;
	makecontext(&cpu[i].context, life, 0);
}

void cpus_run(u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		make(i);
	runs = HOME;
	change_to(0);
}

void cpus_switch(u32 to)
{
	if (to != runs)
		change_to(to);
}

void cpus_leave(void)
{
	change_to(HOME);
}
