/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions: decodes any bytes, and carries them out in a guest whose registers, page tables and
 * memory the input sets. It begins with working paging and code that touches the local APIC, so
 * that small changes reach much code.
 */
#include <tests/fake/guest.h>
#include <tests/fuzz/fuzz.h>

#include <hv/apic/lapic.h>
#include <hv/emulate/gwalk.h>
#include <hv/emulate/insn.h>
#include <mm/epoch.h>
#include <mm/guestmem.h>

/* Guest-physical: four tables, code, data; all near each other for in_16() to reach. */
#define TABLES 0x200000UL
#define APIC_TABLE (TABLES + 0x4000)
#define CODE_GPA (TABLES + 0x6000)
#define DATA_GPA (TABLES + 0x8000)
#define CODE 0x400000UL /* linear */
#define DATA 0x410000UL
/*
 * The most accesses to guest memory in one exit. The worst case has fewer: 64 elements with two
 * sides, each across two pages, each page walked through four levels, and the fetch.
 */
#define ACCESSES_MAX 4000

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;
static struct guest_state *s;
static struct input *in;
static u32 accesses;

int __real_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len);
int __wrap_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len);
int __wrap_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len)
{
	fuzz_assert(++accesses < ACCESSES_MAX, "an exit has no end");
	return __real_guest_read(p, gpa, buf, len);
}

static void poke(u64 gpa, u64 value, size_t bytes)
{
	guest_write(&vm->p2m, GPA(gpa), &value, bytes);
}

static void map(u64 linear, u64 entry)
{
	u64 table = linear >= GIB(3) ? APIC_TABLE : TABLES + 0x3000;

	poke(table + (linear >> 12 & 511) * 8, entry, 8);
}

static void make_guest(void)
{
	guest_machine(MIB(12), 1);
	fuzz_watch_log();
	cfg = guest_config("vm");
	cfg.memory = cfg.max = MIB(4);
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	v->state = VCPU_RUNNING;
	s = &fake_of(v)->state;
	*s = (struct guest_state){ .rip = CODE,
				   .rflags = 2,
				   .cr0 = BIT(31) | BIT(16) | 1,
				   .cr3 = TABLES,
				   .cr4 = 0x20,
				   .efer = 0xd00 };
	for (int i = 0; i < SEG_NR; i++)
		s->seg[i] = (struct guest_segment){ .limit = UINT32_MAX, .attr = 0xc093 };
	s->seg[SEG_CS].attr = 0xa09b;
	poke(TABLES, (TABLES + 0x1000) | 7, 8);
	poke(TABLES + 0x1000, (TABLES + 0x2000) | 7, 8);
	poke(TABLES + 0x1018, (TABLES + 0x5000) | 7, 8);
	poke(TABLES + 0x2010, (TABLES + 0x3000) | 7, 8);
	poke(TABLES + 0x5000 + (LAPIC_DEFAULT_BASE >> 21 & 511) * 8, APIC_TABLE | 7, 8);
	map(CODE, CODE_GPA | 5);
	map(CODE + PAGE_SIZE, (CODE_GPA + PAGE_SIZE) | 5);
	map(DATA, DATA_GPA | 7);
	map(DATA + PAGE_SIZE, (DATA_GPA + PAGE_SIZE) | 7);
	map(LAPIC_DEFAULT_BASE, LAPIC_DEFAULT_BASE | 7);
	map(LAPIC_DEFAULT_BASE + PAGE_SIZE, (DATA_GPA + PAGE_SIZE) | 7);
	for (int i = 0; i < GPR_NR; i++)
		v->gpr[i] = LAPIC_DEFAULT_BASE + 0x80 + 16UL * (u64)i;
	v->gpr[GPR_RCX] = 3;
}

/* --- decoding ------------------------------------------------------------------------- */

/* The decoder must need exactly the bytes that it takes: not one more, and not one fewer. */
static void check_decode(const u8 *bytes, size_t n, enum insn_mode mode)
{
	struct insn i, again;
	int err = insn_decode(bytes, n, mode, &i);

	if (err)
		return;
	fuzz_assert(i.length >= 1 && i.length <= n && i.length <= INSN_MAX, "%u bytes", i.length);
	fuzz_assert(i.size == 1 || i.size == 2 || i.size == 4 || i.size == 8, "%u", i.size);
	fuzz_assert(i.reg < GPR_NR || i.reg == INSN_NO_REG, "%u", i.reg);
	fuzz_assert(i.base < GPR_NR || i.base >= INSN_RIP, "%u", i.base);
	fuzz_assert(i.index < GPR_NR || i.index == INSN_NO_REG, "%u", i.index);
	fuzz_assert(i.segment < SEG_NR && i.shift < 4, "%u, %u", i.segment, i.shift);
	fuzz_assert(!insn_decode(bytes, i.length, mode, &again) && again.length == i.length,
		    "of its own bytes it is another");
	for (size_t less = 0; less < i.length; less++)
		fuzz_assert(insn_decode(bytes, less, mode, &again) == HV_EFAULT, "%zu of %u bytes",
			    less, i.length);
}

static void op_decode(void)
{
	u8 form = in_8(in);
	size_t n = form >> 2 & 15;

	check_decode(in_copy(in, n), n, form % 3);
}

/* --- the guest -------------------------------------------------------------------------- */

static void op_register(void)
{
	v->gpr[in_8(in) % GPR_NR] = in_number(in);
}

/* An address near one in use. */
static void op_pointer(void)
{
	static const u64 bases[] = { LAPIC_DEFAULT_BASE,
				     DATA,
				     CODE,
				     DATA + PAGE_SIZE,
				     LAPIC_DEFAULT_BASE + PAGE_SIZE,
				     0,
				     0xd0000000,
				     0xfec00000 };
	u8 form = in_8(in);

	v->gpr[form % GPR_NR] = bases[form >> 4 & 7] + in_16(in) - 0x8000UL;
}

static void op_control(void)
{
	u8 which = in_8(in);
	u64 value = in_number(in);
	u64 *const regs[] = { &s->rip, &s->rflags, &s->cr0, &s->cr3, &s->cr4, &s->efer, &s->rsp };

	if (which & 8)
		*regs[which % 7] ^= BIT(value & 63);
	else
		*regs[which % 7] = value;
}

static void op_segment(void)
{
	struct guest_segment *g = &s->seg[in_8(in) % SEG_NR];
	u8 what = in_8(in);

	g->base = what & 1 ? in_number(in) : g->base;
	g->limit = what & 2 ? (u32)in_number(in) : g->limit;
	g->attr = what & 4 ? in_16(in) : g->attr;
}

static void op_table(void)
{
	u64 at = TABLES + (in_16(in) & ~3u) % 0xa000, value = in_number(in);

	poke(at, value, 8);
}

static void op_map(void)
{
	u64 linear = in_8(in) & 1 ? DATA : LAPIC_DEFAULT_BASE;

	linear += in_8(in) % 4 * PAGE_SIZE;
	map(linear, (in_number(in) & ~PAGE_MASK) | in_8(in) | (u64)(in_8(in) & 1) << 63);
}

/* An instruction at the guest's RIP, maybe across the end of a page; then the guest exits. */
static void op_run(void)
{
	static const u64 places[] = { CODE, CODE + 0xff8, CODE + 0xffe, CODE + 0x1ff6 };
	u8 form = in_8(in);
	struct vmexit e = { .kind = EXIT_P2M_FAULT, .length = 2 };
	size_t n = form & 15;
	const u8 *code = in_copy(in, n);
	u8 advance = 0;

	if (n) {
		s->rip = places[form >> 4 & 3];
		guest_write(&vm->p2m, GPA(s->rip - CODE + CODE_GPA), code, n);
	}
	if (form & 0x80) {
		e.kind = EXIT_IO;
		e.io.port = in_16(in);
		e.io.size = (u8)(1 << in_8(in) % 3);
		e.io.in = form & 0x40;
		e.io.string = true;
	} else {
		u8 how = in_8(in);

		e.fault.gpa = GPA(how & 2 ? in_number(in) & (BIT(52) - 1) :
					    LAPIC_DEFAULT_BASE + (u64)(in_8(in) << 4));
		e.fault.write = how & 1;
		e.fault.read = !e.fault.write;
		e.fault.exec = (how & 12) == 12;
	}
	v->advance = 0;
	accesses = 0;
	exit_dispatch(v, &e);
	advance = v->advance;
	fuzz_assert(advance <= INSN_MAX, "%u bytes", advance);
	fuzz_assert(vm->state == VM_RUNNING || vm->state == VM_ENDING, "%u", vm->state);
	s->rip += advance;
	v->advance = 0;
}

static void op_touch(void)
{
	guest_touch(v, in_16(in) % 1024);
}

static void op_linear(void)
{
	struct gwalk w;
	gpa_t gpa;
	int err;

	gwalk_init(&w, v);
	accesses = 0;
	err = gwalk_translate(&w, in_number(in), in_8(in) % 3 * 8UL, &gpa);
	fuzz_assert(!err || err == HV_EPERM || err == HV_ERANGE || err == HV_EFAULT, "%d", err);
	fuzz_assert(err || gpa.v < BIT(52), "%lx", gpa.v);
}

static void (*const ops[])(void) = {
	op_run,	  op_decode, op_register, op_pointer, op_control, op_segment,
	op_table, op_map,    op_touch,	  op_linear,  op_run,	  op_run,
};

void fuzz_setup(void)
{
}

void fuzz_one(struct input *input)
{
	in = input;
	make_guest();
	for (u32 n = 0; in_left(in) && n < 50 && vm->state == VM_RUNNING; n++) {
		ops[in_8(in) % ARRAY_SIZE(ops)]();
		epoch_quiescent(0, epoch_now());
	}
	tables_check(&vm->p2m);
}
