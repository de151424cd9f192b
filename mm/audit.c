/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <mm/audit.h>

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
	struct frame f = *frame_get(frame);
	struct p2m *p = p2m_of(f.owner);
	struct p2m_entry e;
	int err = HV_OK;

	if (!p)
		return log_error(HV_ECORRUPT,
				 "audit: frame %x belongs to VM %u, which is not there", frame,
				 f.owner);
	spin_lock(&p->lock);
	f = *frame_get(frame);
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
		const struct frame *f = frame_get(a->frame);

		if (!f)
			break;
		err = frames_check(a->frame, 1);
		if (!err && f->state == FRAME_GUEST) {
			a->guest_frames += 1UL << f->order;
			work += 16;
			err = audit_guest(a->frame, p2m_of);
		}
		a->frame++;
	}
	if (err)
		return err;
	return a->frame < frames_nr() ? HV_EAGAIN : HV_OK;
}
