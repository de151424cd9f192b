/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/threads/threads.h>

#define ENTRIES 128 /* of a translation cache */
#define AUDIT_STEPS 4000

struct translation {
	u32 gfn, frame; /* frame 0: empty */
};

/* This CPU keeps the translations that a vCPU used here, until it flushes them. */
static _Thread_local struct translation tlb[VMS][VCPUS][ENTRIES];

/*
 * The version that was written last; 0: the page is zero. Only the owner of a page looks here,
 * whichever CPU runs it: if the scheduler hands a vCPU over too early, that is a race here, too.
 */
static u32 version[VMS][GFNS];
#define UNKNOWN 0xfffffu
static u64 life[VMS];

void oracle_life(u32 vm)
{
	life[vm]++;
	memset(version[vm], 0, sizeof(version[vm]));
}

void oracle_flush(u32 vm, u32 vcpu)
{
	if (!broken.no_flush)
		memset(tlb[vm][vcpu], 0, sizeof(tlb[vm][vcpu]));
}

void oracle_given(u32 vm, u32 gfn)
{
	version[vm][gfn] = 0;
}

void oracle_unknown(u32 vm, u32 gfn)
{
	version[vm][gfn] = UNKNOWN;
}

static u64 stamp(u32 vm, u32 gfn, u32 v)
{
	return v ? (vm + 1UL) << 56 | (life[vm] & 0xffff) << 40 | (u64)v << 20 | gfn : 0;
}

bool oracle_word(u32 vm, u32 gfn, u64 *word)
{
	*word = stamp(vm, gfn, version[vm][gfn]);
	return version[vm][gfn] != UNKNOWN;
}

static u64 *word(u32 frame)
{
	return (u64 *)(fake_frame(frame) + WORD_AT);
}

/*
 * The CPU's own walk, with its mark; false: a write there faults. Loads entries with acquire,
 * because x86 keeps the order of the loads of a walk.
 */
static bool walk(const struct p2m *p, u32 gfn, u32 *frame)
{
	u64 table = p->root_frame;

	for (int level = PT_LEVELS;; level--) {
		u64 *e = (u64 *)fake_frame((u32)table) + pt_index(gfn, level);
		u64 old = atomic_load_acquire(e);

		if (!(old & p->fmt->present))
			return false;
		if (level > 1 && !(old & PT_LARGE)) {
			table = (old & PT_ADDR) >> PAGE_SHIFT;
			continue;
		}
		if (!(old & p->fmt->write))
			return false;
		if (!atomic_cas(e, old, old | p->fmt->accessed | p->fmt->dirty))
			return false; /* it has changed: try again, as after a fault */
		*frame = (u32)((old & PT_ADDR) >> PAGE_SHIFT) +
			 (gfn & ((1u << level_order(level)) - 1));
		return true;
	}
}

void oracle_look(u32 vm, u32 gfn, u64 is)
{
	u64 mask = ~((u64)UNKNOWN << 20);

	threads_assert(!is || (is & mask) == (stamp(vm, gfn, 1) & mask), "VM %u gfn %x sees %lx",
		       vm, gfn, is);
}

/* Hypervisor code uses a page that it found without a lock a while later. */
struct p2m_entry __real_p2m_lookup(const struct p2m *p, u64 gfn);
struct p2m_entry __wrap_p2m_lookup(const struct p2m *p, u64 gfn);
struct p2m_entry __wrap_p2m_lookup(const struct p2m *p, u64 gfn)
{
	struct p2m_entry e = __real_p2m_lookup(p, gfn);

	threads_dawdle();
	return e;
}

bool oracle_touch(const struct p2m *p, u32 vm, u32 vcpu, u32 gfn, bool own)
{
	struct translation *t = &tlb[vm][vcpu][(gfn + (gfn >> ORDER_2M) * HOT_PAGES) % ENTRIES];
	u64 is, want;

	if (!t->frame || t->gfn != gfn) {
		u32 frame;

		if (!walk(p, gfn, &frame))
			return false;
		*t = (struct translation){ gfn, frame };
	}
	threads_dawdle();
	if (!own) {
		oracle_look(vm, gfn, atomic_load(word(t->frame)));
		return true;
	}
	is = atomic_load(word(t->frame));
	if (oracle_word(vm, gfn, &want))
		threads_assert(is == want, "VM %u gfn %x (frame %x) holds %lx, not %lx", vm, gfn,
			       t->frame, is, want);
	else
		oracle_look(vm, gfn, is);
	version[vm][gfn] = version[vm][gfn] % (UNKNOWN - 1) + 1;
	atomic_store(word(t->frame), stamp(vm, gfn, version[vm][gfn]));
	return true;
}

/* --- accounts ----------------------------------------------------------------------------- */

struct sums {
	u64 of[FRAME_NR_STATES];
	u64 resident[VMS], tables[VMS];
};

static void add_frames(struct sums *s)
{
	for (u32 i = 0; i < frames_nr(); i++) {
		const struct frame *f = frame_get(i);
		u64 n = 1UL << f->order;

		if (f->state == FRAME_ABSENT || f->state == FRAME_TAIL)
			continue;
		s->of[f->state] += n;
		if (f->state == FRAME_GUEST)
			s->resident[f->owner] += n;
		else if (f->state == FRAME_TABLE)
			s->tables[f->owner] += n;
		else if (f->state == FRAME_FREE_CLEAN)
			threads_assert(fake_is_zero(fake_frame(i), n << PAGE_SHIFT),
				       "frame %x is called clean", i);
	}
}

static void check_stats(const struct sums *s)
{
	struct frame_stats f = frames_stats();
	u64 all = 0;

	for (int i = FRAME_FREE_DIRTY; i < FRAME_NR_STATES; i++)
		all += s->of[i];
	threads_assert(all == f.total, "%lu of %lu", all, f.total);
	threads_assert(f.free_dirty == s->of[FRAME_FREE_DIRTY], "%lu", f.free_dirty);
	threads_assert(f.free_clean == s->of[FRAME_FREE_CLEAN], "%lu", f.free_clean);
	threads_assert(f.quarantine == s->of[FRAME_QUARANTINE], "%lu", f.quarantine);
	threads_assert(f.hv == s->of[FRAME_HV], "%lu", f.hv);
	threads_assert(f.table == s->of[FRAME_TABLE], "%lu", f.table);
	threads_assert(f.guest == s->of[FRAME_GUEST], "%lu", f.guest);
	threads_assert(f.free_dirty + f.free_clean + f.quarantine >= f.reserved,
		       "%lu are promised, %lu dirty, %lu clean, %lu in quarantine", f.reserved,
		       f.free_dirty, f.free_clean, f.quarantine);
}

static u64 check_vm(struct p2m *p, u32 id, const struct sums *s)
{
	const struct frame_acct *a = &p->acct;

	if (!p->root.v) {
		threads_assert(!s->resident[id] && !s->tables[id], "VM %u has no map", id);
	} else {
		threads_assert(a->resident == s->resident[id], "VM %u: %lu, counted %lu", id,
			       a->resident, s->resident[id]);
		threads_assert(a->tables == s->tables[id], "VM %u: %lu, counted %lu", id, a->tables,
			       s->tables[id]);
		tables_check(p);
	}
	return a->reserve + a->min_promised + a->tables_promised;
}

void oracle_check(struct p2m *const *maps, u32 nr, audit_p2m_fn p2m_of)
{
	struct audit a = { 0 };
	struct sums s = { 0 };
	u64 promised = 0;
	u32 steps = 0;
	int err;

	while ((err = audit_step(&a, nr, p2m_of)) == HV_EAGAIN)
		threads_assert(++steps < AUDIT_STEPS, "the audit goes on for ever");
	threads_assert(!err, "the audit says %d", err);
	add_frames(&s);
	check_stats(&s);
	for (u32 i = 0; i < nr; i++)
		promised += check_vm(maps[i], i, &s);
	threads_assert(promised == frames_stats().reserved, "%lu, counted %lu",
		       frames_stats().reserved, promised);
}
