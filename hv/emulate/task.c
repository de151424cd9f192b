/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A task switch: everything that can be refused is looked at first, then the old task is saved and
 * the new one loaded; what is wrong with the new one is its own fault.  The CPU has already made the
 * checks of the gate and of the descriptor's availability, as VT-x does before its exit.
 */
#include <hv/emulate/gwalk.h>
#include <hv/emulate/task.h>
#include <hv/exit/exit.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

enum { VEC_TS = 10, VEC_NP = 11, VEC_SS = 12 };

#define RFLAGS_NT BIT(14)
#define RFLAGS_VM BIT(17)
#define RFLAGS_DEFINED 0x3f7fd5UL
#define CR0_PG BIT(31)
#define CR0_TS BIT(3)
#define TSS_LIMIT 0x67u
#define TSS_TRAP 1
#define TYPE(d) ((d) >> 40 & 0xf)
#define DESC_BUSY BIT(41)
#define DESC_ACCESSED BIT(40)
#define DESC_WRITABLE BIT(41) /* data; of code: readable */
#define DESC_CONFORMING BIT(42)
#define DESC_CODE BIT(43)
#define DESC_S BIT(44)
#define DESC_DPL(d) ((d) >> 45 & 3)
#define DESC_P BIT(47)
#define TSS_AVAILABLE 9
#define TSS_BUSY 11
#define LDT 2
#define ATTR_UNUSABLE BIT(16)

/* "32-Bit Task-State Segment (TSS)" */
struct tss {
	u32 link, stacks[6], cr3;
	/* what a switch saves: */
	u32 eip, eflags, gpr[8], seg[6];
	u32 ldt;
	u16 trap, io_map;
};
#define SAVED offsetof(struct tss, eip)
#define SAVED_SIZE (offsetof(struct tss, ldt) - SAVED)
_Static_assert(sizeof(struct tss) == TSS_LIMIT + 1 && SAVED_SIZE == 64, "SDM: 32-Bit TSS");

struct work {
	struct vcpu *v;
	struct guest_state *s;
	struct task_fault *f;
	struct gwalk walk;
	u16 ext;    /* in the error codes of faults */
	bool begun; /* there is no way back to the old task */
};

/* Guest memory at a linear address: in two pages at most. */
struct place {
	gpa_t at[2];
	u32 first, size;
};

static int refuse(struct work *w, int vector, u16 selector)
{
	*w->f = (struct task_fault){ .vector = vector, .error = (selector & 0xfffcu) | w->ext };
	return HV_EPERM;
}

/* Backs what is written or read later on, which then cannot fail; later, that does it. */
static int back(struct work *w, gpa_t gpa, bool write)
{
	struct p2m_entry e = p2m_lookup(&w->v->vm->p2m, gpa.v >> PAGE_SHIFT);
	struct vmexit fault = { .kind = EXIT_P2M_FAULT,
				.fault = { .gpa = gpa, .read = !write, .write = write } };

	if (e.kind == P2M_HOLE)
		return HV_EINVAL;
	if (w->begun || (e.kind == P2M_MAPPED && (e.writable || !write)))
		return HV_OK;
	exit_p2m_fault(w->v, &fault);
	return HV_EAGAIN;
}

static int find(struct work *w, u64 linear, u32 size, u64 access, struct place *p)
{
	*p = (struct place){ .size = size };
	for (u32 i = 0, done = 0, n; done < size; i++, done += n) {
		int err = gwalk_translate(&w->walk, (u32)(linear + done), access, &p->at[i]);

		n = (u32)min((u64)size - done, PAGE_SIZE - ((linear + done) & PAGE_MASK));
		if (!i)
			p->first = n;
		if (err == HV_EPERM)
			*w->f = (struct task_fault){ .vector = VEC_PF,
						     .error = w->walk.error,
						     .cr2 = w->walk.linear };
		if (err)
			return err == HV_EPERM ? err : HV_EINVAL;
		err = back(w, p->at[i], access == PF_WRITE);
		if (err)
			return err;
	}
	return HV_OK;
}

static int get(struct work *w, const struct place *p, void *to)
{
	struct p2m *p2m = &w->v->vm->p2m;
	int err = guest_read(p2m, p->at[0], to, p->first);

	if (!err && p->first < p->size)
		err = guest_read(p2m, p->at[1], (u8 *)to + p->first, p->size - p->first);
	return err ? HV_EINVAL : HV_OK;
}

static int put(struct work *w, const struct place *p, const void *from)
{
	struct p2m *p2m = &w->v->vm->p2m;
	int err = guest_write(p2m, p->at[0], from, p->first);

	if (!err && p->first < p->size)
		err = guest_write(p2m, p->at[1], (const u8 *)from + p->first, p->size - p->first);
	return err ? HV_EINVAL : HV_OK;
}

/* --- descriptors ---------------------------------------------------------------------------- */

static struct guest_segment segment(u16 selector, u64 d)
{
	u32 limit = (u32)((d & 0xffff) | (d >> 32 & 0xf0000));

	return (struct guest_segment){ .selector = selector,
				       .limit = d & BIT(55) ? limit << 12 | 0xfff : limit,
				       .base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
				       .attr = (u32)(d >> 40 & 0xf0ff) };
}

/* HV_EPERM, and @vector with the selector: there is no such descriptor. */
static int find_descriptor(struct work *w, u16 selector, int vector, struct place *p, u64 *d)
{
	const struct guest_segment *ldt = &w->s->seg[SEG_LDTR];
	bool local = selector & 4;
	u64 base = local ? ldt->base : w->s->gdtr_base;
	u32 limit = local ? ldt->limit : w->s->gdtr_limit;
	int err;

	if ((local && ldt->attr & ATTR_UNUSABLE) || (selector | 7u) > limit)
		return refuse(w, vector, selector);
	err = find(w, base + (selector & ~7u), sizeof(*d), PF_WRITE, p);
	return err ? err : get(w, p, d);
}

/* SDM: "Exception Conditions Checked During a Task Switch"; 0: as it should be. */
static int check(u32 which, u16 selector, u64 d, u32 cpl)
{
	u32 dpl = DESC_DPL(d), rpl = selector & 3;
	bool code = d & DESC_CODE, conforming = d & DESC_CONFORMING;

	if (which == SEG_LDTR)
		return selector & 4 || d & DESC_S || TYPE(d) != LDT || !(d & DESC_P) ? VEC_TS : 0;
	if (!(d & DESC_S))
		return VEC_TS;
	if (which == SEG_CS) {
		if (!code || (conforming ? dpl > rpl : dpl != rpl))
			return VEC_TS;
		return d & DESC_P ? 0 : VEC_NP;
	}
	if (which == SEG_SS) {
		if (code || !(d & DESC_WRITABLE) || dpl != cpl || rpl != cpl)
			return VEC_TS;
		return d & DESC_P ? 0 : VEC_SS;
	}
	if ((code && !(d & DESC_WRITABLE)) || (!(code && conforming) && dpl < max(rpl, cpl)))
		return VEC_TS;
	return d & DESC_P ? 0 : VEC_NP;
}

static int load_segment(struct work *w, u32 which, u32 cpl)
{
	u16 selector = w->s->seg[which].selector;
	struct place p;
	u64 d;
	int err, vector;

	if (!(selector & ~3u) && which != SEG_CS && which != SEG_SS)
		return HV_OK; /* null, and unusable */
	if (!(selector & ~3u))
		return refuse(w, VEC_TS, selector);
	err = find_descriptor(w, selector, VEC_TS, &p, &d);
	if (err)
		return err;
	vector = check(which, selector, d, cpl);
	if (vector)
		return refuse(w, vector, selector);
	if (d & DESC_S && !(d & DESC_ACCESSED)) {
		d |= DESC_ACCESSED;
		err = put(w, &p, &d);
	}
	w->s->seg[which] = segment(selector, d);
	return err;
}

/* --- the two tasks ----------------------------------------------------------------------------- */

struct tasks {
	struct place old_desc, new_desc, saved, tss;
	u64 old, new; /* the descriptors */
};

static int prepare(struct work *w, const struct task_switch *t, struct tasks *k)
{
	const struct guest_segment *tr = &w->s->seg[SEG_TR];
	int err = find_descriptor(w, t->selector, VEC_GP, &k->new_desc, &k->new);
	u64 type;

	if (!err)
		err = find_descriptor(w, tr->selector, VEC_TS, &k->old_desc, &k->old);
	if (err)
		return err;
	type = TYPE(k->new);
	if ((type != TSS_AVAILABLE && type != TSS_BUSY) || (tr->attr & 0xf) != TSS_BUSY)
		return HV_EINVAL;
	if (!(k->new &DESC_P))
		return refuse(w, VEC_NP, t->selector);
	if (segment(0, k->new).limit < TSS_LIMIT || tr->limit < TSS_LIMIT)
		return refuse(w, VEC_TS, t->selector);
	err = find(w, tr->base + SAVED, SAVED_SIZE, PF_WRITE, &k->saved);
	return err ? err : find(w, segment(0, k->new).base, sizeof(struct tss), PF_WRITE, &k->tss);
}

static int save(struct work *w, const struct task_switch *t, struct tasks *k)
{
	const struct guest_state *s = w->s;
	struct tss old = { .eip = (u32)s->rip + t->advance, .eflags = (u32)s->rflags };
	int err;

	if (t->source == TASK_IRET)
		old.eflags &= ~(u32)RFLAGS_NT;
	for (u32 i = 0; i < 8; i++)
		old.gpr[i] = (u32)(i == GPR_RSP ? s->rsp : w->v->gpr[i]);
	for (u32 i = 0; i < ARRAY_SIZE(old.seg); i++)
		old.seg[i] = s->seg[i].selector;
	err = put(w, &k->saved, (const u8 *)&old + SAVED);
	if (t->source == TASK_IRET || t->source == TASK_JMP) {
		k->old &= ~DESC_BUSY;
		err |= put(w, &k->old_desc, &k->old);
	}
	if (t->source != TASK_IRET) {
		k->new |= DESC_BUSY;
		err |= put(w, &k->new_desc, &k->new);
	}
	return err;
}

/* What needs no descriptor. */
static void load_registers(struct work *w, const struct task_switch *t, const struct tss *n)
{
	struct guest_state *s = w->s;

	s->rip = n->eip;
	s->rflags = (n->eflags & RFLAGS_DEFINED) | 2;
	if (t->source == TASK_CALL || t->source == TASK_GATE)
		s->rflags |= RFLAGS_NT;
	for (u32 i = 0; i < 8; i++)
		if (i != GPR_RSP)
			w->v->gpr[i] = n->gpr[i];
	s->rsp = n->gpr[GPR_RSP];
	s->cr0 |= CR0_TS;
	if (s->cr0 & CR0_PG) {
		s->cr3 = n->cr3;
		backend->set_reg(w->v, GREG_CR3, n->cr3);
		gwalk_init(&w->walk, w->v);
		w->walk.user = false;
	}
	for (u32 i = 0; i < ARRAY_SIZE(n->seg); i++)
		s->seg[i] =
			(struct guest_segment){ .selector = (u16)n->seg[i], .attr = ATTR_UNUSABLE };
	s->seg[SEG_LDTR] = (struct guest_segment){ .selector = (u16)n->ldt, .attr = ATTR_UNUSABLE };
	/* In case that the new one cannot be loaded: its fault is served by ring 0. */
	s->seg[SEG_CS].limit = UINT32_MAX;
	s->seg[SEG_CS].attr = 0xc09b;
}

/* HV_EPERM: the new task begins with the fault @w->f. */
static int load_segments(struct work *w)
{
	static const u8 order[] = { SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	struct guest_state *s = w->s;
	u32 cpl = s->seg[SEG_CS].selector & 3;
	int err = load_segment(w, SEG_LDTR, cpl);

	for (u32 i = 0; !err && i < ARRAY_SIZE(order); i++) {
		struct guest_segment *g = &s->seg[order[i]];

		if (s->rflags & RFLAGS_VM)
			*g = (struct guest_segment){ g->selector, 0xffff, (u64)g->selector << 4,
						     0xf3 };
		else
			err = load_segment(w, order[i], cpl);
	}
	return err;
}

static int push_error(struct work *w, u32 error)
{
	struct guest_state *s = w->s;
	const struct guest_segment *ss = &s->seg[SEG_SS];
	bool big = ss->attr & BIT(14);
	u32 sp = (u32)s->rsp - 4;
	struct place p;
	int err;

	sp = big ? sp : sp & 0xffff;
	err = find(w, ss->base + sp, sizeof(error), PF_WRITE, &p);
	if (err)
		return err;
	s->rsp = big ? sp : (s->rsp & 0xffff0000) | sp;
	return put(w, &p, &error);
}

static int load(struct work *w, const struct task_switch *t, struct tasks *k)
{
	struct tss n;
	u16 link = w->s->seg[SEG_TR].selector;
	int err = get(w, &k->tss, &n);

	if (!err && (t->source == TASK_CALL || t->source == TASK_GATE)) {
		n.link = (n.link & 0xffff0000) | link;
		err = put(w, &k->tss, &n);
	}
	if (err)
		return err;
	w->s->seg[SEG_TR] = segment(t->selector, k->new | DESC_BUSY);
	load_registers(w, t, &n);
	err = load_segments(w);
	if (!err && t->has_error)
		err = push_error(w, t->error);
	if (!err && n.trap & TSS_TRAP)
		*w->f = (struct task_fault){ .vector = VEC_DB, .trap = true };
	return err == HV_EPERM ? HV_OK : err; /* it has taken place, whatever comes of it */
}

int task_switch(struct vcpu *v, const struct task_switch *t, struct guest_state *s,
		struct task_fault *f)
{
	struct work w = { .v = v, .s = s, .f = f, .ext = t->external };
	struct tasks k = { 0 };
	int err;

	f->vector = -1;
	gwalk_init(&w.walk, v);
	w.walk.user = false;
	err = prepare(&w, t, &k);
	if (err)
		return err;
	w.begun = true;
	err = save(&w, t, &k);
	return err ? err : load(&w, t, &k);
}
