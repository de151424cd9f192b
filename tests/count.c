/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts exits by their cause. Linked only into the hypervisor with which `make bench` measures
 * Linux guests (COUNT=1). When a guest writes a byte to PORT_COUNT, this prints all counts under
 * that number and sets them to 0. For one VM at a time.
 */
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/exit/exit.h>
#include <hv/vm/vm.h>

#define PORT_COUNT 0xf6
#define ROWS 512 /* a power of two */

static struct row {
	u32 kind, detail;
	u64 exits;
} rows[ROWS];
static u64 left_out;

static const char *const names[EXIT_NR_KINDS] = {
	[EXIT_NONE] = "none",
	[EXIT_INTERRUPT] = "interrupt",
	[EXIT_PREEMPT] = "preempt",
	[EXIT_CPUID] = "cpuid",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_IO] = "io",
	[EXIT_RDMSR] = "rdmsr",
	[EXIT_WRMSR] = "wrmsr",
	[EXIT_HLT] = "hlt",
	[EXIT_PAUSE] = "pause",
	[EXIT_P2M_FAULT] = "fault",
	[EXIT_CR8] = "cr8",
	[EXIT_INTERRUPT_WINDOW] = "interrupt-window",
	[EXIT_NMI_WINDOW] = "nmi-window",
};

/* The port (bit 16: read), MSR, leaf or device register; for RAM, the kind of access. */
static u32 detail(const struct vcpu *v, const struct vmexit *e)
{
	switch (e->kind) {
	case EXIT_IO:
		return (u32)e->io.port | (e->io.in ? BIT(16) : 0);
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		return (u32)v->gpr[GPR_RCX];
	case EXIT_CPUID:
		return (u32)v->gpr[GPR_RAX];
	case EXIT_P2M_FAULT:
		if (e->fault.gpa.v >= GIB(3) && e->fault.gpa.v < GIB(4))
			return (u32)e->fault.gpa.v;
		if (e->fault.gpa.v >= KIB(640) && e->fault.gpa.v < MIB(1)) /* adapters, firmware */
			return (u32)e->fault.gpa.v & ~(u32)PAGE_MASK;
		return e->fault.exec ? 3 : e->fault.write ? 2 : 1;
	default:
		return 0;
	}
}

static void print(u32 mark)
{
	for (u32 i = 0; i < ROWS; i++)
		if (rows[i].exits)
			log_raw("@count mark=%u kind=%s detail=%x exits=%lu", mark,
				names[rows[i].kind] ?: "other", rows[i].detail, rows[i].exits);
	log_raw("@counted mark=%u left=%lu", mark, left_out);
	memset(rows, 0, sizeof(rows));
	left_out = 0;
}

void exit_count(struct vcpu *v, const struct vmexit *e)
{
	u32 what = detail(v, e), at = (what ^ what >> 9 ^ (u32)e->kind * 37) % ROWS;

	if (e->kind == EXIT_IO && e->io.port == PORT_COUNT) {
		print((u32)v->gpr[GPR_RAX] & 0xff);
		return;
	}
	for (u32 i = 0; i < ROWS; i++) {
		struct row *r = &rows[(at + i) % ROWS];

		if (r->exits && (r->kind != (u32)e->kind || r->detail != what))
			continue;
		*r = (struct row){ (u32)e->kind, what, r->exits + 1 };
		return;
	}
	left_out++;
}
