/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/memory/explain.h>

/*
 * Guests get the policy's reasons and rules as they are.  One that is new in the policy needs a
 * name in the ABI, and a line here.
 */
#define IS_ABI(name) _Static_assert((int)name == AERO_##name, "the ABI has another number for it")
IS_ABI(REASON_NONE);
IS_ABI(REASON_VICTIM);
IS_ABI(REASON_GIVEN_BACK);
IS_ABI(REASON_GROW);
IS_ABI(REASON_HOLD);
IS_ABI(REASON_MAX);
IS_ABI(REASON_MANUAL);
IS_ABI(REASON_SILENT);
IS_ABI(REASON_STUCK);
IS_ABI(REASON_BEYOND);
_Static_assert((int)REASONS == AERO_REASON_BEYOND + 1, "a reason that the ABI does not have");
IS_ABI(RULE_SHARES);
IS_ABI(RULE_MIN);
IS_ABI(RULE_NEED);
IS_ABI(RULE_HELD);
_Static_assert(POLICY_HIGH == 0 && POLICY_LOW == 3, "aero_decision.state counts so");
_Static_assert((int)RULES == AERO_RULE_HELD + 1, "a rule that the ABI does not have");

static struct aero_decision *record(struct explain *e, u64 n)
{
	return &e->ring[n % AERO_DECISIONS];
}

void explain_reset(struct explain *e)
{
	spin_lock(&e->lock);
	e->total = e->target = 0;
	spin_unlock(&e->lock);
}

/* Does a step from @from to @to go on with what @d says? */
static bool goes_on(const struct aero_decision *d, u64 from, u64 to)
{
	return d->to == from && (d->to >= d->from) == (to >= from) && d->from != d->to;
}

void explain_note(struct explain *e, u64 us, enum policy_state state, const struct policy_vm *in,
		  const struct policy_vm_out *out)
{
	struct aero_decision *d;
	u64 from;

	spin_lock(&e->lock);
	/* A target that was set by hand or by GROW since the last decision is news, too. */
	from = e->target;
	e->target = out->target;
	d = e->total ? record(e, e->total - 1) : NULL;
	if (from == out->target && (d ? d->reason == out->reason : out->reason == REASON_NONE))
		goto out;
	if (!d || d->reason != out->reason || !goes_on(d, from, out->target)) {
		d = record(e, e->total++);
		*d = (struct aero_decision){ .first_us = us, .from = from };
	}
	d->last_us = us;
	d->to = out->target;
	d->entitlement = out->entitlement;
	d->rho = out->rho;
	d->resident = in->resident;
	d->steps += d->steps < UINT16_MAX;
	d->active = (u16)in->active_permille;
	d->state = (u8)state;
	d->reason = (u8)out->reason;
	d->rule = (u8)out->rule;
out:
	spin_unlock(&e->lock);
}

void explain_read(struct explain *e, struct aero_explain *out)
{
	*out = (struct aero_explain){ 0 };
	spin_lock(&e->lock);
	out->total = e->total;
	out->nr = min(e->total, (u64)AERO_DECISIONS);
	for (u64 i = 0; i < out->nr; i++)
		out->decision[i] = *record(e, e->total - out->nr + i);
	spin_unlock(&e->lock);
}
