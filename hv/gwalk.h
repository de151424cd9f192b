/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's own page tables, read for instruction fetches. */
#ifndef HV_GWALK_H
#define HV_GWALK_H

#include <hv/backend.h>

/* Guest-linear to guest-physical for a fetch. HV_EFAULT: not mapped, or not executable. */
int gwalk_translate(struct vcpu *v, const struct guest_state *s, u64 linear, gpa_t *out);

/* Reads up to @len bytes of code at @linear; returns how many could be read. */
size_t gwalk_fetch(struct vcpu *v, const struct guest_state *s, u64 linear, u8 *buf, size_t len);

#endif
