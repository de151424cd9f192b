/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions of the host: print a dump that a person can read, and stop the machine. */
#include <stdarg.h>

#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mce.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/pc/power.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/trap.h>
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>

static u32 panicking; /* CPU + 1 */

const char *exception_name(u32 vector)
{
	/* clang-format off */
	static const char *const names[32] = {
		"#DE divide error", "#DB debug", "NMI", "#BP breakpoint",
		"#OF overflow", "#BR bound range", "#UD invalid opcode", "#NM no FPU",
		"#DF double fault", "vector 9", "#TS invalid TSS", "#NP segment not present",
		"#SS stack fault", "#GP general protection", "#PF page fault", "vector 15",
		"#MF x87 error", "#AC alignment check", "#MC machine check", "#XM SIMD error",
		"#VE virtualization", "#CP control protection", "vector 22", "vector 23",
		"vector 24", "vector 25", "vector 26", "vector 27",
		"#HV hypervisor injection", "#VC VMM communication", "#SX security", "vector 31",
	};
	/* clang-format on */

	return vector < 32 ? names[vector] : "interrupt";
}

/* Made by the build (tools/symbols): functions by address, each by its distance from the one before. */
extern const u32 symbol_first; /* from the image's start */
extern const u32 symbol_count;
extern const u16 symbol_steps[];
extern const char symbol_names[];
extern u8 __image_start[], __text_end[];

static bool in_text(u64 addr)
{
	return addr >= (u64)__image_start && addr < (u64)__text_end;
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	u64 at = (u64)__image_start + symbol_first;
	const char *name = symbol_names;

	*offset = 0;
	if (!in_text(addr) || !symbol_count || addr < at)
		return "?";
	for (u32 i = 0; i + 1 < symbol_count && at + symbol_steps[i] <= addr; i++) {
		at += symbol_steps[i];
		name += strlen(name) + 1;
	}
	*offset = addr - at;
	return name;
}

static bool on_stack(u64 p)
{
	return (p >= VA_STACKS && p < VA_STACKS + GIB(1)) || p >= VA_IMAGE;
}

void backtrace(u64 rip, u64 rbp)
{
	u64 offset;

	for (int depth = 0; depth < 16 && in_text(rip); depth++) {
		const char *name = symbol_lookup(rip, &offset);

		log_raw("  %2d %lx %s+0x%lx", depth, rip, name, offset);
		if (!on_stack(rbp) || rbp & 7)
			break;
		rip = ((u64 *)rbp)[1];
		rbp = ((u64 *)rbp)[0];
	}
}

static void __attribute__((noreturn)) stop(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

/* The first CPU that panics prints; it stops the others by NMI. */
static void panic_enter(void)
{
	if (!atomic_cas(&panicking, 0u, this_cpu()->id + 1))
		stop();
	log_bust_lock();
	apic_nmi_others();
}

static void __attribute__((noreturn)) panic_exit(void)
{
	log_raw("@halt status=255");
	log_raw("Aerostat has stopped. Please report the lines above; docs/debugging.md says how to read them.");
	/* On hardware the screen stays, for a photograph; under an emulator the run ends. */
	if (cpuid(1, 0).c & BIT(31))
		power_try_off();
	power_end_bochs();
	stop();
}

static void dump(const struct trap_frame *f)
{
	u64 offset;
	const char *name = symbol_lookup(f->rip, &offset);

	log_raw("*** CPU %u: %s in the hypervisor, error code %lx", this_cpu()->id,
		exception_name((u32)f->vector), f->error);
	log_raw("  rip %016lx %s+0x%lx  cs %lx  rflags %lx", f->rip, name, offset, f->cs,
		f->rflags);
	log_raw("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	log_raw("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
	log_raw("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
	log_raw("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
	log_raw("  cr0 %lx cr2 %016lx cr3 %lx cr4 %lx", read_cr0(), read_cr2(), read_cr3(),
		read_cr4());
	/* The CPU jumped to an address without code: the function that jumped is on the stack. */
	if (!in_text(f->rip) && on_stack(f->rsp))
		backtrace(*(const u64 *)f->rsp, f->rbp);
	else
		backtrace(f->rip, f->rbp);
}

struct fixup {
	u64 fault, resume;
};
extern const struct fixup __ex_table[], __ex_table_end[];

static bool fixed_up(struct trap_frame *f)
{
	for (const struct fixup *x = __ex_table; x < __ex_table_end; x++)
		if (x->fault == f->rip) {
			f->rip = x->resume;
			return true;
		}
	return false;
}

u32 nmi_count;

/* The NMI may have interrupted the holder of the log's lock: only count it, others print. */
static void nmi(void)
{
	if (atomic_load(&panicking))
		stop();
	atomic_add(&nmi_count, 1);
}

void trap_handler(struct trap_frame *f)
{
	if (f->vector >= 32) {
		host_interrupt((u32)f->vector);
		return;
	}
	if (f->vector == 2) {
		nmi();
		return;
	}
	if (f->vector == 13 && fixed_up(f))
		return;
	panic_enter();
	if (f->vector == 18)
		mce_report(false);
	dump(f);
	panic_exit();
}

void plat_panic(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	panic_enter();
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_raw("*** CPU %u: %s", this_cpu()->id, text);
	backtrace((u64)__builtin_return_address(0), *(const u64 *)__builtin_frame_address(0));
	panic_exit();
}
