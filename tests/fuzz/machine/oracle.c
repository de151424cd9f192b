/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fuzz/machine/machine.h>

#include <hv/dev/bus.h>
#include <mm/epoch.h>

#define ENTRIES 128 /* of a translation cache */
#define VCPUS_MAX 2
#define AUDIT_STEPS 1000 /* a machine of 40 MiB takes fewer than 50 */
#define WORD_AT (PAGE_SIZE - sizeof(u64))

/* The value of the last word of a guest's page, as far as we know it. */
enum holds {
	ZERO,	 /* 0: never touched, or given back */
	STAMP,	 /* what the guest wrote */
	UNKNOWN, /* the hypervisor wrote there, for the guest */
};

struct translation {
	u32 gfn, frame; /* frame 0: nothing is cached */
};

/* A CPU keeps the translations that a vCPU used there, until the back end flushes them. */
static struct translation tlb[CPUS_MAX][VMS_MAX][VCPUS_MAX][ENTRIES];
static u8 page[VMS_MAX][GFNS_MAX]; /* enum holds */
static u64 life[VMS_MAX];	   /* of the VM: raised whenever it gets a p2m */
static u8 written[16384 / 8];	   /* bit per frame: a guest wrote there */
static u64 hv_at_start;

void oracle_start(void)
{
	hv_at_start = frames_stats().hv;
}

void oracle_flush(struct vcpu *v)
{
	memset(tlb[fake.cpu][v->vm->id][v->index], 0, sizeof(tlb[0][0][0]));
}

/* --- pages -------------------------------------------------------------------------- */

static u64 stamp(const struct vm *vm, u32 gfn)
{
	return (vm->id + 1UL) << 56 | life[vm->id] << 32 | gfn;
}

static u64 *word(u32 frame)
{
	return (u64 *)(fake_frame(frame) + WORD_AT);
}

/* The CPU walks the tables, and leaves its mark; false: a write there faults. */
static bool walk(const struct p2m *p, u32 gfn, u32 *frame)
{
	int level;
	u64 *e;

	if (!p->root.v || gfn >= p->nr_gfns)
		return false;
	e = tables_entry(p, gfn, &level);
	if (!(*e & p->fmt->present) || !(*e & p->fmt->write))
		return false;
	*e |= p->fmt->accessed | p->fmt->dirty;
	*frame = (u32)((*e & PT_ADDR) >> PAGE_SHIFT) + (gfn & ((1u << level_order(level)) - 1));
	return true;
}

/* The guest must see its own bytes or zeroes, and its last value if it still has the page. */
static void check_word(const struct vm *vm, u32 gfn, u32 frame, bool current)
{
	u8 *h = &page[vm->id][gfn];
	u64 is = *word(frame), mine = stamp(vm, gfn);

	fuzz_assert(!is || is == mine || (current && *h == UNKNOWN),
		    "VM %u gfn %x (frame %x) sees %lx", vm->id, gfn, frame, is);
	if (!current)
		return;
	fuzz_assert(*h != STAMP || is == mine, "VM %u gfn %x has lost what it held", vm->id, gfn);
	fuzz_assert(*h != ZERO || !is, "VM %u gfn %x holds what it gave away", vm->id, gfn);
	*h = STAMP;
}

bool oracle_touch(struct vcpu *v, u32 gfn)
{
	struct vm *vm = v->vm;
	struct translation *t = &tlb[fake.cpu][vm->id][v->index][gfn % ENTRIES];
	u32 mapped = 0;

	if (!t->frame || t->gfn != gfn) {
		if (!walk(&vm->p2m, gfn, &mapped))
			return false;
		*t = (struct translation){ gfn, mapped };
	} else if (p2m_lookup(&vm->p2m, gfn).kind == P2M_MAPPED) {
		mapped = p2m_lookup(&vm->p2m, gfn).frame;
	}
	check_word(vm, gfn, t->frame, t->frame == mapped);
	*word(t->frame) = stamp(vm, gfn);
	written[t->frame / 8] |= 1 << t->frame % 8;
	return true;
}

static const struct vm *owner_of(const struct p2m *p)
{
	for (u32 i = 0; i < nr_vms; i++)
		if (&vms[i]->p2m == p)
			return vms[i];
	return NULL;
}

int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);
int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len)
{
	const struct vm *vm = owner_of(p);

	fake.tsc += FAKE_KHZ / 2000; /* devices use the clock */
	for (u64 gfn = gpa.v >> PAGE_SHIFT; gfn < GFNS_MAX && gfn << PAGE_SHIFT < gpa.v + len;
	     gfn++)
		if (gpa.v + len > (gfn << PAGE_SHIFT) + WORD_AT)
			page[vm->id][gfn] = UNKNOWN;
	return __real_guest_write(p, gpa, buf, len);
}

/* A page that the guest gives away comes back as zeroes. */
static int given(const struct p2m *p, u64 gfn, unsigned int order, int err)
{
	for (u64 n = 1UL << order; !err && n && gfn < GFNS_MAX; n--, gfn++)
		page[p->acct.owner][gfn] = ZERO;
	return err;
}

int __real_p2m_lock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);
int __wrap_p2m_lock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);
int __wrap_p2m_lock(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work)
{
	return given(p, gfn, order, __real_p2m_lock(p, gfn, order, b, work));
}

int __real_p2m_report(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);
int __wrap_p2m_report(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work);
int __wrap_p2m_report(struct p2m *p, u64 gfn, unsigned int order, struct frame_batch *b, u64 *work)
{
	return given(p, gfn, order, __real_p2m_report(p, gfn, order, b, work));
}

int __real_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns);
int __wrap_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns);
int __wrap_p2m_init(struct p2m *p, const struct pt_format *fmt, u16 owner, u64 nr_gfns)
{
	life[owner]++;
	memset(page[owner], ZERO, sizeof(page[0]));
	return __real_p2m_init(p, fmt, owner, nr_gfns);
}

/* --- accounts ----------------------------------------------------------------------- */

struct sums {
	u64 of[FRAME_NR_STATES];
	u64 resident[VMS_MAX], tables[VMS_MAX];
};

/* Reads a frame that AddressSanitizer forbids, without asking it. */
__attribute__((no_sanitize("address"))) static bool is_clean(u32 frame)
{
	const u64 *p = plat_ptr(HPA((u64)frame << PAGE_SHIFT));

	for (u32 i = 0; i < PAGE_SIZE / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

static void check_clean(u32 frame, unsigned int order)
{
	for (u32 i = frame; i < frame + (1u << order); i++)
		if (written[i / 8] >> i % 8 & 1)
			fuzz_assert(is_clean(i), "frame %x is called clean", i);
}

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
			check_clean(i, f->order);
	}
}

static void check_stats(const struct sums *s)
{
	struct frame_stats f = frames_stats();
	u64 all = 0;

	for (int i = FRAME_FREE_DIRTY; i < FRAME_NR_STATES; i++)
		all += s->of[i];
	fuzz_assert(all == f.total, "%lu of %lu", all, f.total);
	fuzz_assert(f.free_dirty == s->of[FRAME_FREE_DIRTY], "%lu", f.free_dirty);
	fuzz_assert(f.free_clean == s->of[FRAME_FREE_CLEAN], "%lu", f.free_clean);
	fuzz_assert(f.quarantine == s->of[FRAME_QUARANTINE], "%lu", f.quarantine);
	fuzz_assert(f.hv == s->of[FRAME_HV], "%lu", f.hv);
	fuzz_assert(f.table == s->of[FRAME_TABLE], "%lu", f.table);
	fuzz_assert(f.guest == s->of[FRAME_GUEST], "%lu", f.guest);
	fuzz_assert(f.bad == s->of[FRAME_BAD], "%lu", f.bad);
	fuzz_assert(f.free_dirty + f.free_clean + f.quarantine >= f.reserved,
		    "%lu are promised, %lu dirty, %lu clean, %lu in quarantine", f.reserved,
		    f.free_dirty, f.free_clean, f.quarantine);
}

static void check_vm(const struct vm *vm, const struct sums *s, u64 *promised)
{
	const struct frame_acct *a = &vm->p2m.acct;

	*promised += a->reserve + a->min_promised + a->tables_promised;
	if (!vm->p2m.root.v) {
		fuzz_assert(!s->resident[vm->id] && !s->tables[vm->id], "VM %u has no map", vm->id);
		return;
	}
	fuzz_assert(a->resident == s->resident[vm->id], "VM %u: %lu, counted %lu", vm->id,
		    a->resident, s->resident[vm->id]);
	fuzz_assert(a->tables == s->tables[vm->id], "VM %u: %lu, counted %lu", vm->id, a->tables,
		    s->tables[vm->id]);
}

static void audit(void)
{
	struct audit a = { 0 };
	u32 steps = 0;
	int err;

	while ((err = audit_step(&a, nr_vms, vm_p2m_of)) == HV_EAGAIN)
		fuzz_assert(++steps < AUDIT_STEPS, "the audit goes on for ever");
	fuzz_assert(!err, "the audit says %d", err);
}

void oracle_check(void)
{
	struct sums s = { 0 };
	u64 promised = 0;

	audit();
	add_frames(&s);
	check_stats(&s);
	for (u32 i = 0; i < nr_vms; i++) {
		check_vm(vms[i], &s, &promised);
		if (vms[i]->p2m.root.v)
			tables_check(&vms[i]->p2m);
	}
	fuzz_assert(promised == frames_stats().reserved, "%lu, counted %lu",
		    frames_stats().reserved, promised);
}

void oracle_check_end(void)
{
	struct frame_stats f = frames_stats();
	u64 kept = hv_at_start;

	oracle_check();
	for (u32 i = 0; i < nr_vms; i++) {
		/* Records live as long as the host. */
		kept += (1UL << frame_order(sizeof(struct vm))) + vms[i]->nr_vcpus;
		if (vms[i]->bus)
			kept += 1UL << frame_order(sizeof(struct bus));
	}
	kept += nr_vms > 0; /* the page of the empty bus */
	fuzz_assert(!f.guest && !f.table && !f.quarantine && !f.reserved,
		    "all VMs have ended: %lu, %lu, %lu, %lu", f.guest, f.table, f.quarantine,
		    f.reserved);
	fuzz_assert(f.hv == kept, "all VMs have ended: %lu, and %lu should be kept", f.hv, kept);
}
