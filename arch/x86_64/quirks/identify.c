/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/identify.h>
#include <arch/x86_64/cpu/regs.h>

/* SDM: "Determining the Signature" of microcode; APM: "Microcode patch level". */
static u32 microcode_revision(bool intel)
{
	u64 v;

	if (intel && wrmsr_safe(MSR_IA32_BIOS_SIGN_ID, 0))
		cpuid(1, 0);
	rdmsr_safe(MSR_IA32_BIOS_SIGN_ID, &v);
	return intel ? (u32)(v >> 32) : (u32)v;
}

/* "Version Information" of leaf 1 */
static void read_version(struct cpu_id *c)
{
	struct cpuid_regs one = cpuid(1, 0);
	u32 a = one.a;

	c->hypervisor = one.c & BIT(31);
	c->signature = a;
	c->stepping = a & 15;
	c->family = a >> 8 & 15;
	c->model = a >> 4 & 15;
	if (c->family == 6 || c->family == 15)
		c->model |= a >> 12 & 0xf0;
	if (c->family == 15)
		c->family += a >> 20 & 0xff;
}

void cpu_identify(struct cpu_id *c)
{
	struct cpuid_regs r = cpuid(0, 0);
	u32 top = r.a, ext = cpuid(0x80000000, 0).a;

	*c = (struct cpu_id){
		.intel = r.b == 0x756e6547,		       /* Genu */
		.amd = r.b == 0x68747541 || r.b == 0x6f677948, /* Auth, Hygo */
	};
	read_version(c);
	c->intel = c->intel && c->family == 6;
	c->microcode = microcode_revision(c->intel);
	if (top >= 7) {
		r = cpuid(7, 0);
		c->seven_ebx = r.b;
		c->seven_edx = r.d;
		if (r.a >= 2)
			c->seven2_edx = cpuid(7, 2).d;
	}
	if (ext >= 0x80000008)
		c->ext8_ebx = cpuid(0x80000008, 0).b;
	if (ext >= 0x80000021) {
		r = cpuid(0x80000021, 0);
		c->ext21_eax = r.a;
		c->ext21_ecx = r.c;
	}
	if (c->seven_edx & SEVEN_EDX_ARCH_CAPS)
		rdmsr_safe(MSR_IA32_ARCH_CAPABILITIES, &c->arch_caps);
}
