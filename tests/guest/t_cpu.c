/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU that a guest sees: CPUID, MSRs, registers that must not leak, ends of all kinds. */
#include "privileged.h"

#define EAX 0
#define EBX 1
#define ECX 2
#define EDX 3

static int cpuid_policy(void)
{
	u32 r[4];

	bare_cpuid(1, 0, r);
	CHECK(r[ECX] >> 31);	     /* under a hypervisor */
	CHECK(!(r[ECX] & 1u << 5));  /* no VMX */
	CHECK(r[ECX] & 1u << 21);    /* x2APIC */
	CHECK(!(r[ECX] & 1u << 27)); /* OSXSAVE follows CR4 */
	CHECK(!(r[EDX] & 1u << 14)); /* no MCA */
	CHECK_EQ(r[EBX] >> 24, 0);
	bare_cpuid(0x80000001, 0, r);
	CHECK(!(r[ECX] & 1u << 2)); /* no SVM */
	CHECK(r[EDX] & 1u << 29);   /* long mode */
	bare_cpuid(0x80000008, 0, r);
	CHECK_EQ(r[EAX] >> 8 & 0xff, 48); /* no LA57 */
	bare_cpuid(AERO_CPUID_BASE, 0, r);
	CHECK_EQ(r[EBX], AERO_SIGNATURE_EBX);
	CHECK_EQ(r[ECX], AERO_SIGNATURE_ECX);
	CHECK_EQ(r[EDX], AERO_SIGNATURE_EDX);
	bare_cpuid(AERO_CPUID_ABI, 0, r);
	CHECK_EQ(r[EAX], AERO_ABI_VERSION);
	CHECK(r[ECX] == AERO_INSTRUCTION_VMCALL || r[ECX] == AERO_INSTRUCTION_VMMCALL);
	CHECK_EQ(r[EDX], AERO_BATCH_MAX);
	bare_cpuid(0x40000100, 0, r); /* KVM's clock */
	CHECK_EQ(r[EAX], 0x40000101);
	CHECK_EQ(r[EBX], 0x4b4d564b);
	CHECK_EQ(r[ECX], 0x564b4d56);
	CHECK_EQ(r[EDX], 0x4d);
	for (u32 leaf = 0x400000f0; leaf < 0x40000110; leaf++) {
		bare_cpuid(leaf, 0, r);
		CHECK(leaf == 0x40000100 || !(r[EBX] | r[ECX] | r[EDX]));
	}
	/* Every leaf has an answer, even one that does not exist. */
	for (u32 i = 0; i < 64; i++)
		bare_cpuid(i * 0x04000001u, i, r);
	return 0;
}

/* Faults push RF, so that a breakpoint at the instruction does not stop code that returns there. */
static int resume_flag(void)
{
	msr = 0xdeadbeef;
	CHECK_EQ(bare_catch(read_msr), 13);
	CHECK(bare_caught_rflags & 1 << 16);
	CHECK_EQ(bare_catch(vmrun), 6);
	CHECK(bare_caught_rflags & 1 << 16);
	CHECK_EQ(bare_catch(bad_cr0), 13);
	CHECK(bare_caught_rflags & 1 << 16);
	return 0;
}

/* A guest reads from control registers the value that it wrote, whatever value the CPU uses. */
static int control_bits(void)
{
	static const u64 flips[] = { 1ul << 5, 1ul << 30, 3ul << 29, 3ul << 29 | 1ul << 5 };
	u64 cr0 = cr0_read(), cr4 = cr4_read(), v = 0;
	u16 word;

	for (u32 i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		u64 want = cr0 ^ flips[i]; /* NE; CD; CD and NW; all three */

		__asm__ volatile("mov %0, %%cr0" ::"r"(want));
		CHECK_EQ(cr0_read(), want);
		__asm__ volatile("mov %0, %%cr0" ::"r"(want | 8)); /* TS, then CLTS */
		CHECK_EQ(cr0_read(), want | 8);
		__asm__ volatile("clts");
		CHECK_EQ(cr0_read(), want);
		__asm__ volatile("smsw %k0" : "+r"(v));
		CHECK_EQ(v & 0xffff, want & 0xffff);
		v = ~0ul;
		__asm__ volatile("smsw %w0" : "+r"(v));
		CHECK_EQ(v, (want & 0xffff) | ~0xfffful);
		__asm__ volatile("smsw %0" : "=m"(word)); /* may show NE as the CPU has it */
		CHECK_EQ(word & ~0x20u, want & 0xffdf);
		__asm__ volatile("mov %0, %%cr0" ::"r"(cr0));
		CHECK_EQ(cr0_read(), cr0);
	}
	for (u32 i = 0; i < 2; i++) {
		cr4 ^= 1ul << 6; /* MCE */
		__asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
		CHECK_EQ(cr4_read(), cr4);
	}
	return 0;
}

static int privileged(void)
{
	static const u32 none[] = { 0x0,	0x3a,	    0x480,	0x48b,
				    0xc0010117, 0xc0010114, 0x400000f0, 0xdeadbeef };
	u64 cr0, cr4;
	u32 r[4];

	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		msr = none[i];
		CHECK_EQ(bare_catch(read_msr), 13);
		CHECK_EQ(bare_catch(write_msr), 13);
	}
	/* Linux reads MSRs that AMD's CPUs have without a CPUID bit. */
	bare_cpuid(0, 0, r);
	for (msr = 0xc0010000; msr <= 0xc0010007; msr++)
		CHECK_EQ(bare_catch(read_msr), r[ECX] == 0x444d4163 ? -1 : 13);
	msr = 0xc0010055;
	CHECK_EQ(bare_catch(read_msr), r[ECX] == 0x444d4163 ? -1 : 13);
	msr = 0xc0000080; /* EFER with reserved bits */
	CHECK_EQ(bare_catch(write_msr), 13);
	msr = 0x1b;
	CHECK_EQ(bare_catch(write_msr), 13);
	CHECK_EQ(bare_catch(vmxon), 6);
	CHECK_EQ(bare_catch(vmrun), 6);
	CHECK_EQ(bare_catch(set_vmxe), 13);
	CHECK_EQ(bare_catch(rdpmc), 13); /* no counter 0 */
	CHECK_EQ(bare_catch(bad_cr0), 13);
	CHECK_EQ(bare_catch(bad_xcr0), 13);
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	CHECK_EQ(cr0 & 0x80000021, 0x80000021);
	CHECK(!(cr4 & 1ul << 13));
	return 0;
}

/*
 * Registers that a VM leaves behind on a CPU. The planter fills them all with its pattern and
 * waits, again and again; the searcher checks its registers after each sleep. They share CPUs.
 */
#define PLANT 0x5eC2e75eC2e75eC2ul

static void plant(void)
{
	u64 cr4, v = PLANT;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1ul << 9));
	for (u32 m = 0xc0000081; m <= 0xc0000083; m++)
		bare_wrmsr(m, m == 0xc0000081 ? v : v & 0x7fffffffffff);
	bare_wrmsr(0xc0000102, v & 0x7fffffffffff);
	bare_wrmsr(0xc0000103, (u32)v);
	bare_wrmsr(0x175, v & 0x7fffffffffff);
	__asm__ volatile(
		"mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %0, %%cr2" ::"r"(
			v));
	__asm__ volatile(
		"movq %0, %%xmm0; movq %0, %%xmm5; movq %0, %%xmm15; movq %0, %%mm3" ::"r"(v)
		: "memory");
}

static bool planted_here(void)
{
	u64 d[4], cr2, x[3], m, kernel_gs, lstar;

	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]));
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	__asm__ volatile("movq %%xmm0, %0; movq %%xmm5, %1; movq %%xmm15, %2; movq %%mm3, %3"
			 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(m));
	kernel_gs = bare_rdmsr(0xc0000102);
	lstar = bare_rdmsr(0xc0000082);
	return d[0] == PLANT || d[1] == PLANT || d[2] == PLANT || d[3] == PLANT || cr2 == PLANT ||
	       x[0] == PLANT || x[1] == PLANT || x[2] == PLANT || m == PLANT ||
	       kernel_gs == (PLANT & 0x7fffffffffff) || lstar == (PLANT & 0x7fffffffffff) ||
	       bare_rdmsr(0xc0000081) == PLANT || (u32)bare_rdmsr(0xc0000103) == (u32)PLANT ||
	       bare_rdmsr(0x175) == (PLANT & 0x7fffffffffff);
}

static void enable_sse(void)
{
	u64 cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" ::"r"((cr0 & ~0xcul) | 2));
}

static int planter(void)
{
	enable_sse();
	for (int i = 0; i < 50; i++) {
		plant();
		bare_sleep_us(500);
		CHECK(planted_here()); /* and ours are still ours */
	}
	return 0;
}

static int searcher(void)
{
	enable_sse();
	for (int i = 0; i < 100; i++) {
		CHECK(!planted_here());
		bare_sleep_us(250);
	}
	return 0;
}

/* --- speculation controls: as CPUID says, each VM its own -------------------------------- */

static u64 msr_new;

static void write_new(void)
{
	bare_wrmsr(msr, msr_new);
}

static int catch_write(u32 number, u64 value)
{
	msr = number;
	msr_new = value;
	return bare_catch(write_new);
}

static int spec_ctrl(void)
{
	u64 mine = (u64)bare_arg_number("value", 0), bits = 0;
	u32 r[4], seven = 0, amd = 0;

	bare_cpuid(0, 0, r);
	if (r[EAX] >= 7) {
		bare_cpuid(7, 0, r);
		seven = r[EDX];
	}
	bare_cpuid(0x80000008, 0, r);
	amd = r[EBX];
	bits |= seven & 1u << 26 || amd & 1u << 14 ? 1 : 0;
	bits |= seven & 1u << 27 || amd & 1u << 15 ? 2 : 0;
	bits |= seven & 1u << 31 || amd & 1u << 24 ? 4 : 0;
	bare_printf("IA32_SPEC_CTRL bits %lx, ARCH_CAPABILITIES %s\n", bits,
		    seven & 1u << 29 ? "there" : "not there");
	msr = 0x10a;
	CHECK_EQ(bare_catch(read_msr), seven & 1u << 29 ? -1 : 13);
	msr = 0x48;
	CHECK_EQ(bare_catch(read_msr), bits ? -1 : 13);
	CHECK_EQ(catch_write(0x48, ~bits), 13);
	CHECK_EQ(catch_write(0x49, 1), seven & 1u << 26 || amd & 1u << 12 ? -1 : 13);
	CHECK_EQ(catch_write(0x10b, 1), seven & 1u << 28 ? -1 : 13);
	if (!bits)
		return 0;
	CHECK_EQ(bare_rdmsr(0x48), 0); /* only our own value */
	for (int i = 0; i < 40; i++) {
		bare_wrmsr(0x48, mine & bits);
		bare_sleep_us(500);
		CHECK_EQ(bare_rdmsr(0x48), mine & bits);
	}
	return 0;
}

/* --- the time stamp counter is the guest's own ----------------------------------------- */

static volatile u32 ticks;

static void tick(void)
{
	ticks++;
}

/* Sets the counter to @value, a deadline @step later, and the counter back by @step. */
static void set_back(u64 value, u64 step)
{
	bare_wrmsr(0x10, value);
	bare_apic_timer(value + step, 0x60);
	bare_wrmsr(0x10, value - step);
}

static int write_tsc(void)
{
	static const u64 values[] = { 1ul << 36, 1ul << 48, 0x123456789abcdef0 };
	u64 step = 20 * bare_tsc_khz(), now;
	u32 before;

	bare_on_interrupt(0x60, tick);
	for (u32 i = 0; i < 3; i++) {
		bare_wrmsr(0x10, values[i]);
		now = bare_rdtsc();
		CHECK(now >= values[i] && bare_rdmsr(0x10) >= now);
		/* The timer's deadline follows this counter, also if that is set back. */
		set_back(values[i], step);
		while (bare_rdmsr(0x823) & 1) { /* too late: the emulator was away */
			bare_take_interrupts();
			set_back(values[i], step);
		}
		before = ticks;
		while (ticks == before)
			__asm__ volatile("sti; hlt; cli");
		CHECK(bare_rdtsc() >= values[i] + step);
	}
	return 0;
}

/* --- single-stepping: each instruction traps once, those that exit too ---------------- */

static volatile u32 steps;

static int single_step(void)
{
	u32 before;

	bare_on_step(&steps);
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq\n" /* TF from the next one on */
			 "xor %%eax, %%eax\n"
			 "cpuid\n"
			 "nop\n"
			 "pushfq; andq $~0x100, (%%rsp); popfq\n" ::
				 : "rax", "rbx", "rcx", "rdx", "memory", "cc");
	before = steps;
	bare_on_step(NULL);
	/* xor, cpuid, nop, pushfq, andq, popfq */
	CHECK_EQ(before, 6);
	return 0;
}

/* --- ends ------------------------------------------------------------------------- */

static int triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
	return 0;
}

static int power_off(void)
{
	bare_power_off();
}

static int exit_42(void)
{
	bare_exit(42);
}

/* Never leaves the CPU by itself; another VM stops this one. */
static int spin(void)
{
	bare_printf("spinning\n");
	__asm__ volatile("cli; 1: jmp 1b");
	return 0;
}

/* Computes without exits, and lets interrupts in: counts how often it had to leave the CPU. */
static int shares_cpu(void)
{
	u64 ms = bare_tsc_khz(), now = bare_rdtsc(), end = now + 500 * ms;
	u32 gaps = 0;

	__asm__ volatile("sti");
	while (now < end) {
		u64 then = now;

		now = bare_rdtsc();
		gaps += now - then > ms;
	}
	__asm__ volatile("cli");
	bare_printf("left the CPU %u times in 500 ms\n", gaps);
	CHECK(gaps >= 20);
	return 0;
}

/* Watches a VM that spins, sleeps in between, and stops it. */
static int stopper(void)
{
	u32 id = (u32)bare_arg_number("id", 0);
	struct aero_result r;

	for (int i = 0; i < 20; i++)
		bare_sleep_us(2000);
	CHECK_EQ(vm_info(id).state, AERO_VM_RUNNING);
	bare_hypercall(AERO_CALL_PAUSE, id, 0, 0, &r);
	CHECK_EQ(r.status, 0);
	bare_hypercall(AERO_CALL_PAUSE, id, 0, 0, &r);
	CHECK_EQ(r.status, AERO_ERR_STATE);
	CHECK_EQ(vm_info(id).state, AERO_VM_PAUSED);
	bare_hypercall(AERO_CALL_RESUME, id, 0, 0, &r);
	CHECK_EQ(r.status, 0);
	bare_hypercall(AERO_CALL_STOP, id, 0, 0, &r);
	CHECK_EQ(r.status, 0);
	for (int i = 0; i < 1000 && vm_info(id).resident; i++)
		bare_sleep_us(1000);
	CHECK_EQ(vm_info(id).state, AERO_VM_ENDED);
	CHECK_EQ(vm_info(id).resident, 0);
	return audit();
}

static int no_memory_there(void)
{
	*(volatile u64 *)0xb0000000ul = 1; /* neither memory nor where devices are */
	return 0;
}

/* Lets two VMs (1 and 2) compete for a while, and compares their CPU times. */
static int judge(void)
{
	u64 light, heavy;
	bool fair = false;

	bare_sleep_us(50000);
	/* Several times: if the TSC is real time, the emulator's own waits count as ours. */
	for (int i = 0; i < 5 && !fair; i++) {
		light = vm_info(1).run_us;
		heavy = vm_info(2).run_us;
		bare_sleep_us(1000000);
		light = vm_info(1).run_us - light;
		heavy = vm_info(2).run_us - heavy;
		bare_printf("light ran %lu us, heavy %lu us\n", light, heavy);
		fair = light > 100000 && heavy * 10 > light * 27 && heavy * 10 < light * 33;
	}
	CHECK(fair);
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 1, 11, NULL), 0);
	CHECK_EQ(bare_manage(AERO_CALL_STOP, 2, 22, NULL), 0);
	return 0;
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "cpuid", cpuid_policy },
		{ "privileged", privileged },
		{ "resume-flag", resume_flag },
		{ "control-bits", control_bits },
		{ "planter", planter },
		{ "searcher", searcher },
		{ "triple-fault", triple_fault },
		{ "power-off", power_off },
		{ "exit-42", exit_42 },
		{ "single-step", single_step },
		{ "write-tsc", write_tsc },
		{ "spec-ctrl", spec_ctrl },
		{ "spin", spin },
		{ "shares-cpu", shares_cpu },
		{ "stopper", stopper },
		{ "no-memory-there", no_memory_there },
		{ "judge", judge },
		{ NULL, NULL },
	};

	return run_case(cases);
}
