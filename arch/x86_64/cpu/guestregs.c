/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/cpu/guestregs.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/regs.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <mm/frame.h>

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define FXSAVE_SIZE 512
#define DR6_INIT 0xffff0ff0

static struct {
	bool xsave;
	bool tsc_aux;
	bool x87_leaks; /* restoring a state may leave the last VM's x87 pointers */
	u64 mask;
	u32 size;
	unsigned int order;
} host;

#define GUEST_SWITCHED_MSRS 11
#define GUEST_COMMANDS 2 /* added by guestregs_probe() where the CPU has them */

u32 nr_guest_own_msrs;
u32 guest_own_msrs[] = {
	MSR_FS_BASE,
	MSR_GS_BASE,
	MSR_KERNEL_GS_BASE,
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_FMASK,
	MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP,
	MSR_TSC_AUX,
	[GUEST_SWITCHED_MSRS + GUEST_COMMANDS - 1] = 0,
};

static const u32 msrs[GMSR_NR] = {
	[GMSR_STAR] = MSR_STAR,
	[GMSR_LSTAR] = MSR_LSTAR,
	[GMSR_CSTAR] = MSR_CSTAR,
	[GMSR_FMASK] = MSR_FMASK,
	[GMSR_KERNEL_GS] = MSR_KERNEL_GS_BASE,
	[GMSR_TSC_AUX] = MSR_TSC_AUX,
};

/*
 * AMD's CPUs restore FIP, FDP and FOP only with a pending exception, unless CPUID says otherwise
 * (XSA-52). APM: "CPUID Fn8000_0008_EBX", XSaveErPtr.
 */
static bool x87_leaks(void)
{
	const u32 authentic_amd = 0x68747541, hygon_genuine = 0x6f677948;
	u32 vendor = cpuid(0, 0).b;

	if (vendor != authentic_amd && vendor != hygon_genuine)
		return false;
	return cpuid(0x80000000, 0).a < 0x80000008 || !(cpuid(0x80000008, 0).b & BIT(2));
}

/* Loads an integer, so that the pointers are ours.  Linux: X86_BUG_FXSAVE_LEAK. */
static void overwrite_x87_pointers(void)
{
	static const u32 zero;

	asm volatile("fnclex\n"
		     "emms\n"
		     "fildl %0" ::"m"(zero));
}

void guestregs_probe(void)
{
	host.xsave = cpuid(1, 0).c & BIT(26);
	host.tsc_aux = cpuid(0x80000001, 0).d & BIT(27);
	host.x87_leaks = x87_leaks();
	host.size = FXSAVE_SIZE;
	if (host.xsave) {
		struct cpuid_regs d = cpuid(0xd, 0);
		u64 has = d.a;

		host.mask = has & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
		if ((has & XCR0_AVX512) == XCR0_AVX512)
			host.mask |= XCR0_AVX512;
		xsetbv(0, host.mask);
		host.size = cpuid(0xd, 0).b;
	}
	while (PAGE_SIZE << host.order < host.size)
		host.order++;
	nr_guest_own_msrs = GUEST_SWITCHED_MSRS;
	if (mitigations.has_ibpb)
		guest_own_msrs[nr_guest_own_msrs++] = MSR_IA32_PRED_CMD;
	if (mitigations.has_flush_cmd)
		guest_own_msrs[nr_guest_own_msrs++] = MSR_IA32_FLUSH_CMD;
	log_line("cpu: extended state %s, %u bytes a vCPU, XCR0 mask %lx",
		 host.xsave ? "by XSAVE" : "by FXSAVE", host.size, host.mask);
}

void guestregs_cpu_init(void)
{
	if (host.xsave)
		xsetbv(0, host.mask);
}

u64 guestregs_xcr0_mask(void)
{
	return host.mask;
}

/* The state after reset: SDM, "Processor State After Reset" and the XSAVE header. */
int guestregs_init(struct guestregs *g)
{
	u8 *x = frame_alloc_pages(host.order);

	if (!x)
		return HV_ENOMEM;
	*(u16 *)x = 0x37f;	   /* FCW */
	*(u32 *)(x + 24) = 0x1f80; /* MXCSR */
	*g = (struct guestregs){ .xcr0 = XCR0_X87, .dr6 = DR6_INIT, .xsave = x };
	return HV_OK;
}

void guestregs_destroy(struct guestregs *g)
{
	frame_free_pages(g->xsave);
	g->xsave = NULL;
}

void guestregs_load(const struct guestregs *g)
{
	if (host.x87_leaks)
		overwrite_x87_pointers();
	if (host.xsave) {
		xsetbv(0, host.mask);
		asm volatile("xrstor64 (%0)" ::"r"(g->xsave), "a"((u32)host.mask),
			     "d"((u32)(host.mask >> 32))
			     : "memory");
		xsetbv(0, g->xcr0);
	} else {
		asm volatile("fxrstor64 (%0)" ::"r"(g->xsave) : "memory");
	}
	write_dr0(g->dr[0]);
	write_dr1(g->dr[1]);
	write_dr2(g->dr[2]);
	write_dr3(g->dr[3]);
	write_dr6(g->dr6);
	write_cr2(g->cr2);
	for (int i = 0; i < GMSR_NR; i++)
		if (i != GMSR_TSC_AUX || host.tsc_aux)
			wrmsr(msrs[i], g->msr[i]);
}

/*
 * Marks an x87 that holds only its initial state, so that XRSTOR initialises it instead of loading
 * it. That is less work, and it avoids a bug of QEMU 7.2: loading an x87 status on any CPU clears
 * the first CPU's IGNNE by an update that is not atomic. Now and then the update undoes a flag that
 * the first CPU changes at that moment, such as "nested paging is on".
 */
static void drop_initial_x87(u64 *image)
{
	u64 used = (image[0] ^ 0x37f) | image[1] | image[2]; /* FCW FSW FTW FOP, FIP, FDP */

	for (int i = 4; i < 20; i++) /* ST0 to ST7 */
		used |= image[i];
	if (!used)
		image[FXSAVE_SIZE / 8] &= ~XCR0_X87; /* XSTATE_BV */
}

/* SDM: "XSETBV": the values that raise #GP */
static bool xcr0_valid(u64 value)
{
	if (!(value & XCR0_X87) || value & ~host.mask)
		return false;
	if (value & XCR0_AVX && !(value & XCR0_SSE))
		return false;
	return !(value & XCR0_AVX512) || ((value & XCR0_AVX512) == XCR0_AVX512 && value & XCR0_AVX);
}

void guestregs_save(struct guestregs *g)
{
	if (host.xsave) {
		/* QEMU 7.2 does not intercept XSETBV: the guest may have changed XCR0 unseen. */
		if (xcr0_valid(xgetbv(0)))
			g->xcr0 = xgetbv(0);
		xsetbv(0, host.mask);
		asm volatile("xsave64 (%0)" ::"r"(g->xsave), "a"((u32)host.mask),
			     "d"((u32)(host.mask >> 32))
			     : "memory");
		drop_initial_x87(g->xsave);
	} else {
		asm volatile("fxsave64 (%0)" ::"r"(g->xsave) : "memory");
	}
	g->dr[0] = read_dr0();
	g->dr[1] = read_dr1();
	g->dr[2] = read_dr2();
	g->dr[3] = read_dr3();
	g->dr6 = read_dr6();
	g->cr2 = read_cr2();
	for (int i = 0; i < GMSR_NR; i++)
		if (i != GMSR_TSC_AUX || host.tsc_aux)
			g->msr[i] = rdmsr(msrs[i]);
}

void guestregs_init_debug(void)
{
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
	write_dr6(DR6_INIT);
	write_cr2(0);
}

bool guestregs_set_xcr0(struct guestregs *g, u32 index, u64 value)
{
	if (!host.xsave || index || !xcr0_valid(value))
		return false;
	g->xcr0 = value;
	xsetbv(0, value);
	return true;
}
