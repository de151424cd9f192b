/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every privileged instruction from ring 3: each is refused as the manuals say, and leaves the
 * kernel's registers as they were. Many exit, and the hypervisor must check the privilege level.
 */
#include "case.h"

#define UD 6
#define GP 13
#define UD_OR_GP 255 /* both are right: it depends on other features of the CPU */

/* Behind the instruction: a fault that none of them raises, and so "it was carried out". */
#define CARRIED_OUT 0
#define INSN(name, text)                                                                      \
	static void name(void)                                                                \
	{                                                                                     \
		__asm__ volatile(text "\n\txor %%ecx, %%ecx; div %%ecx" ::"a"(0ul), "c"(0ul), \
				 "d"(0ul)                                                     \
				 : "rbx", "rsi", "rdi", "memory", "cc");                      \
	}

INSN(hlt, "hlt")
INSN(cli, "cli")
INSN(sti, "sti")
INSN(clts, "clts")
INSN(lmsw, "lmsw %%ax")
INSN(invd, "invd")
INSN(wbinvd, "wbinvd")
INSN(wbnoinvd, ".byte 0xf3, 0x0f, 0x09")
INSN(invlpg, "invlpg (%%rax)")
INSN(swapgs, "swapgs")
INSN(sysret, "sysretq")
INSN(read_cr0, "mov %%cr0, %%rax")
INSN(read_cr2, "mov %%cr2, %%rax")
INSN(read_cr3, "mov %%cr3, %%rax")
INSN(read_cr4, "mov %%cr4, %%rax")
INSN(read_cr8, "mov %%cr8, %%rax")
INSN(write_cr0, "mov %%rax, %%cr0")
INSN(write_cr2, "mov %%rax, %%cr2")
INSN(write_cr3, "mov %%rax, %%cr3")
INSN(write_cr4, "mov %%rax, %%cr4")
INSN(write_cr8, "mov $3, %%eax; mov %%rax, %%cr8")
INSN(read_dr7, "mov %%dr7, %%rax")
INSN(write_dr7, "mov %%rax, %%dr7")
INSN(lgdt, "lgdt (%%rsp)")
INSN(lidt, "lidt (%%rsp)")
INSN(lldt, "lldt %%ax")
INSN(ltr, "ltr %%ax")
INSN(in_byte, "inb $0x71, %%al")
INSN(out_byte, "outb %%al, $0xf4") /* the exit port: it would end the VM */
INSN(in_string, "mov $0x71, %%edx; lea -64(%%rsp), %%rdi; insb")
INSN(out_string, "mov $0xf4, %%edx; lea -64(%%rsp), %%rsi; outsb")
INSN(rdmsr_apic, "mov $0x1b, %%ecx; rdmsr")
INSN(wrmsr_apic, "mov $0x1b, %%ecx; wrmsr")
INSN(wrmsr_tsc, "mov $0x10, %%ecx; wrmsr")
INSN(wrmsr_deadline, "mov $0x6e0, %%ecx; wrmsr")
INSN(wrmsr_eoi, "mov $0x80b, %%ecx; wrmsr")
INSN(wrmsr_efer, "mov $0xc0000080, %%ecx; wrmsr")
INSN(wrmsr_own, "mov $0xc0000102, %%ecx; wrmsr") /* one that does not exit */
INSN(rdpmc, "rdpmc")
INSN(xsetbv, "mov $1, %%eax; xsetbv")
INSN(xsaves, "lea -4096(%%rsp), %%rdi; and $-64, %%rdi; xsaves (%%rdi)")
INSN(monitor, "monitor")
INSN(mwait, "mwait")
INSN(invpcid, "lea -64(%%rsp), %%rsi; invpcid (%%rsi), %%rax")
INSN(vmcall, "vmcall")
INSN(vmmcall, "vmmcall")
INSN(vmxon, "vmxon -8(%%rsp)")
INSN(vmclear, "vmclear -8(%%rsp)")
INSN(vmptrld, "vmptrld -8(%%rsp)")
INSN(vmread, "vmread %%rax, %%rcx")
INSN(vmwrite, "vmwrite %%rax, %%rcx")
INSN(vmlaunch, "vmlaunch")
INSN(vmxoff, "vmxoff")
INSN(invept, "invept -64(%%rsp), %%rax")
INSN(vmfunc, "vmfunc")
INSN(vmrun, "vmrun")
INSN(vmload, "vmload")
INSN(vmsave, "vmsave")
INSN(stgi, "stgi")
INSN(clgi, "clgi")
INSN(invlpga, "invlpga %%rax, %%ecx")
INSN(skinit, "skinit")
INSN(rdpru, ".byte 0x0f, 0x01, 0xfd")
INSN(invlpgb, ".byte 0x0f, 0x01, 0xfe")
INSN(tlbsync, ".byte 0x0f, 0x01, 0xff")
INSN(getsec, "getsec")
INSN(rsm, "rsm")
INSN(encls, ".byte 0x0f, 0x01, 0xcf")
INSN(tdcall, ".byte 0x66, 0x0f, 0x01, 0xcc")
INSN(seamcall, ".byte 0x66, 0x0f, 0x01, 0xcf")
INSN(int_gate, "int $0x60")

static const struct {
	const char *name;
	void (*run)(void);
	int vector;
} all[] = {
#define ROW(name, vector)           \
	{                           \
#name, name, vector \
	}
	ROW(hlt, GP),
	ROW(cli, GP),
	ROW(sti, GP),
	ROW(clts, GP),
	ROW(lmsw, GP),
	ROW(invd, GP),
	ROW(wbinvd, GP),
	ROW(wbnoinvd, GP),
	ROW(invlpg, GP),
	ROW(swapgs, GP),
	ROW(sysret, GP),
	ROW(read_cr0, GP),
	ROW(read_cr2, GP),
	ROW(read_cr3, GP),
	ROW(read_cr4, GP),
	ROW(read_cr8, GP),
	ROW(write_cr0, GP),
	ROW(write_cr2, GP),
	ROW(write_cr3, GP),
	ROW(write_cr4, GP),
	ROW(write_cr8, GP),
	ROW(read_dr7, GP),
	ROW(write_dr7, GP),
	ROW(lgdt, GP),
	ROW(lidt, GP),
	ROW(lldt, GP),
	ROW(ltr, GP),
	ROW(in_byte, GP),
	ROW(out_byte, GP),
	ROW(in_string, GP),
	ROW(out_string, GP),
	ROW(rdmsr_apic, GP),
	ROW(wrmsr_apic, GP),
	ROW(wrmsr_tsc, GP),
	ROW(wrmsr_deadline, GP),
	ROW(wrmsr_eoi, GP),
	ROW(wrmsr_efer, GP),
	ROW(wrmsr_own, GP),
	ROW(rdpmc, GP),
	ROW(xsetbv, GP),
	ROW(xsaves, UD_OR_GP),
	ROW(monitor, UD_OR_GP),
	ROW(mwait, UD_OR_GP),
	ROW(invpcid, UD_OR_GP),
	ROW(vmcall, UD),
	ROW(vmmcall, UD),
	ROW(vmxon, UD_OR_GP),
	ROW(vmclear, UD_OR_GP),
	ROW(vmptrld, UD_OR_GP),
	ROW(vmread, UD_OR_GP),
	ROW(vmwrite, UD_OR_GP),
	ROW(vmlaunch, UD_OR_GP),
	ROW(vmxoff, UD_OR_GP),
	ROW(invept, UD_OR_GP),
	ROW(vmfunc, UD),
	ROW(vmrun, UD_OR_GP),
	ROW(vmload, UD_OR_GP),
	ROW(vmsave, UD_OR_GP),
	ROW(stgi, UD_OR_GP),
	ROW(clgi, UD_OR_GP),
	ROW(invlpga, UD_OR_GP),
	ROW(skinit, UD_OR_GP),
	ROW(rdpru, UD_OR_GP),
	ROW(invlpgb, UD_OR_GP),
	ROW(tlbsync, UD_OR_GP),
	ROW(getsec, UD_OR_GP),
	ROW(rsm, UD),
	ROW(encls, UD_OR_GP),
	ROW(tdcall, UD_OR_GP),
	ROW(seamcall, UD_OR_GP),
	ROW(int_gate, GP),
};

struct kernel {
	u64 cr0, cr3, cr4, cr8, dr7, xcr0, base, efer, kernel_gs;
};

static bool has_xsave;

static struct kernel look(void)
{
	struct kernel k = { .base = bare_rdmsr(0x1b),
			    .efer = bare_rdmsr(0xc0000080),
			    .kernel_gs = bare_rdmsr(0xc0000102) };
	u32 lo = 0, hi = 0;

	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2; mov %%cr8, %3; mov %%dr7, %4"
			 : "=r"(k.cr0), "=r"(k.cr3), "=r"(k.cr4), "=r"(k.cr8), "=r"(k.dr7));
	if (has_xsave)
		__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	k.xcr0 = (u64)hi << 32 | lo;
	return k;
}

/* XCR0 with more bits than a process would set, so that its XSETBV shows. */
static void enable_xsave(void)
{
	u64 cr4;
	u32 r[4];

	bare_cpuid(1, 0, r);
	has_xsave = r[2] >> 26 & 1;
	if (!has_xsave)
		return;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1ul << 18));
	__asm__ volatile("xsetbv" ::"c"(0), "a"(3), "d"(0));
}

static int sweep(void)
{
	struct kernel before, after;
	int wrong = 0;

	enable_xsave();
	bare_wrmsr(0xc0000102, 0x1234);
	before = look();
	for (u32 i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int want = all[i].vector, got;

		if (all[i].run == xsetbv && !has_xsave)
			want = UD;
		got = bare_catch_user(all[i].run);
		if (got == want || (want == UD_OR_GP && (got == UD || got == GP)))
			continue;
		wrong = 1;
		if (got == CARRIED_OUT)
			bare_printf("FAIL %s from ring 3 is carried out\n", all[i].name);
		else
			bare_printf("FAIL %s from ring 3: exception %d\n", all[i].name, got);
	}
	after = look();
	CHECK_EQ(after.cr0, before.cr0);
	CHECK_EQ(after.cr3, before.cr3);
	CHECK_EQ(after.cr4, before.cr4);
	CHECK_EQ(after.cr8, before.cr8);
	CHECK_EQ(after.dr7, before.dr7);
	CHECK_EQ(after.xcr0, before.xcr0);
	CHECK_EQ(after.base, before.base);
	CHECK_EQ(after.efer, before.efer);
	CHECK_EQ(after.kernel_gs, before.kernel_gs);
	return wrong;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "sweep", sweep },
		{ NULL, NULL },
	};

	return run_case(cases);
}
