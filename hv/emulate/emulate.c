/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries out an instruction that touched a device, or INS and OUTS.  The bytes come from the
 * guest's memory, which another vCPU may change at any moment: so they are
 * fetched once, and an instruction that cannot have caused the exit is left to
 * the CPU to run.  With LOCK the operation is not atomic: a device has no
 * values that vCPUs could count with.
 */

#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/exit/exit.h>
#include <hv/emulate/gwalk.h>
#include <hv/emulate/insn.h>
#include <hv/exit/io.h>
#include <hv/emulate/mmio.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define STRING_MAX 64		/* iterations an exit */
#define DISAGREEMENTS_MAX 10000 /* in a row; then it is no race, and the guest does not get on */
#define SEG_LONG BIT(13)
#define SEG_BIG BIT(14)
#define EFER_LMA BIT(10)
#define RFLAGS_DF BIT(10)

/* One exit's work. */
struct work {
	struct vcpu *v;
	struct gwalk walk;
	struct insn insn;
	enum insn_mode mode;
	u64 rip;
	gpa_t gpa; /* of the exit, and its kind */
	bool write;
	bool port; /* the exit was by INS or OUTS: gpa is its port */
	u8 bytes[INSN_MAX];
	size_t fetched;
};

/* A memory operand: at most two pages, and each is memory or not. */
struct operand {
	gpa_t at[2];
	u32 first; /* bytes in at[0] */
	u64 page;  /* the linear page of at[0] */
	bool one_page;
};

/* A process that has a device's page must not end its VM; one line, further ones are counted. */
static void refuse(struct work *w, const char *why)
{
	struct vm *vm = w->v->vm;

	vcpu_inject_ud(w->v);
	if (!vm->refused_insns++)
		vm_log(vm,
		       "%s of the %s at %lx by an instruction of a process %s: #UD, and further ones are only counted",
		       w->write ? "write" : "read", w->port ? "port" : "device", w->gpa.v, why);
}

static void stop(struct work *w, const char *why)
{
	char text[INSN_MAX * 3 + 1] = "";
	size_t at = 0;

	if (w->walk.user) {
		refuse(w, why);
		return;
	}
	for (size_t i = 0; i < w->fetched; i++)
		at += (size_t)str_format(text + at, sizeof(text) - at, " %02x", w->bytes[i]);
	if (vcpu_dump(w->v))
		log_raw("%s# bytes at rip:%s", w->v->vm->cfg->name, text);
	vm_end(w->v->vm, VM_STATUS_CRASHED, "%s of the %s at %lx by an instruction %s",
	       w->write ? "write" : "read", w->port ? "port" : "device", w->gpa.v, why);
}

/* As if the guest itself had touched that memory: it is served, or waited for. RIP stays. */
static void fault_on_memory(struct work *w, gpa_t gpa, bool write)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT,
			    .fault = { .gpa = gpa, .read = !write, .write = write } };

	exit_p2m_fault(w->v, &e);
}

static bool is_hole(struct work *w, gpa_t gpa)
{
	return p2m_lookup(&w->v->vm->p2m, gpa.v >> PAGE_SHIFT).kind == P2M_HOLE;
}

/* What the CPU would do about the walk that failed. */
static void walk_failed(struct work *w)
{
	switch (w->walk.err) {
	case HV_EPERM:
		vcpu_inject_pf(w->v, w->walk.linear, w->walk.error);
		break;
	case HV_EFAULT:
		if (is_hole(w, w->walk.missing))
			stop(w, "whose page tables, or code, are not in memory");
		else
			fault_on_memory(w, w->walk.missing, false);
		break;
	default: /* not canonical, past the limit of CS, or longer than 15 bytes */
		vcpu_inject_gp(w->v);
	}
}

/*
 * This is not what exited: the guest has changed it since, and the CPU may run
 * what it is now.  Or an event was being delivered, through a stack or a table
 * that is not in memory; that would go on for ever.
 */
static void disagree(struct work *w)
{
	if (++w->v->disagreements > DISAGREEMENTS_MAX)
		stop(w, "that is not at rip");
}

static enum insn_mode mode_of(struct work *w)
{
	u64 cs = backend->get_reg(w->v, GREG_CS_ATTR);

	if (w->walk.efer & EFER_LMA && cs & SEG_LONG)
		return INSN_64;
	return cs & SEG_BIG ? INSN_32 : INSN_16;
}

static struct guest_segment segment(struct work *w, u8 which)
{
	struct guest_state s;

	if (w->mode == INSN_64) {
		struct guest_segment flat = { .limit = UINT32_MAX };

		if (which >= SEG_FS)
			flat.base = backend->get_reg(w->v,
						     which == SEG_FS ? GREG_FS_BASE : GREG_GS_BASE);
		return flat;
	}
	backend->get_state(w->v, &s);
	return s.seg[which];
}

static u64 linear_of(const struct work *w, u64 base, u64 offset)
{
	return w->mode == INSN_64 ? base + offset : (u32)(base + offset);
}

/* False: dealt with. */
static bool fetch(struct work *w)
{
	struct guest_segment cs = { .limit = UINT32_MAX };
	size_t most = sizeof(w->bytes);
	int err;

	w->rip = backend->get_reg(w->v, GREG_RIP);
	w->mode = mode_of(w);
	if (w->mode != INSN_64) {
		cs = segment(w, SEG_CS);
		w->rip = (u32)w->rip;
		if (w->rip > cs.limit)
			most = 0;
		else
			most = min(most, cs.limit - w->rip + 1);
	}
	w->fetched = gwalk_fetch(&w->walk, linear_of(w, cs.base, w->rip), w->bytes, most);
	err = insn_decode(w->bytes, w->fetched, w->mode, &w->insn);
	if (likely(!err))
		return true;
	if (err == HV_EFAULT)
		walk_failed(w);
	else
		stop(w, "that is not emulated");
	return false;
}

static u64 get_gpr(struct work *w, u8 reg)
{
	return reg == GPR_RSP ? backend->get_reg(w->v, GREG_RSP) : w->v->gpr[reg];
}

static void set_gpr(struct work *w, u8 reg, u64 value)
{
	if (reg == GPR_RSP)
		backend->set_reg(w->v, GREG_RSP, value);
	else
		w->v->gpr[reg] = value;
}

static u64 address_mask(const struct work *w)
{
	return UINT64_MAX >> (64 - w->insn.address_size * 8);
}

static u64 operand_linear(struct work *w)
{
	const struct insn *i = &w->insn;
	u64 offset = (u64)i->displacement, base = 0;

	if (i->base == INSN_RIP)
		offset += w->rip + i->length;
	else if (i->base != INSN_NO_REG)
		offset += get_gpr(w, i->base);
	if (i->index != INSN_NO_REG)
		offset += get_gpr(w, i->index) << i->shift;
	if (w->mode != INSN_64 || i->segment >= SEG_FS)
		base = segment(w, i->segment).base;
	return linear_of(w, base, offset & address_mask(w));
}

/* Backs memory and makes it writable, so that a later access cannot fail. False: dealt with. */
static bool make_ready(struct work *w, gpa_t gpa, bool write)
{
	struct p2m_entry e = p2m_lookup(&w->v->vm->p2m, gpa.v >> PAGE_SHIFT);

	if (e.kind == P2M_HOLE || (e.kind == P2M_MAPPED && (e.writable || !write)))
		return true;
	fault_on_memory(w, gpa, write);
	return false;
}

/* Where @linear is, by the guest's tables. False: dealt with. */
static bool locate(struct work *w, u64 linear, bool write, struct operand *o)
{
	u64 access = write ? PF_WRITE : GWALK_READ, next = (linear | PAGE_MASK) + 1;
	u32 size = w->insn.size;

	o->first = (u32)min(next - linear, (u64)size);
	o->page = linear >> PAGE_SHIFT;
	o->one_page = o->first == size;
	if (gwalk_translate(&w->walk, linear, access, &o->at[0]) ||
	    (!o->one_page &&
	     gwalk_translate(&w->walk, w->mode == INSN_64 ? next : (u32)next, access, &o->at[1]))) {
		walk_failed(w);
		return false;
	}
	return make_ready(w, o->at[0], write) && (o->one_page || make_ready(w, o->at[1], write));
}

static bool is_where_it_exited(const struct work *w, const struct operand *o)
{
	u64 gfn = w->gpa.v >> PAGE_SHIFT;

	return o->at[0].v >> PAGE_SHIFT == gfn || (!o->one_page && o->at[1].v >> PAGE_SHIFT == gfn);
}

static u64 read_part(struct work *w, gpa_t gpa, u32 size)
{
	u64 value = 0;

	if (guest_read(&w->v->vm->p2m, gpa, &value, size))
		value = mmio_read(w->v, gpa, size);
	return value;
}

static void write_part(struct work *w, gpa_t gpa, u32 size, u64 value)
{
	if (guest_write(&w->v->vm->p2m, gpa, &value, size))
		mmio_write(w->v, gpa, size, value);
}

static u64 read_operand(struct work *w, const struct operand *o)
{
	u64 value = read_part(w, o->at[0], o->first);

	if (unlikely(!o->one_page))
		value |= read_part(w, o->at[1], w->insn.size - o->first) << (o->first * 8);
	return value;
}

static void write_operand(struct work *w, const struct operand *o, u64 value)
{
	write_part(w, o->at[0], o->first, value);
	if (unlikely(!o->one_page))
		write_part(w, o->at[1], w->insn.size - o->first, value >> (o->first * 8));
}

static void done(struct work *w)
{
	w->v->advance = w->insn.length;
	w->v->disagreements = 0;
}

/* The bulk: a mov of all of the operand, at the very address that the CPU has told. */
static bool is_plain(const struct work *w, u64 linear)
{
	return w->insn.op == INSN_MOV && !((linear ^ w->gpa.v) & PAGE_MASK) &&
	       (linear & PAGE_MASK) + w->insn.size <= PAGE_SIZE;
}

static void do_plain(struct work *w)
{
	const struct insn *i = &w->insn;
	u64 reg = i->has_immediate ? 0 : get_gpr(w, i->reg), rflags = 0, value = 0;

	if (!w->write)
		value = mmio_read(w->v, w->gpa, i->size);
	value = insn_compute(i, value, &reg, &rflags);
	if (w->write)
		mmio_write(w->v, w->gpa, i->size, value);
	else
		set_gpr(w, i->reg, reg);
	done(w);
}

static void do_general(struct work *w, u64 linear)
{
	const struct insn *i = &w->insn;
	u64 rflags = backend->get_reg(w->v, GREG_RFLAGS), old = rflags, value = 0;
	u64 reg = get_gpr(w, i->reg);
	struct operand o;

	if (!locate(w, linear, insn_writes(i), &o))
		return;
	if (!is_where_it_exited(w, &o)) {
		disagree(w);
		return;
	}
	if (insn_reads(i))
		value = read_operand(w, &o);
	value = insn_compute(i, value, &reg, &rflags);
	if (insn_writes(i))
		write_operand(w, &o, value);
	if (i->to_register || i->op == INSN_XCHG)
		set_gpr(w, i->reg, reg);
	if (rflags != old)
		backend->set_reg(w->v, GREG_RFLAGS, rflags);
	done(w);
}

/* --- MOVS, STOS, LODS, INS, OUTS --------------------------------------------------------------- */

/* The side of a string instruction that a register points at. */
struct side {
	bool used, write;
	u8 reg;
	u64 base;
	struct operand o;
};

/* Locates the next element; the same page is not looked up again. False: dealt with. */
static bool next_element(struct work *w, struct side *s)
{
	u64 linear;

	if (!s->used)
		return true;
	linear = linear_of(w, s->base, get_gpr(w, s->reg) & address_mask(w));
	if (s->o.one_page && s->o.page == linear >> PAGE_SHIFT &&
	    (linear & PAGE_MASK) + w->insn.size <= PAGE_SIZE) {
		s->o.at[0].v = (s->o.at[0].v & ~PAGE_MASK) | (linear & PAGE_MASK);
		return true;
	}
	return locate(w, linear, s->write, &s->o);
}

static void move_element(struct work *w, struct side *from, struct side *to)
{
	u64 *rax = &w->v->gpr[GPR_RAX], value;

	if (from->used)
		value = read_operand(w, &from->o);
	else
		value = w->port ? io_read(w->v->vm, (u16)w->gpa.v, w->insn.size) : *rax;
	if (to->used)
		write_operand(w, &to->o, value);
	else if (w->port)
		io_write(w->v->vm, (u16)w->gpa.v, w->insn.size, (u32)value);
	else
		*rax = insn_merge(*rax, value, w->insn.size);
}

static void step_register(struct work *w, u8 reg, u64 by)
{
	u64 old = get_gpr(w, reg);

	set_gpr(w, reg, insn_merge(old, old + by, w->insn.address_size));
}

/*
 * Some iterations; those that are left run into the device again, so that
 * interrupts get in between.  The registers always say how far it is.
 */
static void do_string(struct work *w)
{
	const struct insn *i = &w->insn;
	struct side from = { .used = i->op != INSN_STOS && i->op != INSN_INS, .reg = GPR_RSI };
	struct side to = { .used = i->op != INSN_LODS && i->op != INSN_OUTS,
			   .write = true,
			   .reg = GPR_RDI };
	u64 by = backend->get_reg(w->v, GREG_RFLAGS) & RFLAGS_DF ? -(u64)i->size : i->size;

	if (from.used)
		from.base = segment(w, i->segment).base;
	if (to.used)
		to.base = segment(w, SEG_ES).base;
	for (u32 n = 0; n < STRING_MAX; n++) {
		if (i->repeat && !(get_gpr(w, GPR_RCX) & address_mask(w)))
			break;
		if (!next_element(w, &from) || !next_element(w, &to))
			return;
		if (!n && !w->port && !(from.used && !w->write && is_where_it_exited(w, &from.o)) &&
		    !(to.used && w->write && is_where_it_exited(w, &to.o))) {
			disagree(w);
			return;
		}
		move_element(w, &from, &to);
		if (from.used)
			step_register(w, GPR_RSI, by);
		if (to.used)
			step_register(w, GPR_RDI, by);
		if (!i->repeat)
			break;
		step_register(w, GPR_RCX, -1UL);
	}
	w->v->disagreements = 0;
	if (!i->repeat || !(get_gpr(w, GPR_RCX) & address_mask(w)))
		done(w);
}

static bool begin(struct work *w, struct vcpu *v, gpa_t gpa, bool write, bool port)
{
	w->v = v;
	w->gpa = gpa;
	w->write = write;
	w->port = port;
	gwalk_init(&w->walk, v);
	return fetch(w);
}

void emulate_string_io(struct vcpu *v, u16 port, u8 size, bool in)
{
	struct work w;

	if (!begin(&w, v, GPA(port), !in, true))
		return;
	if (w.insn.op != (in ? INSN_INS : INSN_OUTS) || w.insn.size != size)
		disagree(&w);
	else
		do_string(&w);
}

void emulate_access(struct vcpu *v, gpa_t gpa, bool write)
{
	struct work w;
	u64 linear;

	if (!begin(&w, v, gpa, write, false))
		return;
	if (unlikely((write ? !insn_writes(&w.insn) : !insn_reads(&w.insn)) ||
		     insn_is_port(&w.insn))) {
		disagree(&w);
		return;
	}
	if (insn_is_string(&w.insn)) {
		do_string(&w);
		return;
	}
	linear = operand_linear(&w);
	if (likely(is_plain(&w, linear)))
		do_plain(&w);
	else
		do_general(&w, linear);
}
