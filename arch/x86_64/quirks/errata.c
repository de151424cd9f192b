/* SPDX-License-Identifier: BSD-2-Clause */
#include <arch/x86_64/quirks/errata.h>
#include <arch/x86_64/cpu/regs.h>

#define LEAF1_X2APIC BIT(21)
#define LEAF1_DEADLINE BIT(24)
#define XAPIC_ID_MAX 254 /* 255 is all of them */
#define ANY_STEPPING 0xff

/* Linux, deadline_match[]: the first microcode with which the APIC timer keeps TSC deadlines. */
static const struct {
	u8 model; /* of Intel's family 6 */
	u8 stepping;
	u32 microcode;
} deadline_needs[] = {
	{ 0x3f, 2, 0x3a },		    /* Haswell-EP */
	{ 0x3f, 4, 0x0f },		    /* Haswell-EX */
	{ 0x4f, ANY_STEPPING, 0x0b000020 }, /* Broadwell-E */
	{ 0x56, 2, 0x00000011 },	    /* Broadwell-DE */
	{ 0x56, 3, 0x0700000e },	    /* */
	{ 0x56, 4, 0x0f00000c },	    /* */
	{ 0x56, 5, 0x0e000003 },	    /* */
	{ 0x55, 3, 0x01000136 },	    /* Skylake-SP */
	{ 0x55, 4, 0x02000014 },	    /* */
	{ 0x3c, ANY_STEPPING, 0x22 },	    /* Haswell */
	{ 0x45, ANY_STEPPING, 0x20 },	    /* */
	{ 0x46, ANY_STEPPING, 0x17 },	    /* */
	{ 0x3d, ANY_STEPPING, 0x25 },	    /* Broadwell */
	{ 0x47, ANY_STEPPING, 0x17 },	    /* */
	{ 0x4e, ANY_STEPPING, 0xb2 },	    /* Skylake */
	{ 0x5e, ANY_STEPPING, 0xb2 },	    /* */
	{ 0x8e, ANY_STEPPING, 0x52 },	    /* Kaby Lake */
	{ 0x9e, ANY_STEPPING, 0x52 },	    /* */
};

/* The microcode revision that the CPU needs and does not have; 0: none. */
static u32 deadline_microcode(const struct cpu_id *c)
{
	if (!c->intel || c->hypervisor)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(deadline_needs); i++)
		if (deadline_needs[i].model == c->model &&
		    (deadline_needs[i].stepping == ANY_STEPPING ||
		     deadline_needs[i].stepping == c->stepping) &&
		    c->microcode < deadline_needs[i].microcode)
			return deadline_needs[i].microcode;
	return 0;
}

/*
 * Some Sandy Bridge boards lose their other CPUs in x2APIC mode, and SMM handlers look for the APIC
 * at its page. So we use x2APIC only if we have a reason to.
 */
static bool choose_x2(const struct apic_facts *f, const char **why)
{
	bool left_on = f->base & APIC_BASE_EXTD, wanted = f->highest_id > XAPIC_ID_MAX;

	/* The way back to xAPIC would disable the APIC. */
	if (left_on)
		*why = "x2APIC left on by the firmware";
	else if (!(f->leaf1_ecx & LEAF1_X2APIC))
		*why = "xAPIC";
	else if (f->opted_out)
		*why = "xAPIC, as the firmware's DMAR table asks";
	else if (wanted)
		*why = "x2APIC, for the CPUs' ids";
	else if (f->cpu->hypervisor)
		*why = "x2APIC, under a hypervisor";
	else
		*why = "xAPIC, as the firmware left it";
	return left_on ||
	       (f->leaf1_ecx & LEAF1_X2APIC && !f->opted_out && (wanted || f->cpu->hypervisor));
}

struct apic_choice errata_choose_apic(const struct apic_facts *f)
{
	struct apic_choice c = { 0 };

	c.x2 = choose_x2(f, &c.why);
	if (f->leaf1_ecx & LEAF1_DEADLINE)
		c.microcode = deadline_microcode(f->cpu);
	c.deadline = f->leaf1_ecx & LEAF1_DEADLINE && !c.microcode;
	return c;
}

/* Linux, vmx_preemption_cpu_tfms[]: Nehalem, Westmere, and one of Ivy Bridge. */
static const u32 preemption_timers[] = {
	0x206e6, 0x20652, 0x20655, 0x106e5, 0x106a0, 0x106a1, 0x106a4, 0x106a5, 0x306a8,
};
#define SIGNATURE_RESERVED 0xf000c000

bool errata_preemption_timer(const struct cpu_id *c)
{
	/* An outer hypervisor emulates this timer with one of its own. */
	for (size_t i = 0; i < ARRAY_SIZE(preemption_timers) && c->intel && !c->hypervisor; i++)
		if ((c->signature & ~SIGNATURE_RESERVED) == preemption_timers[i])
			return true;
	return false;
}

/* Revision Guide for AMD Family 10h Processors, erratum 400: C1eOnCmpHalt, SmiOnCmpHalt. */
#define C1E_ACTIVE (BIT(28) | BIT(27))

u64 errata_c1e(const struct cpu_id *c, u64 msr)
{
	bool concerned = c->amd && !c->hypervisor && (c->family == 0x10 || c->family == 0x11);

	return concerned ? msr & ~C1E_ACTIVE : msr;
}
