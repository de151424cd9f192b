/* SPDX-License-Identifier: BSD-2-Clause */
/* A third struct cpu_backend: exits come from a script, and it records all calls. */
#include <tests/fake/fake.h>

#include <hv/vm/vcpu.h>

struct fake_backend_state fake_cpu;
const struct cpu_backend *backend;
static struct cpu_backend current; /* fake_backend with the format that the test wants */
static struct fake_vcpu pool[64];

struct fake_vcpu *fake_of(struct vcpu *v)
{
	return v->arch;
}

void fake_backend_reset(const struct pt_format *fmt)
{
	memset(pool, 0, sizeof(pool));
	fake_cpu = (struct fake_backend_state){ .xcr0 = 7 };
	current = fake_backend;
	current.format = fmt;
	backend = &current;
}

void fake_play(const struct vmexit *e)
{
	assert_true(fake_cpu.scripted < FAKE_SCRIPT);
	fake_cpu.script[fake_cpu.scripted++] = *e;
}

static int nothing(void)
{
	return HV_OK;
}

static void disable(void)
{
}

static int vcpu_init(struct vcpu *v)
{
	struct fake_vcpu *f = pool;

	while (f < pool + ARRAY_SIZE(pool) && f->used)
		f++;
	if (f == pool + ARRAY_SIZE(pool))
		return HV_ENOMEM;
	*f = (struct fake_vcpu){ .used = true,
				 .interruptible = true,
				 .nmi_allowed = true,
				 .interrupt = -1,
				 .exception = -1 };
	v->arch = f;
	return HV_OK;
}

static void destroy(struct vcpu *v)
{
	if (!fake_of(v))
		return;
	fake_of(v)->used = false;
	v->arch = NULL;
}

static void load(struct vcpu *v)
{
	assert_int_equal(fake_of(v)->loaded_on, 0);
	fake_of(v)->loaded_on = plat_cpu() + 1;
}

static void unload(struct vcpu *v)
{
	assert_int_equal(fake_of(v)->loaded_on, plat_cpu() + 1);
	fake_of(v)->loaded_on = 0;
}

static void run(struct vcpu *v, u64 deadline, struct vmexit *exit)
{
	assert_int_equal(fake_of(v)->loaded_on, plat_cpu() + 1);
	fake_cpu.runs++;
	lock_order_none("while it enters a guest");
	v->advance = 0;
	if (fake_cpu.on_run) {
		fake_cpu.on_run(v, deadline, exit);
	} else if (fake_cpu.played < fake_cpu.scripted) {
		*exit = fake_cpu.script[fake_cpu.played++];
	} else { /* the guest computes until a kick or its deadline */
		fake.tsc = max(fake.tsc, deadline);
		*exit = (struct vmexit){ .kind = EXIT_PREEMPT };
	}
}

static void retire(struct vcpu *v)
{
	fake_of(v)->state.rip += v->advance;
	v->advance = 0;
}

static void flush(struct vcpu *v)
{
	fake_cpu.flushes++;
	fake_of(v)->flushes++;
	if (fake_cpu.on_flush)
		fake_cpu.on_flush(v);
}

static bool interruptible(struct vcpu *v)
{
	return fake_of(v)->interruptible;
}

static bool nmi_allowed(struct vcpu *v)
{
	return fake_of(v)->nmi_allowed;
}

static void inject_interrupt(struct vcpu *v, u8 vector)
{
	fake_of(v)->interrupt = vector;
	fake_of(v)->interrupts++;
}

static void inject_nmi(struct vcpu *v)
{
	fake_of(v)->nmis++;
}

static void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	assert_int_equal(has_error, vector == VEC_GP || vector == VEC_PF);
	fake_of(v)->error = error;
	fake_of(v)->exception = vector;
	fake_of(v)->exceptions++;
}

static void interrupt_window(struct vcpu *v, bool on)
{
	fake_of(v)->window = on;
}

static void nmi_window(struct vcpu *v, bool on)
{
	fake_of(v)->nmi_window = on;
}

static u8 get_cr8(struct vcpu *v)
{
	return fake_of(v)->cr8;
}

static void set_cr8(struct vcpu *v, u8 value)
{
	assert_true(value <= 15);
	fake_of(v)->cr8 = value;
}

static void tpr_exit(struct vcpu *v, u8 below)
{
	assert_true(below <= fake_of(v)->cr8);
	fake_of(v)->tpr_exit = below;
}

static void init_events(struct vcpu *v)
{
	fake_of(v)->inits++;
}

static void get_state(struct vcpu *v, struct guest_state *s)
{
	*s = fake_of(v)->state;
}

static void set_state(struct vcpu *v, const struct guest_state *s)
{
	fake_of(v)->state = *s;
}

static u64 *place(struct vcpu *v, enum guest_reg r)
{
	struct guest_state *s = &fake_of(v)->state;

	switch (r) {
	case GREG_RIP:
		return &s->rip;
	case GREG_RSP:
		return &s->rsp;
	case GREG_RFLAGS:
		return &s->rflags;
	case GREG_CR0:
		return &s->cr0;
	case GREG_CR3:
		return &s->cr3;
	case GREG_CR4:
		return &s->cr4;
	case GREG_EFER:
		return &s->efer;
	case GREG_FS_BASE:
		return &s->seg[SEG_FS].base;
	case GREG_GS_BASE:
		return &s->seg[SEG_GS].base;
	default:
		return &fake_of(v)->reg[r];
	}
}

static u64 get_reg(struct vcpu *v, enum guest_reg r)
{
	if (r == GREG_CS_ATTR)
		return fake_of(v)->state.seg[SEG_CS].attr;
	if (r == GREG_CPL)
		return fake_of(v)->state.seg[SEG_SS].attr >> 5 & 3;
	return *place(v, r);
}

static void set_reg(struct vcpu *v, enum guest_reg r, u64 value)
{
	assert_true(r != GREG_CS_ATTR && r != GREG_CPL);
	*place(v, r) = value;
}

static void host_cpuid(u32 leaf, u32 sub, u32 regs[4])
{
	memset(regs, 0, 4 * sizeof(u32));
	for (u32 i = 0; i < fake_cpu.nr_cpuid; i++)
		if (fake_cpu.cpuid[i][0] == leaf && fake_cpu.cpuid[i][1] == sub)
			memcpy(regs, &fake_cpu.cpuid[i][2], 4 * sizeof(u32));
}

static u64 xcr0_mask(void)
{
	return fake_cpu.xcr0;
}

static u64 arch_capabilities(void)
{
	return fake_cpu.arch_capabilities;
}

const struct cpu_backend fake_backend = {
	.name = "fake",
	.hypercall_opcode = { 0x0f, 0x01, 0xc1 },
	.vendor = "GenuineIntel",
	.probe = nothing,
	.cpu_enable = nothing,
	.cpu_disable = disable,
	.vcpu_init = vcpu_init,
	.vcpu_destroy = destroy,
	.vcpu_load = load,
	.vcpu_unload = unload,
	.run = run,
	.retire = retire,
	.flush = flush,
	.interruptible = interruptible,
	.nmi_allowed = nmi_allowed,
	.inject_interrupt = inject_interrupt,
	.inject_nmi = inject_nmi,
	.inject_exception = inject_exception,
	.interrupt_window = interrupt_window,
	.nmi_window = nmi_window,
	.get_cr8 = get_cr8,
	.set_cr8 = set_cr8,
	.tpr_exit = tpr_exit,
	.init_events = init_events,
	.get_state = get_state,
	.set_state = set_state,
	.get_reg = get_reg,
	.set_reg = set_reg,
	.host_cpuid = host_cpuid,
	.arch_capabilities = arch_capabilities,
	.xcr0_mask = xcr0_mask,
};
