/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy is a table of masks: a guest sees a feature if the host has it
 * and the mask allows it, that is, if the back ends can really give it.
 * Virtualization itself (VMX, SVM), power management, performance counters
 * and everything with MSRs that we do not offer is hidden.
 */
#include <guest-driver/aerostat_abi.h>
#include <hv/base/platform.h>
#include <hv/exit/cpuid.h>
#include <hv/exit/exit.h>
#include <hv/apic/pvclock.h>
#include <hv/vm/vm.h>

enum { EAX, EBX, ECX, EDX };

#define BASIC_MAX 0x15
#define BASIC_MASK 0x1f
#define EXTENDED_MASK 0xf
#define INTEL_ECX 0x6c65746eu /* "ntel", the end of "GenuineIntel" */
#define EXTENDED_BASE 0x80000000u
#define EXTENDED_MAX 0x80000008u
#define LINEAR_BITS 48 /* of an address, without LA57 */

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define LEAF1_ECX                                                                               \
	(BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) | \
	 BIT(23) | BIT(25) | BIT(26) | BIT(28) | BIT(29) | BIT(30))
#define LEAF1_ECX_X2APIC BIT(21)
#define LEAF1_ECX_TSC_DEADLINE BIT(24)
#define LEAF1_ECX_OSXSAVE BIT(27)
#define LEAF1_ECX_HYPERVISOR BIT(31)
/* Leaf 1 EDX: all but MCE, MTRR, MCA, PSN, DS, ACPI, SS, HTT, TM, IA64, PBE */
#define LEAF1_EDX 0x078bab7fu
#define LEAF1_EDX_APIC BIT(9) /* and its copy in leaf 0x80000001 */
/* Leaf 7 EBX: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512* RDSEED ADX SMAP CLFLUSHOPT CLWB SHA */
#define LEAF7_EBX                                                                                  \
	(BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(16) | BIT(17) |       \
	 BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(23) | BIT(24) | BIT(28) | BIT(29) | BIT(30) | \
	 BIT(31))
/* Leaf 7 ECX: AVX512_VBMI UMIP AVX512_VBMI2 GFNI VAES VPCLMUL AVX512_VNNI AVX512_BITALG VPOPCNTDQ RDPID */
#define LEAF7_ECX                                                                             \
	(BIT(1) | BIT(2) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | \
	 BIT(22))
/*
 * Leaf 7 EDX: MD_CLEAR IBRS+IBPB STIBP L1D_FLUSH ARCH_CAPABILITIES SSBD.  IA32_SPEC_CTRL
 * is emulated, the two commands reach the CPU.
 */
#define LEAF7_EDX_ARCH_CAPS BIT(29)
#define LEAF7_EDX (BIT(10) | BIT(26) | BIT(27) | BIT(28) | LEAF7_EDX_ARCH_CAPS | BIT(31))
/* Leaf 0x80000008 EBX: IBPB IBRS STIBP, which of them to leave on, SSBD, SSB_NO, BTC_NO */
#define EXT8_EBX                                                                                   \
	(BIT(12) | BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(18) | BIT(19) | BIT(24) | BIT(26) | \
	 BIT(29))
/* Leaf 0x80000001 ECX: LAHF LZCNT PREFETCHW; EDX: SYSCALL NX 1G RDTSCP LM and leaf 1's copies */
#define EXT1_ECX (BIT(0) | BIT(5) | BIT(8))
#define EXT1_EDX (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29) | 0x0183a37fu)

/* Leaf 0xd.1 EAX: XSAVEOPT XSAVEC XGETBV(1); without XSAVES there is no IA32_XSS. */
#define XSAVE_EAX (BIT(0) | BIT(1) | BIT(2))
#define XSAVE_EAX_XSAVEC BIT(1)

static struct {
	/* As many as a mask has, behind the last leaf zeroes: what a CPU guesses is in them, too. */
	u32 basic[BASIC_MASK + 1][4];
	u32 extended[EXTENDED_MASK + 1][4];
	u32 features7[4];
	u32 xsave_size;	    /* of all that guests may enable */
	u32 xsave_features; /* leaf 0xd.1 EAX */
	u64 xcr0, cr4, spec_ctrl, arch_capabilities;
} policy;

static void host(u32 leaf, u32 sub, u32 r[4])
{
	backend->host_cpuid(leaf, sub, r);
}

static u64 allowed_cr4(void)
{
	const u32 *one = policy.basic[1], *seven = policy.features7;
	/* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
	u64 cr4 = 0x7ff;

	cr4 |= one[ECX] & BIT(17) ? BIT(17) : 0;   /* PCIDE */
	cr4 |= one[ECX] & BIT(26) ? BIT(18) : 0;   /* OSXSAVE */
	cr4 |= seven[EBX] & BIT(0) ? BIT(16) : 0;  /* FSGSBASE */
	cr4 |= seven[EBX] & BIT(7) ? BIT(20) : 0;  /* SMEP */
	cr4 |= seven[EBX] & BIT(20) ? BIT(21) : 0; /* SMAP */
	cr4 |= seven[ECX] & BIT(2) ? BIT(11) : 0;  /* UMIP */
	return cr4;
}

/*
 * SDM: "Time Stamp Counter and Nominal Core Crystal Clock Information Leaf".  The crystal also
 * feeds the APIC's timer; ours counts TSC ticks, so it is as fast.  AMD has no such leaf.
 */
static void offer_frequency(void)
{
	u64 hz = plat_tsc_khz() * 1000;
	u32 *r = policy.basic[0x15];

	if (policy.basic[0][ECX] != INTEL_ECX || hz > UINT32_MAX)
		return;
	policy.basic[0][EAX] = 0x15;
	r[EAX] = r[EBX] = 1;
	r[ECX] = (u32)hz;
}

static void init_basic(void)
{
	u32 max_basic;
	u32 *r;

	for (u32 leaf = 0; leaf <= BASIC_MAX; leaf++)
		switch (leaf) {
		case 0:
		case 1:
		case 2:
		case 4: /* vendor, version, caches */
			host(leaf, 0, policy.basic[leaf]);
			break;
		}
	max_basic = policy.basic[0][EAX];
	policy.basic[0][EAX] = min(max(max_basic, 0xbu), (u32)0xd);
	offer_frequency();
	r = policy.basic[1];
	r[ECX] = (r[ECX] & LEAF1_ECX) | LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE |
		 LEAF1_ECX_HYPERVISOR;
	r[EDX] = (r[EDX] & LEAF1_EDX) |
		 LEAF1_EDX_APIC; /* our APIC is there whatever the host's is */
	/*
	 * ARAT: the APIC's timer runs whatever the CPU sleeps in.  Without it Linux takes the
	 * timer for one that stops, and never stops its tick nor has high-resolution timers.
	 */
	policy.basic[6][EAX] = BIT(2);
	policy.xcr0 = backend->xcr0_mask();
	if (!policy.xcr0)
		r[ECX] &= ~(u32)(BIT(26) | BIT(28) | BIT(12) | BIT(29)); /* XSAVE AVX FMA F16C */
	if (max_basic < 7)
		return;
	host(7, 0, policy.features7);
	r = policy.features7;
	r[EAX] = 0;
	r[EBX] &= LEAF7_EBX;
	r[ECX] &= LEAF7_ECX;
	policy.arch_capabilities = backend->arch_capabilities();
	r[EDX] &= LEAF7_EDX & (policy.arch_capabilities ? ~0u : ~LEAF7_EDX_ARCH_CAPS);
	if (!(policy.xcr0 & BIT(2)))
		r[EBX] &= ~(u32)BIT(5);
	if (!(policy.xcr0 & BIT(5))) {
		r[EBX] &= ~(u32)(BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31));
		r[ECX] &= ~(u32)(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
	}
}

static void init_extended(void)
{
	u32 *r;

	for (u32 i = 0; i <= EXTENDED_MAX - EXTENDED_BASE; i++)
		host(EXTENDED_BASE + i, 0, policy.extended[i]);
	policy.extended[0][EAX] = EXTENDED_MAX;
	r = policy.extended[1];
	r[ECX] &= EXT1_ECX;
	r[EDX] &= EXT1_EDX;
	r = policy.extended[7];
	r[EAX] = r[EBX] = r[ECX] = 0;
	/* Invariant TSC: our own clock is it, and a guest has no deeper sleep than HLT. */
	r[EDX] = BIT(8);
	r = policy.extended[8];
	r[EAX] = (r[EAX] & 0xff) | min(r[EAX] >> 8 & 0xff, (u32)LINEAR_BITS) << 8;
	r[EBX] &= EXT8_EBX;
	r[ECX] = r[EDX] = 0;
}

/* Each control has a bit of Intel's and one of AMD's. */
static u64 allowed_spec_ctrl(void)
{
	u32 intel = policy.features7[EDX], amd = policy.extended[8][EBX];
	u64 bits = 0;

	bits |= intel & BIT(26) || amd & BIT(14) ? BIT(0) : 0; /* IBRS */
	bits |= intel & BIT(27) || amd & BIT(15) ? BIT(1) : 0; /* STIBP */
	bits |= intel & BIT(31) || amd & BIT(24) ? BIT(2) : 0; /* SSBD */
	return bits;
}

/*
 * SDM: "Compacted Format of an XSAVE Area".  Bochs's AVX-512 CPUs say another size than their
 * components add up to; Linux does not believe them, and so they have no XSAVEC.
 */
static u32 compact_size(void)
{
	u32 size = 576, r[4];

	for (u32 i = 2; i < 63; i++)
		if (policy.xcr0 & BIT(i)) {
			host(0xd, i, r);
			if (r[ECX] & BIT(1))
				size = (size + 63) & ~63u;
			size += r[EAX];
		}
	return size;
}

/* The host's XCR0 is what guests may set at most. */
static u32 allowed_xsave_features(void)
{
	u32 r[4];

	host(0xd, 1, r);
	return r[EAX] & XSAVE_EAX & (r[EBX] == compact_size() ? ~0u : ~(u32)XSAVE_EAX_XSAVEC);
}

void cpuid_init(void)
{
	u32 r[4];

	init_basic();
	init_extended();
	if (policy.xcr0) {
		/* Size of the area: the end of the last component that guests may enable. */
		policy.xsave_size = 576;
		policy.xsave_features = allowed_xsave_features();
		for (u32 i = 2; i < 63; i++)
			if (policy.xcr0 & BIT(i)) {
				host(0xd, i, r);
				policy.xsave_size = max(policy.xsave_size, r[EAX] + r[EBX]);
			}
	}
	policy.cr4 = allowed_cr4();
	policy.spec_ctrl = allowed_spec_ctrl();
}

u64 cpuid_cr4_mask(void)
{
	return policy.cr4;
}

u64 cpuid_spec_ctrl_mask(void)
{
	return policy.spec_ctrl;
}

u64 cpuid_arch_capabilities(void)
{
	return policy.arch_capabilities;
}

unsigned int cpuid_phys_bits(void)
{
	unsigned int bits = policy.extended[8][EAX] & 0xff;

	return bits ? bits : 36; /* "CPUID Leaf 80000008H": where there is none */
}

static void answer_topology(struct vcpu *v, u32 sub, u32 r[4])
{
	u32 shift = 0;

	while (1u << shift < v->vm->nr_vcpus)
		shift++;
	r[EAX] = sub == 1 ? shift : 0;
	r[EBX] = sub == 0 ? 1 : sub == 1 ? v->vm->nr_vcpus : 0;
	r[ECX] = sub | (sub < 2 ? (sub + 1) << 8 : 0);
	r[EDX] = v->index;
}

static void answer_xsave(u32 sub, u32 r[4])
{
	r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
	if (!policy.xcr0)
		return;
	if (sub == 0) {
		/* EBX should follow XCR0; the host's does, since the guest's XCR0 is loaded. */
		host(0xd, 0, r);
		r[EAX] = (u32)policy.xcr0;
		r[ECX] = policy.xsave_size;
		r[EDX] = (u32)(policy.xcr0 >> 32);
	} else if (sub == 1) {
		host(0xd, 1, r);
		r[EAX] = policy.xsave_features;
		if (!(r[EAX] & XSAVE_EAX_XSAVEC))
			r[EBX] = 0; /* the size of its compact area, by XCR0: as above */
		r[ECX] = r[EDX] = 0;
	} else if (sub < 63 && policy.xcr0 & BIT(sub)) {
		host(0xd, sub, r);
	}
}

static void answer_hypervisor(struct vcpu *v, u32 leaf, u32 r[4])
{
	r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
	switch (leaf) {
	case AERO_CPUID_BASE:
		r[EAX] = AERO_CPUID_TIMING;
		r[EBX] = AERO_SIGNATURE_EBX;
		r[ECX] = AERO_SIGNATURE_ECX;
		r[EDX] = AERO_SIGNATURE_EDX;
		break;
	case AERO_CPUID_ABI:
		r[EAX] = AERO_ABI_VERSION;
		r[EBX] = AERO_FEATURE_2M | AERO_FEATURE_DOORBELL | AERO_FEATURE_STATS |
			 AERO_FEATURE_GROW | AERO_FEATURE_REPORT |
			 (v->vm->cfg->control ? AERO_FEATURE_MANAGE : 0);
		r[ECX] = backend->hypercall_opcode[2] == 0xc1 ? AERO_INSTRUCTION_VMCALL :
								AERO_INSTRUCTION_VMMCALL;
		r[EDX] = AERO_BATCH_MAX;
		break;
	case AERO_CPUID_VM:
		r[EAX] = v->vm->id;
		r[EBX] = v->vm->nr_vcpus;
		r[ECX] = (u32)(v->vm->cfg->memory >> 20);
		break;
	case AERO_CPUID_TIMING:
		r[EAX] = r[EBX] = (u32)v->vm->tsc_khz;
		break;
	}
}

/* SDM: "Enabling or Disabling the Local APIC": without it the CPU seems to have none. */
static void hide_apic(const struct vcpu *v, u32 r[4])
{
	if (!lapic_enabled(v))
		r[EDX] &= ~(u32)LEAF1_EDX_APIC;
}

static void answer_basic(struct vcpu *v, u32 leaf, u32 sub, u32 r[4])
{
	for (int i = 0; i < 4; i++)
		r[i] = policy.basic[leaf & BASIC_MASK][i];
	switch (leaf) {
	case 1:
		r[EBX] = (r[EBX] & 0xff00) | v->index << 24 | v->vm->nr_vcpus << 16;
		if (v->vm->nr_vcpus > 1)
			r[EDX] |= BIT(28);
		hide_apic(v, r);
		if (backend->get_reg(v, GREG_CR4) & BIT(18))
			r[ECX] |= LEAF1_ECX_OSXSAVE;
		break;
	case 4:
		host(4, sub, r);
		r[EAX] &= 0x3ff; /* shared by nobody, one core: topology is leaf 0xb's */
		break;
	case 7:
		for (int i = 0; i < 4; i++)
			r[i] = sub ? 0 : policy.features7[i];
		break;
	case 0xb:
		answer_topology(v, sub, r);
		break;
	case 0xd:
		answer_xsave(sub, r);
		break;
	}
}

void cpuid_answer(struct vcpu *v, u32 leaf, u32 sub, u32 r[4])
{
	if (leaf >= AERO_CPUID_BASE && leaf < AERO_CPUID_BASE + 0x100) {
		answer_hypervisor(v, leaf, r);
	} else if (leaf >= PVCLOCK_CPUID_BASE && leaf < PVCLOCK_CPUID_BASE + 0x100) {
		pvclock_cpuid(leaf, r);
	} else if (leaf >= EXTENDED_BASE && leaf <= policy.extended[0][EAX]) {
		for (int i = 0; i < 4; i++)
			r[i] = policy.extended[leaf & EXTENDED_MASK][i];
		if (leaf == EXTENDED_BASE + 1)
			hide_apic(v, r);
	} else if (leaf <= policy.basic[0][EAX]) {
		answer_basic(v, leaf, sub, r);
	} else {
		r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
	}
}

void exit_cpuid(struct vcpu *v, struct vmexit *e)
{
	u32 r[4];

	cpuid_answer(v, (u32)v->gpr[GPR_RAX], (u32)v->gpr[GPR_RCX], r);
	v->gpr[GPR_RAX] = r[EAX];
	v->gpr[GPR_RBX] = r[EBX];
	v->gpr[GPR_RCX] = r[ECX];
	v->gpr[GPR_RDX] = r[EDX];
	vcpu_skip(v, e);
}
