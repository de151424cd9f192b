/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <mm/audit.h>
#include <mm/walk.h>

/* One leaf or kind against the frame table. */
static int audit_entry(struct p2m *p, u64 gfn, const struct pos *at)
{
	u64 e = entry(at);
	u32 frame = backing_frame(e);
	const struct frame *f = frame_get(frame);
	u64 base = ALIGN_DOWN(gfn, 1UL << level_order(at->level));

	if (!backed(p, e))
		return HV_OK;
	if (!f || f->state != FRAME_GUEST || f->owner != p->acct.owner || f->gfn != base ||
	    f->order != level_order(at->level))
		return log_error(
			HV_ECORRUPT,
			"audit: VM %u gfn %lx maps frame %x: record says state %u, VM %u, gfn %lx, order %u",
			p->acct.owner, gfn, frame, f ? f->state : 0, f ? f->owner : 0,
			f ? f->gfn : 0, f ? f->order : 0);
	return HV_OK;
}

/* The counts in a table's record against its entries. */
static int audit_table(struct p2m *p, u32 table)
{
	struct pos at = { .slot = table_ptr(table) };
	const struct frame *f = frame_get(table);
	u16 seen[P2M_NR_KINDS] = { 0 };

	for (int i = 0; i < PT_ENTRIES; i++, at.slot++)
		seen[kind_of(p, entry(&at))]++;
	for (int k = 0; k < 4; k++)
		if (f->state != FRAME_TABLE || f->owner != p->acct.owner || f->kinds[k] != seen[k])
			return log_error(HV_ECORRUPT,
					 "audit: VM %u table %x: kind %d counted %u, is %u",
					 p->acct.owner, table, k, f->kinds[k], seen[k]);
	return HV_OK;
}

int p2m_audit(struct p2m *p, u64 *gfn)
{
	for (int work = 0; work < P2M_WORK_MAX && *gfn < p->nr_gfns; work++) {
		struct pos at = walk(p, *gfn, 1);
		int err = HV_OK;

		/* Tables where they begin, and those above that begin here too. */
		for (int l = at.level; l <= PT_LEVELS && !err && pt_index(*gfn, l) == 0; l++) {
			work += PT_ENTRIES / 8;
			err = audit_table(p, walk(p, *gfn, l).table);
		}
		if (!err)
			err = audit_entry(p, *gfn, &at);
		if (err)
			return err;
		*gfn = (*gfn | ((1UL << level_order(at.level)) - 1)) + 1;
	}
	return *gfn < p->nr_gfns ? HV_EAGAIN : HV_OK;
}

static int audit_vm(struct audit *a, struct p2m *p)
{
	int err;

	if (!p) {
		a->vm++;
		return HV_EAGAIN;
	}
	spin_lock(&p->lock);
	/* It may have been destroyed since it was looked up. */
	err = p->root.v ? p2m_audit(p, &a->gfn) : HV_OK;
	spin_unlock(&p->lock);
	if (err == HV_OK) {
		a->vm++;
		a->gfn = 0;
		return HV_EAGAIN;
	}
	return err;
}

/* A GUEST record must be mapped where it says. */
static int audit_guest(u32 frame, audit_p2m_fn p2m_of)
{
	struct frame f = frame_copy(frame);
	struct p2m *p = p2m_of(f.owner);
	struct p2m_entry e;
	int err = HV_OK;

	if (f.state != FRAME_GUEST)
		return HV_OK; /* it has gone since */
	if (!p)
		return log_error(HV_ECORRUPT,
				 "audit: frame %x belongs to VM %u, which is not there", frame,
				 f.owner);
	spin_lock(&p->lock);
	f = frame_copy(frame);
	if (p->root.v && f.state == FRAME_GUEST && f.owner == p->acct.owner) {
		e = p2m_lookup(p, f.gfn);
		if (e.kind != P2M_MAPPED || e.frame != frame || e.order != f.order)
			err = log_error(HV_ECORRUPT,
					"audit: frame %x says VM %u gfn %lx, mapped there is %x",
					frame, f.owner, f.gfn, e.frame);
	}
	spin_unlock(&p->lock);
	return err;
}

int audit_step(struct audit *a, u32 nr_vms, audit_p2m_fn p2m_of)
{
	int err = HV_OK;

	if (a->vm < nr_vms)
		return audit_vm(a, p2m_of((u16)a->vm));
	for (int work = 0; work < P2M_WORK_MAX && a->frame < frames_nr() && !err; work++) {
		struct frame f = frame_copy(a->frame);

		err = frames_check(a->frame, 1);
		if (!err && f.state == FRAME_GUEST) {
			a->guest_frames += 1UL << f.order;
			work += 16;
			err = audit_guest(a->frame, p2m_of);
		}
		a->frame++;
	}
	if (err)
		return err;
	return a->frame < frames_nr() ? HV_EAGAIN : HV_OK;
}
